"""What the stage does with permits: plans the good ones, records why it refuses the others."""

from __future__ import annotations

from decimal import Decimal as D

import execute_world as w
import msgspec
import pytest

from libs.core.types import (
    SECOND,
    Action,
    ControlKind,
    Durable,
    Instrument,
    InstrumentKind,
    Mode,
    Order,
    OrderState,
    Permit,
    Side,
    TimePassed,
)


def refused(world: w.World, permit: Permit) -> Order:
    """The order that records a refusal."""
    out = world.give(permit)
    assert len(out) == 1
    order = out[0]
    assert isinstance(order, Order)
    assert (order.state, order.revision, order.permit_id) == (OrderState.REJECTED, 0, permit.id)
    return order


def test_a_good_permit_becomes_a_planned_order_that_cites_what_was_known() -> None:
    world = w.World().open_market()
    world.hand_over = False
    health = w.health(10, "deriv", "1HZ100V")
    tick = w.trade(20, 1000.5)
    world.give(health, tick)
    permit = w.permit(ms=20, stop="990", target="1020", worst="1002", ts_recv=77)
    (order,) = world.give(permit)
    assert isinstance(order, Order)
    assert (order.state, order.revision, order.intent_id) == (OrderState.PLANNED, 0, "intent-1")
    assert order.ticks == (tick.id, health.id)
    assert order.cause == (permit.id,)
    assert (order.stop_price, order.target_price, order.worst_price) == (D(990), D(1020), D(1002))
    assert (order.quantity, order.position_id, order.ts_recv) == (D(10), "intent-1", 77)


def test_unsigned_and_altered_permits_are_refused_without_touching_the_real_intent() -> None:
    world = w.World(verifier=lambda permit: None if permit.signature == b"good" else "altered").open_market()
    unsigned = refused(world, w.permit(signature=b""))
    altered = refused(world, w.permit(signature=b"forged"))
    assert unsigned.reason.startswith("unsigned:")
    assert altered.reason.startswith("altered:")
    assert "intent-1" not in (unsigned.intent_id, altered.intent_id)
    world.give(w.permit())
    assert world.states("intent-1")[0] is OrderState.PLANNED


def test_foreign_accounts_are_refused() -> None:
    world = w.World().open_market()
    assert refused(world, w.permit(account="somebody")).reason.startswith("foreign:")
    assert refused(world, w.permit("i2", account="binance-paper")).reason.startswith("foreign:")


def test_a_used_intent_is_refused_and_the_same_permit_again_is_silent() -> None:
    world = w.World().open_market()
    world.give(w.permit())
    assert world.give(w.permit()) == []
    second = w.permit(quantity="20")
    order = refused(world, second)
    assert order.reason.startswith("used:")
    assert order.intent_id != "intent-1"
    assert world.give(second) == []


def test_a_permit_expires_by_the_clock_of_its_own_venue() -> None:
    world = w.World().open_market()
    world.give(w.clock(60_000, "binance"))
    world.hand_over = False
    assert world.give(w.permit("in-time"))[0].state is OrderState.PLANNED  # type: ignore[attr-defined]
    world.give(w.clock(5_001, "deriv"))
    order = refused(world, w.permit("late"))
    assert order.reason == "expired: 0.001 s after its end in data time"
    assert order.intent_id == "late"


def test_in_a_fast_replay_a_permit_expires_only_when_the_machine_agrees() -> None:
    world = w.World().open_market()
    world.give(w.clock(60_000, "deriv", machine=1_000 * SECOND))
    world.hand_over = False
    young = w.permit("young", ts_recv=999 * SECOND)
    assert world.give(young)[0].state is OrderState.PLANNED  # type: ignore[attr-defined]
    assert refused(world, w.permit("old", ts_recv=995 * SECOND)).reason.startswith("expired:")


def test_a_planned_order_that_expires_before_the_hand_over_is_cancelled() -> None:
    world = w.World().open_market()
    world.hand_over = False
    world.give(w.permit(), w.clock(6_000, "deriv"))
    world.give(Durable(id="d", ts_event=0, intent_id="intent-1"))
    assert world.states("intent-1") == [OrderState.PLANNED, OrderState.CANCELLED]
    assert world.last_order().reason == "expired before it was sent"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"symbol": "UNKNOWN"}, "instrument:"),
        ({"quantity": "0.5"}, "quantity:"),
    ],
)
def test_what_cannot_be_traded_is_refused_under_its_own_intent(change: dict[str, str], code: str) -> None:
    world = w.World().open_market()
    order = refused(world, w.permit(**change))  # type: ignore[arg-type]
    assert order.reason.startswith(code)
    assert order.intent_id == "intent-1"


