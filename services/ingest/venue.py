"""One venue's feed from start to end: instruments, stream, beat."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, Final

import structlog

from libs.common import budgets
from libs.common.bus import BusError
from libs.common.chassis import Chassis, FatalError
from libs.core.bars import Reconciler
from libs.core.types import Event, Instrument, encode, token
from libs.venues.base import MarketData, VenueError, VenueRefused, VenueUnavailable
from services.ingest import metrics
from services.ingest.handlers import FUTURE, VenueHandlers
from services.ingest.history import HistoryDesk
from services.ingest.outgoing import Outgoing
from services.ingest.refill import Refill
from services.ingest.settings import IngestSettings
from services.ingest.state import new_state
from services.ingest.watch import FeedWatch

log = structlog.get_logger(__name__)

BEAT_S: Final = 0.025
BOOKS_EVERY: Final = 4
CLOCK_EVERY: Final = 10
HEALTH_EVERY: Final = 40

SILENT_S: Final = 30.0
"""When no symbol of a venue has delivered for this much longer than stale_after_s, its stream is opened anew."""


class VenueFeed:
    """Everything ingest does for one venue."""

    def __init__(
        self,
        chassis: Chassis,
        market: MarketData,
        symbols: Sequence[str],
        settings: IngestSettings,
        outgoing: Outgoing,
        others: Reconciler,
    ) -> None:
        """`others`: the prices of all venues, to compare with."""
        self.name = market.name
        self.symbols = list(symbols)
        self.instruments: list[Instrument] = []
        self.states = [new_state(self.name, symbol, settings) for symbol in symbols]
        self._chassis, self._market, self._settings, self._out = chassis, market, settings, outgoing
        self._watch = FeedWatch(self.name, outgoing, chassis.clocks, settings.stale_after_s, settings.quality, others)
        self._refill = Refill(chassis.bus, market, self._watch, settings.intervals_s, self._spawn)
        self._handlers = VenueHandlers(
            self.name,
            self.states,
            outgoing,
            chassis.clocks,
            self._watch,
            self._refill.fill,
            batch_s=settings.tick_batch_s,
        )
        self._refill.handlers = self._handlers
        self._history = HistoryDesk(market, partial(settings.calendar, self.name))
        self._stream: asyncio.Task[Any] | None = None
        self._tasks: list[asyncio.Task[Any]] = []
        self._opened = 0.0
        self._told_messages = self._told_letters = self._told_reconnects = 0

    def _spawn(self, coro: Coroutine[Any, Any, None], name: str) -> asyncio.Task[Any]:
        task = self._chassis.spawn(coro, name)
        self._tasks = [kept for kept in self._tasks if not kept.done()]
        self._tasks.append(task)
        return task

    async def start(self) -> None:
        """Read the instruments, open the stream, find out where each symbol stands, answer for history.

        Raises:
            FatalError: a symbol the venue does not know, or no answer for `patience_s`; one line.
        """
        await self._first_instruments()
        bus = self._chassis.bus
        await bus.serve(f"req.history.{token(self.name)}", self._history.answer)
        await bus.serve(f"req.instruments.{token(self.name)}", self._answer_instruments)
        self._open_stream()
        for state in self.states:
            self._refill.begin(state)
        self._spawn(self._beat(), f"beat-{self.name}")
        self._spawn(self._keep_instruments(), f"instruments-{self.name}")

    # instruments -----------------------------------------------------------------------------------------------------

    async def _first_instruments(self) -> None:
        deadline = time.monotonic() + self._settings.patience_s
        pause = 0.2
        while True:
            try:
                await self._read_instruments()
            except VenueRefused as err:
                raise FatalError(f"{self.name}: {err}; check data.venues.symbols") from None
            except VenueUnavailable as err:
                if time.monotonic() > deadline:
                    raise FatalError(
                        f"{self.name}: no answer for {self._settings.patience_s:g} s: {err}; "
                        "check the endpoint and the network (conclave doctor)"
                    ) from None
            else:
                return
            await asyncio.sleep(pause)
            pause = min(3.0, pause * 1.6)

    async def _read_instruments(self) -> None:
        self.instruments = await self._market.instruments(self.symbols)
        by_symbol = {state.symbol: state for state in self.states}
        for instrument in self.instruments:
            self._out.put(instrument)
            by_symbol[instrument.symbol].learn(instrument)
            await self._chassis.bus.kv_put("instruments", kv_key(self.name, instrument.symbol), encode(instrument))

    async def _keep_instruments(self) -> None:
        while True:
            await asyncio.sleep(self._settings.instruments_every_s)
            try:
                await self._read_instruments()
            except (VenueError, BusError) as err:
                log.warning("instruments could not be read again", venue=self.name, error=str(err))

    async def _answer_instruments(self, _request: Event) -> list[Event]:
        return list(self.instruments)

    # stream ----------------------------------------------------------------------------------------------------------

    def _open_stream(self) -> None:
        self._opened = time.monotonic()
        self._stream = self._spawn(self._run_stream(), f"stream-{self.name}")

    async def _run_stream(self) -> None:
        try:
            await self._market.stream(self.symbols, self._handlers)
        except VenueRefused as err:
            raise FatalError(f"{self.name}: {err}; check data.venues.symbols") from None

    async def _close_stream(self, why: str) -> None:
        self._handlers.status("*", "disconnect", why)
        if self._stream is not None:
            self._stream.cancel()
            await asyncio.wait({self._stream}, timeout=2)

    def set_paused(self, paused: bool) -> None:
        """Close the stream, or open it again and fill what was missed from history."""
        self._spawn(self._close_stream("paused") if paused else self._reopen("resumed"), f"pause-{self.name}")

    async def _reopen(self, why: str) -> None:
        await self._close_stream(why)
        self._open_stream()
        self._handlers.status("*", "reconnect", why)

    async def _look_after_silence(self) -> None:
        """A stream of which every symbol went stale may be half open: open it anew."""
        waited = time.monotonic() - self._opened > self._settings.stale_after_s + SILENT_S
        silent = all(
            state.stale and time.monotonic_ns() - state.heard_mono > (self._settings.stale_after_s + SILENT_S) * 1e9
            for state in self.states
        )
        if waited and silent and not self._chassis.paused.is_set():
            log.warning("the stream is silent, opening it anew", venue=self.name)
            await self._reopen("the stream had gone silent")

    # beat ------------------------------------------------------------------------------------------------------------

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        count = 0
        clocks, handlers = self._chassis.clocks, self._handlers
        while True:
            due = max(due + BEAT_S, loop.time())
            await asyncio.sleep(due - loop.time())
            count += 1
            now = clocks.now(self.name)
            if now:
                handlers.latest = now + FUTURE
                for state in self.states:
                    handlers.close_due(state, now)
            if count % BOOKS_EVERY == 0:
                for state in self.states:
                    handlers.flush_book(state)
            if count % CLOCK_EVERY == 0:
                self._watch.publish_clock()
            if count % HEALTH_EVERY == 0:
                handlers.letters.renew()
                self._watch.beat(self.states)
                self._carry_over()
                await self._look_after_silence()

    def _carry_over(self) -> None:
        handlers = self._handlers
        metrics.MESSAGES.labels(self.name).inc(handlers.messages - self._told_messages)
        metrics.DEAD_LETTERS_DROPPED.labels(self.name).inc(handlers.letters.dropped - self._told_letters)
        reconnects = max((state.counts.reconnects for state in self.states), default=0)
        metrics.RECONNECTS.labels(self.name).inc(reconnects - self._told_reconnects)
        self._told_messages, self._told_letters = handlers.messages, handlers.letters.dropped
        self._told_reconnects = reconnects
        budgets.show(self.name, (budget.state() for budget in self._market.budgets()))

    # end -------------------------------------------------------------------------------------------------------------

    def not_ready(self) -> list[str]:
        """Why this venue is not ready."""
        if not self.instruments:
            return [f"{self.name}: instruments not read"]
        return [reason for state in self.states if (reason := self._watch.not_ready(state))]

    def info(self) -> dict[str, Any]:
        """Counts per symbol."""
        return {
            state.symbol: {
                "state": self._watch.feed_state(state).value,
                "last_seq": state.watch.last,
                **{name: getattr(state.counts, name) for name in state.counts.__dataclass_fields__},
            }
            for state in self.states
        }

    async def aclose(self) -> None:
        """Close the stream, publish what is gathered, leave the venue."""
        tasks = [task for task in self._tasks if not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=2)
        for state in self.states:
            self._handlers.flush(state)
        await self._market.aclose()


def kv_key(venue: str, symbol: str) -> str:
    """The key of an instrument in the bucket: what a bucket's key may not hold is written =XX."""
    return f"{_key_token(venue)}.{_key_token(symbol)}"


def _key_token(text: str) -> str:
    return re.sub(r"[^-_a-zA-Z0-9]", lambda match: "".join(f"={byte:02X}" for byte in match[0].encode()), text)
