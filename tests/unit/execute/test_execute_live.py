"""Live mode: the shell sends, the venue reports, and the stage keeps the account true to what the venue said."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import execute_world as w
import pytest

from libs.core.types import (
    SECOND,
    AccountState,
    Action,
    ControlKind,
    Mode,
    OrderState,
    ReportKind,
    Side,
    VenueReport,
)


def report(kind: ReportKind, intent: str = "intent-1", name: str = "", **fields: Any) -> VenueReport:
    """A venue's word."""
    fields = {"ts_event": w.T0 + SECOND} | fields
    return VenueReport(id=name or f"{kind}-{intent}", kind=kind, intent_id=intent, **fields)


def bought(intent: str = "intent-1", contract: str = "555") -> list[VenueReport]:
    """A buy of stake 10 at 1000.5 with commission 0.36."""
    return [
        report(ReportKind.ACKNOWLEDGED, intent, venue_order_id=contract),
        report(
            ReportKind.FILLED,
            intent,
            venue_order_id=contract,
            trade_id=f"b-{intent}",
            price=D("1000.50"),
            quantity=D(10),
            fee=D("0.36"),
        ),
    ]


@pytest.fixture
def world() -> w.World:
    """A live stage with an entry that was sent."""
    made = w.World(w.config(Mode.LIVE)).open_market()
    made.give(w.permit(stop="993"))
    return made


def test_a_live_order_is_sent_and_prices_do_not_fill_it(world: w.World) -> None:
    world.give(w.trade(500, 1000.0))
    assert world.states("intent-1") == [OrderState.PLANNED, OrderState.SENT]


def test_reports_become_fill_position_and_account(world: w.World) -> None:
    world.give(*bought())
    assert world.states("intent-1")[1:] == [OrderState.SENT, OrderState.ACKNOWLEDGED, OrderState.FILLED]
    position = world.positions[-1]
    assert (position.entry_price, position.venue_position_id) == (D("1000.50"), "555")
    assert world.of(AccountState)[-1].balance == D(9990)
    assert world.fills[0].realised == D("-0.36")


def test_reports_again_change_nothing(world: w.World) -> None:
    world.give(*bought())
    assert world.give(*bought()) == []


def test_a_stop_fires_locally_and_the_sale_books_the_venues_money(world: w.World) -> None:
    world.give(*bought())
    world.give(w.trade(2_000, 992.0))
    exit_ = world.last_order()
    assert (exit_.state, exit_.venue_order_id, exit_.reason) == (OrderState.SENT, "555", "stop at 993")
    sale = report(ReportKind.FILLED, exit_.intent_id, trade_id="s1", price=D("991.9"), proceeds=D("1.05"))
    world.give(sale)
    assert sum(fill.realised for fill in world.fills) == D("1.05") - D(10)
    assert world.of(AccountState)[-1].balance == D("9991.05")
    assert world.positions[-1].quantity == 0


def test_a_contract_that_the_venue_closed_is_booked_with_its_reason(world: w.World) -> None:
    world.give(*bought())
    closed = report(ReportKind.CLOSED, "", venue_order_id="555", trade_id="s1", proceeds=D(0), detail="sold")
    world.give(closed)
    assert world.fills[-1].reason == "closed by the venue: sold"
    assert world.of(AccountState)[-1].balance == D(9990)
    assert world.give(closed) == []


def test_a_sale_reported_both_ways_is_booked_once(world: w.World) -> None:
    world.give(*bought())
    world.give(w.permit("x", action=Action.EXIT, side=Side.SELL, position_id="intent-1"))
    world.give(report(ReportKind.CLOSED, "", venue_order_id="555", trade_id="s1", proceeds=D(11)))
    world.give(report(ReportKind.FILLED, "x", trade_id="s1", proceeds=D(11)))
    assert len(world.fills) == 2
    assert world.states("x")[-1] is OrderState.FILLED
    assert world.of(AccountState)[-1].balance == D(10_001)


def test_an_unresolved_order_blocks_its_symbol_until_the_venue_has_answered(world: w.World) -> None:
    world.give(report(ReportKind.UNRESOLVED, detail="no answer"))
    world.give(w.permit("intent-2"))
    assert world.last_order().reason.startswith("unresolved:")
    world.give(w.permit("intent-3", instrument=w.BTC, quantity="0.01"))
    assert world.states("intent-3") == [OrderState.PLANNED, OrderState.SENT]
    world.give(report(ReportKind.REJECTED, detail="never placed"))
    assert world.states("intent-1")[-1] is OrderState.REJECTED
    world.give(w.permit("intent-4"))
    assert world.states("intent-4") == [OrderState.PLANNED, OrderState.SENT]


def test_an_unresolved_order_can_turn_out_to_be_filled(world: w.World) -> None:
    world.give(report(ReportKind.UNRESOLVED), *bought())
    assert world.positions[-1].quantity == D(10)


def test_a_refused_exit_gives_the_position_a_new_revision_and_is_tried_again_later(world: w.World) -> None:
    world.give(*bought())
    world.give(w.trade(2_000, 992.0))
    first = world.last_order()
    world.give(report(ReportKind.REJECTED, first.intent_id, detail="busy"))
    assert world.give(w.trade(3_000, 992.0)) == []
    world.give(w.trade(8_000, 992.0))
    second = world.last_order()
    assert second.intent_id != first.intent_id
    assert second.state is OrderState.SENT


def test_flatten_reaches_an_entry_that_was_on_its_way(world: w.World) -> None:
    world.give(w.control(ControlKind.FLATTEN))
    world.give(*bought())
    exit_ = world.last_order()
    assert (exit_.action, exit_.state) == (Action.EXIT, OrderState.SENT)


def test_a_report_without_a_price_takes_the_newest_one_known(world: w.World) -> None:
    world.give(report(ReportKind.FILLED, venue_order_id="9", trade_id="b", quantity=D(10), fee=D("0.36")))
    assert world.fills[0].price == D(1000)
