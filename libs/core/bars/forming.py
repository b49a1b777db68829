"""A bar that is still open: what it has gathered, and how it becomes a closed one."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from libs.core.types import SECOND, Bar, BarFlag, Nanos, Trade, stable_id

SIZE_DIGITS: Final = 8
"""Sizes are counted in steps of 10^-8 or the instrument's own where that is finer, so that no volume depends on the
order of adding. A coarser step of orders is no reason to count in it: prints of other days may be finer."""

MOST_DIGITS: Final = 12

LARGEST_SIZE: Final = 1e18
"""Base units in one print or bar beyond which a size is a broken number."""

INHERITED: Final = BarFlag.GAP | BarFlag.FILLED
"""What a longer bar has when one of its parts has it."""


def size_scale(step: Decimal = Decimal(0)) -> int:
    """Steps in one base unit, a power of ten, for an instrument whose quantities move in `step` (0 = unknown)."""
    exponent = step.normalize().as_tuple().exponent
    return int(10 ** min(MOST_DIGITS, max(SIZE_DIGITS, -exponent if isinstance(exponent, int) else 0)))


COUNTABLE: Final = 2.0**52
"""Up to so many steps a float holds every whole number, and its half."""


def steps_of(size: float, scale: int) -> int:
    """`size` in whole steps of 1 / `scale`, rounded to the nearest."""
    steps = size * scale
    if steps < COUNTABLE:
        return int(steps + 0.5)
    whole = int(min(size, LARGEST_SIZE))
    return whole * scale + int((min(size, LARGEST_SIZE) - whole) * scale + 0.5)


class Forming:
    """Running open, high, low, close and sums of one bar; `interval`, `open_time`, `end` in ns.

    Attributes:
        scale: steps in one base unit; volumes are kept in whole steps and divided once, when the bar closes.
    """

    __slots__ = (
        "_interval_s",
        "_symbol",
        "_venue",
        "buy_steps",
        "close",
        "end",
        "flags",
        "high",
        "interval",
        "last_seq",
        "low",
        "open",
        "open_time",
        "parts",
        "scale",
        "steps",
        "trades",
    )

    def __init__(self, venue: str, symbol: str, interval: Nanos, scale: int) -> None:
        self._venue, self._symbol, self._interval_s = venue, symbol, interval // SECOND
        self.interval, self.scale = interval, scale
        self.open = self.high = self.low = self.close = 0.0
        self.begin(0, 0)

    def begin(self, open_time: Nanos, end: Nanos) -> None:
        """Empty it for the bar of [open_time, end); the last close stays, for a bar without trades."""
        self.open_time, self.end = open_time, end
        self.steps = self.buy_steps = 0
        self.trades = self.last_seq = self.flags = self.parts = 0

    def rescale(self, scale: int) -> None:
        """Count in finer steps from now on; `scale` is a multiple of the present one."""
        finer = scale // self.scale
        self.steps *= finer
        self.buy_steps *= finer
        self.scale = scale

    def add(self, trade: Trade) -> None:
        """Take a print."""
        price = trade.price
        if self.trades == 0:
            self.open = self.high = self.low = price
        elif price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.close = price
        counted = trade.size * self.scale
        steps = int(counted + 0.5) if counted < COUNTABLE else steps_of(trade.size, self.scale)
        self.steps += steps
        if trade.side > 0:
            self.buy_steps += steps
        self.trades += 1
        if trade.seq > self.last_seq:
            self.last_seq = trade.seq

    def absorb(self, bar: Bar, part: Forming | None = None) -> None:
        """Take a closed bar of a shorter interval; a flat one in which nothing traded moves nothing.

        `part` is what it was made of, counted in the same steps: a float may hold fewer digits than a sum has.
        """
        if not self.moved:
            self.open, self.high, self.low = bar.open, bar.high, bar.low
        elif bar.trades or bar.volume:
            self.high = max(self.high, bar.high)
            self.low = min(self.low, bar.low)
        self.close = bar.close
        self.steps += part.steps if part else steps_of(bar.volume, self.scale)
        self.buy_steps += part.buy_steps if part else steps_of(bar.buy_volume, self.scale)
        self.trades += bar.trades
        self.last_seq = max(self.last_seq, bar.last_seq)
        self.flags |= bar.flags & INHERITED
        self.parts += 1

    @property
    def moved(self) -> bool:
        """Whether anything traded in it."""
        return self.trades > 0 or self.steps > 0

    def flatten(self) -> None:
        """Make it flat at the last close."""
        self.open = self.high = self.low = self.close

    def closed(self, flags: int, recv_ns: Nanos) -> Bar:
        """The closed bar; EMPTY is added when nothing traded and nothing is known to be missing."""
        flags |= self.flags
        if not self.moved and not flags & BarFlag.GAP:
            flags |= BarFlag.EMPTY
        return Bar(
            id=bar_id(self._venue, self._symbol, self._interval_s, self.open_time),
            ts_event=self.end,
            venue=self._venue,
            symbol=self._symbol,
            interval_s=self._interval_s,
            open_time=self.open_time,
            open=self.open,
            high=self.high,
            low=self.low,
            close=self.close,
            volume=self.steps / self.scale,
            buy_volume=self.buy_steps / self.scale,
            trades=self.trades,
            flags=int(flags),
            last_seq=self.last_seq,
            ts_recv=recv_ns,
        )


def bar_id(venue: str, symbol: str, interval_s: int, open_time: Nanos) -> str:
    """The deterministic id of a bar."""
    return stable_id("bar", venue, symbol, interval_s, open_time)
