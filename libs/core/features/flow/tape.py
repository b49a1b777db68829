"""The tape of one symbol: what its prints, quotes and books add up to, handed over at each bar."""

from __future__ import annotations

import math
import zlib
from typing import Final

import msgspec
import numpy as np
from numba import njit
from numpy.typing import NDArray

from libs.core.features.flow import layout
from libs.core.features.flow.digits import digit_columns, digit_of
from libs.core.features.flow.levels import book_columns
from libs.core.features.flow.prints import DECAY, quantile, take_prints
from libs.core.features.inputs import EXTRA
from libs.core.types import SECOND, Bar, BarFlag, BookStats, Nanos, Quote, Ticks, Trade

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LIFE: Final[Nanos] = 60 * SECOND
"""A quote or book this much older than the bar's end is no input any more."""
SETTLED_S: Final = 30.0
"""The intensity has no value until prints were heard for so long."""
DAY_S: Final = 86_400

_BUY: Final = EXTRA.index("buy_volume")
_SELL: Final = EXTRA.index("sell_volume")
_TRADES: Final = EXTRA.index("trades")
_IMBALANCE: Final = EXTRA.index("trade_imbalance")
_TICK_RULE: Final = EXTRA.index("tick_rule")
_SIZES: Final = EXTRA.index("size_q50")
_LARGE: Final = EXTRA.index("large_count")
_LARGE_NET: Final = EXTRA.index("large_signed")
_INTENSITY: Final = EXTRA.index("intensity")
_VPIN: Final = EXTRA.index("vpin")
_QUOTE: Final = EXTRA.index("bid")
_SPREAD: Final = EXTRA.index("spread")
_MICRO: Final = EXTRA.index("microprice")
_BOOK: Final = EXTRA.index("imbalance_1")
_MEAN_DEPTH: Final = EXTRA.index("mean_depth")
_OFI: Final = EXTRA.index("ofi_1")
_MID_CHANGE: Final = EXTRA.index("mid_change")
_SIGNED: Final = EXTRA.index("signed_volume")
_AVAILABLE: Final = EXTRA.index("avail_quotes")


@njit(cache=True)
def _trade_columns(f: Floats, k: Ints, sums: Floats, end: int, whole: bool, out: Floats) -> None:
    """Write what prints with a size leave: of the bar when all of it was heard, of windows when they are full."""
    if whole:
        bought, sold, prints = sums[layout.BOUGHT], sums[layout.SOLD], sums[layout.COUNTED]
        out[_BUY], out[_SELL], out[_TRADES], out[_SIGNED] = bought, sold, prints, bought - sold
        out[_IMBALANCE] = (bought - sold) / (bought + sold) if bought + sold > 0.0 else 0.0
        out[_TICK_RULE] = sums[layout.SIGNS] / sums[layout.SIGNED] if sums[layout.SIGNED] > 0.0 else 0.0
        if k[layout.SIZED] - prints >= layout.LONG:
            out[_LARGE], out[_LARGE_NET] = sums[layout.LARGE], sums[layout.LARGE_NET]
    if k[layout.SIZED] >= layout.RECENT:
        n, at = layout.RECENT, layout.RECENT_SORTED
        out[_SIZES] = quantile(f, at, n, 0.5)
        out[_SIZES + 1] = quantile(f, at, n, 0.9)
        out[_SIZES + 2] = quantile(f, at, n, 0.99)
        total = ranked = 0.0
        for j in range(n):
            total += f[at + j]
            ranked += (j + 1) * f[at + j]
        out[_SIZES + 3] = max(2.0 * ranked / (n * total) - (n + 1.0) / n, 0.0)
        out[_SIZES + 4] = f[layout.LOG_SIZES] / n
    heard = (end - k[layout.SINCE]) / 1e9
    if k[layout.SINCE] > 0 and heard >= SETTLED_S:
        value = f[layout.INTENSITY] * math.exp(-max(end - k[layout.NEWEST], 0) / 1e9 * DECAY)
        out[_INTENSITY] = value / (1.0 - math.exp(-heard * DECAY))
    if k[layout.FILLED] >= layout.BUCKETS:
        total = 0.0
        for j in range(layout.BUCKETS):
            total += f[layout.VPIN + j]
        out[_VPIN] = total / layout.BUCKETS


def _is_known(event: Ticks | BookStats, last: tuple[Nanos, Nanos]) -> bool:
    """Whether it was taken before: neither made nor happened after the newest (a clock may be set back)."""
    return 0 < event.ts_init <= last[0] and event.ts_event <= last[1]


def _newest(event: Ticks | BookStats, last: tuple[Nanos, Nanos]) -> tuple[Nanos, Nanos]:
    return max(event.ts_init, last[0]), max(event.ts_event, last[1])


