"""A bar that is still open: what it has gathered, and how it becomes a closed one."""

from __future__ import annotations

from libs.core.types import SECOND, Bar, BarFlag, Nanos, Trade, stable_id


class Forming:
    """Running open, high, low, close and sums of one bar; `interval` in ns. Floats are summed in arrival order."""

    __slots__ = (
        "_interval_s",
        "_symbol",
        "_venue",
        "buy_volume",
        "close",
        "flags",
        "high",
        "interval",
        "last_seq",
        "low",
        "open",
        "open_time",
        "parts",
        "trades",
        "volume",
    )

    def __init__(self, venue: str, symbol: str, interval: Nanos, open_time: Nanos = 0) -> None:
        self._venue, self._symbol, self._interval_s = venue, symbol, interval // SECOND
        self.interval = interval
        self.open = self.high = self.low = self.close = 0.0
        self.begin(open_time)

    def begin(self, open_time: Nanos) -> None:
        """Empty it for the bar that opens at `open_time`; the last close stays, for a bar without trades."""
        self.open_time = open_time
        self.volume = self.buy_volume = 0.0
        self.trades = self.last_seq = self.flags = self.parts = 0

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
        self.volume += trade.size
        if trade.side > 0:
            self.buy_volume += trade.size
        self.trades += 1
        if trade.seq > self.last_seq:
            self.last_seq = trade.seq

    def absorb(self, bar: Bar) -> None:
        """Take a closed bar of a shorter interval; a flat one without prints moves nothing."""
        if self.trades == 0:
            self.open, self.high, self.low = bar.open, bar.high, bar.low
        elif bar.trades:
            self.high = max(self.high, bar.high)
            self.low = min(self.low, bar.low)
        self.close = bar.close
        self.volume += bar.volume
        self.buy_volume += bar.buy_volume
        self.trades += bar.trades
        self.last_seq = max(self.last_seq, bar.last_seq)
        self.flags |= bar.flags & BarFlag.GAP
        self.parts += 1

    def flatten(self) -> None:
        """Make it flat at the last close."""
        self.open = self.high = self.low = self.close

    def closed(self, flags: int, recv_ns: Nanos) -> Bar:
        """The closed bar; EMPTY is added when nothing traded and nothing is known to be missing."""
        flags |= self.flags
        if self.trades == 0 and not flags & BarFlag.GAP:
            flags |= BarFlag.EMPTY
        return Bar(
            id=bar_id(self._venue, self._symbol, self._interval_s, self.open_time),
            ts_event=self.open_time + self.interval,
            venue=self._venue,
            symbol=self._symbol,
            interval_s=self._interval_s,
            open_time=self.open_time,
            open=self.open,
            high=self.high,
            low=self.low,
            close=self.close,
            volume=self.volume,
            buy_volume=self.buy_volume,
            trades=self.trades,
            flags=int(flags),
            last_seq=self.last_seq,
            ts_recv=recv_ns,
        )


def bar_id(venue: str, symbol: str, interval_s: int, open_time: Nanos) -> str:
    """The deterministic id of a bar."""
    return stable_id("bar", venue, symbol, interval_s, open_time)
