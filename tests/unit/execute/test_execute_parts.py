"""Spot orders at a live venue: executed in parts, in any order, with fees in any asset, and remains nobody takes."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import execute_world as w
import pytest

from libs.core.portfolio.accounting import AccountBook
from libs.core.portfolio.holding import Holding
from libs.core.types import (
    SECOND,
    AccountState,
    Action,
    ControlKind,
    Mode,
    Order,
    OrderState,
    ReportKind,
    Side,
    VenueReport,
)

ACCOUNT = "binance-paper"
S = OrderState


def report(kind: ReportKind, intent: str = "in", name: str = "", **fields: Any) -> VenueReport:
    """A venue's word."""
    fields = {"ts_event": w.T0 + SECOND, "venue_order_id": f"v-{intent}"} | fields
    return VenueReport(id=name or f"{kind}-{intent}-{fields.get('trade_id')}", kind=kind, intent_id=intent, **fields)


def fill(trade: str, quantity: str, price: str = "50000", intent: str = "in", **fields: Any) -> VenueReport:
    """One execution."""
    return report(ReportKind.FILLED, intent, trade_id=trade, quantity=D(quantity), price=D(price), **fields)


def cancelled(intent: str = "in") -> VenueReport:
    """What was left of it has expired."""
    return report(ReportKind.CANCELLED, intent, detail="expired")


@pytest.fixture
def world() -> w.World:
    """A live stage with an order on its way for 0.01 BTC at 50,001 at most."""
    made = w.World(w.config(Mode.LIVE)).open_market()
    made.give(w.permit("in", instrument=w.BTC, quantity="0.01", worst="50001", stop="49000"))
    return made


def book(world: w.World) -> AccountBook:
    """The account."""
    return world.stage.state.books[ACCOUNT]


def holding(world: w.World) -> Holding:
    """Its one position."""
    (held,) = book(world).holdings.values()
    return held


def sell(world: w.World, name: str = "out", quantity: str = "1") -> Order:
    """Ask for the exit of the position; the order that came of it."""
    world.give(
        w.permit(name, instrument=w.BTC, side=Side.SELL, action=Action.EXIT, position_id="in", quantity=quantity)
    )
    return next(order for order in world.of(Order) if order.intent_id == name)


def test_an_entry_in_parts_is_one_position_at_the_average_price(world: w.World) -> None:
    world.give(fill("1", "0.004", "50000"), fill("2", "0.006", "50001"))
    assert world.states("in")[-3:] == [S.ACKNOWLEDGED, S.PARTLY_FILLED, S.FILLED]
    assert (holding(world).quantity, holding(world).entry_price) == (D("0.01"), D("50000.6"))
    last = world.of(Order)[-1]
    assert (last.filled, last.average_price) == (D("0.01"), D("50000.6"))
    assert [position.revision for position in world.positions] == [0, 1]
    assert world.of(AccountState)[-1].balance == D(10_000) - D("500.006")
    assert world.of(AccountState)[-1].trades_today == 1
    assert book(world).moved == {"USDT": D("-500.006"), "BTC": D("0.01")}


def test_what_was_filled_before_a_cancel_stays_a_position(world: w.World) -> None:
    world.give(fill("1", "0.004"), cancelled())
    assert world.of(Order)[-1].state is S.CANCELLED
    assert world.of(Order)[-1].filled == D("0.004")
    assert holding(world).quantity == D("0.004")
    assert "in" not in world.stage.state.working


@pytest.mark.parametrize(
    "told",
    [
        [fill("1", "0.004"), report(ReportKind.ACKNOWLEDGED), cancelled()],
        [cancelled(), fill("1", "0.004"), report(ReportKind.ACKNOWLEDGED)],
        [report(ReportKind.UNRESOLVED), fill("1", "0.004"), cancelled()],
        [report(ReportKind.UNRESOLVED), cancelled(), fill("1", "0.004")],
        [fill("1", "0.004"), report(ReportKind.UNRESOLVED), report(ReportKind.ACKNOWLEDGED), cancelled()],
        [fill("1", "0.004"), report(ReportKind.REJECTED)],
    ],
)
def test_reports_in_any_order_end_alike(world: w.World, told: list[VenueReport]) -> None:
    world.give(*told)
    again = world.give(*told)
    assert again == []
    order = world.of(Order)[-1]
    assert (order.state, order.filled, order.average_price) == (S.CANCELLED, D("0.004"), D(50_000))
    assert holding(world).quantity == D("0.004")
    assert book(world).moved == {"USDT": D(-200), "BTC": D("0.004")}


