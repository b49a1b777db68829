"""Where history comes in: where a symbol stands after a start, and what the stream missed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import msgspec
import structlog

from libs.common.bus import Bus
from libs.core.bars import FeedCheck
from libs.core.bars.sessions import HALF_HOUR_S
from libs.core.types import SECOND, Bar, BarFlag, Nanos, Trade
from libs.venues.base import MarketData, VenueError, VenueRefused, VenueUnavailable
from services.ingest.handlers import VenueHandlers
from services.ingest.standing import MAX_KLINES, Standing, read_kline_standing, read_standing
from services.ingest.state import SymbolState
from services.ingest.watch import FeedWatch

log = structlog.get_logger(__name__)

MAX_SEED: Final = 3600
"""Base bars asked for at most, to complete the longer bars in progress."""

HALF_HOUR: Final[Nanos] = HALF_HOUR_S * SECOND

ANSWER_S: Final = 10.0
GIVE_UP_S: Final = 30.0
LAGGING_TRIES: Final = 4
LAGGING_PAUSE_S: Final = 0.25
"""The venue's history may be a moment behind its stream: so often it is asked again before a hole is called one."""

T = TypeVar("T")
Spawn = Callable[[Coroutine[Any, Any, None], str], object]
"""Runs a coroutine in the background under a name; what it raises ends the service."""


