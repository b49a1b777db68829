"""Answers about orders, trades and lists with the venue's keys; conditional keys stand only where they apply."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from services.simulator.binance.decimals import text8
from services.simulator.binance.exchange.api import Answer
from services.simulator.binance.exchange.orders import ALGO, NONE, Amendment, Fill, Order, OrderList, Prevented

_FULL_BY_DEFAULT = frozenset({"MARKET", "LIMIT"})


def placed(
    order: Order,
    kind: str | None,
    fills: Iterable[Fill] = (),
    prevented: Iterable[Prevented] = (),
    trade_group: int = NONE,
) -> Answer:
    """The answer to a placement: `kind` ACK, RESULT or FULL, None for the default of the order's type."""
    kind = kind or ("FULL" if order.type in _FULL_BY_DEFAULT else "ACK")
    answer: Answer = {
        "symbol": order.symbol,
        "orderId": order.id,
        "orderListId": order.list_id,
        "clientOrderId": order.client_id,
        "transactTime": order.updated,
    }
    if kind == "ACK":
        return answer
    answer |= _amounts(order)
    if order.type in ALGO:
        answer["stopPrice"] = text8(order.stop)
    answer["workingTime"] = order.working
    _named(answer, order)
    if kind == "FULL":
        answer["fills"] = [
            {
                "price": text8(fill.price),
                "qty": text8(fill.qty),
                "commission": text8(fill.fee),
                "commissionAsset": fill.fee_asset,
                "tradeId": fill.trade,
            }
            for fill in fills
        ]
        if rows := [_prevented_in_answer(row) for row in prevented]:
            answer["preventedMatches"] = rows
    answer["selfTradePreventionMode"] = order.stp
    return _ended(answer, order, trade_group)


def canceled(order: Order, client_id: str) -> Answer:
    """The answer to a cancel, whose own client id is `client_id`."""
    answer: Answer = {
        "symbol": order.symbol,
        "origClientOrderId": order.client_id,
        "orderId": order.id,
        "orderListId": order.list_id,
        "clientOrderId": client_id,
        "transactTime": order.updated,
    }
    answer |= _amounts(order)
    if order.type in ALGO:
        answer["stopPrice"] = text8(order.stop)
    _named(answer, order)
    answer["selfTradePreventionMode"] = order.stp
    return _ended(answer, order, NONE)


def row(order: Order) -> Answer:
    """One order as a query shows it."""
    answer: Answer = {
        "symbol": order.symbol,
        "orderId": order.id,
        "orderListId": order.list_id,
        "clientOrderId": order.client_id,
        "price": text8(order.price),
    }
    _pegged(answer, order)
    answer |= {
        "origQty": text8(order.qty),
        "executedQty": text8(order.executed),
        "cummulativeQuoteQty": text8(order.spent),
        "status": order.status,
        "timeInForce": order.tif,
        "type": order.type,
        "side": order.side,
        "stopPrice": text8(order.stop),
        "icebergQty": text8(order.iceberg),
        "time": order.created,
        "updateTime": order.updated,
        "isWorking": order.working != NONE,
        "workingTime": order.working,
        "origQuoteOrderQty": text8(order.quote_qty),
    }
    _named(answer, order)
    answer["selfTradePreventionMode"] = order.stp
    return _ended(answer, order, NONE)


def amended(order: Order, before_id: str, execution: int, order_list: Answer | None) -> Answer:
    """The answer to an amendment; `before_id` is the client id the order had, `order_list` its list's state."""
    body: Answer = {
        "symbol": order.symbol,
        "orderId": order.id,
        "orderListId": order.list_id,
        "origClientOrderId": before_id,
        "clientOrderId": order.client_id,
        "price": text8(order.price),
        "qty": text8(order.qty),
        "executedQty": text8(order.executed),
        "preventedQty": text8(order.prevented),
        "quoteOrderQty": text8(order.quote_qty),
        "cumulativeQuoteQty": text8(order.spent),
        "status": order.status,
        "timeInForce": order.tif,
        "type": order.type,
        "side": order.side,
    }
    if order.type in ALGO:
        body["stopPrice"] = text8(order.stop)
    if order.working != NONE:
        body["workingTime"] = order.working
    _named(body, order)
    body["selfTradePreventionMode"] = order.stp
    answer: Answer = {"transactTime": order.updated, "executionId": execution, "amendedOrder": body}
    if order_list is not None:
        names = ("orderListId", "contingencyType", "listOrderStatus", "listClientOrderId", "symbol", "orders")
        answer["listStatus"] = {name: order_list[name] for name in names}
    return answer


