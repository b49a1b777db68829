"""Headlines as JSON lines, in a file that grows or one that is played again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

from libs.venues.news.entry import Entry, Refused, identity, moment

MOST_LINE: Final = 65_536
CHUNK: Final = 1_048_576
MOST_REPLAY: Final = 200_000_000


def parse_line(line: bytes) -> Entry:
    """One headline: {"title": ..., "id", "time", "summary", "link"}; headline, published, url are understood too.

    Raises:
        Refused: it is no JSON object, has no title, or a time that cannot be read.
    """
    try:
        told: Any = json.loads(line)
    except (ValueError, RecursionError):
        raise Refused("not JSON") from None
    if not isinstance(told, dict):
        raise Refused("not a JSON object")
    title = _first(told, "title", "headline")
    if not isinstance(title, str):
        raise Refused("no title")
    when = _first(told, "time", "published", "published_at", "ts")
    link = _first(told, "link", "url") or ""
    published = None if when is None else moment(when)
    return Entry(
        source_id=identity(told.get("id"), link, title, published),
        title=title,
        summary=str(told.get("summary") or ""),
        link=str(link),
        published=published,
        raw=line[:4_000],
    )


def _first(told: dict[str, Any], *names: str) -> Any:
    return next((told[name] for name in names if told.get(name) is not None), None)


class LineTail:
    """Whole lines added to a file since the last look; a new file under its name is read from the start."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode = 0
        self._offset = 0
        self._rest = b""
        self._skipping = False

    def read(self) -> tuple[list[bytes], list[tuple[bytes, str]]]:
        """New lines, and (what, why) of those that are too long. Raises OSError when the file cannot be read."""
        with self._path.open("rb") as file:
            about = os.fstat(file.fileno())
            if about.st_ino != self._inode or about.st_size < self._offset:
                self._inode, self._offset, self._rest, self._skipping = about.st_ino, 0, b"", False
            file.seek(self._offset)
            data = file.read(CHUNK)
        self._offset += len(data)
        *lines, rest = (self._rest + data).split(b"\n")
        if self._skipping and lines:
            lines, self._skipping = lines[1:], False
        problems = [(line, "a line of more than 64 KiB") for line in lines if len(line) > MOST_LINE]
        if len(rest) > MOST_LINE or self._skipping:
            if not self._skipping:
                problems.append((rest, "a line of more than 64 KiB"))
            rest, self._skipping = b"", True
        self._rest = rest
        return [line for line in lines if line.strip() and len(line) <= MOST_LINE], problems


def load_replay(path: Path) -> tuple[list[Entry], list[tuple[bytes, str]]]:
    """All headlines of a file by their times, and (what, why) of lines that cannot be used; each needs a time.

    Raises:
        Refused: the file is too large.
        OSError: it cannot be read.
    """
    if (size := path.stat().st_size) > MOST_REPLAY:
        raise Refused(f"{path}: {size:,} bytes; at most {MOST_REPLAY:,} are played again")
    entries, problems = [], []
    for line in path.read_bytes().split(b"\n"):
        if not line.strip():
            continue
        try:
            if len(line) > MOST_LINE:
                raise Refused("a line of more than 64 KiB")
            entry = parse_line(line)
            if entry.published is None:
                raise Refused("no time, and it is to be played at its own")
            entries.append(entry)
        except Refused as err:
            problems.append((line[:4_000], str(err)))
    return sorted(entries, key=lambda entry: (entry.published or 0, entry.source_id)), problems
