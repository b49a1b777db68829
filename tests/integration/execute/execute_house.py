"""A simulator, a bus, and just enough of ingest and risk to let one live account trade one symbol."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import execute_world as w
import msgspec
from execute_service import Process, example_settings, ledger, signer_in, until

from libs.common.bus.memory import MemoryBroker, MemoryBus
from libs.common.settings import AccountSettings, Settings
from libs.core.stages.execute import ExecuteStage, build
from libs.core.types import (
    SECOND,
    AccountState,
    Control,
    Event,
    Fill,
    Instrument,
    Order,
    OrderState,
    Permit,
    Position,
    Quote,
    Reconciliation,
    ReconciliationKind,
    Restored,
    Started,
    Ticks,
    Trade,
    VenueClock,
    stable_id,
)
from libs.research.replay import Recording
from libs.research.session import Message
from libs.venues.base import Trading
from libs.venues.credentials import Credentials
from libs.venues.registry import make_market_data, make_trading
from services.simulator.app import Simulator
from services.simulator.faults.plan import plan_of
from services.simulator.settings import SimulatorOptions


@dataclass(frozen=True)
class Place:
    """A venue as the simulator serves it."""

    venue: str
    symbol: str
    currency: str
    api: str
    addresses: dict[str, str]
    """Name of an address to the simulator's fact that holds it."""
    credentials: dict[str, str]


DERIV = Place("deriv", "1HZ100V", "USD", "v3", {"ws": "deriv_url"}, {"token": "token"})
OPTIONS = Place(
    "deriv",
    "1HZ100V",
    "USD",
    "options",
    {"ws": "deriv_options_ws_url", "rest": "deriv_options_rest_url"},
    {"token": "token", "app_id": "pid"},
)
"""Deriv's new API; any application id will do at the simulator."""
BINANCE = Place(
    "binance",
    "BTCUSDT",
    "USDT",
    "spot",
    {"rest": "binance_rest_url", "ws": "binance_ws_url", "ws_api": "binance_ws_api_url"},
    {"key": "key", "secret": "secret"},
)


