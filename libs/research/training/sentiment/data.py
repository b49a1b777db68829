"""Reads labelled headlines: CSV, JSON lines, or one `text@label` a line."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from libs.core.agents.sentiment_model import CLASSES

_NAMES: Final = {
    **dict.fromkeys(("down", "negative", "neg", "bearish", "bad", "-1", "-1.0"), 0),
    **dict.fromkeys(("neutral", "neu", "none"), 1),
    **dict.fromkeys(("up", "positive", "pos", "bullish", "good"), 2),
}
_SIGNED: Final = {"-1": 0, "0": 1, "1": 2, "-1.0": 0, "0.0": 1, "1.0": 2, "+1": 2}
_TEXT: Final = ("text", "headline", "title", "sentence")
_LABEL: Final = ("label", "sentiment", "class", "decision")
MOST_BYTES: Final = 500_000_000


class DataProblem(Exception):
    """The headlines cannot be learnt from; the text is one line that says why and what to do."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Headlines with their classes (into CLASSES), each text once; `sha256` is of the file."""

    path: Path
    sha256: str
    texts: tuple[str, ...]
    labels: NDArray[np.int64]
    repeats: int

    def counts(self) -> dict[str, int]:
        """Headlines per class."""
        return {name: int((self.labels == i).sum()) for i, name in enumerate(CLASSES)}


def load_labelled(path: Path, names: Sequence[str] = ()) -> Labelled:
    """Read a file by its ending: .csv, .jsonl (or .ndjson), anything else `text@label`.

    `names`: what the labels 0, 1, 2, ... mean, where the file has numbers, for example bearish, bullish, neutral.

    Raises:
        DataProblem: it cannot be read, or a row has no text or no label that is known.
    """
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise DataProblem(f"{path}: {size:,} bytes; at most {MOST_BYTES:,} are read")
        raw = path.read_bytes()
    except OSError as err:
        raise DataProblem(f"{path}: {err.strerror or err}") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    rows = list(_rows(path, text))
    classes = _classes(path, [label for _, label, _ in rows], names)
    kept: dict[str, int] = {}
    for headline, label, number in rows:
        words = " ".join(headline.split())
        if not words:
            raise DataProblem(f"{path}, row {number}: no text")
        if label not in classes:
            raise DataProblem(f"{path}, row {number}: label {label[:40]!r} is none of {', '.join(sorted(classes))}")
        kept.setdefault(words, classes[label])
    labels = np.array(list(kept.values()), dtype=np.int64)
    return Labelled(path, hashlib.sha256(raw).hexdigest(), tuple(kept), labels, len(rows) - len(kept))


def _rows(path: Path, text: str) -> Iterator[tuple[str, str, int]]:
    match path.suffix.lower():
        case ".csv" | ".tsv":
            yield from _table(path, text)
        case ".jsonl" | ".ndjson":
            yield from _json_lines(path, text)
        case _:
            for number, line in enumerate(text.splitlines(), 1):
                if line.strip():
                    headline, mark, label = line.rpartition("@")
                    if not mark:
                        raise DataProblem(f"{path}, row {number}: expected text@label")
                    yield headline, label.strip().lower(), number


def _table(path: Path, text: str) -> Iterator[tuple[str, str, int]]:
    csv.field_size_limit(10_000_000)
    reader = csv.reader(text.splitlines(keepends=True), delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
    try:
        head = [name.strip().lower() for name in next(reader, [])]
        columns = [next((head.index(name) for name in wanted if name in head), None) for wanted in (_TEXT, _LABEL)]
        if None in columns:
            lacks = "/".join(_TEXT if columns[0] is None else _LABEL)
            raise DataProblem(f"{path}: no column {lacks}; it has {', '.join(head)[:200] or 'nothing'}")
        at_text, at_label = (column or 0 for column in columns)
        for row in reader:
            if not row:
                continue
            if len(row) <= max(at_text, at_label):
                raise DataProblem(f"{path}, row {reader.line_num}: {len(row)} columns, {len(head)} expected")
            yield row[at_text], row[at_label].strip().lower(), reader.line_num
    except csv.Error as err:
        raise DataProblem(f"{path}, row {reader.line_num}: {err}") from None


def _json_lines(path: Path, text: str) -> Iterator[tuple[str, str, int]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            entry: Any = json.loads(line)
        except (ValueError, RecursionError):
            raise DataProblem(f"{path}, row {number}: not JSON") from None
        found = [_first(entry, names) if isinstance(entry, dict) else None for names in (_TEXT, _LABEL)]
        if found[0] is None or found[1] is None:
            raise DataProblem(f'{path}, row {number}: expected {{"text": ..., "label": ...}}')
        yield str(found[0]), str(found[1]).strip().lower(), number


def _first(entry: dict[str, Any], names: Iterable[str]) -> Any:
    return next((entry[name] for name in names if entry.get(name) is not None), None)


def _classes(path: Path, labels: list[str], names: Sequence[str]) -> dict[str, int]:
    """What each label of the file means."""
    if not labels:
        raise DataProblem(f"{path}: no headlines in it")
    if names:
        unknown = [name for name in names if name.strip().lower() not in _NAMES]
        if unknown:
            raise DataProblem(f"--labels: {unknown[0]!r} is none of bearish, neutral, bullish (or negative, positive)")
        return {str(i): _NAMES[name.strip().lower()] for i, name in enumerate(names)}
    seen = set(labels)
    if seen <= set(_SIGNED) and seen & {"-1", "-1.0"}:
        return _SIGNED
    if all(label.lstrip("+-").isdigit() for label in seen):
        raise DataProblem(
            f"{path}: labels {', '.join(sorted(seen))[:60]} are numbers; say what 0, 1, 2 mean: "
            "--labels bearish,bullish,neutral"
        )
    return _NAMES
