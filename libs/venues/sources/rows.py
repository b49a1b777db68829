"""Rows of strangers made into columns: each bar checked, each time brought to the start of its bar."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, tzinfo
from typing import Any, Final

from libs.core.history import Columns, Kind, between, of_rows
from libs.core.types import SECOND, Nanos
from libs.venues.checked import Absurd, bar_of, price, size
from libs.venues.errors import VenueUnavailable
from libs.venues.sources.base import Ask

DAY: Final[Nanos] = 86_400 * SECOND

Told = tuple[Nanos, Any, Any, Any, Any, Any, int]
"""A bar as a source tells it: opening time, open, high, low, close, volume, number of trades."""


def bars_of(source: str, ask: Ask, told: Iterable[Told]) -> Columns:
    """The bars of `ask` that are closed by its end.

    Raises:
        VenueUnavailable: one cannot be true.
    """
    rows = []
    for at, open_, high, low, close, volume, trades in told:
        try:
            prices = (price(open_), price(high), price(low), price(close))
            bar = bar_of(source, ask.symbol, ask.interval_s, at, prices, volume=size(volume), trades=trades)
        except Absurd as err:
            raise VenueUnavailable(f"{source}: bars of {ask.symbol} cannot be used: {err}") from None
        rows.append((bar.open_time, *prices, bar.volume, 0.0, bar.trades))
    closed_by = ask.end - ask.interval_s * SECOND + 1
    return between(Kind.BARS, of_rows(Kind.BARS, rows), ask.start, closed_by)


def day_of(text: str) -> Nanos:
    """Midnight UTC of a date such as 2024-08-05. Raises ValueError."""
    day = date.fromisoformat(text)
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * SECOND


def moment_of(text: str, zone: tzinfo) -> Nanos:
    """Of a local time such as 2024-08-05 09:30:00. Raises ValueError."""
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()) * SECOND


def told_day(at: Nanos) -> str:
    """The date in UTC in which `at` lies."""
    return datetime.fromtimestamp(at // SECOND, UTC).strftime("%Y-%m-%d")


def month_of(at: Nanos) -> str:
    """The month in UTC in which `at` lies, as 2024-08."""
    return told_day(at)[:7]


def months(start: Nanos, end: Nanos) -> list[str]:
    """Every month that [start, end) touches, oldest first."""
    year, month = map(int, month_of(start).split("-"))
    last = month_of(end - 1)
    found = []
    while (name := f"{year:04d}-{month:02d}") <= last:
        found.append(name)
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return found