def amendment(one: Amendment) -> Answer:
    """One row of the amendments of an order."""
    return {
        "symbol": one.symbol,
        "orderId": one.order,
        "executionId": one.execution,
        "origClientOrderId": one.before_id,
        "newClientOrderId": one.after_id,
        "origQty": text8(one.before),
        "newQty": text8(one.after),
        "time": one.ms,
    }


def trade(fill: Fill) -> Answer:
    """One row of myTrades."""
    return {
        "symbol": fill.symbol,
        "id": fill.trade,
        "orderId": fill.order,
        "orderListId": fill.list_id,
        "price": text8(fill.price),
        "qty": text8(fill.qty),
        "quoteQty": text8(fill.quote),
        "commission": text8(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": fill.ms,
        "isBuyer": fill.buyer,
        "isMaker": fill.maker,
        "isBestMatch": True,
    }


def prevented_match(one: Prevented) -> Answer:
    """One row of myPreventedMatches."""
    answer: Answer = {
        "symbol": one.symbol,
        "preventedMatchId": one.id,
        "takerOrderId": one.taker,
        "makerSymbol": one.symbol,
        "makerOrderId": one.maker,
        "tradeGroupId": one.group,
        "selfTradePreventionMode": one.mode,
        "price": text8(one.price),
    }
    _prevented_quantities(answer, one)
    answer["transactTime"] = one.ms
    return answer


def order_list(one: OrderList, legs: Sequence[Order], status: str = "", reports: Sequence[Answer] = ()) -> Answer:
    """A list: as a query shows it, or with the reports on its orders after a placement or a cancel."""
    answer: Answer = {
        "orderListId": one.id,
        "contingencyType": one.contingency,
        "listStatusType": status or ("ALL_DONE" if one.done else "EXEC_STARTED"),
        "listOrderStatus": "ALL_DONE" if one.done else "EXECUTING",
        "listClientOrderId": one.client_id,
        "transactionTime": one.ms,
        "symbol": one.symbol,
        "orders": [{"symbol": leg.symbol, "orderId": leg.id, "clientOrderId": leg.client_id} for leg in legs],
    }
    if reports:
        answer["orderReports"] = list(reports)
    return answer


def _amounts(order: Order) -> Answer:
    answer: Answer = {"price": text8(order.price)}
    _pegged(answer, order)
    if order.qty:  # the pending legs of an OPO get theirs from what the working one buys
        answer["origQty"] = text8(order.qty)
    return answer | {
        "executedQty": text8(order.executed),
        "origQuoteOrderQty": text8(order.quote_qty),
        "cummulativeQuoteQty": text8(order.spent),
        "status": order.status,
        "timeInForce": order.tif,
        "type": order.type,
        "side": order.side,
    }


def _pegged(answer: Answer, order: Order) -> None:
    if not order.peg:
        return
    answer["pegPriceType"] = order.peg
    if order.peg_offset:
        answer["pegOffsetType"] = order.peg_offset
        answer["pegOffsetValue"] = order.peg_levels
    if order.pegged:
        answer["peggedPrice"] = text8(order.pegged)


def _named(answer: Answer, order: Order) -> None:
    if order.trailing:
        answer["trailingDelta"] = order.trailing
        answer["trailingTime"] = order.tracking
    if order.iceberg:
        answer["icebergQty"] = text8(order.iceberg)
    if order.strategy_id is not None:
        answer["strategyId"] = order.strategy_id
    if order.strategy_type is not None:
        answer["strategyType"] = order.strategy_type


def _ended(answer: Answer, order: Order, trade_group: int) -> Answer:
    if order.prevented:
        if trade_group != NONE:
            answer["tradeGroupId"] = trade_group
        answer["preventedMatchId"] = order.prevented_match
        answer["preventedQuantity"] = text8(order.prevented)
    if order.reason:
        answer["expiryReason"] = order.reason
    return answer


def _prevented_in_answer(one: Prevented) -> Answer:
    answer: Answer = {
        "preventedMatchId": one.id,
        "makerSymbol": one.symbol,
        "makerOrderId": one.maker,
        "price": text8(one.price),
    }
    _prevented_quantities(answer, one)
    return answer


def _prevented_quantities(answer: Answer, one: Prevented) -> None:
    if one.taker_qty != NONE:
        answer["takerPreventedQuantity"] = text8(one.taker_qty)
    if one.maker_qty != NONE:
        answer["makerPreventedQuantity"] = text8(one.maker_qty)
