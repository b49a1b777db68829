"""Price-time matching: takers against the market and our own book, and our book against the market's prints."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import msgspec

from services.simulator.binance.candles import Print
from services.simulator.binance.decimals import ONE, parse8
from services.simulator.binance.exchange import prevention
from services.simulator.binance.exchange.core import Core
from services.simulator.binance.exchange.orders import AT_MARKET, NONE, Order
from services.simulator.binance.exchange.step import Step

Piece = tuple[int, int, Order | None]
"""Price, quantity and the resting order it belongs to, None for the market's."""


class Outlook(msgspec.Struct, frozen=True):
    """What would become of a taker: executed quantity and its cost in 1e-8."""

    qty: int
    cost: int


def ladder(core: Core, symbol: str, buy: bool, limit: int) -> Iterator[Piece]:
    """The pieces that a taker meets, best price first; at one price in the order of time.

    An order of ours stands behind the market's quantity that was there before it; the hidden part of an iceberg comes
    after all that is visible at its price. `limit` 0 means any price.
    """
    market = core.market(symbol)
    levels = market.prices_of(bids=not buy)
    groups = groupby(core.resting[symbol].side(not buy), key=_limit)
    level, group = next(levels, None), next(groups, None)
    while level is not None or group is not None:
        ours = group[0] if group is not None else None
        price = level if ours is None else ours if level is None else (min if buy else max)(level, ours)
        assert price is not None
        if limit and (price > limit if buy else price < limit):
            return
        orders = list(group[1]) if group is not None and ours == price else []
        yield from _level(price, market.left(not buy, price) if level == price else 0, orders)
        if ours == price:
            group = next(groups, None)
        if level == price:
            level = next(levels, None)


def _level(price: int, shown: int, orders: list[Order]) -> list[Piece]:
    """The pieces of one price as they stand now: whoever takes them changes what they were made from."""
    pieces: list[Piece] = []
    passed = 0
    for order in orders:
        if (qty := min(order.ahead - passed, shown)) > 0:
            passed += qty
            shown -= qty
            pieces.append((price, qty, None))
        pieces.append((price, order.visible, order))
    if shown:
        pieces.append((price, shown, None))
    hidden = {order.id: order.left - order.visible for order in orders if order.iceberg}
    while any(hidden.values()):
        for order in orders:
            if rest := hidden.get(order.id, 0):
                part = min(order.iceberg, rest)
                hidden[order.id] = rest - part
                pieces.append((price, part, order))
    return pieces


def _limit(order: Order) -> int:
    return order.limit


def crosses(core: Core, order: Order) -> bool:
    """Whether a limit order would trade at once."""
    core.market(order.symbol).refresh()
    return next(ladder(core, order.symbol, order.buy, order.limit), None) is not None


