"""How far recorded data has been played, kept for the process that follows a killed one."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Final

import msgspec

FILE: Final = "replay.json"
FRESH_SECONDS: Final = 120.0
_SAVE_SECONDS: Final = 0.2


class _Saved(msgspec.Struct):
    data: str
    played: int


class Position:
    """A count of steps played. It outlives a kill, not a clean stop: a new run begins at the beginning.

    Only a file of the last FRESH_SECONDS counts, since a supervisor restarts within seconds and anybody who comes
    later wants to see the recording whole.
    """

    def __init__(self, state_dir: Path | None, data: Path) -> None:
        """Nothing is kept without a `state_dir`."""
        self._path = None if state_dir is None else state_dir / FILE
        self._data = str(data.resolve())
        self._saved_at = 0.0

    def resume(self) -> int:
        """Return how many steps a killed process had played of the same data, else 0."""
        if self._path is None:
            return 0
        try:
            saved = msgspec.json.decode(self._path.read_bytes(), type=_Saved)
            age = time.time() - self._path.stat().st_mtime
        except (OSError, msgspec.DecodeError):
            return 0
        return saved.played if saved.data == self._data and age < FRESH_SECONDS else 0

    def save(self, played: int, *, now: bool = False) -> None:
        """Keep the position, at most every _SAVE_SECONDS unless `now`. Raises OSError (disk full)."""
        moment = time.monotonic()
        if self._path is None or (not now and moment - self._saved_at < _SAVE_SECONDS):
            return
        self._saved_at = moment
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_suffix(".new")
        beside.write_bytes(msgspec.json.encode(_Saved(self._data, played)))
        os.replace(beside, self._path)

    def clear(self) -> None:
        """Forget it: the run ended as it should."""
        if self._path is not None:
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()