def test_a_part_does_not_end_the_doubt_about_the_rest(world: w.World) -> None:
    world.give(report(ReportKind.UNRESOLVED), fill("1", "0.004"))
    assert world.of(Order)[-1].state is S.UNRESOLVED
    world.give(w.permit("other", instrument=w.BTC, quantity="0.01", worst="50001"))
    assert world.last_order().reason.startswith("unresolved:")
    world.give(fill("2", "0.006"))
    assert world.states("in")[-1] is S.FILLED
    world.give(w.permit("third", instrument=w.BTC, quantity="0.01", worst="50001"))
    assert world.last_order().state is S.SENT


def test_an_unresolved_order_blocks_the_symbol_for_its_own_account_only() -> None:
    other = w.ExecuteAccount(id="second", venue="binance", currency="USDT", capital=D(10_000))
    plain = w.config(Mode.LIVE)
    world = w.World(w.config(Mode.LIVE))
    world.stage = w.ExecuteStage(
        w.ExecuteConfig(accounts=(*plain.accounts, other), mode=Mode.LIVE, costs=plain.costs), w.trust_signed
    )
    world.open_market()
    world.give(w.permit("in", instrument=w.BTC, quantity="0.01", worst="50001"), report(ReportKind.UNRESOLVED))
    world.give(w.permit("mine", instrument=w.BTC, quantity="0.01", worst="50001"))
    assert world.states("mine") == [S.REJECTED]
    world.give(w.permit("theirs", instrument=w.BTC, quantity="0.01", worst="50001", account="second"))
    assert world.states("theirs") == [S.PLANNED, S.SENT]


def test_a_fee_in_the_base_asset_comes_out_of_the_position(world: w.World) -> None:
    world.give(fill("1", "0.01", fee=D("0.00001"), fee_asset="BTC"))
    (entry,) = world.fills
    assert (entry.fee, entry.fee_asset, entry.fee_quantity) == (D("0.5"), "BTC", D("0.00001"))
    assert entry.realised == D("-0.5")
    assert holding(world).quantity == D("0.00999")
    assert book(world).balance == D(9_500)
    assert book(world).moved == {"USDT": D(-500), "BTC": D("0.00999")}
    assert sell(world).quantity == D("0.00999")
    world.give(fill("2", "0.00999", "50000", "out", fee=D("0.4995")))
    assert sum(deal.realised for deal in world.fills) == D("-0.9995")
    assert book(world).balance == D("9999.0005")
    assert book(world).moved == {"USDT": D("-0.9995"), "BTC": D(0)}


def test_a_fee_in_the_account_currency_is_paid_in_cash(world: w.World) -> None:
    world.give(fill("1", "0.01", fee=D("0.5"), fee_asset="USDT"))
    (entry,) = world.fills
    assert (entry.fee, entry.fee_asset, entry.fee_quantity) == (D("0.5"), "", D(0))
    assert book(world).moved == {"USDT": D("-500.5"), "BTC": D("0.01")}


def test_a_fee_in_a_third_asset_is_paid_from_beside_the_book(world: w.World) -> None:
    world.give(fill("1", "0.01", fee=D("0.0007"), fee_asset="BNB"))
    (entry,) = world.fills
    assert (entry.fee, entry.fee_asset, entry.fee_quantity, entry.realised) == (D(0), "BNB", D("0.0007"), D(0))
    assert holding(world).quantity == D("0.01")
    assert book(world).moved == {"USDT": D(-500), "BTC": D("0.01"), "BNB": D("-0.0007")}


def test_a_sale_in_parts_leaves_a_position_until_the_last_one(world: w.World) -> None:
    world.give(fill("1", "0.01"))
    sell(world)
    world.give(fill("2", "0.004", "50100", "out"))
    assert holding(world).quantity == D("0.006")
    assert holding(world).exit_intent == "out"
    world.give(fill("3", "0.006", "50200", "out"))
    assert world.states("out")[-2:] == [S.PARTLY_FILLED, S.FILLED]
    assert book(world).holdings == {}
    assert sum(deal.realised for deal in world.fills) == D("1.6")
    assert book(world).balance == D("10001.6")


def test_what_a_sale_left_is_sold_by_the_next_one(world: w.World) -> None:
    world.give(fill("1", "0.01"))
    sell(world)
    world.give(fill("2", "0.004", "50100", "out"), cancelled("out"))
    assert world.states("out")[-1] is S.CANCELLED
    assert holding(world).exit_intent == ""
    assert sell(world, "out-2").quantity == D("0.006")


def test_remains_that_cannot_be_sold_end_the_position_and_stay_at_the_venue(world: w.World) -> None:
    world.give(fill("1", "0.01", fee=D("0.0000015"), fee_asset="BTC"))
    order = sell(world)
    assert order.quantity == D("0.00999")
    world.give(fill("2", "0.00999", "50000", "out"))
    remains = world.fills[-1]
    assert (remains.price, remains.quantity, remains.base_asset) == (D(0), D("0.0000085"), "")
    assert "0.0000085 BTC left" in remains.reason
    assert remains.realised == D("-0.425")
    assert book(world).holdings == {}
    assert not world.positions[-1].is_open
    assert book(world).moved["BTC"] == D("0.0000085")
    assert book(world).balance == D(10_000) + sum(deal.realised for deal in world.fills)