class House:
    """One place, one account; the simulator in this process, so that faults can be let in."""

    def __init__(self, place: Place, simulator: Simulator, instrument: Instrument, var: Path) -> None:
        self.place, self.simulator, self.instrument, self.var = place, simulator, instrument, var
        self.facts: dict[str, Any] = simulator.describe()
        self.account = f"{place.venue}-live"
        self.broker = MemoryBroker()
        self.bus = MemoryBus(self.broker)
        self.signer = signer_in(var)
        accounts = (AccountSettings(id=self.account, venue=place.venue, currency=place.currency),)
        self.settings: Settings = example_settings(
            mode="live", accounts=accounts, reconcile_every_s=3600, reconcile_again_s=0.3
        )

    def trading(self, **product: Any) -> Trading:
        """A fresh order adapter."""
        place = self.place
        return make_trading(
            place.venue,
            api=place.api,
            endpoint="simulator",
            endpoints={name: self.facts[fact] for name, fact in place.addresses.items()},
            credentials=Credentials(**{name: str(self.facts[fact]) for name, fact in place.credentials.items()}),
            currency=place.currency,
            simulator=True,
            **product,
        )

    async def process(self, die_at: int = 0, reached: bool = False, **product: Any) -> Process:
        """A started executor."""
        made = Process(
            self.broker,
            self.settings,
            self.var,
            die_at=die_at,
            reached=reached,
            tradings={self.account: self.trading(**product)},
        )
        await made.app.start()
        waiting = [f"waiting for the clock of {self.place.venue}"]
        await until(lambda: made.app.not_ready() == waiting, "the ledger to be taken up")
        return made

    async def time_and_price(self, price: float = 0.0) -> None:
        """The venue's clock and, when given, a price."""
        now, place = time.time_ns(), self.place
        clock = VenueClock(id=stable_id("c", now), ts_event=now, venue=place.venue, ts_machine=now, extrapolate=True)
        events: list[Event] = [clock]
        if price:
            item: Trade | Quote = Trade(now, price, 0.0, 0, now // SECOND)
            if place is BINANCE:
                item = Quote(now, price, 1.0, price + 0.01, 1.0, now // SECOND)
            events.append(
                Ticks(id=stable_id("t", now), ts_event=now, venue=place.venue, symbol=place.symbol, items=(item,))
            )
        for event in events:
            await self.bus.publish(event)

    async def permit(self, name: str, **fields: Any) -> Permit:
        """A signed permit of now."""
        ms = (time.time_ns() - w.T0) / 1e6
        terms: dict[str, Any] = {"instrument": self.instrument, "account": self.account, "ms": ms, "ttl_s": 30.0}
        permit = self.signer.sign(w.permit(name, **(terms | fields)))
        await self.bus.publish_durable(permit)
        return permit

    def states(self, intent: str) -> list[OrderState]:
        """The life of one order in the ledger."""
        return [order.state for order in ledger(self.broker, Order) if order.intent_id == intent]

    async def ended(self, intent: str, within_s: float = 25.0) -> OrderState:
        """How an order ended."""
        await until(lambda: any(s.is_final for s in self.states(intent)), f"{intent} to end", within_s)
        return self.states(intent)[-1]

    def compared(self) -> list[ReconciliationKind]:
        """What comparisons had to say, in order."""
        return [event.kind for event in ledger(self.broker, Reconciliation)]

    def commands(self) -> list[Control]:
        """Every command on the bus."""
        return ledger(self.broker, Control, "CONTROL")

    async def taken_up(self) -> None:
        """Wait until the account's first comparison is in the ledger."""
        await until(lambda: ReconciliationKind.BASELINE in self.compared(), "the account to be taken up", 20)

    def fault(self, fault: str, match: str, **more: Any) -> None:
        """Let one fault in at the next such call."""
        rule = {"fault": fault, "venue": self.place.venue, "match": [match], "nth": 1, **more}
        self.simulator.faults.add(plan_of({"rules": [rule]}, "test"))

    def replays_equal(self) -> int:
        """Replay the execute stage from its journal; the number of outputs that came out as they were recorded."""
        recording = Recording(
            Message(subject, epoch, seq, stamp, payload)
            for held in self.broker.messages.values()
            for subject, payload, epoch, seq, _, stamp in held
        )
        made: dict[str, Event] = {}
        stage: ExecuteStage | None = None
        for _, entry in recording.entries("execute"):
            event = recording.event(entry)
            if isinstance(event, Started):
                stage = build(event.config)
            assert stage is not None
            if isinstance(event, Restored):
                stage.restore(event.snapshot)
                continue
            made |= {out.id: out for out in stage.apply(event, 0)}
        kinds = (Order, Fill, Position, AccountState, Reconciliation)
        recorded = {event.id: event for kind in kinds for event in ledger(self.broker, kind)}
        assert recorded == {i: msgspec.structs.replace(e, ts_init=recorded[i].ts_init) for i, e in made.items()}
        return len(recorded)

    async def agrees(self, process: Process) -> None:
        """The ledger expects just what the venue says, asked apart from the executor's own comparison."""
        live = process.app._live
        assert live is not None
        await live.compare()
        state = live.accounts()[self.account]
        assert (state["ledger"], state["difference"]) == ("agreed", None), state
        stage = process.app._handlers
        assert stage is not None
        expected = stage.stage.state.books[self.account].expected
        probe = self.trading()
        held = await probe.balances()
        await probe.aclose()
        assert {name: amount for name, amount in expected.items() if amount} == held


@asynccontextmanager
async def house_at(place: Place, var: Path) -> AsyncIterator[House]:
    """A running simulator with one instrument on the bus."""
    simulator = Simulator(SimulatorOptions(token="good-token", key="k" * 64, secret="s" * 64, seed=11))
    await simulator.start()
    facts = simulator.describe()
    urls = {name: facts[fact] for name, fact in place.addresses.items() if name != "ws_api"}
    market = make_market_data(place.venue, api=place.api, endpoint="simulator", endpoints=urls, simulator=True)
    (instrument,) = await market.instruments([place.symbol])
    await market.aclose()
    made = House(place, simulator, instrument, var)
    await made.bus.publish(instrument)
    try:
        yield made
    finally:
        await made.bus.close()
        await simulator.stop()


async def cut_off(process: Process) -> None:
    """The process is dead: nothing of it runs or leaves any more."""
    await until(lambda: process.bus.dead, "the process to die")
    for task in list(process.tasks):
        task.cancel()
    await asyncio.gather(*process.tasks, return_exceptions=True)
    for trading in process.app._tradings.values():
        await trading.aclose()
    await process.bus.close()


def total(fills: list[Fill]) -> D:
    """What fills realised."""
    return sum((fill.realised for fill in fills), D(0))
