"""The state rebuilt from the ledger: what a crash between two publishes left behind, and what it must not revive."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal as D
from pathlib import Path

import execute_world as w
import msgspec
import pytest

from libs.common.keys import PUBLIC_FOLDER, Signer, Verifier, keys_folder, make_keys
from libs.core.stages.execute import build
from libs.core.stages.execute_ledger import LedgerFold, is_known
from libs.core.stages.execute_state import ExecuteState
from libs.core.types import (
    AccountState,
    Action,
    Control,
    ControlKind,
    Event,
    Fill,
    Mode,
    Order,
    OrderState,
    Permit,
    Position,
    ReportKind,
    Side,
    VenueReport,
    decode,
)


def fold(events: Iterable[Event], mode: Mode = Mode.PAPER) -> ExecuteState:
    """The state after a ledger."""
    made = LedgerFold(w.config(mode))
    for event in events:
        made.take(event)
    return made.finish()


def ledger_of(world: w.World, *given: Event) -> list[Event]:
    """Permits and commands that were given, and all that came of them."""
    return [*given, *world.out]


def test_what_follows_from_a_fill_is_made_up_when_the_crash_came_first() -> None:
    world = w.World().open_market()
    permit = w.permit()
    world.give(permit, w.trade(200, 1000.0))
    whole = ledger_of(world, permit)
    cut = next(n for n, event in enumerate(whole) if isinstance(event, Fill)) + 1
    state = fold(whole[:cut])
    kinds = [type(decode(lost)) for lost in state.unsent]
    assert kinds == [Order, Position, AccountState]
    assert [decode(lost).id for lost in state.unsent] == [event.id for event in whole[cut : cut + 3]]
    assert fold(whole).unsent == []


def test_an_order_called_filled_without_its_fill_still_waits() -> None:
    world = w.World().open_market()
    permit = w.permit()
    world.give(permit, w.trade(200, 1000.0))
    without = [event for event in ledger_of(world, permit) if not isinstance(event, Fill | Position)]
    state = fold(without)
    assert state.working["intent-1"].order.state is OrderState.ACKNOWLEDGED
    assert state.books["deriv-paper"].holdings == {}


def test_a_live_order_called_filled_without_its_fill_must_be_asked_for() -> None:
    world = w.World(w.config(Mode.LIVE)).open_market()
    permit = w.permit()
    filled = VenueReport(
        id="r",
        ts_event=w.T0,
        kind=ReportKind.FILLED,
        intent_id="intent-1",
        venue_order_id="5",
        price=D(1000),
        quantity=D(10),
        fee=D("0.36"),
    )
    world.give(permit, filled)
    whole = ledger_of(world, permit)
    state = fold([event for event in whole if not isinstance(event, Fill)], Mode.LIVE)
    assert state.working["intent-1"].order.state is OrderState.UNRESOLVED
    assert fold(whole, Mode.LIVE).books["deriv-paper"].holdings["intent-1"].venue_position_id == "5"


def test_when_an_order_was_sent_outlives_the_doubt_about_it() -> None:
    world = w.World(w.config(Mode.LIVE)).open_market()
    permit = w.permit()
    world.give(permit)
    sent = world.last_order()
    world.give(w.clock(60_000, "deriv"))
    world.give(VenueReport(id="r", ts_event=w.T0, kind=ReportKind.UNRESOLVED, intent_id="intent-1"))
    working = fold(ledger_of(world, permit), Mode.LIVE).working["intent-1"]
    assert (working.order.state, working.sent) == (OrderState.UNRESOLVED, sent.ts_event)
    assert working.order.ts_event > sent.ts_event


def test_books_of_the_other_mode_stay_out_and_its_permits_stay_used() -> None:
    world = w.World().open_market()
    permit, forged = w.permit(), w.permit("forged", signature=b"")
    world.give(permit, forged, w.trade(200, 1000.0))
    state = fold(ledger_of(world, permit, forged), Mode.LIVE)
    assert state.books == {}
    assert state.working == {}
    assert is_known(state, permit)
    assert is_known(state, forged)
    assert not is_known(state, w.permit("new"))


def test_a_failed_exit_frees_its_position_with_a_new_revision() -> None:
    world = w.World().open_market()
    entry = w.permit()
    exit_ = w.permit("x", action=Action.EXIT, side=Side.SELL, position_id="intent-1", worst="1500", ms=200)
    world.give(entry, w.trade(200, 1000.0), exit_, w.trade(400, 1000.0))
    whole = ledger_of(world, entry, exit_)
    cut = next(n for n, e in enumerate(whole) if isinstance(e, Order) and e.state is OrderState.CANCELLED) + 1
    state = fold(whole[:cut])
    assert state.books["deriv-paper"].holdings["intent-1"].exit_intent == ""
    (lost,) = state.unsent
    assert decode(lost).id == whole[cut].id


@pytest.mark.parametrize(("age", "retaken"), [(1, True), (-1, False)])
def test_a_flatten_is_obeyed_after_the_restart_only_by_what_is_older(age: int, retaken: bool) -> None:
    world = w.World().open_market()
    permit = w.permit()
    world.give(permit, w.trade(200, 1000.0))
    command = w.control(ControlKind.FLATTEN, ts_init=1 + age)
    assert is_known(fold([*ledger_of(world, permit), command]), command) is not retaken


def test_brakes_outlive_a_restart_until_rearmed() -> None:
    halt = w.control(ControlKind.HALT, "BTCUSDT", "c1")
    reduce = w.control(ControlKind.REDUCE_ONLY, "*", "c2")
    rearm = w.control(ControlKind.REARM, "BTCUSDT", "c3")
    assert fold([halt, reduce]).halts == {"BTCUSDT": ControlKind.HALT, "*": ControlKind.REDUCE_ONLY}
    assert fold([halt, reduce, rearm]).halts == {"*": ControlKind.REDUCE_ONLY}
    everything: list[Control] = [halt, reduce, w.control(ControlKind.REARM, "*", "c4")]
    assert fold(everything).halts == {}


def test_other_accounts_and_other_messages_are_none_of_ours() -> None:
    world = w.World().open_market()
    permit = w.permit()
    world.give(permit, w.trade(200, 1000.0))
    foreign = [
        msgspec.structs.replace(event, account="somebody")
        for event in world.out
        if isinstance(event, Order | Fill | Position | AccountState)
    ]
    state = fold([*foreign, w.trade(1, 1.0)])
    assert state.books == {}
    assert state.used == {}


def test_a_replay_verifies_with_the_keys_of_the_run(tmp_path: Path) -> None:
    make_keys(keys_folder(tmp_path))
    signer = Signer.load(keys_folder(tmp_path) / "risk.key")
    public = keys_folder(tmp_path) / PUBLIC_FOLDER
    live = Verifier(public)
    pem = {path.stem: path.read_text() for path in public.glob("*.pub")}
    stage = build(msgspec.json.encode(w.config(public_keys=pem)))
    good = signer.sign(w.permit())
    cases: list[Permit] = [
        good,
        msgspec.structs.replace(good, quantity=D(11)),
        msgspec.structs.replace(good, key_id="0" * 16),
        msgspec.structs.replace(good, signature=b""),
    ]
    said = [stage._verify(permit) for permit in cases]
    assert said == [live.refusal(permit) for permit in cases] == [None, "altered", "foreign", "unsigned"]
    with pytest.raises(ValueError):
        build(msgspec.json.encode(w.config(public_keys={"k": "no key"})))
