"""Yahoo Finance, through the yfinance library in a thread of its own: bars as traded, not adjusted for dividends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from libs.core.history import Page, rows_in
from libs.core.types import SECOND, Nanos
from libs.venues.budget import Budget, Priority
from libs.venues.checked import line
from libs.venues.errors import VenueError, VenueRefused, VenueUnavailable
from libs.venues.sources.base import Ask, Facts, budget_of, check
from libs.venues.sources.rows import DAY, Told, bars_of, day_of
from libs.venues.sources.web import machine_now

FACTS: Final = Facts(
    name="yahoo",
    about="Yahoo Finance, for personal use",
    example="SPY",
    intervals=("1m", "2m", "5m", "15m", "30m", "1h", "1d"),
    limit=60,
    window_s=60.0,
    delay_s=900.0,
    library="yfinance",
)
"""Yahoo publishes no limit; a request a second is what has been borne."""

SPAN_DAYS: Final = {"1m": 7, "2m": 59, "5m": 59, "15m": 59, "30m": 59, "1h": 700, "1d": 36_500}
"""Longest span of one question."""

Fetch = Callable[[str, str, datetime, datetime], Sequence[Told]]
"""Symbol, interval, start and end (UTC) to bars with their local opening; blocking. Raises VenueError."""


class YahooSource:
    """Implements `Source`."""

    facts = FACTS

    def __init__(self, fetch: Fetch | None = None) -> None:
        self._fetch = fetch or from_yfinance
        self._budget = budget_of(FACTS)

    async def pages(self, ask: Ask, after: str = "") -> AsyncIterator[Page]:
        check(FACTS, ask)
        span: Nanos = SPAN_DAYS[ask.interval] * DAY
        start = int(after) if after else ask.start
        while start < ask.end:
            end = min(ask.end, start + span)
            await self._budget.take(Priority.EXIT, patience_s=2 * FACTS.window_s)
            first, last = (datetime.fromtimestamp(at / SECOND, UTC) for at in (start, end))
            told = await asyncio.to_thread(self._fetch, ask.symbol, ask.interval, first, last)
            columns = bars_of(FACTS.name, ask, told)
            start = end
            if rows_in(columns):
                yield Page(columns, str(start))

    async def now(self) -> Nanos:
        return machine_now()

    def budgets(self) -> tuple[Budget, ...]:
        return (self._budget,)

    async def aclose(self) -> None:
        return None


def from_yfinance(symbol: str, interval: str, start: datetime, end: datetime) -> list[Told]:
    """One question to Yahoo; a span without bars gives none. Raises VenueError."""
    try:
        import yfinance
        from yfinance.exceptions import YFException, YFPricesMissingError, YFRateLimitError
    except ImportError as err:
        raise VenueRefused(f"yahoo needs a library that is missing ({err}); make setup") from None
    # What it has to say comes back as an exception as well.
    logging.getLogger("yfinance").setLevel(logging.CRITICAL)
    try:
        frame: Any = yfinance.Ticker(symbol).history(
            interval=interval, start=start, end=end, auto_adjust=False, actions=False, raise_errors=True
        )
    except YFPricesMissingError:
        return []
    except YFRateLimitError:
        raise VenueUnavailable("Yahoo's rate limit is reached; try again in some minutes") from None
    except YFException as err:
        raise VenueRefused(f"Yahoo refused: {line(err)}") from None
    except Exception as err:  # of whichever HTTP library yfinance uses today
        raise _failure(err) from None
    return told_of(frame, interval)


def told_of(frame: Any, interval: str) -> list[Told]:
    """The rows of a yfinance frame; daily bars at midnight UTC of their local date, rows with holes left out.

    Raises:
        VenueUnavailable: it has no such columns.
    """
    if len(frame) == 0:
        return []
    try:
        frame = frame[["Open", "High", "Low", "Close", "Volume"]].dropna()
        times = [day_of(str(at.date())) if interval == "1d" else int(at.value) for at in frame.index]
        rows = frame.to_numpy(dtype=float).tolist()
    except (KeyError, ValueError, AttributeError) as err:
        raise VenueUnavailable(f"Yahoo's answer cannot be read: {line(err)}") from None
    return [(at, o, h, low, c, v, 0) for at, (o, h, low, c, v) in zip(times, rows, strict=True)]


def _failure(err: Exception) -> VenueError:
    return VenueUnavailable(f"no network: Yahoo cannot be asked ({type(err).__name__})")
