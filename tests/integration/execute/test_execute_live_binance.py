"""Live mode against the simulator's Binance: bought, sold, cut off, restarted, and every asset agrees at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal as D
from pathlib import Path

import aiohttp
import execute_world as w
import pytest
from execute_house import BINANCE, House, cut_off, house_at
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
    encode,
)
from services.simulator.binance import server as simulated

ACCOUNT = "binance-live"
ANY = "1000000"
"""A worst price that no price is beyond."""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A running simulator with BTCUSDT."""
    async with house_at(BINANCE, tmp_path) as made:
        yield made


async def opened(house: House) -> Process:
    """An executor that has taken the account up."""
    process = await house.process()
    await house.time_and_price()
    await until(
        lambda: process.app.not_ready() == [f"waiting for the first comparison of account {ACCOUNT} with its venue"],
        "the clock to be known",
    )
    await house.taken_up()
    await until(lambda: not process.app.not_ready(), "the executor to be ready")
    return process


async def sell(house: House, name: str, position: str = "live-1") -> None:
    """Close all of a position."""
    held = next(p for p in reversed(ledger(house.broker, Position)) if p.position_id == position)
    await house.permit(
        name, action=Action.EXIT, side=Side.SELL, position_id=position, quantity=str(held.quantity), worst="0"
    )


async def bought(house: House, name: str = "live-1") -> None:
    """A position."""
    await house.permit(name, worst=ANY, quantity="0.01")
    assert await house.ended(name) is OrderState.FILLED


async def test_a_round_trip_leaves_every_asset_where_the_ledger_expects_it(house: House) -> None:
    process = await opened(house)
    await bought(house)
    entry = ledger(house.broker, Position)[-1]
    await sell(house, "live-2")
    assert await house.ended("live-2") is OrderState.FILLED
    await until(lambda: not ledger(house.broker, Position)[-1].is_open, "the position to close")
    fills = ledger(house.broker, Fill)
    assert {fill.trade_id for fill in fills if fill.base_asset} == {fill.trade_id for fill in fills if fill.price}
    assert entry.quantity == sum(f.quantity - f.taken_in_kind for f in fills if f.action is Action.ENTER)
    last = ledger(house.broker, AccountState)[-1]
    assert last.balance == last.equity
    await house.agrees(process)
    assert process.failed == []
    await process.stop()


async def test_an_entry_larger_than_the_book_ends_with_what_it_got(house: House) -> None:
    """A limit at the best price takes the best level only; the rest expires and the part is a position."""
    process = await opened(house)
    best = D(str((await depth(house))["asks"][0][0]))
    await house.permit("live-1", worst=str(best), quantity="0.1")
    end = await house.ended("live-1")
    last = next(o for o in reversed(ledger(house.broker, Order)) if o.intent_id == "live-1")
    fills = ledger(house.broker, Fill)
    assert last.filled == sum((fill.quantity for fill in fills), D(0))
    assert end is (OrderState.FILLED if last.filled == last.quantity else OrderState.CANCELLED)
    assert all(fill.price <= best for fill in fills)
    await house.agrees(process)
    await process.stop()


@pytest.mark.parametrize("fault", ["timeout", "close", "internal"])
async def test_an_order_without_an_answer_ends_in_the_truth(house: House, fault: str) -> None:
    process = await opened(house)
    house.fault(fault, "order.place")
    await house.permit("live-1", worst=ANY, quantity="0.01")
    end = await house.ended("live-1", 40)
    assert end is OrderState.FILLED, "the private stream or the resolver tells what happened"
    await house.agrees(process)
    await process.stop()


