"""Live mode against the simulator's Deriv: bought, watched, sold, and found again in the venue's books after a kill."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import execute_world as w
import pytest
from execute_service import Process, example_settings, ledger, next_life, signer_in, until

from libs.common.bus.memory import MemoryBroker, MemoryBus
from libs.common.settings import AccountSettings, Settings
from libs.core.types import (
    SECOND,
    AccountState,
    Action,
    Event,
    Fill,
    Instrument,
    Mode,
    Order,
    OrderState,
    Permit,
    Position,
    Reconciliation,
    ReconciliationKind,
    Side,
    Ticks,
    Trade,
    VenueClock,
    stable_id,
)
from libs.venues.base import Trading
from libs.venues.credentials import Credentials
from libs.venues.registry import make_market_data, make_trading
from services.execute import metrics
from services.simulator.app import Simulator
from services.simulator.settings import SimulatorOptions

ACCOUNT = "deriv-live"


class House:
    """The simulator, a bus, and just enough of ingest and risk to trade one symbol."""

    def __init__(self, facts: dict[str, Any], instrument: Instrument, var: Path) -> None:
        self.facts, self.instrument, self.var = facts, instrument, var
        self.broker = MemoryBroker()
        self.bus = MemoryBus(self.broker)
        self.signer = signer_in(var)
        accounts = (AccountSettings(id=ACCOUNT, venue="deriv", currency="USD"),)
        self.settings: Settings = example_settings(mode="live", accounts=accounts)

    def trading(self, **product: Any) -> dict[str, Trading]:
        """A fresh order adapter."""
        urls = {"ws": self.facts["deriv_url"]}
        return {
            ACCOUNT: make_trading(
                "deriv", endpoints=urls, credentials=Credentials(token=self.facts["token"]), **product
            )
        }

    async def process(self, die_at: int = 0, reached: bool = False, **product: Any) -> Process:
        """A started executor."""
        made = Process(
            self.broker,
            self.settings,
            self.var,
            die_at=die_at,
            reached=reached,
            tradings=self.trading(**product),
        )
        await made.app.start()
        await until(lambda: made.app.not_ready() == ["waiting for the clock of deriv"], "the ledger to be taken up")
        return made

    async def time_and_price(self, price: float = 0.0) -> None:
        """The venue's clock and, when given, a price."""
        now = time.time_ns()
        clock = VenueClock(id=stable_id("c", now), ts_event=now, venue="deriv", ts_machine=now, extrapolate=True)
        events: list[Event] = [clock]
        if price:
            item = Trade(now, price, 0.0, 0, now // SECOND)
            events.append(Ticks(id=stable_id("t", now), ts_event=now, venue="deriv", symbol="1HZ100V", items=(item,)))
        for event in events:
            await self.bus.publish(event)

    async def permit(self, name: str, **fields: Any) -> Permit:
        """A signed permit of now."""
        ms = (time.time_ns() - w.T0) / 1e6
        terms: dict[str, Any] = {"instrument": self.instrument, "account": ACCOUNT, "ms": ms, "ttl_s": 30.0}
        permit = self.signer.sign(w.permit(name, **(terms | fields)))
        await self.bus.publish_durable(permit)
        return permit

    def states(self, intent: str) -> list[OrderState]:
        """The life of one order in the ledger."""
        return [order.state for order in ledger(self.broker, Order) if order.intent_id == intent]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A running simulator with 1HZ100V."""
    simulator = Simulator(SimulatorOptions(token="good-token", key="k", secret="s"))
    await simulator.start()
    facts = simulator.describe()
    market = make_market_data("deriv", endpoints={"ws": facts["deriv_url"]}, simulator=True)
    (instrument,) = await market.instruments(["1HZ100V"])
    await market.aclose()
    made = House(facts, instrument, tmp_path)
    await made.bus.publish(instrument)
    yield made
    await made.bus.close()
    await simulator.stop()


async def test_a_multiplier_is_bought_and_sold_and_the_books_agree_with_the_venue(house: House) -> None:
    process = await house.process()
    await house.time_and_price()
    await house.permit("live-1", worst="1000000")
    await until(lambda: OrderState.FILLED in house.states("live-1"), "the venue to fill the entry")
    position = ledger(house.broker, Position)[-1]
    assert position.venue_position_id.isdigit()
    assert position.entry_price > 0
    await house.permit("live-2", action=Action.EXIT, side=Side.SELL, position_id="live-1")
    await until(lambda: OrderState.FILLED in house.states("live-2"), "the venue to buy it back", 20)
    await until(lambda: not ledger(house.broker, Position)[-1].is_open, "the position to close")
    cash, _ = await house.trading()[ACCOUNT].balance()
    last = ledger(house.broker, AccountState)[-1]
    assert last.balance == last.equity == cash
    assert last.balance == D(10_000) + sum(fill.realised for fill in ledger(house.broker, Fill))
    assert process.failed == []
    await process.stop()


async def test_a_stop_held_here_sells_at_the_venue(house: House) -> None:
    process = await house.process()
    await house.time_and_price()
    await house.permit("live-1", worst="1000000", stop="1")
    await until(lambda: OrderState.FILLED in house.states("live-1"), "the venue to fill the entry")
    await house.time_and_price(0.5)
    await until(lambda: len(ledger(house.broker, Fill)) == 2, "the stop to sell", 20)
    assert ledger(house.broker, Fill)[-1].reason == "stop at 1"
    await process.stop()


async def test_a_price_beyond_the_permit_is_refused_by_proof(house: House) -> None:
    process = await house.process()
    await house.time_and_price()
    await house.permit("live-1", worst="0.01")
    await until(lambda: OrderState.REJECTED in house.states("live-1"), "the refusal")
    assert ledger(house.broker, Order)[-1].reason.startswith("venue:")
    assert ledger(house.broker, Fill) == []
    await process.stop()


@pytest.mark.parametrize("reached", [False, True])
async def test_a_buy_whose_answer_died_with_the_process_is_found_and_never_repeated(
    house: House, monkeypatch: pytest.MonkeyPatch, reached: bool
) -> None:
    process = await house.process()
    await house.time_and_price()
    await until(lambda: not process.app.not_ready(), "the executor to be ready")
    seen = process.bus.published
    # PLANNED, SENT and their journal go out; the process dies with the venue's acknowledgement in its hands.
    await house.permit("live-1", worst="1000000")
    await until(lambda: OrderState.SENT in house.states("live-1"), "the order to be sent")
    process.bus.die_at, process.bus.reached = process.bus.published + 1, reached
    assert process.bus.die_at > seen
    probe = house.trading()[ACCOUNT]
    async with asyncio.timeout(10):
        while not await probe.open_positions():  # noqa: ASYNC110 - only the venue knows
            await asyncio.sleep(0.05)
    await until(lambda: process.bus.dead, "the process to die")
    process.bus.dead = True
    for task in list(process.tasks):
        task.cancel()
    await process.bus.close()
    next_life(monkeypatch)
    again = await house.process()
    await house.time_and_price()
    await until(lambda: OrderState.FILLED in house.states("live-1"), "the resolver to find the buy", 20)
    assert OrderState.UNRESOLVED in house.states("live-1")
    assert len(await probe.open_positions()) == 1
    (fill,) = ledger(house.broker, Fill)
    assert fill.quantity == D(10)
    cash, _ = await probe.balance()
    assert ledger(house.broker, AccountState)[-1].balance == cash
    await probe.aclose()
    await again.stop()


async def test_positions_that_the_ledger_does_not_know_are_counted_and_left_alone(house: House) -> None:
    stranger = house.trading()[ACCOUNT]
    order = w.World(w.config(Mode.LIVE)).open_market().give(w.permit(worst="1000000"))[0]
    assert isinstance(order, Order)
    await stranger.submit(order, house.instrument)
    process = await house.process()
    await house.time_and_price()
    await until(lambda: bool(ledger(house.broker, Reconciliation)), "the account to be taken up", 20)
    (held,) = await stranger.open_positions()
    (baseline,) = ledger(house.broker, Reconciliation)
    cash, _ = await stranger.balance()
    assert (baseline.kind, baseline.unknown) == (ReconciliationKind.BASELINE, (held.id,))
    assert baseline.assets == {"USD": cash}
    assert metrics.STRANGERS.labels(ACCOUNT)._value.get() == 1
    assert ledger(house.broker, Fill) == []
    assert len(await stranger.open_positions()) == 1
    await stranger.aclose()
    await process.stop()


async def test_a_rise_of_three_ticks_settles_at_the_venue_and_is_booked(house: House) -> None:
    process = await house.process(product="rise_fall", duration=3)
    await house.time_and_price()
    await house.permit("live-1", worst="1000000")
    await until(lambda: len(ledger(house.broker, Fill)) == 2, "the contract to settle", 25)
    await until(lambda: not ledger(house.broker, Position)[-1].is_open, "the position to close")
    cash, _ = await house.trading()[ACCOUNT].balance()
    assert ledger(house.broker, AccountState)[-1].balance == cash
    await process.stop()
