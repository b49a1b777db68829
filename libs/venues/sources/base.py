"""The contract of a source of history, on one page: what it has, what it wants, and its rows page by page."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from typing import Final, Protocol

import msgspec

from libs.core.history import Kind, Page
from libs.core.types import Nanos, interval_seconds
from libs.venues.budget import Budget
from libs.venues.errors import VenueRefused, VenueUnavailable
from libs.venues.pace import Backoff

WORDS: Final[Mapping[str, Kind]] = {
    "trades": Kind.TRADES,
    "aggtrades": Kind.TRADES,
    "ticks": Kind.TRADES,
    "readings": Kind.READINGS,
}
"""Intervals that are no length of bars: every print, prints of one order put together, Deriv's ticks, a series."""

TRIES: Final = 6
"""Failures in a row, after something had come, until a download gives up: about half a minute."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a source before it is asked.

    Attributes:
        about: whose it is, for people. example: a symbol in its spelling.
        intervals: what may be asked for, in the words of `Ask.interval`; () = as the exchange behind it has.
        key: environment variable that holds the key; "" = it takes none. key_optional: it also answers without.
        limit, window_s: requests allowed in so many seconds.
        delay_s: how late its newest row is, seconds after the row was complete.
        keep_s: how long its terms let raw rows be kept, seconds; 0 = as long as one likes.
        library: what has to be installed for it beside the project; "" = nothing.
    """

    name: str
    about: str
    example: str
    intervals: tuple[str, ...]
    key: str = ""
    key_optional: bool = False
    limit: int
    window_s: float
    delay_s: float
    keep_s: float = 0.0
    library: str = ""


class Ask(msgspec.Struct, frozen=True):
    """A question. `interval`: 1m, 1h, ... or one of `WORDS`. Rows with `start` <= time < `end` (ns UTC) are meant.

    A bar's time is its opening; only bars that are closed by `end` are given.
    """

    symbol: str
    interval: str
    start: Nanos
    end: Nanos

    @property
    def kind(self) -> Kind:
        """What the rows are."""
        return WORDS.get(self.interval, Kind.BARS)

    @property
    def interval_s(self) -> int:
        """Length of the bars in seconds; 0 where the rows are none. Raises ValueError."""
        return 0 if self.interval in WORDS else interval_seconds(self.interval)


class Source(Protocol):
    """One source of history."""

    facts: Facts

    def pages(self, ask: Ask, after: str = "") -> AsyncIterator[Page]:
        """Rows of `ask` piece by piece, from the beginning or from where `Page.after` of an earlier piece says.

        Pieces may come newest first, and may repeat a row. The same question gives the same rows.

        Raises:
            VenueRefused: never as asked: unknown symbol, interval or key. VenueUnavailable: perhaps later.
        """

    async def now(self) -> Nanos:
        """Its clock, ns UTC. Raises VenueUnavailable."""

    def budgets(self) -> tuple[Budget, ...]:
        """The rate limits that it spends from."""

    async def aclose(self) -> None:
        """Close every connection."""


def budget_of(facts: Facts) -> Budget:
    """The limit of a source as a budget of its own."""
    return Budget(f"{facts.name} requests", facts.limit, facts.window_s)


def check(facts: Facts, ask: Ask) -> None:
    """Refuse what the source does not have.

    Raises:
        VenueRefused: with what it does have.
    """
    if facts.intervals and ask.interval not in facts.intervals:
        raise VenueRefused(f"{facts.name} has no {ask.interval}; it has: {', '.join(facts.intervals)}")
    try:
        _ = ask.interval_s
    except ValueError as err:
        raise VenueRefused(f"{facts.name}: {err}, or {', '.join(WORDS)}") from None
    if ask.end <= ask.start:
        raise VenueRefused(f"{facts.name}: the end of {ask.symbol} {ask.interval} lies at or before its start")


async def steady(source: Source, ask: Ask, after: str = "", *, rng: random.Random | None = None) -> AsyncIterator[Page]:
    """As `source.pages`, but taken up again where it broke off; what fails before anything came is told at once."""
    backoff = Backoff(rng or random.Random())
    failures, began = 0, False
    while True:
        try:
            async for page in source.pages(ask, after):
                began, failures, after = True, 0, page.after
                backoff.reset()
                yield page
            return
        except VenueUnavailable:
            failures += 1
            if not began or failures >= TRIES:
                raise
            await asyncio.sleep(backoff.next_s())
