"""Live mode against the simulator's Deriv: bought, watched, sold, and found again in the venue's books after a kill."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal as D
from pathlib import Path

import execute_world as w
import pytest
from execute_house import DERIV, OPTIONS, House, cut_off, house_at, total
from execute_service import Process, ledger, next_life, until

from libs.core.types import (
    AccountState,
    Action,
    ControlKind,
    Fill,
    Mode,
    Order,
    OrderState,
    Position,
    Reconciliation,
    ReconciliationKind,
    Side,
)
from services.execute import metrics

ACCOUNT = "deriv-live"


@pytest.fixture
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    """A running simulator with 1HZ100V, spoken to in the older API unless a test asks for the other."""
    async with house_at(getattr(request, "param", DERIV), tmp_path) as made:
        yield made


@pytest.mark.parametrize("house", [DERIV, OPTIONS], ids=["v3", "options"], indirect=True)
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
    cash, _ = await house.trading().balance()
    last = ledger(house.broker, AccountState)[-1]
    assert last.balance == last.equity == cash
    assert last.balance == D(10_000) + total(ledger(house.broker, Fill))
    await house.agrees(process)
    assert process.failed == []
    await process.stop()
    assert house.replays_equal() > 10


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
    probe = house.trading()
    async with asyncio.timeout(10):
        while not await probe.open_positions():  # noqa: ASYNC110 - only the venue knows
            await asyncio.sleep(0.05)
    await cut_off(process)
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
    stranger = house.trading()
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


async def test_an_account_in_another_currency_ends_the_start_in_one_line(house: House) -> None:
    accounts = tuple(row.model_copy(update={"currency": "EUR"}) for row in house.settings.trading.accounts)
    trading = house.settings.trading.model_copy(update={"accounts": accounts})
    settings = house.settings.model_copy(update={"trading": trading})
    process = Process(house.broker, settings, house.var, tradings={ACCOUNT: house.trading()})
    await process.app.start()
    await until(lambda: bool(process.failed), "the start to end", 20)
    assert str(process.failed[0]) == f"account {ACCOUNT} is in USD at the venue; set its currency, not EUR"
    await process.stop()


async def test_a_rise_of_three_ticks_settles_at_the_venue_and_is_booked(house: House) -> None:
    process = await house.process(product="rise_fall", duration=3)
    await house.time_and_price()
    await house.permit("live-1", worst="1000000")
    await until(lambda: len(ledger(house.broker, Fill)) == 2, "the contract to settle", 25)
    await until(lambda: not ledger(house.broker, Position)[-1].is_open, "the position to close")
    cash, _ = await house.trading().balance()
    assert ledger(house.broker, AccountState)[-1].balance == cash
    await process.stop()


@pytest.mark.parametrize("house", [DERIV, OPTIONS], ids=["v3", "options"], indirect=True)
async def test_a_contract_bought_behind_our_back_halts_the_account_until_it_is_rearmed(house: House) -> None:
    process = await house.process()
    await house.time_and_price()
    await house.taken_up()
    stranger = house.trading()
    order = w.World(w.config(Mode.LIVE)).open_market().give(w.permit(worst="1000000"))[0]
    assert isinstance(order, Order)
    await stranger.submit(order, house.instrument)
    (held,) = await stranger.open_positions()
    await stranger.aclose()
    live = process.app._live
    assert live is not None
    await live.compare()
    (halt,) = house.commands()
    assert (halt.kind, halt.scope, halt.actor) == (ControlKind.HALT, ACCOUNT, "reconciliation")
    assert f"contract {held.id} is not in the ledger" in halt.reason
    assert ledger(house.broker, Reconciliation)[-1].unknown == (held.id,)
    await house.permit("live-1", worst="1000000")
    assert await house.ended("live-1") is OrderState.REJECTED
    assert "halt is in force" in ledger(house.broker, Order)[-1].reason
    await house.bus.publish_durable(w.control(ControlKind.REARM, ACCOUNT, "rearm"))
    await until(lambda: house.compared()[-1] is ReconciliationKind.BASELINE, "the difference to be taken as it is", 20)
    assert "test (cli)" in ledger(house.broker, Reconciliation)[-1].detail
    await house.agrees(process)
    await house.permit("live-2", worst="1000000")
    assert await house.ended("live-2") is OrderState.FILLED
    await process.stop()
