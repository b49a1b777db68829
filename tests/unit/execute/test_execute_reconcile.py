"""What a comparison with the venue does to an account, and that the ledger keeps it."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import execute_world as w
import pytest

from libs.core.portfolio.accounting import AccountBook
from libs.core.stages.execute_ledger import LedgerFold
from libs.core.stages.execute_state import ExecuteState, encode_state
from libs.core.types import (
    SECOND,
    AccountState,
    Fill,
    Mode,
    Reconciliation,
    ReconciliationKind,
    ReportKind,
    VenueReport,
)

BINANCE, DERIV = "binance-paper", "deriv-paper"
K = ReconciliationKind


def compared(
    kind: ReconciliationKind, name: str, assets: dict[str, str], at_s: float = 1, **fields: Any
) -> Reconciliation:
    """A comparison that had something to say."""
    fields = {"venue": "binance", "account": BINANCE, "detail": "test"} | fields
    return Reconciliation(
        id=name,
        ts_event=w.T0 + int(at_s * SECOND),
        kind=kind,
        assets={asset: D(amount) for asset, amount in assets.items()},
        **fields,
    )


def bought(quantity: str = "0.01") -> VenueReport:
    """All of the entry."""
    return VenueReport(
        id="r",
        ts_event=w.T0 + SECOND,
        kind=ReportKind.FILLED,
        intent_id="in",
        venue_order_id="v",
        trade_id="1",
        price=D(50_000),
        quantity=D(quantity),
    )


@pytest.fixture
def world() -> w.World:
    """A live account with 10,000 USDT."""
    return w.World(w.config(Mode.LIVE)).open_market()


def enter(world: w.World) -> None:
    """Hold 0.01 BTC."""
    world.give(w.permit("in", instrument=w.BTC, quantity="0.01", worst="50001"), bought())


def book(world: w.World, account: str = BINANCE) -> AccountBook:
    """The account."""
    return world.stage.state.books[account]


def test_what_was_there_before_us_is_expected_from_then_on(world: w.World) -> None:
    world.give(compared(K.BASELINE, "b", {"USDT": "10000", "BTC": "2", "BNB": "0.5"}))
    enter(world)
    assert book(world).expected == {"USDT": D(9_500), "BTC": D("2.01"), "BNB": D("0.5")}


def test_money_that_came_or_went_is_neither_profit_nor_loss(world: w.World) -> None:
    world.give(compared(K.BASELINE, "b", {"USDT": "10000"}))
    world.give(compared(K.TRANSFER, "t", {"USDT": "-4000"}, at_s=2))
    state = world.of(AccountState)[-1]
    assert (state.balance, state.equity, state.peak_equity, state.day_start_equity) == (D(6_000),) * 4
    assert state.realised_today_by_symbol == {}
    assert book(world).expected == {"USDT": D(6_000)}


def test_a_transfer_counts_once(world: w.World) -> None:
    world.give(compared(K.BASELINE, "b", {"USDT": "10000"}))
    told = compared(K.TRANSFER, "t", {"BNB": "3"}, at_s=2)
    assert [event.id for event in world.give(told)] == ["t"]
    assert world.give(told) == []
    assert book(world).expected["BNB"] == D(3)


def test_a_transfer_from_before_the_comparison_is_in_it_already(world: w.World) -> None:
    world.give(compared(K.TRANSFER, "early", {"USDT": "50"}))
    world.give(compared(K.BASELINE, "b", {"USDT": "10000"}, at_s=5))
    world.give(compared(K.TRANSFER, "t", {"USDT": "50"}, at_s=4))
    assert book(world).expected == {"USDT": D(10_000)}


def test_a_difference_stays_open_until_it_is_gone_or_taken_as_it_is(world: w.World) -> None:
    told = compared(K.DIFFERENCE, "d", {"BTC": "0.1"})
    world.give(compared(K.BASELINE, "b", {"USDT": "10000"}), told)
    assert world.stage.state.differences[BINANCE].assets == {"BTC": D("0.1")}
    world.give(compared(K.AGREED, "a", {}, at_s=3))
    assert world.stage.state.differences == {}
    world.give(compared(K.DIFFERENCE, "d2", {"BTC": "0.1"}, at_s=4))
    world.give(compared(K.BASELINE, "b2", {"USDT": "10000", "BTC": "0.1"}, at_s=5))
    assert world.stage.state.differences == {}


def test_what_the_venue_no_longer_holds_is_no_position(world: w.World) -> None:
    world.give(compared(K.BASELINE, "b", {"USDT": "10000"}))
    enter(world)
    world.give(compared(K.BASELINE, "b2", {"USDT": "10000", "BTC": "-0.004"}, at_s=5))
    (held,) = book(world).holdings.values()
    assert held.quantity == D("0.006")
    assert world.fills[-1].reason == "the venue holds 0.004 BTC less than the ledger"
    assert book(world).expected["BTC"] == D("0.006")
    assert book(world).balance == D(9_500)


def test_a_contract_that_the_venue_does_not_know_ends_for_nothing(world: w.World) -> None:
    world.give(compared(K.BASELINE, "b", {"USD": "10000"}, venue="deriv", account=DERIV))
    world.give(
        w.permit(),
        VenueReport(
            id="r",
            ts_event=w.T0,
            kind=ReportKind.FILLED,
            intent_id="intent-1",
            venue_order_id="5",
            price=D(1000),
            quantity=D(10),
            fee=D("0.36"),
        ),
    )
    gone = compared(K.BASELINE, "b2", {"USD": "10000"}, at_s=3, venue="deriv", account=DERIV, missing=("5",))
    world.give(gone)
    assert book(world, DERIV).holdings == {}
    assert book(world, DERIV).balance == D(9_990)
    assert sum(fill.realised for fill in world.fills) == D(-10)


def test_comparisons_of_strangers_and_of_paper_change_nothing(world: w.World) -> None:
    assert world.give(compared(K.BASELINE, "b", {"USDT": "1"}, account="somebody")) == []
    assert world.give(compared(K.BASELINE, "b", {"USDT": "1"}, venue="deriv")) == []
    paper = w.World().open_market()
    assert paper.give(compared(K.BASELINE, "b", {"USDT": "1"})) == []


def test_the_ledger_keeps_it_and_makes_up_what_a_crash_lost(world: w.World) -> None:
    enter(world)
    world.give(compared(K.BASELINE, "b", {"USDT": "10000", "BTC": "-0.004"}, at_s=5))
    world.give(compared(K.DIFFERENCE, "d", {"BTC": "0.1"}, at_s=6))
    permit = w.permit("in", instrument=w.BTC, quantity="0.01", worst="50001")
    written = [permit, *world.out]

    def fold(count: int) -> ExecuteState:
        made = LedgerFold(w.config(Mode.LIVE))
        for event in written[:count]:
            made.take(event)
        return made.finish()

    whole = fold(len(written))
    assert whole.unsent == []
    assert whole.differences == world.stage.state.differences
    assert whole.books[BINANCE].expected == book(world).expected
    cut = next(n for n, event in enumerate(written) if isinstance(event, Reconciliation)) + 1
    assert not any(isinstance(event, Fill) and event.price == 0 for event in written[:cut])
    crashed = fold(cut)
    assert [h.quantity for h in crashed.books[BINANCE].holdings.values()] == [D("0.006")]
    assert encode_state(fold(cut)) == encode_state(crashed)
    assert len(crashed.unsent) == len(written[cut:-1])
