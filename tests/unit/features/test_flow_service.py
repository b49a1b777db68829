"""The features service with a set that needs more than bars: what it reads, what it journals, sets of one's own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from libs.common.bus import MemoryBroker, MemoryBus
from libs.common.chassis import FatalError
from libs.common.clock import DataClocks
from libs.common.settings import Settings
from libs.core.features import feature_set
from libs.core.stages.features import FeaturesStage, build
from libs.core.types import (
    SECOND,
    Applied,
    Bar,
    Event,
    Features,
    Inline,
    Instrument,
    InstrumentKind,
    Reading,
    Ref,
    Started,
    Ticks,
    Trade,
    decode,
)
from services.features.app import App
from services.features.inputs import Inputs
from services.features.settings import stage_config

OWN = '''
"""A feature of one's own."""
from libs.core.features.inputs import CLOSE
from libs.core.features.kit import Output, feature
from libs.core.features.parts import ROWS, WIDTH, Pointer


@feature(
    outputs=[Output(name="twice_close", unit="quote currency")], warmup=0, memory=0, oracle="definition", source="own"
)
def twice_close(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Twice the close."""
    for j in range(c[ROWS]):
        out[j] = 2.0 * x[CLOSE * c[WIDTH] + j]
'''
ENTRIES = ["trade_flow", "digit_streaks", "lead", "outside:outside_0"]


def settings(**features: Any) -> Settings:
    symbols = [{"symbol": symbol, "trade_intervals": ["1s"]} for symbol in ("BTCUSDT", "ETHUSDT")]
    return Settings.model_validate(
        {
            "data": {"venues": [{"name": "binance", "symbols": symbols}], "warmup_bars": 100},
            "features": {"archive": False} | features,
            "trading": {"accounts": [{"id": "b", "venue": "binance", "currency": "USDT"}]},
        }
    )


def bar(number: int, symbol: str = "ETHUSDT") -> Bar:
    return Bar(
        id=f"{symbol}{number}",
        ts_event=(number + 1) * SECOND,
        venue="binance",
        symbol=symbol,
        interval_s=1,
        open_time=number * SECOND,
        open=100.0,
        high=101.0,
        low=99.0,
        close=100.0 + number % 2,
    )


def prints(at_s: float, made: int, *sizes: float) -> Ticks:
    items = tuple(Trade(round(at_s * SECOND), 100.1, size, 1, 0) for size in sizes)
    at = items[-1].ts_event
    return Ticks(id=f"t{made}", ts_event=at, ts_init=made, venue="binance", symbol="ETHUSDT", items=items)


INSTRUMENT = Instrument(
    id="i",
    ts_event=1,
    venue="binance",
    symbol="ETHUSDT",
    canonical="ETH/USDT",
    name="",
    kind=InstrumentKind.SPOT,
    base="ETH",
    quote="USDT",
    decimals=2,
    price_step=Decimal("0.01"),
    qty_step=Decimal("0.01"),
    min_qty=Decimal("0.01"),
    max_qty=Decimal(10),
)
RATE = Reading(id="r", ts_event=5, source="fred", series="DGS10", period=0, value=4.25)


class Chassis:
    """What an App needs of the real one."""

    def __init__(self, bus: MemoryBus, chosen: Settings) -> None:
        self.settings, self.bus = chosen, bus
        self.clocks = DataClocks()
        self.log = structlog.get_logger("features")
        self.on_pause: list[Callable[[bool], None]] = []
        self.tasks: list[asyncio.Task[Any]] = []

    def spawn(self, coro: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        self.tasks.append(asyncio.create_task(coro, name=name))
        return self.tasks[-1]


async def until(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not check():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_prints_a_leader_and_outside_series_reach_the_vector_and_a_replay_gives_the_same() -> None:
    ingest = MemoryBus(broker := MemoryBroker())

    async def history(request: Event) -> list[Event]:
        return [bar(number, getattr(request, "symbol", "")) for number in range(900, 960)]

    await ingest.serve("req.history.binance", history)
    await ingest.publish(INSTRUMENT)
    await ingest.publish(RATE)
    vectors: list[Features] = []

    async def keep(received: Any) -> None:
        vectors.append(received.event)

    await ingest.subscribe(["feat.>"], keep, None)
    chosen = settings(set="mine", sets={"mine": ENTRIES}, leader={"binance": "BTCUSDT"}, outside=["fred/DGS10"])
    chassis = Chassis(MemoryBus(broker), chosen)
    app = App(chassis)  # type: ignore[arg-type]
    await app.start()
    await until(lambda: not app.not_ready())
    for event in (prints(960.5, 1, 9.0), bar(960), prints(961.1, 2, 1.0, 2.0), prints(961.2, 3, 4.0), bar(961)):
        await ingest.publish(event)
    await until(lambda: len(vectors) == 2)
    await app.drain()
    for task in chassis.tasks:
        task.cancel()
    await asyncio.gather(*chassis.tasks, return_exceptions=True)

    told = dict(zip(app.stage.set.names, vectors[1].unpack(), strict=True))
    assert (told["buy_volume"], told["trade_count"], told["digit_streak"]) == (7.0, 3.0, 4.0)
    assert told["outside_0"] == 4.25
    assert told["lead_return"] != told["lead_return"], "the leader's last bar did not come"
    assert dict(zip(app.stage.set.names, vectors[0].unpack(), strict=True))["lead_return"] != 0.0

    held = {(r.subject, r.epoch, r.seq): r.event async for r in ingest.read(["md.>"])}
    stage, again, refs = None, [], []
    async for received in ingest.read(["applied.features"]):
        assert isinstance(received.event, Applied)
        for entry in received.event.entries:
            event = decode(entry.payload) if isinstance(entry, Inline) else held[entry.subject, entry.epoch, entry.seq]
            refs += [entry.subject] if isinstance(entry, Ref) else []
            if isinstance(event, Started):
                stage = build(event.config)
            assert stage is not None
            again += stage.apply(event, 0)
    assert [each.values for each in again] == [each.values for each in vectors]
    assert refs.count("md.tick.binance.ETHUSDT") == 3


def test_only_what_the_set_needs_is_read() -> None:
    def subjects(name: str) -> set[str]:
        config = stage_config(settings(set=name, leader={"binance": "BTCUSDT"}, outside=["fred/DGS10"]))
        return {subject.rsplit(".", 2)[0] for subject in Inputs(config, FeaturesStage(config).set.needs).subjects}

    assert subjects("core20") == {"md.bar.1s"}
    assert subjects("full") == {"md.bar.1s", "md.tick", "md.book", "md.instrument", "md.series"}


def test_a_set_and_a_file_of_ones_own_are_rebuilt_from_the_recorded_configuration(tmp_path: Path) -> None:
    file = tmp_path / "my_features.py"
    file.write_text(OWN, encoding="utf-8")
    chosen = settings(set="own", sets={"own": ["sma(n=50)", "twice_close"]}, files=[str(file)])
    config = stage_config(chosen)
    stage = build(msgspec.json.encode(config))
    assert stage.set.names == ("sma_50", "twice_close")
    (made,) = FeaturesStage(config).apply(bar(7), 0)
    assert isinstance(made, Features)
    assert made.unpack()[1] == 202.0
    assert made.set_hash == feature_set("own", config.entries, config.files).hash


@pytest.mark.parametrize(
    ("features", "reason"),
    [
        ({"set": "core21"}, "core20, full"),
        ({"sets": {"full": ["rsi"]}}, "choose another name"),
        ({"sets": {"mine": []}}, "empty"),
        ({"files": ["/nowhere/features.py"]}, "is no file"),
        ({"leader": {"binance": "XRPUSDT"}}, "has no 'XRPUSDT'"),
        ({"funding": {"binance/XRPUSDT": "a/b"}}, "has no 'XRPUSDT'"),
        ({"outside": ["DGS10"]}, "outside"),
    ],
)
def test_a_configuration_that_cannot_be_says_why(features: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        settings(**features)


def test_an_entry_that_is_none_stops_the_service_with_one_line() -> None:
    chosen = settings(set="mine", sets={"mine": ["rsi(n=14)", "nonsense"]})
    with pytest.raises(FatalError, match=r"features.set 'mine': no feature 'nonsense'"):
        App(Chassis(MemoryBus(MemoryBroker()), chosen))  # type: ignore[arg-type]
