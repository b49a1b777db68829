"""The paper venue's side of an order: executed at a touch with each cost named, cancelled, or refused."""

from __future__ import annotations

from decimal import Decimal

from libs.core.fills import multiplier as multipliers
from libs.core.fills import spot
from libs.core.fills.models import Dealt, Touch, beyond, slip, taker_fee
from libs.core.stages.execute_desk import Desk
from libs.core.stages.execute_state import Working
from libs.core.types import MILLISECOND, Action, Fill, Instrument, InstrumentKind, Nanos, OrderState, stable_id

ZERO = Decimal(0)
TRADE_ID = "paper-1"
"""The paper venue fills an order whole, so its one execution needs no other name."""


def deal(desk: Desk, working: Working, touch: Touch, at: Nanos, cause: tuple[str, ...]) -> None:
    """Execute an order at `touch` and data time `at`, or cancel it when that is beyond its worst price."""
    order = working.order
    instrument = desk.view(order.venue, order.symbol).instrument
    if instrument is None:
        return
    dealt = slip(touch, desk.config.costs.slippage_bps, instrument, order.side)
    if beyond(dealt.price, order.worst_price, order.side):
        desk.fail(working, OrderState.CANCELLED, "price moved beyond worst_price", cause)
    elif order.action is Action.ENTER:
        _enter(desk, working, instrument, dealt, at, cause)
    else:
        _exit(desk, working, dealt, at, cause)


def _enter(
    desk: Desk, working: Working, instrument: Instrument, dealt: Dealt, at: Nanos, cause: tuple[str, ...]
) -> None:
    order, book = working.order, desk.state.books[working.order.account]
    if instrument.kind is InstrumentKind.MULTIPLIER:
        leverage = instrument.multiplier
        fee = multipliers.commission(order.quantity, leverage, instrument.commission_rate, book.currency)
        spread, slippage = multipliers.entry_costs(order.side, order.quantity, leverage, dealt, book.currency)
        needed = order.quantity
    else:
        leverage = 0
        fee = taker_fee(desk.config.costs, order.venue, dealt.price * order.quantity)
        spread, slippage = spot.spread_cost(dealt, order.quantity), spot.slippage_cost(dealt, order.quantity)
        needed = dealt.price * order.quantity + fee
    if needed > book.balance:
        text = f"insufficient balance: {needed} {book.currency} needed, {book.balance} there"
        desk.fail(working, OrderState.REJECTED, text, cause)
        return
    desk.book(working, _fill(desk, working, dealt.price, at, cause, -fee, leverage, (fee, spread, slippage)))


def _exit(desk: Desk, working: Working, dealt: Dealt, at: Nanos, cause: tuple[str, ...]) -> None:
    order, book = working.order, desk.state.books[working.order.account]
    holding = book.holdings[order.position_id]
    fee = ZERO
    if holding.multiplier:
        spread, slippage = multipliers.exit_costs(
            holding.side,
            order.quantity,
            holding.multiplier,
            holding.entry_price,
            dealt,
            holding.fee_part(order.quantity),
            book.currency,
        )
    else:
        fee = taker_fee(desk.config.costs, order.venue, dealt.price * order.quantity)
        spread, slippage = spot.spread_cost(dealt, order.quantity), spot.slippage_cost(dealt, order.quantity)
    realised = book.realised_by_exit(holding, order.quantity, dealt.price, fee)
    costs = (fee, spread, slippage)
    desk.book(working, _fill(desk, working, dealt.price, at, cause, realised, holding.multiplier, costs))


def _fill(
    desk: Desk,
    working: Working,
    price: Decimal,
    at: Nanos,
    cause: tuple[str, ...],
    realised: Decimal,
    leverage: int,
    costs: tuple[Decimal, Decimal, Decimal],
) -> Fill:
    order = working.order
    fee, spread, slippage = costs
    return Fill(
        id=stable_id(order.intent_id, TRADE_ID),
        cause=(order.id, *cause),
        ts_event=at,
        ts_init=desk.ts_init,
        intent_id=order.intent_id,
        trade_id=TRADE_ID,
        mode=order.mode,
        venue=order.venue,
        account=order.account,
        symbol=order.symbol,
        strategy=order.strategy,
        side=order.side,
        action=order.action,
        price=price,
        quantity=order.quantity,
        currency=desk.state.books[order.account].currency,
        fee=fee,
        spread_cost=spread,
        slippage_cost=slippage,
        latency_ms=max(at - working.accepted, 0) / MILLISECOND,
        realised=realised,
        position_id=order.position_id,
        reason=order.reason,
        exploring=order.exploring,
        multiplier=leverage,
    )
