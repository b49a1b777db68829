"""Columns of numbers as PostgreSQL's binary COPY format and back, without a Python object per value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TAIL: Final = b"\xff\xff"

Columns = dict[str, NDArray[Any]]
"""Name to values, all of one length; int64 or float64."""


def _row_type(fields: Sequence[tuple[str, str]], texts: Mapping[str, bytes]) -> np.dtype[np.void]:
    """A row on the wire: the number of columns, then length and value of each, big-endian and unpadded."""
    parts: list[tuple[str, str]] = [("columns", ">i2")]
    for name, text in texts.items():
        parts += [(f"{name} bytes", ">i4"), (name, f"V{len(text)}")]
    for name, kind in fields:
        parts += [(f"{name} bytes", ">i4"), (name, f">{kind}")]
    return np.dtype(parts)


def packed(
    fields: Sequence[tuple[str, str]], columns: Mapping[str, NDArray[Any]], texts: Mapping[str, str] | None = None
) -> bytes:
    """The stream of a binary COPY FROM. `fields`: (column, numpy type such as i8, f8, i4) in the order of the COPY;
    `texts`: columns before them, the same text in every row.

    Raises:
        ValueError: columns of different lengths, an empty text. OverflowError: a value that its column cannot hold.
    """
    lengths = {len(columns[name]) for name, _ in fields}
    if len(lengths) != 1:
        raise ValueError(f"columns of different lengths: {sorted(lengths)}")
    encoded = {name: text.encode() for name, text in (texts or {}).items()}
    if empty := [name for name, text in encoded.items() if not text]:
        raise ValueError(f"{empty[0]} is empty")
    rows = np.empty(lengths.pop(), _row_type(fields, encoded))
    rows["columns"] = len(fields) + len(encoded)
    for name, text in encoded.items():
        rows[f"{name} bytes"] = len(text)
        rows[name] = np.void(text)
    for name, kind in fields:
        given = columns[name]
        if kind[0] == "i" and len(given) and given.dtype.itemsize > int(kind[1]):
            limits = np.iinfo(kind)
            if given.min() < limits.min or given.max() > limits.max:
                raise OverflowError(f"{name} holds a value that fits no {int(kind[1]) * 8} bits")
        rows[f"{name} bytes"] = int(kind[1])
        rows[name] = given
    return _HEAD + rows.tobytes() + _TAIL


def unpacked(fields: Sequence[tuple[str, str]], stream: bytes) -> Columns:
    """Columns of the stream of a binary COPY TO that has no NULL; types as `fields` says, native and contiguous.

    Raises:
        ValueError: the stream is not that.
    """
    row = _row_type(fields, {})
    extra = int.from_bytes(stream[15:19], "big")
    count, rest = divmod(len(stream) - len(_HEAD) - extra - len(_TAIL), row.itemsize)
    if rest or stream[:11] != _HEAD[:11]:
        raise ValueError("not a binary COPY of these columns without NULL")
    rows = np.frombuffer(stream, row, count, len(_HEAD) + extra)
    return {name: np.ascontiguousarray(rows[name], kind) for name, kind in fields}