@pytest.mark.parametrize("reached", [False, True])
async def test_a_buy_whose_answer_died_with_the_process_is_found_and_never_repeated(
    house: House, monkeypatch: pytest.MonkeyPatch, reached: bool
) -> None:
    process = await opened(house)
    probe = house.trading()
    before = await probe.balances()
    await house.permit("live-1", worst=ANY, quantity="0.01")
    await until(lambda: OrderState.SENT in house.states("live-1"), "the order to be sent")
    process.bus.die_at, process.bus.reached = process.bus.published + 1, reached
    async with asyncio.timeout(20):
        while await probe.balances() == before:  # noqa: ASYNC110 - only the venue knows
            await asyncio.sleep(0.05)
    await cut_off(process)
    # The stream forgets instruments within a day; the bucket does not.
    house.broker.messages["MARKET"].clear()
    await house.bus.kv_put("instruments", "binance.BTCUSDT", encode(house.instrument))
    next_life(monkeypatch)
    again = await house.process()
    await house.time_and_price()
    assert await house.ended("live-1", 40) is OrderState.FILLED
    assert OrderState.UNRESOLVED in house.states("live-1")
    fills = ledger(house.broker, Fill)
    assert sum((fill.quantity for fill in fills), D(0)) == D("0.01")
    assert len({fill.trade_id for fill in fills}) == len(fills)
    await house.agrees(again)
    assert (await probe.balances())["BTC"] - before["BTC"] == sum(f.quantity - f.taken_in_kind for f in fills)
    assert house.compared() == [ReconciliationKind.BASELINE], "the baseline of the first life is found again"
    await sell(house, "live-2")
    assert await house.ended("live-2") is OrderState.FILLED
    await house.agrees(again)
    await probe.aclose()
    await again.stop()


async def test_what_was_recorded_replays_equal(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    process = await opened(house)
    house.fault("internal", "order.place")
    await bought(house)
    await process.stop()
    next_life(monkeypatch)
    again = await house.process()
    await house.time_and_price()
    await sell(house, "live-2")
    assert await house.ended("live-2") is OrderState.FILLED
    await house.agrees(again)
    await again.stop()
    assert house.replays_equal() > 15


async def test_an_order_placed_behind_our_back_halts_the_account(house: House) -> None:
    process = await opened(house)
    stranger = house.trading()
    order = (
        w.World(w.config(Mode.LIVE))
        .open_market()
        .give(w.permit("stranger", instrument=w.BTC, quantity="0.02", worst=ANY))[0]
    )
    assert isinstance(order, Order)
    await stranger.submit(order, house.instrument)
    live = process.app._live
    assert live is not None
    await live.compare()
    (halt,) = house.commands()
    assert (halt.kind, halt.scope, halt.actor) == (ControlKind.HALT, ACCOUNT, "reconciliation")
    assert live.states()[ACCOUNT]["ledger"] == "different"
    await house.permit("live-1", worst=ANY, quantity="0.01")
    assert await house.ended("live-1") is OrderState.REJECTED
    await live.compare()
    assert len(house.commands()) == 1, "one difference halts once"
    assert house.compared() == [ReconciliationKind.BASELINE, ReconciliationKind.DIFFERENCE]
    await house.bus.publish_durable(w.control(ControlKind.REARM, ACCOUNT, "rearm"))
    await until(lambda: len(house.compared()) == 3, "the difference to be taken as it is", 20)
    await house.agrees(process)
    await bought(house, "live-2")
    await house.agrees(process)
    await stranger.aclose()
    await process.stop()


async def test_a_deposit_is_told_and_halts_nothing(house: House) -> None:
    process = await opened(house)
    live = process.app._live
    assert live is not None
    await until(lambda: live.states()[ACCOUNT]["private_stream"] == "open", "the private stream", 20)
    house.simulator.binance.exchange.deposit(simulated.ACCOUNT, "USDT", D(500))
    await until(lambda: ReconciliationKind.TRANSFER in house.compared(), "the deposit to be told", 20)
    told = ledger(house.broker, Reconciliation)[-1]
    assert told.assets == {"USDT": D(500)}
    await house.agrees(process)
    last = ledger(house.broker, AccountState)[-1]
    assert last.balance == last.peak_equity == last.day_start_equity
    await process.stop()
    assert house.replays_equal()


async def depth(house: House) -> dict[str, list[list[str]]]:
    """The book at the venue."""
    url = f"{house.facts['binance_rest_url']}/api/v3/depth"
    async with aiohttp.ClientSession() as session, session.get(url, params={"symbol": "BTCUSDT", "limit": "5"}) as got:
        body: dict[str, list[list[str]]] = await got.json()
        return body