class _Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    intervals: tuple[int, ...]
    decimals: int
    book_since: Nanos
    last_ticks: tuple[Nanos, Nanos]
    last_book: tuple[Nanos, Nanos]
    quote: Quote | None
    book: BookStats | None
    state: bytes
    integers: bytes
    sums: bytes
    ends: bytes
    mids: bytes


class FlowTape:
    """Memory of one symbol, shared by the bars of all its lengths, and sums since the last bar of each.

    What belongs to a bar is what came before it in the stream; a print that is older than the bar's beginning came too
    late and counts in no bar. Sums are told only of a bar whose every moment was heard: not of the first one, of one
    with the flag GAP, or after bars that never came.

    Attributes:
        decimals: digits of a printed price, -1 while they are not known; without them digits are not told.
        locked: bars at which the newest quotes were locked or crossed, so that there is no spread.
    """

    def __init__(self, intervals_s: tuple[int, ...]) -> None:
        self.intervals_s = intervals_s
        self.decimals = -1
        self.locked = 0
        self._state = np.zeros(layout.STATE)
        self._integers = np.zeros(layout.INTEGERS, dtype=np.int64)
        self._sums = np.zeros((len(intervals_s), layout.SUMS))
        self._ends = np.zeros(len(intervals_s), dtype=np.int64)
        self._mids = np.full(len(intervals_s), math.nan)
        self._row = {interval: row for row, interval in enumerate(intervals_s)}
        self._quote: Quote | None = None
        self._book: BookStats | None = None
        self._book_since: Nanos = 0
        self._last_ticks = self._last_book = (0, 0)
        self._told: tuple[str, tuple[float, ...]] = ("", ())

    def take(self, event: Ticks | BookStats) -> None:
        """Take prints and quotes, or what happened to the book; what a restart reads again changes nothing."""
        if isinstance(event, Ticks):
            if event.items and not _is_known(event, self._last_ticks):
                self._last_ticks = _newest(event, self._last_ticks)
                self._take_items(event)
        elif not _is_known(event, self._last_book):
            self._last_book = _newest(event, self._last_book)
            self._take_book(event)

    def away(self, interval_s: int, end: Nanos) -> None:
        """Nobody listened until now; bars of this length are known up to `end`."""
        row = self._row[interval_s]
        self._sums[row] = 0.0
        self._ends[row] = end
        self._mids[row] = math.nan
        self._book_since = 0
        self._state[layout.INTENSITY] = 0.0
        self._integers[layout.SINCE] = self._integers[layout.JOINED] = 0

    def again(self, bar: Bar) -> None:
        """A bar that history has told already is read from the stream: what came before it is not the next bar's."""
        row = self._row[bar.interval_s]
        if not self._sums[row, layout.LIVE] and bar.ts_event <= self._ends[row]:
            self._sums[row] = 0.0

    def fill(self, bar: Bar, out: Floats) -> None:
        """Write the columns of `bar` into `out` and begin the next bar; columns without an input stay as they are."""
        row = self._row[bar.interval_s]
        sums, end, previous = self._sums[row], bar.ts_event, int(self._ends[row])
        joined = previous == bar.open_time or (bar.interval_s >= DAY_S and 0 < previous < bar.open_time)
        joined = joined and not bar.flags & BarFlag.GAP
        since = int(self._integers[layout.SINCE])
        traded = self._integers[layout.SIZED] > 0
        if traded:
            whole = joined and 0 < since <= bar.open_time
            _trade_columns(self._state, self._integers, sums, end, whole, out)
        if self.decimals >= 0:
            digit_columns(self._integers, out)
        mid = self._fill_quote(end, out)
        out[_MID_CHANGE] = mid - self._mids[row] if joined else math.nan
        book = self._book
        known = book is not None and end - book.ts_event <= LIFE
        if known:
            out[_BOOK : _BOOK + 12] = self._book_columns()
            if joined and 0 < self._book_since <= bar.open_time and not sums[layout.LOST]:
                out[_OFI : _OFI + layout.LEVELS] = sums[layout.OFI : layout.OFI + layout.LEVELS]
                out[_MEAN_DEPTH] = self._mean_depth(sums)
        out[_AVAILABLE] = float(math.isfinite(mid))
        out[_AVAILABLE + 1] = float(known)
        out[_AVAILABLE + 2] = float(traded and joined and 0 < since <= bar.open_time)
        sums[:] = 0.0
        sums[layout.LIVE] = 1.0
        self._ends[row] = end
        self._mids[row] = mid

    def snapshot(self) -> bytes:
        """Everything; a tape restored from it continues bit for bit."""
        whole = msgspec.msgpack.encode(
            _Snapshot(
                intervals=self.intervals_s,
                decimals=self.decimals,
                book_since=self._book_since,
                last_ticks=self._last_ticks,
                last_book=self._last_book,
                quote=self._quote,
                book=self._book,
                state=self._state.astype("<f8").tobytes(),
                integers=self._integers.astype("<i8").tobytes(),
                sums=self._sums.astype("<f8").tobytes(),
                ends=self._ends.astype("<i8").tobytes(),
                mids=self._mids.astype("<f8").tobytes(),
            )
        )
        return zlib.compress(whole, 1)

    def restore(self, snapshot: bytes) -> None:
        """Take up a snapshot.

        Raises:
            ValueError: it is none, or of other lengths of bars; the tape stays as it was.
        """
        try:
            taken = msgspec.msgpack.decode(zlib.decompress(snapshot), type=_Snapshot)
        except (msgspec.DecodeError, zlib.error) as err:
            raise ValueError(f"not a tape's snapshot: {err}") from err
        parts = (taken.state, taken.integers, taken.sums, taken.ends, taken.mids)
        own = (self._state, self._integers, self._sums, self._ends, self._mids)
        if taken.intervals != self.intervals_s or [len(part) for part in parts] != [each.nbytes for each in own]:
            raise ValueError("tape of other lengths of bars, or of another version")
        for each, part in zip(own, parts, strict=True):
            each[...] = np.frombuffer(part, dtype=each.dtype.newbyteorder("<")).reshape(each.shape)
        self.decimals, self._book_since = taken.decimals, taken.book_since
        self._last_ticks, self._last_book = taken.last_ticks, taken.last_book
        self._quote, self._book = taken.quote, taken.book

    def _take_items(self, event: Ticks) -> None:
        if not self._integers[layout.SINCE]:
            self._integers[layout.SINCE] = event.items[0].ts_event
        prints = [item for item in event.items if type(item) is Trade]
        if len(prints) < len(event.items):
            self._quote = next(item for item in reversed(event.items) if type(item) is Quote)
        if not prints:
            return
        decimals = self.decimals
        count = len(prints)
        digits = [digit_of(item.price, decimals) for item in prints] if decimals >= 0 else [-1] * count
        floats = np.array([item.price for item in prints] + [item.size for item in prints])
        whole = np.array([item.ts_event for item in prints] + [item.side for item in prints] + digits, dtype=np.int64)
        take_prints(
            self._state,
            self._integers,
            self._sums,
            self._ends,
            whole[:count],
            floats[:count],
            floats[count:],
            whole[count : 2 * count],
            whole[2 * count :],
        )

    def _take_book(self, event: BookStats) -> None:
        self._book = event
        if not self._book_since:
            self._book_since = event.ts_event
        flow = (event.ofi, *event.ofi_deeper[: layout.LEVELS - 1])
        self._sums[:, layout.OFI : layout.OFI + len(flow)] += flow
        self._sums[:, layout.DEPTH : layout.DEPTH + 3] += (event.depth_sum, event.updates, event.lost)

    def _book_columns(self) -> tuple[float, ...]:
        """Made once for the bars of all lengths that close together."""
        assert self._book is not None
        if self._told[0] != self._book.id:
            self._told = (self._book.id, book_columns(self._book))
        return self._told[1]

    def _mean_depth(self, sums: Floats) -> float:
        """Of the best levels over the bar's updates; without any the book stood as it stands."""
        if sums[layout.UPDATES]:
            return float(sums[layout.DEPTH] / sums[layout.UPDATES])
        book = self._book
        if book is None or not book.bids or not book.asks:
            return math.nan
        return 0.5 * (book.bids[0][1] + book.asks[0][1])

    def _fill_quote(self, end: Nanos, out: Floats) -> float:
        """Write what the newest best bid and ask say; their mid, NaN when there are none."""
        touch = self._touch(end)
        if touch is None:
            return math.nan
        bid, ask, bid_size, ask_size = touch
        mid = 0.5 * (bid + ask)
        out[_QUOTE : _QUOTE + 4] = touch
        if bid < ask:
            out[_SPREAD], out[_SPREAD + 1] = ask - bid, (ask - bid) / mid * 1e4
            if bid_size + ask_size > 0.0:
                out[_MICRO] = (ask * bid_size + bid * ask_size) / (bid_size + ask_size)
        else:
            self.locked += 1
        return mid

    def _touch(self, end: Nanos) -> tuple[float, float, float, float] | None:
        """Best bid, best ask and their sizes, by the newest of quotes and book."""
        quote, book = self._quote, self._book
        if quote is not None and (book is None or quote.ts_event >= book.ts_event):
            return (quote.bid, quote.ask, quote.bid_size, quote.ask_size) if end - quote.ts_event <= LIFE else None
        if book is None or end - book.ts_event > LIFE or not book.bids or not book.asks:
            return None
        (bid, bid_size), (ask, ask_size) = book.bids[0], book.asks[0]
        return bid, ask, bid_size, ask_size
