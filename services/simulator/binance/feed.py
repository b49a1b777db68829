"""What every source of market data - model, recording, bar file - offers to REST and to the streams."""

from __future__ import annotations

import re
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Final, Protocol

from services.simulator.binance.book import Book
from services.simulator.binance.candles import Candle, Print
from services.simulator.binance.exchange_info import Spot
from services.simulator.clock import NANOSECONDS

VENUE: Final = "binance"
NS_PER_MS: Final = NANOSECONDS // 1_000
_STREAM: Final = re.compile(r"([a-z0-9]+)@([A-Za-z]+)(\d*)(?:_(\d+[smhdwM]))?(@100ms|@\+08:00)?")


class DataError(Exception):
    """The data given to the simulator cannot be played; the text says why and what to do, in one line."""


class Feed(Protocol):
    """One source of market data. Times are ms UTC; a method never answers what the venue's clock has not reached.

    `finest`: the interval of the bars that statistics are made from.
    """

    mode: str
    finest: str
    extrapolate: bool
    ended: bool

    @property
    def symbols(self) -> Mapping[str, Spot]:
        """Return what is listed."""
        ...

    def now_ms(self) -> int:
        """Return the venue's clock."""
        ...

    def depth(self, symbol: str) -> Book:
        """Return the book at the position that the streams have reached."""
        ...

    async def klines(
        self, symbol: str, interval: str, start: int | None, end: int | None, limit: int
    ) -> Sequence[Candle]:
        """Return bars with open times in [start, end], oldest first, the running one included."""
        ...

    def trades(self, symbol: str, from_id: int | None, limit: int) -> Sequence[Print]:
        """Return at most `limit` trades: from `from_id` on, or the newest; oldest first."""
        ...

    def first_trade_at(self, symbol: str, ms: int) -> int:
        """Return the id of the first trade at or after `ms` (one past the newest when there is none yet)."""
        ...

    def subscribed(self, streams: Sequence[str]) -> None:
        """Take note that somebody has begun to listen to `streams`."""
        ...

    def run(self) -> Coroutine[Any, Any, None]:
        """Play until cancelled or ended."""
        ...

    def close(self) -> None:
        """Let go of files and threads."""
        ...

    def state(self) -> dict[str, Any]:
        """Return position and progress, for tools."""
        ...


def stream_symbol(stream: str) -> str:
    """Return the symbol (upper case) a stream is about, "" for streams about none."""
    matched = _STREAM.fullmatch(stream)
    return matched[1].upper() if matched else ""