def test_a_position_below_the_venues_minimum_is_written_off_when_it_is_to_be_closed(world: w.World) -> None:
    world.give(fill("1", "0.00005"), cancelled())
    refused = sell(world)
    assert refused.state is S.REJECTED
    assert "can be sold" in refused.reason
    assert book(world).holdings == {}
    assert book(world).moved == {"USDT": D("-2.5"), "BTC": D("0.00005")}


def test_an_execution_told_after_the_position_was_closed_opens_it_again_with_new_revisions(world: w.World) -> None:
    world.give(fill("1", "0.004"), cancelled())
    sell(world)
    world.give(fill("2", "0.004", "50000", "out"))
    assert book(world).holdings == {}
    world.give(fill("3", "0.006"))
    assert holding(world).quantity == D("0.006")
    assert holding(world).stop_price == D(49_000)
    revisions = [position.revision for position in world.positions]
    assert revisions == sorted(set(revisions))
    assert book(world).trades_today == 1
    world.give(w.quote(5_000, 48_999, 49_000))
    assert world.last_order().reason == "stop at 49000"


def test_more_sold_than_the_position_held_is_booked_as_the_venue_tells_it(world: w.World) -> None:
    world.give(fill("1", "0.01"))
    sell(world)
    world.give(fill("2", "0.02", "50000", "out"))
    assert book(world).holdings == {}
    assert book(world).moved == {"USDT": D(500), "BTC": D("-0.01")}
    assert book(world).balance == D(10_500)


def test_a_sale_told_after_the_rest_was_written_off_is_booked(world: w.World) -> None:
    world.give(fill("1", "0.01"))
    sell(world)
    world.give(fill("2", "0.00995", "50000", "out"), cancelled("out"))
    assert world.fills[-1].reason == "0.00005 BTC left, too little to be sold"
    world.give(fill("3", "0.00005", "50000", "out"))
    assert book(world).moved == {"USDT": D(0), "BTC": D(0)}
    assert book(world).balance == D(10_000)
    assert [position.is_open for position in world.positions[-2:]] == [False, False]
    assert world.states("out")[-1] is S.FILLED


def test_flatten_waits_for_what_is_still_filling_and_closes_all_of_it(world: w.World) -> None:
    world.give(fill("1", "0.004"), w.control(ControlKind.FLATTEN))
    first = world.last_order()
    assert (first.action, first.quantity) == (Action.EXIT, D("0.004"))
    world.give(fill("2", "0.006"))
    assert holding(world).exit_intent == first.intent_id
    world.give(fill("3", "0.004", "50000", first.intent_id))
    assert holding(world).quantity == D("0.006")
    world.give(w.quote(5_000, 50_000, 50_001))
    second = world.last_order()
    assert (second.action, second.quantity) == (Action.EXIT, D("0.006"))
    assert second.reason.startswith("flatten")


def test_a_refused_flatten_is_tried_again(world: w.World) -> None:
    world.give(fill("1", "0.01"), w.control(ControlKind.FLATTEN))
    first = world.last_order()
    world.give(report(ReportKind.REJECTED, first.intent_id, detail="busy"))
    assert world.give(w.quote(3_000, 50_000, 50_001)) == []
    world.give(w.quote(9_000, 50_000, 50_001))
    assert world.last_order().reason.startswith("flatten")
    assert world.last_order().intent_id != first.intent_id


def test_an_entry_flattened_on_its_way_is_closed_when_a_part_of_it_came(world: w.World) -> None:
    world.give(w.control(ControlKind.FLATTEN), fill("1", "0.004"), cancelled())
    assert (world.last_order().action, world.last_order().quantity) == (Action.EXIT, D("0.004"))


def test_an_execution_waits_until_the_instrument_is_known(world: w.World) -> None:
    """Without it a part of an asset would look like a whole contract."""
    view = world.stage._desk.view("binance", "BTCUSDT")
    known, view.instrument = view.instrument, None
    assert world.give(fill("1", "0.004")) == []
    view.instrument = known
    world.give(fill("1", "0.004"))
    assert world.states("in")[-1] is S.PARTLY_FILLED


def test_an_exit_carries_no_order_id_of_the_entry(world: w.World) -> None:
    """An asset has no id at the venue; a resolver that asked for the entry's order would find the wrong one."""
    world.give(fill("1", "0.01"))
    assert sell(world).venue_order_id == ""