def price_range(core: Core, order: Order) -> tuple[int, int]:
    """The prices between which a taker may execute now by the PRICE_RANGE rule; (0, 0) without a check."""
    rule = core.feed.symbols[order.symbol].price_range
    if not rule:
        return 0, 0
    reference = core.market(order.symbol).reference()
    side = "bid" if order.buy else "ask"
    up, down = rule.get(f"{side}LimitMultUp"), rule.get(f"{side}LimitMultDown")
    high = reference * parse8(up) // ONE if up else 0
    low = -(-reference * parse8(down) // ONE) if down else 0
    return low, high


def _outside(price: int, bounds: tuple[int, int]) -> bool:
    low, high = bounds
    return price < low or (high > 0 and price > high)


def outlook(core: Core, order: Order) -> Outlook:
    """Foresee what the book has for a taker, self-trade prevention and price range included."""
    bounds = price_range(core, order)
    left, qty, cost = order.left, 0, 0
    met: set[int] = set()
    for price, piece, maker in ladder(core, order.symbol, order.buy, order.limit):
        if left <= 0 or _outside(price, bounds):
            break
        if maker is not None and prevention.applies(core, order, maker):
            if order.stp in ("EXPIRE_TAKER", "EXPIRE_BOTH"):
                break
            if order.stp != "EXPIRE_MAKER" and maker.id not in met:
                part = min(left, maker.left)
                left -= part
                if maker.account != order.account and prevention.mode_of(order, maker) == "TRANSFER":
                    cost += price * part // ONE
            met.add(maker.id)
            continue
        part = min(piece, left)
        qty, cost, left = qty + part, cost + price * part // ONE, left - part
    return Outlook(qty, cost)


def spendable(core: Core, order: Order, budget: int, step: int) -> int:
    """The quantity, in whole steps, whose notional comes as close to `budget` as the book allows without passing it.

    When the book runs out first, it is what the rest of the budget would buy at the last price.
    """
    bounds = price_range(core, order)
    total, last = 0, 0
    for price, piece, maker in ladder(core, order.symbol, order.buy, 0):
        if _outside(price, bounds):
            break
        if maker is not None and prevention.applies(core, order, maker):
            if order.stp != "EXPIRE_MAKER":
                break
            continue
        last = price
        part = min(piece, budget * ONE // price)
        total, budget = total + part, budget - price * part // ONE
        if part < piece:
            return total // step * step
    return (total + (budget * ONE // last if last else 0)) // step * step


def work(core: Core, step: Step, order: Order) -> None:
    """Let an accepted order meet the book, then rest or expire by its type and time in force."""
    core.market(order.symbol).refresh()
    if order.tif == "FOK" and outlook(core, order).qty < order.left:
        core.end(step, order, "EXPIRED", "UNFILLED_FOK_ORDER_EXPIRED")
        return
    _take(core, step, order)
    if not order.open:
        return
    if order.type in AT_MARKET:
        core.end(step, order, "EXPIRED", "INSUFFICIENT_LIQUIDITY")
    elif order.tif == "GTC":
        core.rest(step, order)
    else:
        reason = "UNFILLED_FOK_ORDER_EXPIRED" if order.tif == "FOK" else "UNFILLED_IOC_QUANTITY_EXPIRED"
        core.end(step, order, "EXPIRED", reason)


def _take(core: Core, step: Step, order: Order) -> None:
    bounds: tuple[int, int] | None = None
    for price, piece, maker in ladder(core, order.symbol, order.buy, order.limit):
        if not order.left or not order.open:
            return
        if bounds is None:
            bounds = price_range(core, order)
        if _outside(price, bounds):
            core.end(step, order, "EXPIRED", "EXECUTION_RULE_PRICE_RANGE_EXCEEDED")
            return
        if maker is None:
            _take_market(core, step, order, price, min(piece, order.left))
        elif not maker.open:
            continue
        elif prevention.applies(core, order, maker):
            prevention.prevent(core, step, order, maker, price)
        else:
            qty = min(piece, order.left, maker.left)
            trade = step.next_trade(order.symbol)
            core.fill(step, order, price, qty, trade, maker=False, counter=maker.id)
            core.fill(step, maker, price, qty, trade, maker=True, counter=order.id)


def _take_market(core: Core, step: Step, order: Order, price: int, qty: int) -> None:
    core.market(order.symbol).take(not order.buy, price, qty)
    for ours in core.resting[order.symbol].side(not order.buy):
        if ours.limit == price:
            ours.ahead = max(0, ours.ahead - qty)
    core.fill(step, order, price, qty, step.next_trade(order.symbol), maker=False)


def meet_print(core: Core, step: Step, symbol: str, trade: Print) -> None:
    """Let a print of the market fill what rests at or through its price, as its aggressor would have.

    Whatever rests at a better price than the print was passed through; at the print's own price an order waits until
    the quantity displayed before it has traded. A fill is at the order's own price.
    """
    for buy in (True, False):
        volume, used = trade.qty, 0
        for order in core.resting[symbol].side(buy):
            limit = order.limit
            if limit < trade.price if buy else limit > trade.price:
                break
            if trade.ms < order.since:  # told late: it was there before the order
                continue
            if limit == trade.price:
                if trade.buyer_is_maker is not buy:
                    break
                passed = min(order.ahead, volume - used)
                order.ahead -= passed
                qty = min(volume - used - passed, order.visible)
                used += qty
            else:
                qty = min(volume, order.left)
                volume -= qty
            if qty > 0:
                _fill_resting(core, step, order, qty)


def meet_book(core: Core, step: Step, symbol: str) -> None:
    """Follow a new state of the market's book: queues shorten, and a side that has moved through us fills us."""
    market = core.market(symbol)
    for buy in (True, False):
        for order in core.resting[symbol].side(buy):
            limit = order.limit
            order.ahead = min(order.ahead, market.left(buy, limit))
            for price in market.prices_of(bids=not buy):
                if not order.open or (price > limit if buy else price < limit):
                    break
                qty = min(order.left, market.left(not buy, price))
                market.take(not buy, price, qty)
                _fill_resting(core, step, order, qty)


def _fill_resting(core: Core, step: Step, order: Order, qty: int) -> None:
    """Fill a resting order with the market, an iceberg part by part."""
    while qty > 0:
        part = min(qty, order.visible)
        core.fill(step, order, order.limit, part, step.next_trade(order.symbol), maker=True, counter=NONE)
        qty -= part
