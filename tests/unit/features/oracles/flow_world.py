"""Recorded and seeded markets for the microstructure: messages in their order, put together as ingest does."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from libs.core.bars import BarBuilder, BookFlow
from libs.core.features.engine import Bars
from libs.core.features.flow import FlowConfig, rows
from libs.core.types import (
    MILLISECOND,
    SECOND,
    Bar,
    BookStats,
    Event,
    Instrument,
    InstrumentKind,
    Quote,
    Reading,
    Ticks,
    Trade,
)
from libs.core.types.money import Decimal
from libs.research.leak.series import History
from libs.venues.binance import codec
from libs.venues.binance.book import Applied, LocalBook

Floats = NDArray[np.float64]

RECORDINGS = Path(__file__).parents[4].parent / "shared" / "data" / "binance-ws"
START = 1_700_006_400 * SECOND
LEADER = "LEADUSDT"
CONFIG = FlowConfig(
    leader={"binance": LEADER},
    outside=("fred/DGS10", "fred/DGS2", "fred/VIX", "fred/DXY"),
    funding={"binance/BTCUSDT": "perp/funding"},
    basis={"binance/BTCUSDT": "perp/basis"},
)


@dataclass
class Feeder:
    """Messages of one symbol: prints and quotes gathered into Ticks, books into BookStats, both before their bar."""

    symbol: str
    interval_s: int
    decimals: int
    events: list[Event] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    batch: list[Trade | Quote] = field(default_factory=list)
    made: int = 0

    def __post_init__(self) -> None:
        self.builder = BarBuilder("binance", self.symbol, (self.interval_s,))
        self.flow = BookFlow("binance", self.symbol, 10)
        self.events.append(instrument(self.symbol, self.decimals))

    def trade(self, trade: Trade) -> None:
        closed = self.builder.update(trade)
        if closed:
            self.close(closed)
        self.batch.append(trade)

    def close(self, closed: Sequence[Bar]) -> None:
        self.flush()
        self.flush_book()
        self.events += closed
        self.bars += closed

    def flush(self) -> None:
        if self.batch:
            self.made += 1
            stamp = self.batch[-1].ts_event
            made = Ticks(
                id=f"t{self.made}",
                ts_event=stamp,
                ts_init=self.made,
                venue="binance",
                symbol=self.symbol,
                items=tuple(self.batch),
            )
            self.events.append(made)
            self.batch = []

    def flush_book(self) -> None:
        self.made += 1
        if (stats := self.flow.take(self.made)) is not None:
            self.events.append(stats)


@dataclass(frozen=True, eq=False)
class World:
    """Messages in their order, the bars among them, and what they leave for each bar."""

    events: tuple[Event, ...]
    bars: tuple[Bar, ...]
    decimals: int

    @property
    def extras(self) -> Floats:
        return rows(self.events, self.bars, CONFIG)

    @property
    def history(self) -> History:
        return History(bars=Bars.of(self.bars), extras=self.extras, interval_s=self.bars[0].interval_s)

    def steps(self) -> Iterator[tuple[Bar, list[Event]]]:
        """Each bar with what came since the one before."""
        since: list[Event] = []
        wanted = {bar.id for bar in self.bars}
        for event in self.events:
            if isinstance(event, Bar) and event.id in wanted:
                yield event, since
                since = []
            else:
                since.append(event)


def instrument(symbol: str, decimals: int) -> Instrument:
    return Instrument(
        id=f"i-{symbol}",
        ts_event=0,
        venue="binance",
        symbol=symbol,
        canonical=symbol,
        name=symbol,
        kind=InstrumentKind.SPOT,
        base="BTC",
        quote="USDT",
        decimals=decimals,
        price_step=Decimal(1).scaleb(-decimals),
        qty_step=Decimal("0.00001"),
        min_qty=Decimal("0.00001"),
        max_qty=Decimal(1000),
    )


@cache
def seeded_world() -> World:
    """Thirty hours of 60 s bars, for VPIN needs more than a day; untold sides, locked quotes, ties, lost updates."""
    rng = random.Random(5)
    feeder = Feeder("BTCUSDT", 60, 2)
    feeder.events.append(reading("fred", "DGS10", START - 86_400 * SECOND, 4.0, 0))
    mid, at, close, minute = 60_000.0, START, 900.0, START // SECOND
    for number in range(9_000):
        at += round(rng.expovariate(1 / 12.0) * SECOND)
        while minute + 60 <= at // SECOND:
            close *= 1.0 + rng.gauss(0.0, 1e-3)
            feeder.events.append(leader_bar(minute, close))
            minute += 60
        if rng.random() > 0.2:
            mid = round(mid + rng.choice([-0.01, 0.01, -0.5, 0.7]), 2)
        side = rng.choice([-1, 1, 1, 0])
        feeder.trade(Trade(at, mid, round(rng.lognormvariate(-3.0, 1.5) + 1e-5, 5), side, number + 1))
        if rng.random() < 0.5:
            spread = 0.0 if rng.random() < 0.02 else 0.02
            sizes = (round(rng.random(), 3), round(rng.random(), 3))
            feeder.batch.append(Quote(at, mid - spread, sizes[0], mid, sizes[1], number + 1))
        if rng.random() < 0.4:
            feeder.flush()
        if rng.random() < 0.5:
            if rng.random() < 0.005:
                feeder.flow.forget()
            wide = rng.choice([1.0, 5.0])
            bids = [(round(mid - 0.01 - wide * step * rng.randint(1, 5), 2), rng.random()) for step in range(12)]
            asks = [(round(mid + 0.01 + wide * step * rng.randint(1, 5), 2), rng.random()) for step in range(12)]
            feeder.flow.update(sorted(bids, reverse=True), sorted(asks), number, number, at)
            if rng.random() < 0.3:
                feeder.flush_book()
        if rng.random() < 0.002:
            for name in ("DGS10", "DGS2", "VIX", "DXY"):
                feeder.events.append(reading("fred", name, at + 100 * SECOND, rng.random(), number))
            feeder.events.append(reading("perp", "funding", at, rng.random() * 1e-4, number))
            feeder.events.append(reading("perp", "basis", at, rng.random(), number))
    return World(tuple(feeder.events), tuple(feeder.bars), 2)


def reading(source: str, series: str, ts_event: int, value: float, period: int) -> Reading:
    name = f"{source}-{series}-{ts_event}"
    return Reading(id=name, ts_event=ts_event, source=source, series=series, period=period, value=value)


def leader_bar(open_s: int, close: float) -> Bar:
    return Bar(
        id=f"lead-{open_s}",
        ts_event=(open_s + 60) * SECOND,
        venue="binance",
        symbol=LEADER,
        interval_s=60,
        open_time=open_s * SECOND,
        open=close,
        high=close,
        low=close,
        close=close,
        volume=1.0,
    )


@cache
def recorded_world(symbol: str) -> World | None:
    """A recorded session as 1 s bars, batches of 5 ms and books each 100 ms of its clock; None where it is absent."""
    path = RECORDINGS / f"binance_spot_{symbol}_20240808.jsonl.gz"
    if not path.exists():
        return None
    feeder, book = Feeder(symbol.upper(), 1, 2), LocalBook()
    flushed = told = stamp = 0
    with gzip.open(path, "rt") as lines:
        for line in lines:
            head, _, body = line.partition(" ")
            recv, message = int(head), json.loads(body)
            if recv - flushed > 5 * MILLISECOND:
                flushed = recv
                feeder.flush()
            if recv - told > 100 * MILLISECOND:
                told = recv
                feeder.flush_book()
            data = json.dumps(message.get("data", message))
            kind = message.get("stream", "").partition("@")[2]
            if "lastUpdateId" in message:
                book.seed(codec.snapshot.decode(data))
            elif kind == "trade":
                trade = codec.trade.decode(data)
                stamp = trade.T * MILLISECOND
                feeder.trade(codec.trade_of(trade.T, trade.p, trade.q, trade.m, trade.t))
            elif kind == "bookTicker" and stamp:
                feeder.batch.append(codec.quote_of(codec.book_ticker.decode(data), stamp))
            elif kind == "depth@100ms":
                change = codec.depth.decode(data)
                if book.apply(change) is Applied.DONE:
                    bids, asks = book.top(20)
                    feeder.flow.update(bids, asks, change.U, change.u, change.E * MILLISECOND, book.depth)
    return World(tuple(feeder.events), tuple(feeder.bars), 2)


def prints_of(events: Sequence[Event]) -> list[Trade]:
    """The prints among them, in their order."""
    return [item for event in events if isinstance(event, Ticks) for item in event.items if isinstance(item, Trade)]


def quotes_of(events: Sequence[Event]) -> list[Quote]:
    """The quotes among them, in their order."""
    return [item for event in events if isinstance(event, Ticks) for item in event.items if isinstance(item, Quote)]


def books_of(events: Sequence[Event]) -> list[BookStats]:
    """The books among them, in their order."""
    return [event for event in events if isinstance(event, BookStats)]