class Refill:
    """Fills the feeds of one venue from its history."""

    def __init__(
        self, bus: Bus, market: MarketData, watch: FeedWatch, intervals_s: Sequence[int], spawn: Spawn
    ) -> None:
        self._bus, self._market, self._watch, self._spawn = bus, market, watch, spawn
        self._intervals_s = tuple(intervals_s)
        self.handlers: VenueHandlers

    # at start --------------------------------------------------------------------------------------------------------

    def begin(self, state: SymbolState) -> None:
        """Find out where the symbol stands, in the background, then let its prints flow."""
        self._start(state, partial(self._begin, state), "start")

    async def _begin(self, state: SymbolState) -> None:
        now = await self._now()
        if newest := await read_kline_standing(self._bus, state, self._intervals_s, now):
            state.begun = True
            state.klines.resume(newest)
            await self._fill_klines(state)
            return
        standing = await read_standing(self._bus, state, now)
        state.begun = True
        if standing is None:
            await self._begin_afresh(state, now)
        else:
            await self._resume(state, standing)

    async def _now(self) -> Nanos:
        """The venue's time, waiting for it as long as it takes: without it nobody can tell a restart from a replay."""
        while True:
            if now := await self._patiently(self._market.server_time):
                return now
            await asyncio.sleep(1.0)

    async def _resume(self, state: SymbolState, standing: Standing) -> None:
        if standing.bars:
            older = await self._seeds(state, standing.bars[0].open_time)
            state.builder.seed([*older, *standing.bars], standing.bars[-1].ts_event)
            state.judge.take(standing.bars[-1].close)
        for trade in standing.since:
            state.judge.take(trade.price)
            if bars := state.builder.update(trade):
                self.handlers.emit(state, bars)
        await self._begin_tick_bars(state, standing.last_seq)
        state.watch.begin(standing.last_seq, standing.stamp)
        state.builder.last_seq = max(state.builder.last_seq, standing.last_seq)
        await self._fill(state, f"taking up after print {standing.last_seq}")

    async def _begin_tick_bars(self, state: SymbolState, last_seq: int) -> None:
        """Complete the bars of prints that were in progress at print `last_seq`; none of them comes out here."""
        after = min((series.wanted_after(last_seq) for series in state.tick_bars), default=last_seq)
        if after < last_seq:
            for trade in await self._ask(lambda: self._market.history_trades(state.symbol, after)):
                for series in state.tick_bars:
                    if series.wanted_after(last_seq) < trade.seq <= last_seq:
                        series.update(trade)

    async def _begin_afresh(self, state: SymbolState, now: Nanos) -> None:
        """Complete the bars in progress from the newest page of history; nothing older is published."""
        cut = now - now % state.builder.base
        found = await self._ask(lambda: self._market.history_trades(state.symbol, 0))
        seeds = await self._seeds(state, cut)
        if (found and found[0].ts_event < cut) or (seeds and seeds[-1].ts_event == cut):
            state.builder.seed(seeds, cut)
        held = state.held or []
        first_held = min((trade.seq for trade, _ in held), default=0)
        recv_ns = time.time_ns()
        for trade in found:
            if trade.ts_event >= cut:
                self.handlers.accept(state, trade, recv_ns)
            elif first_held and trade.seq >= first_held:
                self._before_the_start(state, trade, recv_ns)
        if state.builder.open_time:
            for trade, received in held:
                if trade.ts_event < cut and trade.seq > state.watch.last:
                    self._before_the_start(state, trade, received)

    def _before_the_start(self, state: SymbolState, trade: Trade, recv_ns: Nanos) -> None:
        """A print of the stream whose bar was over when this start took its cut: stored, in no bar, not late."""
        state.watch.take(trade.seq, trade.ts_event)
        state.builder.last_seq = max(state.builder.last_seq, trade.seq)
        self.handlers.append(state, trade, recv_ns)

    async def _seeds(self, state: SymbolState, end: Nanos) -> list[Bar]:
        """Closed bars from the beginning of the longest bar in progress to `end`, oldest first.

        The newest MAX_SEED are base bars; what lies before them comes in half hours, where those fit.
        """
        base = state.builder.base
        start = max(0, state.builder.begins(end))
        middle, fits = start, False
        if (end - start) // base > MAX_SEED:
            fits = HALF_HOUR % base == 0 and all(
                s * SECOND % HALF_HOUR == 0 for s in self._intervals_s if s > HALF_HOUR_S
            )
            middle = end - end % HALF_HOUR if fits else end - MAX_SEED * base
        older = await self._bars(state, HALF_HOUR, start, middle) if fits else []
        return [*older, *await self._bars(state, base, middle, end)]

    async def _bars(self, state: SymbolState, length: Nanos, start: Nanos, end: Nanos) -> list[Bar]:
        count = (end - start) // length
        if count <= 0:
            return []
        return await self._ask(lambda: self._market.history_bars(state.symbol, length // SECOND, count, end))

    # holes -----------------------------------------------------------------------------------------------------------

    def fill(self, state: SymbolState, reason: str) -> None:
        """Fetch what lies between the newest print taken and those held, in the background."""
        if state.filling:
            state.fill_again = True
        elif state.klines.are_bars:
            self._start(state, partial(self._fill_klines, state), reason)
        else:
            self._start(state, partial(self._fill, state, reason), reason)

    async def _fill_klines(self, state: SymbolState) -> None:
        state.hold_klines()
        now = await self._now()
        for interval_s, newest in state.klines.newest().items():
            count = min(MAX_KLINES, (now - newest) // (interval_s * SECOND) - 1)
            if count > 0:
                question = partial(self._market.history_bars, state.symbol, interval_s, count)
                for bar in await self._ask(question):
                    self.handlers.take_kline(state, msgspec.structs.replace(bar, flags=bar.flags | BarFlag.FILLED))

    async def _fill(self, state: SymbolState, reason: str) -> None:
        """Ask until what is held joins what was taken, and push it through the path of the stream."""
        after = state.watch.last
        if not after:
            return
        found: list[Trade] = []
        for attempt in range(LAGGING_TRIES):
            if attempt:
                await asyncio.sleep(LAGGING_PAUSE_S)
            answer = await self._patiently(lambda: self._market.history_trades(state.symbol, after))
            if answer is None:
                break
            found = answer
            if _joins(state, found):
                break
        recv_ns = time.time_ns()
        refilled, gaps = state.counts.refilled, state.counts.gaps
        streamed = {trade.seq for trade, _ in state.held or ()}
        for trade in found:
            if trade.seq > state.watch.last and not state.judge.fault(trade):
                state.counts.refilled += 1
                self._push(state, trade, recv_ns, 0 if trade.seq in streamed else BarFlag.FILLED)
        if state.counts.gaps == gaps and _joins(state, ()):
            self._watch.event(state, "gap_filled", f"{state.counts.refilled - refilled} prints from history; {reason}")

    def _push(self, state: SymbolState, trade: Trade, recv_ns: Nanos, flags: int = 0) -> None:
        """Hand on the next print there is; what is missing before it is lost. `flags` go to the bars it lies in."""
        watch = state.watch
        if watch.proves_loss and watch.misses(trade.seq, watch.last):
            state.counts.gaps += 1
            state.builder.mark_missing(watch.stamp, trade.ts_event)
            for series in state.tick_bars:
                series.lost()
            detail = f"prints {watch.last + 1} to {trade.seq - 1} are not in the venue's history"
            self._watch.failed(state, FeedCheck.GAP, "gap", detail)
        self.handlers.accept(state, trade, recv_ns, flags)

    def _release(self, state: SymbolState) -> None:
        """Push what was held, in order; from now on prints and klines flow."""
        held, state.held = state.held or [], None
        klines, state.held_klines = state.held_klines or [], None
        for bar in klines:
            self.handlers.take_kline(state, bar)
        for trade, recv_ns in sorted(held, key=lambda item: item[0].seq):
            if not trade.seq or trade.seq > state.watch.last:
                self._push(state, trade, recv_ns)

    # asking ----------------------------------------------------------------------------------------------------------

    async def _ask(self, question: Callable[[], Awaitable[list[T]]]) -> list[T]:
        """One question; nothing when the venue cannot or will not answer."""
        try:
            async with asyncio.timeout(ANSWER_S):
                return await question()
        except (VenueError, TimeoutError) as err:
            log.warning("no history", venue=self._watch.venue, error=str(err) or type(err).__name__)
            return []

    async def _patiently(self, question: Callable[[], Awaitable[T]]) -> T | None:
        """Ask through short outages; None when the venue refuses or stays away for GIVE_UP_S."""
        deadline = time.monotonic() + GIVE_UP_S
        pause = 0.1
        while True:
            try:
                async with asyncio.timeout(ANSWER_S):
                    return await question()
            except VenueRefused as err:
                log.warning("history refused", venue=self._watch.venue, error=str(err))
                return None
            except (VenueUnavailable, TimeoutError) as err:
                if time.monotonic() > deadline:
                    log.warning("no history", venue=self._watch.venue, error=str(err) or type(err).__name__)
                    return None
            await asyncio.sleep(pause)
            pause = min(2.0, pause * 2)

    def _start(self, state: SymbolState, work: Callable[[], Awaitable[None]], reason: str) -> None:
        async def run() -> None:
            await work()
            while state.fill_again or not _joins(state, ()):
                again, state.fill_again = state.fill_again, False
                await self._fill(state, reason)
                if not again:
                    break
            state.filling = False
            if not state.down_since:
                self._release(state)

        state.filling = True
        self._spawn(run(), f"refill-{state.symbol}")


def _joins(state: SymbolState, found: Sequence[Trade]) -> bool:
    """Whether `found` bridges what was taken and what is held, as far as numbers can tell."""
    watch = state.watch
    last = watch.last
    for trade in found:
        if watch.proves_loss and watch.misses(trade.seq, last):
            return False
        last = max(last, trade.seq)
    first_held = min((trade.seq for trade, _ in state.held or ()), default=0)
    return not watch.misses(first_held, last)
