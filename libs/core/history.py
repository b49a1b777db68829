"""Market history as columns: which kinds there are, what their columns mean, and how pieces of it are put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from libs.core.types import Nanos

Columns = dict[str, NDArray[Any]]
"""Name to values, all of one length; int64 or float64 as `FIELDS` says."""


class Kind(StrEnum):
    """What a row is."""

    BARS = "bars"
    TRADES = "trades"
    READINGS = "readings"


FIELDS: Final[dict[Kind, dict[str, str]]] = {
    Kind.BARS: {
        "open_time": "i8",
        "open": "f8",
        "high": "f8",
        "low": "f8",
        "close": "f8",
        "volume": "f8",
        "buy_volume": "f8",
        "trades": "i8",
    },
    Kind.TRADES: {"ts_event": "i8", "price": "f8", "size": "f8", "side": "i8", "seq": "i8"},
    Kind.READINGS: {"ts_event": "i8", "period": "i8", "value": "f8"},
}
"""Columns of each kind in order, with the units of `Bar`, `Trade` and `Reading`; times in ns UTC.

A Deriv tick is a trade of size 0. What a source does not tell is 0.
"""

IDENTITY: Final[dict[Kind, tuple[str, ...]]] = {
    Kind.BARS: ("open_time",),
    # Not every exchange numbers its prints: two are the same one only when everything about them is equal.
    Kind.TRADES: ("ts_event", "seq", "price", "size", "side"),
    Kind.READINGS: ("ts_event", "period"),
}
"""Rows that agree in these are the same row; they also give the order, the first (a time) before the next."""


class Page(NamedTuple):
    """Some rows, and `after`: what to ask with for those that follow them."""

    columns: Columns
    after: str


def time_of(kind: Kind) -> str:
    """The column by which rows are ordered and cut."""
    return IDENTITY[kind][0]


def rows_in(columns: Columns) -> int:
    """How many rows."""
    return len(next(iter(columns.values()))) if columns else 0


def made(kind: Kind, columns: Mapping[str, Sequence[Any] | NDArray[Any]]) -> Columns:
    """Every column of `kind`, of its type; 0 where `columns` lacks one.

    Raises:
        ValueError: lengths differ, or the time is lacking.
    """
    time = time_of(kind)
    if time not in columns:
        raise ValueError(f"{kind} without {time}")
    count = len(columns[time])
    out: Columns = {}
    for name, dtype in FIELDS[kind].items():
        given = columns.get(name)
        out[name] = np.zeros(count, dtype) if given is None else np.asarray(given, dtype=dtype)
        if len(out[name]) != count:
            raise ValueError(f"{name} has {len(out[name])} rows, {time} has {count}")
    return out


def of_rows(kind: Kind, rows: Sequence[Sequence[Any]]) -> Columns:
    """Columns of `kind` from rows that hold the fields in their order."""
    names = list(FIELDS[kind])
    return made(kind, {name: [row[i] for row in rows] for i, name in enumerate(names)})


def between(kind: Kind, columns: Columns, start: Nanos, end: Nanos) -> Columns:
    """Rows whose time lies in [start, end)."""
    times = columns[time_of(kind)]
    inside = (times >= start) & (times < end)
    return columns if inside.all() else {name: values[inside] for name, values in columns.items()}


def joined(kind: Kind, pieces: Iterable[Columns]) -> Columns:
    """All rows in order, each once; where two are the same row, the one of the later piece stays."""
    whole = list(pieces)
    if not whole:
        return made(kind, {name: [] for name in FIELDS[kind]})
    columns = {name: np.concatenate([piece[name] for piece in whole]) for name in FIELDS[kind]}
    keys = IDENTITY[kind]
    order = np.lexsort([columns[name] for name in reversed(keys)])
    columns = {name: values[order] for name, values in columns.items()}
    count = rows_in(columns)
    if count < 2:
        return columns
    last_of_its_kind = np.ones(count, dtype=bool)
    last_of_its_kind[:-1] = np.logical_or.reduce([columns[name][1:] != columns[name][:-1] for name in keys])
    return {name: values[last_of_its_kind] for name, values in columns.items()}
