"""A venue made of lists, and ingest run on it over the in-memory bus."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from decimal import Decimal
from typing import Any

from libs.common.bus.memory import MemoryBroker, MemoryBus
from libs.common.clock import DataClocks
from libs.common.settings import Settings
from libs.core.types import (
    SECOND,
    Bar,
    BarFlag,
    Event,
    FeedState,
    Instrument,
    InstrumentKind,
    Nanos,
    Quote,
    Ticks,
    Trade,
    decode,
)
from libs.venues.base import FeedSink, VenueRefused, VenueUnavailable
from libs.venues.budget import Budget
from services.ingest.app import IngestApp

T0 = 1_700_000_000 * SECOND - 1_700_000_000 * SECOND % (3600 * SECOND)
"""A full hour, so that every bar begins with the session."""


class FakeVenue:
    """Implements MarketData. `prints` is the truth; what is `deliver`ed while connected also reaches the sink."""

    def __init__(self, name: str = "binance", listed: Sequence[str] = ("BTCUSDT", "ETHUSDT")) -> None:
        self.name = name
        self.listed = list(listed)
        self.prints: dict[str, list[Trade]] = {symbol: [] for symbol in listed}
        self.forgotten: set[int] = set()
        self.klines: dict[tuple[str, int], list[Bar]] = {}
        self.now: Nanos = T0
        self.reachable = True
        self.sink: FeedSink | None = None
        self.streams = 0
        self.asked: list[tuple[Any, ...]] = []
        self.history_open = asyncio.Event()
        self.history_open.set()
        self.budget = Budget("request weight", 100, 60.0)

    async def instruments(self, symbols: Sequence[str] = ()) -> list[Instrument]:
        self._must_be_there()
        unknown = [symbol for symbol in symbols if symbol not in self.listed]
        if unknown:
            raise VenueRefused(f"{self.name} does not know {', '.join(unknown)}")
        return [instrument(self.name, symbol) for symbol in symbols]

    async def stream(self, symbols: Sequence[str], sink: FeedSink) -> None:
        self.streams += 1
        self.sink = sink
        sink.clock(self.now, time.time_ns(), extrapolate=False, speed=1.0, state=FeedState.OPEN)
        try:
            await asyncio.Event().wait()
        finally:
            self.sink = None

    async def history_bars(self, symbol: str, interval_s: int, count: int, end: Nanos = 0) -> list[Bar]:
        self._must_be_there()
        self.asked.append(("bars", symbol, interval_s, count, end))
        known = self.klines.get((symbol, interval_s), [])
        return [bar for bar in known if bar.ts_event <= (end or self.now)][-count:]

    def budgets(self) -> tuple[Budget, ...]:
        return (self.budget,)

    async def history_trades(self, symbol: str, after_seq: int, until: Nanos = 0) -> list[Trade]:
        await self.history_open.wait()
        self._must_be_there()
        self.asked.append(("trades", symbol, after_seq))
        known = [trade for trade in self.prints[symbol] if trade.seq not in self.forgotten]
        return [trade for trade in known if trade.seq > after_seq] if after_seq else known[-1000:]

    async def server_time(self) -> Nanos:
        self._must_be_there()
        return self.now

    async def aclose(self) -> None:
        self.sink = None

    def _must_be_there(self) -> None:
        if not self.reachable:
            raise VenueUnavailable(f"{self.name} does not answer")

    # what a test makes happen

    def happen(self, symbol: str, *trades: Trade) -> None:
        """Prints that the stream does not deliver."""
        self.prints[symbol] += trades
        self.now = max(self.now, *(trade.ts_event for trade in trades))

    def deliver(self, symbol: str, *trades: Trade) -> None:
        self.happen(symbol, *trades)
        for trade in trades:
            self.feed.trade(symbol, trade, time.time_ns())

    def tell_clock(self, now: Nanos, state: FeedState = FeedState.OPEN) -> None:
        self.now = max(self.now, now)
        self.feed.clock(self.now, time.time_ns(), extrapolate=False, speed=1.0, state=state)

    @property
    def feed(self) -> FeedSink:
        assert self.sink is not None
        return self.sink


def instrument(venue: str, symbol: str) -> Instrument:
    return Instrument(
        id=f"i-{symbol}", ts_event=T0, venue=venue, symbol=symbol, canonical=symbol, name=symbol,
        kind=InstrumentKind.SPOT,
        base=symbol[:3], quote=symbol[3:], decimals=2, price_step=Decimal("0.01"), qty_step=Decimal("0.0001"),
        min_qty=Decimal("0.0001"), max_qty=Decimal(100),
    )  # fmt: skip


class House:
    """As much of the chassis as an app needs."""

    def __init__(self, settings: Settings, broker: MemoryBroker) -> None:
        self.settings = settings
        self.bus = MemoryBus(broker)
        self.clocks = DataClocks()
        self.paused = asyncio.Event()
        self.on_pause: list[Callable[[bool], None]] = []
        self.tasks: set[asyncio.Task[Any]] = set()
        self.failure: BaseException | None = None

    def spawn(self, coro: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(coro, name=name)
        self.tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (err := task.exception()) is not None:
            self.failure = err


class Running:
    """Ingest on fake venues; what it published can be looked at by type."""

    def __init__(self, venues: Sequence[FakeVenue], broker: MemoryBroker, **data: Any) -> None:
        self.venues = {venue.name: venue for venue in venues}
        self.broker = broker
        self.house = House(settings_for(venues, **data), broker)
        self.app = IngestApp(self.house, lambda _settings, venue: self.venues[venue.name])  # type: ignore[arg-type]

    async def start(self) -> Running:
        await self.app.start()
        await self.until(lambda: all(v.sink is not None for v in self.venues.values()))
        return self

    async def settled(self, *symbols: str) -> None:
        """Every symbol has found out where it stands."""
        await self.until(
            lambda: all(s.held is None for feed in self.app._venues for s in feed.states if s.symbol in symbols)
        )

    async def kill(self) -> None:
        """End as kill -9 does: nothing is flushed."""
        for task in list(self.house.tasks):
            task.cancel()
        await asyncio.gather(*self.house.tasks, return_exceptions=True)

    async def stop(self) -> None:
        await self.app.drain()
        await self.kill()
        await self.house.bus.close()

    async def until(self, condition: Callable[[], bool], within_s: float = 5.0) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            assert self.house.failure is None, self.house.failure
            assert time.monotonic() < deadline, "the condition did not come true in time"
            await asyncio.sleep(0.002)

    def published(self, prefix: str) -> list[Any]:
        """Everything the bus captured on subjects that begin with `prefix`, in order."""
        return [
            decode(payload)
            for messages in self.broker.messages.values()
            for subject, payload, *_ in messages
            if subject.startswith(prefix)
        ]

    def bars(self, interval: str, symbol: str = "BTCUSDT", venue: str = "binance") -> list[Bar]:
        return self.published(f"md.bar.{interval}.{venue}.{symbol}")

    def items(self, symbol: str = "BTCUSDT", venue: str = "binance") -> list[Trade | Quote]:
        batches: list[Ticks] = self.published(f"md.tick.{venue}.{symbol}")
        return [item for batch in batches for item in batch.items]

    def events(self, symbol: str = "BTCUSDT", venue: str = "binance") -> list[str]:
        return [health.event for health in self.published(f"md.health.{venue}.{symbol}") if health.event]

    def everything(self) -> list[Event]:
        return self.published("")


def settings_for(venues: Sequence[FakeVenue], **data: Any) -> Settings:
    rows = [{"name": v.name, "symbols": [{"symbol": s} for s in v.listed]} for v in venues]
    accounts = [
        {
            "id": f"{v.name}-paper".replace(":", "-"),
            "venue": v.name,
            "currency": "USD" if v.name == "deriv" else "USDT",
        }
        for v in venues
    ]
    platform = {"ready_timeout_s": data.pop("ready_timeout_s", 60)}
    intervals = {"bar_intervals": ["1s", "5s", "1m"]}
    return Settings.model_validate(
        {"data": {"venues": rows, **intervals, **data}, "trading": {"accounts": accounts}, "platform": platform}
    )


def at(seconds: float, seq: int, price: float = 100.0, size: float = 1.0, side: int = 1) -> Trade:
    return Trade(T0 + round(seconds * 1000) * 1_000_000, price, size, side, seq)


def kline(open_s: int, interval_s: int = 60, close: float = 100.0, volume: float = 5.0, symbol: str = "BTCUSDT") -> Bar:
    return Bar(
        id=f"k{open_s}", ts_event=T0 + (open_s + interval_s) * SECOND, venue="binance", symbol=symbol,
        interval_s=interval_s, open_time=T0 + open_s * SECOND, open=close, high=close + 1, low=close - 1, close=close,
        volume=volume, trades=3, flags=int(BarFlag.VENUE),
    )  # fmt: skip
