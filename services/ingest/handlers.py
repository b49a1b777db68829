"""What happens to each message of one venue: checked, put in order, built into bars, handed on."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from libs.common.clock import DataClocks
from libs.core.bars import LARGEST_SIZE, Depth, FeedCheck, Order, quote_fault
from libs.core.types import (
    SECOND,
    Bar,
    BarFlag,
    FeedState,
    Nanos,
    Quote,
    Ticks,
    Trade,
    VenueClock,
    stable_id,
    token,
)
from libs.venues.base import Level
from services.ingest.letters import DeadLetters
from services.ingest.outgoing import Outgoing
from services.ingest.state import MAX_HELD, SymbolState
from services.ingest.watch import FeedWatch

INF: Final = math.inf
FUTURE: Final[Nanos] = 3600 * SECOND
"""A print stamped further ahead of the data clock than this is absurd, unless three in a row agree."""

OUTAGE_HOLD: Final[Nanos] = 60 * SECOND
"""While the venue is away its bars wait this long (machine time) for history to fill them; then they close with GAP."""

_payload = msgspec.msgpack.Encoder()


class VenueHandlers:
    """The `FeedSink` of one venue. `refill(state, reason)` is called when prints are missing."""

    def __init__(
        self,
        venue: str,
        states: Sequence[SymbolState],
        outgoing: Outgoing,
        clocks: DataClocks,
        watch: FeedWatch,
        refill: Callable[[SymbolState, str], None],
        *,
        batch_s: float,
    ) -> None:
        self.venue = venue
        self.states = {state.symbol: state for state in states}
        self.messages = 0
        self.latest: float = INF
        self._out, self._clocks, self._watch, self._refill = outgoing, clocks, watch, refill
        self._batch_s = batch_s
        self._dirty: list[SymbolState] = []
        self.letters = DeadLetters(outgoing)

    # prints ----------------------------------------------------------------------------------------------------------

    def trade(self, symbol: str, trade: Trade, recv_ns: Nanos) -> None:
        state = self.states.get(symbol)
        if state is None:
            self.reject("", _payload.encode(trade), f"print of {symbol!r}, which nobody asked for")
            return
        self.messages += 1
        state.seen += 1
        judge = state.judge
        sound = judge.low < trade.price < judge.high and 0.0 <= trade.size < LARGEST_SIZE
        sound = sound and trade.ts_event < self.latest
        if not sound and self._is_refused(state, trade):
            return
        if state.held is not None:
            if len(state.held) < MAX_HELD:
                state.held.append((trade, recv_ns))
            return
        if trade.seq != state.watch.expected and not self._is_in_order(state, trade, recv_ns):
            return
        self.accept(state, trade, recv_ns)

    def accept(self, state: SymbolState, trade: Trade, recv_ns: Nanos, flags: int = 0) -> None:
        """Take a print whose place in the sequence is settled: into its bars (with `flags`) and the next Ticks."""
        closed = state.builder.update(trade, recv_ns, flags)
        if closed:
            self.emit(state, closed)
        state.watch.take(trade.seq, trade.ts_event)
        state.judge.take(trade.price)
        outliers = state.outliers
        if outliers.low <= trade.price <= outliers.high and not outliers.suspects:
            outliers.prices.append(trade.price)
        else:
            outliers.take(trade)
        self.append(state, trade, recv_ns)
        for series in state.tick_bars:
            for bar in series.update(trade, 0 if flags else recv_ns, flags):
                self.flush(state)
                self._out.put_bar(bar)

    def append(self, state: SymbolState, item: Trade | Quote, recv_ns: Nanos) -> None:
        """Put a print or quote into the Ticks being gathered."""
        batch = state.batch
        if not batch:
            state.batch_recv = recv_ns
            if not self._dirty:
                asyncio.get_running_loop().call_later(self._batch_s, self.flush_all)
            self._dirty.append(state)
        batch.append(item)

    def _is_refused(self, state: SymbolState, trade: Trade) -> bool:
        fault = state.judge.fault(trade)
        if not fault:
            state.futures = state.futures + 1 if trade.ts_event >= self.latest else 0
            if not 0 < state.futures < 3:
                return False
            fault = f"stamp {trade.ts_event} lies more than an hour ahead of the data clock; believed when it repeats"
            check = FeedCheck.REJECTED
        else:
            check = FeedCheck.VOLUME if fault.startswith("size") else FeedCheck.PRICE
        self._put_aside(state, _payload.encode(trade), fault, check)
        return True

    def _is_in_order(self, state: SymbolState, trade: Trade, recv_ns: Nanos) -> bool:
        order = state.watch.judge(trade.seq, trade.ts_event)
        if order is Order.NEXT:
            return True
        if order is Order.DUPLICATE:
            state.counts.duplicates += 1
            return False
        if order is Order.RENUMBERED:
            self._watch.event(state, "renumbered", f"the venue numbers anew from {trade.seq}")
            state.watch.begin(0, 0)
            state.builder.last_seq = 0
            return True
        state.hold()
        if state.held is not None:
            state.held.append((trade, recv_ns))
        missing = f"prints {state.watch.expected} to {trade.seq - 1} are missing"
        state.note(FeedCheck.SEQUENCE, missing)
        self._refill(state, missing)
        return False

    # leaving ---------------------------------------------------------------------------------------------------------

    def emit(self, state: SymbolState, bars: Sequence[Bar]) -> None:
        """Publish closed bars after the ticks and the book that belong to them."""
        if state.klines.prints_seen():
            self._watch.event(state, "prints", "prints after all: the venue's klines only check from here")
        self.flush(state)
        self.flush_book(state)
        self._look_over(state, bars[0])
        for bar in bars:
            self._out.put_bar(bar)
            if mismatch := state.klines.check_ours(bar):
                self._watch.failed(state, FeedCheck.MISMATCH, "kline_mismatch", mismatch)
        state.counts.bars += len(bars)

    def _look_over(self, state: SymbolState, bar: Bar) -> None:
        """Judge a closed bar by those before; longer bars of prints are made of the shortest, which comes first."""
        for failure in state.bars.take(bar):
            state.counts.gaps += failure.check is FeedCheck.MISSING
            self._watch.failed(state, failure.check, failure.check.value, failure.detail)

    def flush(self, state: SymbolState) -> None:
        """Publish the prints and quotes gathered so far."""
        batch = state.batch
        if not batch:
            return
        first, last = batch[0], batch[-1]
        if type(first) is Trade:
            self._watch.stamped(first.ts_event, state.batch_recv)
        kinds = f"{type(first).__name__}{type(last).__name__}"
        stamp = last.ts_event
        ticks = Ticks(
            id=stable_id("ticks", self.venue, state.symbol, kinds, first.seq, last.seq, stamp, len(batch)),
            ts_event=stamp,
            ts_init=time.time_ns(),
            venue=self.venue,
            symbol=state.symbol,
            ts_recv=state.batch_recv,
            items=tuple(batch),
            last_seq=state.watch.last,
        )
        state.batch = []
        state.counts.ticks += len(batch)
        state.last_stamp = max(state.last_stamp, stamp)
        self._clocks.observe(ticks)
        self._out.put(ticks)

    def flush_all(self) -> None:
        """Publish what every symbol has gathered."""
        dirty, self._dirty = self._dirty, []
        for state in dirty:
            self.flush(state)

    def flush_book(self, state: SymbolState) -> None:
        """Publish what happened to the book since the last time."""
        if state.flow.updates and (stats := state.flow.take(time.time_ns())) is not None:
            self._out.put(stats)

    def close_due(self, state: SymbolState, now: Nanos) -> None:
        """Close the bars whose time is over, unless prints of theirs may still come from history."""
        if state.closed:
            return
        if state.held is not None:
            if not state.down_since or time.monotonic_ns() - state.down_since < OUTAGE_HOLD:
                return
            state.builder.mark_missing(state.builder.open_time, now)
        if bars := state.builder.close_due(now):
            self.emit(state, bars)

    # the rest of what a venue says -----------------------------------------------------------------------------------

    def quote(self, symbol: str, quote: Quote, recv_ns: Nanos) -> None:
        state = self.states.get(symbol)
        if state is None:
            self.reject("", _payload.encode(quote), f"quote of {symbol!r}, which nobody asked for")
            return
        self.messages += 1
        state.seen += 1
        if not (0.0 < quote.bid <= quote.ask < INF and 0.0 <= quote.bid_size < INF and 0.0 <= quote.ask_size < INF):
            fault = quote_fault(quote)
            check = FeedCheck.CROSSED if fault.startswith("crossed") else FeedCheck.PRICE
            self._put_aside(state, _payload.encode(quote), fault, check)
            return
        if quote.bid == quote.ask:
            state.note(FeedCheck.LOCKED, f"bid and ask are both {quote.bid:g}")
        if 0 < quote.seq <= state.quote_seq:
            state.counts.duplicates += 1
            return
        if not state.begun:
            return  # a Ticks now would overwrite, as the newest of its subject, where the last run stood
        state.quote_seq = quote.seq
        state.outliers.quote = quote
        if state.outliers.suspects:
            state.outliers.quoted(quote)
        self.append(state, quote, recv_ns)

    def book(
        self,
        symbol: str,
        bids: Sequence[Level],
        asks: Sequence[Level],
        first_id: int,
        last_id: int,
        ts_event: Nanos,
        recv_ns: Nanos,
        depth: Depth | None = None,
    ) -> None:
        state = self.states.get(symbol)
        if state is None:
            self.reject("", b"", f"book of {symbol!r}, which nobody asked for")
            return
        self.messages += 1
        state.seen += 1
        if bids and asks:
            if bids[0][0] > asks[0][0]:
                self._watch.failed(state, FeedCheck.CROSSED, "crossed", f"book bid {bids[0][0]} above ask {asks[0][0]}")
                return
            if bids[0][0] == asks[0][0]:
                state.note(FeedCheck.LOCKED, f"best bid and ask of the book are both {bids[0][0]:g}")
            state.outliers.book(bids[-1][0], asks[-1][0], ts_event)
        state.flow.update(bids, asks, first_id, last_id, ts_event, depth)

    def kline(self, bar: Bar, recv_ns: Nanos) -> None:
        state = self.states.get(bar.symbol)
        if state is None:
            self.reject("", _payload.encode(bar), f"kline of {bar.symbol!r}, which nobody asked for")
            return
        self.messages += 1
        state.seen += 1
        if state.has_prints:
            if mismatch := state.klines.check_theirs(bar):
                self._watch.failed(state, FeedCheck.MISMATCH, "kline_mismatch", mismatch)
            return
        if state.held_klines is not None:
            state.held_klines.append(bar)
        elif state.klines.holes_before(bar):
            state.held_klines = [bar]
            self._refill(state, "klines are missing")
        else:
            self.take_kline(state, bar)

    def take_kline(self, state: SymbolState, bar: Bar) -> None:
        """A kline of a symbol without prints: it is the bar. Those still missing before it are lost."""
        if state.klines.holes_before(bar):
            bar = msgspec.structs.replace(bar, flags=bar.flags | BarFlag.GAP)
        bars = state.klines.without_prints(bar)
        for ready in bars:
            self._look_over(state, ready)
            self._clocks.observe(ready)
            state.last_stamp = max(state.last_stamp, ready.ts_event)
            self._out.put_bar(ready)
        state.counts.bars += len(bars)

    def clock(self, ts_event: Nanos, recv_ns: Nanos, *, extrapolate: bool, speed: float, state: FeedState) -> None:
        self._watch.clock_told(ts_event, recv_ns, extrapolate=extrapolate, speed=speed)
        self._clocks.observe(
            VenueClock(
                id="", ts_event=ts_event, venue=self.venue, ts_machine=recv_ns, extrapolate=extrapolate, state=state
            )
        )

    def status(self, symbol: str, event: str, detail: str) -> None:
        for state in self.states.values() if symbol == "*" else filter(None, [self.states.get(symbol)]):
            self._status(state, event, detail)

    def _status(self, state: SymbolState, event: str, detail: str) -> None:
        match event:
            case "disconnect" | "unreachable":
                if not state.down_since:
                    state.down_since = time.monotonic_ns()
                    state.flow.forget()
                    state.hold()
                else:
                    return
            case "reconnect":
                state.down_since = 0
                state.quote_seq = 0
                state.counts.reconnects += 1
                state.hold()
                state.hold_klines()
                self._refill(state, detail)
            case "hole":
                state.hold()
                self._refill(state, detail)
            case "resync":
                state.flow.forget()
                self._watch.failed(state, FeedCheck.SEQUENCE, "", detail)
            case "crossed":
                self._watch.failed(state, FeedCheck.CROSSED, event, detail)
                return
            case "closed" | "open":
                state.closed = event == "closed"
        self._watch.event(state, event, detail)

    def reject(self, symbol: str, payload: bytes, reason: str) -> None:
        self.messages += 1
        if (state := self.states.get(symbol)) is not None:
            self._put_aside(state, payload, reason, FeedCheck.REJECTED)
        else:
            self.letters.put(f"md.{token(self.venue)}", payload, reason, self._clocks.now(self.venue))

    def _put_aside(self, state: SymbolState, payload: bytes, reason: str, check: FeedCheck) -> None:
        """Count what cannot be used under the check that it failed, and keep it with the reason."""
        state.counts.rejected += 1
        state.note(check, reason)
        self.letters.put(state.subject, payload, reason, self._clocks.now(self.venue))
