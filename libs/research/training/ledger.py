"""The trial ledger: every training and every exam that was ever begun, abandoned ones too, in files that only grow."""

from __future__ import annotations

import fcntl
import json
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

NAME = "ledger.jsonl"


class Trial:
    """One run that has begun; what it found is added as it ends."""

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}

    def found(self, **facts: Any) -> None:
        """Facts for the line that ends it."""
        self.facts |= facts


class Ledger:
    """Files of one JSON object a line: a trial begins with one line and ends with another of the same id.

    A run holds a lock for as long as it lives; a trial without an end whose lock is free was killed, and the next run
    writes it down as abandoned.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        """Every line goes to each of these files.

        Raises:
            OSError: a file cannot be written.
        """
        self._files = list(dict.fromkeys(path.absolute() for path in files))
        for path in self._files:
            path.parent.mkdir(parents=True, exist_ok=True)
            for lost in abandoned(path):
                _append(path, {"event": "abandoned", "id": lost, "at": time.time_ns()})
                _lock_path(path, lost).unlink(missing_ok=True)

    @property
    def files(self) -> tuple[Path, ...]:
        """Where every line goes."""
        return tuple(self._files)

    @property
    def trials(self) -> int:
        """How many fits the first file has seen begin."""
        return sum(line["event"] == "begun" and line.get("what") != "exam" for line in read(self._files[0]))

    def exams_of(self, data_hash: str) -> int:
        """How often the bars of this hash were looked at, in any file."""
        seen = {
            line["id"]
            for path in self._files
            for line in read(path)
            if line["event"] == "begun" and line.get("what") == "exam" and line.get("data_hash") == data_hash
        }
        return len(seen)

    @contextmanager
    def trial(self, **facts: Any) -> Iterator[Trial]:
        """A trial from its begun line to finished, or failed where an exception passes through."""
        identity = uuid.uuid4().hex[:16]
        locks = [_hold(_lock_path(path, identity)) for path in self._files]
        started = time.monotonic()
        trial = Trial()
        try:
            self._write("begun", identity, facts)
            yield trial
        except BaseException as err:
            why = str(err) or type(err).__name__
            self._write("failed", identity, {"why": why, "seconds": _since(started), **trial.facts})
            raise
        else:
            self._write("finished", identity, {"seconds": _since(started), **trial.facts})
        finally:
            for path, lock in zip(self._files, locks, strict=True):
                lock.close()
                _lock_path(path, identity).unlink(missing_ok=True)

    def _write(self, event: str, identity: str, facts: dict[str, Any]) -> None:
        line = {"event": event, "id": identity, "at": time.time_ns(), **facts}
        for path in self._files:
            _append(path, line)


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a ledger; one that a crash cut short is passed over."""
    lines = []
    if path.exists():
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict) and {"event", "id"} <= line.keys():
                lines.append(line)
    return lines


def abandoned(path: Path) -> list[str]:
    """Ids of trials without an end whose run no longer lives."""
    lines = read(path)
    ended = {line["id"] for line in lines if line["event"] != "begun"}
    return [
        line["id"] for line in lines if line["event"] == "begun" and line["id"] not in ended and _is_free(path, line)
    ]


def _is_free(path: Path, line: dict[str, Any]) -> bool:
    lock = _lock_path(path, line["id"])
    if not lock.exists():
        return True
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


def _lock_path(path: Path, identity: str) -> Path:
    return path.with_name(f".{path.stem}-{identity}.lock")


def _hold(path: Path) -> IO[str]:
    file = path.open("a")
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def _append(path: Path, line: dict[str, Any]) -> None:
    """One line, on the disk before this returns. A line that was cut short before it is ended first."""
    text = json.dumps(line, separators=(",", ":"), default=str)
    with path.open("ab+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        torn = False
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            torn = file.read(1) != b"\n"
        file.write((b"\n" if torn else b"") + text.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _since(started: float) -> float:
    return round(time.monotonic() - started, 3)
