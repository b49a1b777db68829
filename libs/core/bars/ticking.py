"""Bars of a number of prints instead of a time."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from libs.core.bars.forming import size_scale, steps_of
from libs.core.types import BarFlag, Nanos, TickBar, Trade, stable_id

NOTHING: Final[tuple[TickBar, ...]] = ()


class TickBars:
    """Builds the bars of `ticks` prints of one symbol from prints in order.

    Where the venue numbers its prints one by one (`anchored`), bar k holds the numbers from k x ticks to the next
    multiple: every start, and everyone, gets the same bars, and a lost print moves no later bar. Elsewhere prints are
    counted from the start of the service. A bar comes out only when its beginning was seen; one that lost prints
    carries GAP.
    """

    def __init__(self, venue: str, symbol: str, ticks: int, *, anchored: bool) -> None:
        """Raises ValueError when `ticks` is less than two."""
        if ticks < 2:
            raise ValueError("a tick bar takes two prints or more")
        self.ticks = ticks
        self._venue, self._symbol, self._anchored = venue, symbol, anchored
        self._scale = size_scale()
        self._last_seq = 0
        self._begin(-1, whole=True)

    def count_in(self, step: Decimal) -> None:
        """The instrument's quantities move in `step`: volumes are counted in it where it is finer than 10^-8."""
        finer = max(1, size_scale(step) // self._scale)
        self._steps *= finer
        self._buy_steps *= finer
        self._scale *= finer

    def wanted_after(self, last_seq: int) -> int:
        """The print after which prints are needed to complete the bar that the print after `last_seq` is in.

        `last_seq` itself when nothing before it is needed, or could be told.
        """
        return (last_seq + 1) // self.ticks * self.ticks - 1 if self._anchored and last_seq else last_seq

    def update(self, trade: Trade, recv_ns: Nanos = 0, flags: int = 0) -> Sequence[TickBar]:
        """Take a print; the bars that it ends, oldest first. Repeated and older numbers are passed over.

        `flags` are those that the print gives to its bar (FILLED).
        """
        seq = trade.seq
        if seq and seq <= self._last_seq:
            return NOTHING
        ended: list[TickBar] = []
        if self._anchored:
            hole = self._last_seq != 0 and seq != self._last_seq + 1
            if seq // self.ticks != self._bar:
                if self._count:
                    self._end(BarFlag.GAP, recv_ns, ended)
                self._begin(seq // self.ticks, whole=self._last_seq != 0 or seq % self.ticks == 0)
                hole = seq % self.ticks != 0
            if hole:
                self._flags |= BarFlag.GAP
        self._last_seq = seq
        self._add(trade, flags)
        if (seq + 1) % self.ticks == 0 if self._anchored else self._count == self.ticks:
            self._end(0, recv_ns, ended)
            self._begin(-1, whole=True)
        return ended

    def lost(self) -> None:
        """Prints before the next one are lost; where prints have no numbers of their own, only this says so."""
        if self._count:
            self._flags |= BarFlag.GAP

    def _begin(self, bar: int, *, whole: bool) -> None:
        self._bar, self._whole = bar, whole
        self._count = self._flags = self._first_seq = 0
        self._steps = self._buy_steps = 0
        self._open = self._high = self._low = self._close = 0.0
        self._open_time = self._stamp = 0

    def _add(self, trade: Trade, flags: int) -> None:
        price = trade.price
        if self._count == 0:
            self._open = self._high = self._low = price
            self._open_time, self._first_seq = trade.ts_event, trade.seq
        elif price > self._high:
            self._high = price
        elif price < self._low:
            self._low = price
        self._close, self._stamp = price, max(self._stamp, trade.ts_event)
        steps = steps_of(trade.size, self._scale)
        self._steps += steps
        if trade.side > 0:
            self._buy_steps += steps
        self._count += 1
        self._flags |= flags

    def _end(self, flags: int, recv_ns: Nanos, ended: list[TickBar]) -> None:
        if not self._whole:
            return
        key = (self._bar,) if self._anchored else (self._open_time, self._first_seq)
        bar = TickBar(
            id=stable_id("tickbar", self._venue, self._symbol, self.ticks, *key),
            ts_event=self._stamp,
            venue=self._venue,
            symbol=self._symbol,
            ticks=self.ticks,
            open_time=self._open_time,
            open=self._open,
            high=self._high,
            low=self._low,
            close=self._close,
            volume=self._steps / self._scale,
            buy_volume=self._buy_steps / self._scale,
            trades=self._count,
            flags=int(flags | self._flags),
            first_seq=self._first_seq,
            last_seq=self._last_seq,
            ts_recv=recv_ns,
        )
        ended.append(bar)