def test_a_verdict_that_refuses_or_speaks_of_another_intent_gives_no_right() -> None:
    world = w.World().open_market()
    good = w.permit()
    rejecting = msgspec.structs.replace(good, verdict=msgspec.structs.replace(good.verdict, approved=False))
    assert refused(world, rejecting).reason.startswith("verdict:")


def test_data_only_symbols_are_refused() -> None:
    world = w.World().open_market()
    only: Instrument = msgspec.structs.replace(w.V100, kind=InstrumentKind.QUOTE_ONLY)
    world.give(only)
    assert refused(world, w.permit()).reason.startswith("instrument:")


def test_spot_is_never_sold_short() -> None:
    world = w.World().open_market()
    order = refused(world, w.permit(instrument=w.BTC, side=Side.SELL, quantity="0.01"))
    assert order.reason.startswith("short:")


@pytest.mark.parametrize("kind", [ControlKind.HALT, ControlKind.REDUCE_ONLY])
@pytest.mark.parametrize("scope", ["*", "1HZ100V", "ema_trend", "deriv-paper"])
def test_halted_scopes_refuse_entries_until_rearmed(kind: ControlKind, scope: str) -> None:
    world = w.World().open_market()
    world.give(w.control(kind, scope))
    assert refused(world, w.permit()).reason.startswith("halted:")
    world.give(w.control(ControlKind.REARM, scope, "c2"))
    world.give(w.permit("intent-2"))
    assert world.states("intent-2")[0] is OrderState.PLANNED


def test_a_halt_of_another_symbol_refuses_nothing() -> None:
    world = w.World().open_market()
    world.give(w.control(ControlKind.HALT, "R_100"), w.permit())
    assert world.states("intent-1")[0] is OrderState.PLANNED


def test_a_halt_cancels_an_entry_that_is_planned_but_not_sent() -> None:
    world = w.World().open_market()
    world.hand_over = False
    world.give(w.permit(), w.control(ControlKind.HALT))
    assert world.states("intent-1") == [OrderState.PLANNED, OrderState.CANCELLED]
    assert world.give(Durable(id="d", ts_event=0, intent_id="intent-1")) == []


def test_exits_pass_a_halt_and_must_name_an_open_position() -> None:
    world = w.World().open_market()
    world.give(w.permit(), w.trade(200, 1000.0), w.control(ControlKind.HALT))
    wrong = w.permit("x1", action=Action.EXIT, side=Side.SELL, position_id="nothing")
    assert refused(world, wrong).reason.startswith("position:")
    same_side = w.permit("x2", action=Action.EXIT, side=Side.BUY, position_id="intent-1")
    assert refused(world, same_side).reason.startswith("position:")
    world.give(w.permit("x3", action=Action.EXIT, side=Side.SELL, position_id="intent-1"))
    twice = w.permit("x4", action=Action.EXIT, side=Side.SELL, position_id="intent-1")
    assert refused(world, twice).reason == "position: its exit is under way"
    world.give(w.trade(400, 1000.0))
    assert world.positions[-1].quantity == 0


def test_before_the_venue_has_told_the_time_nothing_is_accepted() -> None:
    world = w.World()
    world.give(w.V100)
    assert refused(world, w.permit()).reason.startswith("clock:")


def test_without_evidence_nothing_enters_with_live_money() -> None:
    world = w.World(w.config(Mode.LIVE, accept_exploring=False)).open_market()
    assert refused(world, w.permit()).reason.startswith("evidence:")
    smallest = w.permit("intent-2", quantity=str(w.V100.min_qty))
    assert world.give(smallest)[0].state is OrderState.PLANNED


def test_time_that_passes_opens_the_books_once() -> None:
    world = w.World()
    passed = TimePassed(id="tp", ts_event=w.T0, venue="deriv")
    (state,) = world.give(passed)
    assert (state.balance, state.equity, state.day) == (D(10_000), D(10_000), w.T0 // (86_400 * SECOND))  # type: ignore[attr-defined]
    assert world.give(passed) == []
