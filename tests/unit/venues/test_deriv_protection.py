"""Levels kept at Deriv act after ours, and never before the venue's own stop-out would."""

from __future__ import annotations

import time
from decimal import Decimal

from hypothesis import assume, given
from hypothesis import strategies as st

from libs.core.types import Action, Mode, Order, OrderState, Side
from libs.venues.deriv.model import Ask, Bounds, Proposal
from libs.venues.deriv.protection import protect


def order(side: Side, stop: Decimal | None, target: Decimal | None) -> Order:
    return Order(
        id="o",
        ts_event=time.time_ns(),
        intent_id="i",
        revision=1,
        state=OrderState.SENT,
        mode=Mode.LIVE,
        venue="deriv",
        account="a",
        symbol="R_100",
        strategy="s",
        side=side,
        action=Action.ENTER,
        quantity=Decimal(10),
        worst_price=Decimal(1),
        stop_price=stop,
        target_price=target,
        position_id="i",
        reason="entry",
    )


def quoted(spot: Decimal, commission: Decimal, stake: Decimal) -> Proposal:
    return Proposal(
        id="p",
        ask_price=stake,
        spot=spot,
        commission=commission,
        stop_loss=Bounds(Decimal("0.10"), stake),
        take_profit=Bounds(Decimal("0.10"), 100 * stake),
    )


def level_of(side: Side, spot: Decimal, notional: Decimal, commission: Decimal, profit: Decimal) -> Decimal:
    """The spot at which a contract entered at `spot` shows `profit`."""
    return spot * (1 + side.sign * (profit + commission) / notional)


prices = st.decimals("50", "5000", places=2)
parts = st.decimals("0.0001", "0.2", places=4)


@given(st.sampled_from(Side), prices, parts, parts, st.decimals("1", "2000", places=2), st.sampled_from([40, 400]))
def test_the_venue_s_levels_lie_beyond_ours(
    side: Side, spot: Decimal, lower: Decimal, upper: Decimal, stake: Decimal, multiplier: int
) -> None:
    commission = (stake * multiplier * Decimal("0.00036")).quantize(Decimal("0.01"))
    assume(commission < stake)
    stop, target = spot * (1 - side.sign * lower), spot * (1 + side.sign * upper)
    ask = Ask(contract_type="X", symbol="R_100", stake=stake, currency="USD", multiplier=multiplier)
    asked, note = protect(ask, quoted(spot, commission, stake), order(side, stop, target))
    notional = stake * multiplier
    if asked.stop_loss is None:
        assert "stop_loss" in note
        assert notional * (lower * Decimal("1.1") + Decimal("0.0005")) + commission > stake - Decimal("0.01")
    else:
        assert Decimal("0.10") <= asked.stop_loss <= stake
        kept = level_of(side, spot, notional, commission, -asked.stop_loss)
        assert kept < stop if side is Side.BUY else kept > stop
    if asked.take_profit is not None:
        assert Decimal("0.10") <= asked.take_profit <= 100 * stake
        kept = level_of(side, spot, notional, commission, asked.take_profit)
        assert kept > target if side is Side.BUY else kept < target
    for amount in (asked.stop_loss, asked.take_profit):
        assert amount is None or amount == amount.quantize(Decimal("0.01"))


def test_levels_on_the_wrong_side_are_left_out_with_a_note() -> None:
    ask = Ask(contract_type="MULTUP", symbol="R_100", stake=Decimal(10), currency="USD", multiplier=40)
    proposal = quoted(Decimal(100), Decimal("0.14"), Decimal(10))
    asked, note = protect(ask, proposal, order(Side.BUY, Decimal(101), Decimal(99)))
    assert asked == ask
    assert "stop_loss" in note
    assert "take_profit" in note
    assert "\n" not in note


def test_without_levels_nothing_changes() -> None:
    ask = Ask(contract_type="MULTUP", symbol="R_100", stake=Decimal(10), currency="USD", multiplier=40)
    proposal = quoted(Decimal(100), Decimal("0.14"), Decimal(10))
    assert protect(ask, proposal, order(Side.BUY, None, None)) == (ask, "")
