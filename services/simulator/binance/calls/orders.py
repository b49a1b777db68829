"""Reads the parameters of orders and order lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.simulator.binance.calls.params import (
    Kind,
    Param,
    Params,
    client_id,
    decimal,
    integer,
    may,
    missing,
    need,
    one_of,
)
from services.simulator.binance.exchange.api import NewList, NewOrder

SIDES: Final = ("BUY", "SELL")
TIMES_IN_FORCE: Final = ("GTC", "IOC", "FOK")
RESPONSES: Final = ("ACK", "RESULT", "FULL")
STP_MODES: Final = ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT", "TRANSFER")
PEGS: Final = ("PRIMARY_PEG", "MARKET_PEG")
STOPS: Final = ("STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")
TYPES: Final = ("LIMIT", "LIMIT_MAKER", "MARKET", *STOPS)


side: Final = one_of(SIDES, -1117, "Invalid side.")
order_type: Final = one_of(TYPES, -1116, "Invalid orderType.")
time_in_force: Final = one_of(TIMES_IN_FORCE, -1115, "Invalid timeInForce.")
response_type: Final = one_of(RESPONSES)
stp_mode: Final = one_of(STP_MODES)

# One leg: the venue's name without a prefix, the field of NewOrder, the kind.
_LEG: Final[tuple[tuple[str, str, Kind], ...]] = (
    ("timeInForce", "time_in_force", time_in_force),
    ("price", "price", decimal),
    ("strategyId", "strategy_id", integer),
    ("strategyType", "strategy_type", integer),
    ("stopPrice", "stop_price", decimal),
    ("trailingDelta", "trailing_delta", integer),
    ("icebergQty", "iceberg_qty", decimal),
    ("pegPriceType", "peg_price_type", one_of(PEGS, -1210, "Invalid pegPriceType.")),
    ("pegOffsetType", "peg_offset_type", one_of(("PRICE_LEVEL",), -1210, "Invalid pegOffsetType.")),
    ("pegOffsetValue", "peg_offset_value", integer),
)

_STOPS: Final = ("stopPrice", "trailingDelta")

ORDER: Final[tuple[Param, ...]] = (
    need("symbol"),
    need("side", side),
    need("type", order_type),
    may("quantity", decimal),
    may("quoteOrderQty", decimal),
    may("newClientOrderId", client_id),
    *(may(name, kind) for name, _, kind in _LEG),
    may("newOrderRespType", response_type),
    may("selfTradePreventionMode", stp_mode),
)


_NOT_SMART: Final = ("quoteOrderQty", *_STOPS, "pegPriceType", "pegOffsetType", "pegOffsetValue")
SMART: Final[tuple[Param, ...]] = tuple(param for param in ORDER if param.name not in _NOT_SMART)


def read_order(p: Params) -> NewOrder:
    """Return the order; whether its parameters go together is for the engine to say."""
    return NewOrder(
        symbol=p["symbol"],
        side=p["side"],
        type=p["type"],
        quantity=p.get("quantity"),
        quote_order_qty=p.get("quoteOrderQty"),
        new_client_order_id=p.get("newClientOrderId"),
        new_order_resp_type=p.get("newOrderRespType"),
        self_trade_prevention_mode=p.get("selfTradePreventionMode"),
        **{field: p.get(name) for name, field, _ in _LEG},
    )


def _name(prefix: str, name: str) -> str:
    return prefix + name[0].upper() + name[1:] if prefix else name


def _leg_params(prefix: str) -> list[Param]:
    params = [need(_name(prefix, "type"), order_type), may(_name(prefix, "clientOrderId"), client_id)]
    params += [may(_name(prefix, name), kind) for name, _, kind in _LEG]
    return params


def _working_params() -> list[Param]:
    """A working order is a limit order: always priced, never waiting for a stop."""
    params = [need("workingSide", side), need("workingQuantity", decimal), need("workingPrice", decimal)]
    return params + [each for each in _leg_params("working") if each.name not in _NOT_WORKING]


_OCO_LEGS: Final = ("above", "below")
_LIST_HEAD: Final[tuple[Param, ...]] = (
    need("symbol"),
    may("listClientOrderId", client_id),
    may("newOrderRespType", response_type),
    may("selfTradePreventionMode", stp_mode),
)
_NOT_WORKING: Final = ("workingPrice", "workingStopPrice", "workingTrailingDelta")
_WORKING: Final = _working_params()
_PENDING: Final = [need("pendingSide", side)]
_PENDING_SIZED: Final = [*_PENDING, need("pendingQuantity", decimal)]
_PENDING_PAIR: Final = [*_leg_params("pendingAbove"), *_leg_params("pendingBelow")]

LISTS: Final[dict[str, Sequence[Param]]] = {
    "oco": (
        *_LIST_HEAD,
        need("side", side),
        need("quantity", decimal),
        *_leg_params("above"),
        *_leg_params("below"),
    ),
    "oto": (*_LIST_HEAD, *_WORKING, *_PENDING_SIZED, *_leg_params("pending")),
    "otoco": (*_LIST_HEAD, *_WORKING, *_PENDING_SIZED, *_PENDING_PAIR),
    "opo": (*_LIST_HEAD, *_WORKING, *_PENDING, *_leg_params("pending")),
    "opoco": (*_LIST_HEAD, *_WORKING, *_PENDING, *_PENDING_PAIR),
}
# The prefix of each leg's parameters, its name for the engine, and the prefix of the side and quantity it shares.
_SHAPES: Final[dict[str, Sequence[tuple[str, str, str]]]] = {
    "oco": (("above", "above", ""), ("below", "below", "")),
    "oto": (("working", "working", "working"), ("pending", "pending", "pending")),
    "otoco": (
        ("working", "working", "working"),
        ("pendingAbove", "pending_above", "pending"),
        ("pendingBelow", "pending_below", "pending"),
    ),
}
_SHAPES["opo"], _SHAPES["opoco"] = _SHAPES["oto"], _SHAPES["otoco"]


def read_list(kind: str, p: Params) -> NewList:
    """Return an order list of this kind."""
    legs = {}
    for prefix, name, shared in _SHAPES[kind]:
        legs[name] = NewOrder(
            symbol=p["symbol"],
            side=p[_name(shared, "side")],
            type=p[_name(prefix, "type")],
            quantity=p.get(_name(shared, "quantity")),
            new_client_order_id=p.get(_name(prefix, "clientOrderId")),
            new_order_resp_type=p.get("newOrderRespType"),
            self_trade_prevention_mode=p.get("selfTradePreventionMode"),
            **{field: p.get(_name(prefix, leg)) for leg, field, _ in _LEG},
        )
    return NewList(
        kind=kind,
        symbol=p["symbol"],
        list_client_order_id=p.get("listClientOrderId"),
        new_order_resp_type=p.get("newOrderRespType"),
        self_trade_prevention_mode=p.get("selfTradePreventionMode"),
        legs=legs,
    )


OLD_OCO: Final[tuple[Param, ...]] = (
    *_LIST_HEAD,
    need("side", side),
    need("quantity", decimal),
    may("limitClientOrderId", client_id),
    may("limitStrategyId", integer),
    may("limitStrategyType", integer),
    need("price", decimal),
    may("limitIcebergQty", decimal),
    may("trailingDelta", integer),
    may("stopClientOrderId", client_id),
    need("stopPrice", decimal),
    may("stopStrategyId", integer),
    may("stopStrategyType", integer),
    may("stopLimitPrice", decimal),
    may("stopIcebergQty", decimal),
    may("stopLimitTimeInForce", time_in_force),
)


def read_old_oco(p: Params) -> NewList:
    """Return the list that the deprecated POST order/oco asks for: a limit maker, and a stop on the other side."""
    common = {
        "symbol": p["symbol"],
        "side": p["side"],
        "quantity": p["quantity"],
        "new_order_resp_type": p.get("newOrderRespType"),
        "self_trade_prevention_mode": p.get("selfTradePreventionMode"),
    }
    maker = NewOrder(
        type="LIMIT_MAKER",
        price=p["price"],
        new_client_order_id=p.get("limitClientOrderId"),
        iceberg_qty=p.get("limitIcebergQty"),
        strategy_id=p.get("limitStrategyId"),
        strategy_type=p.get("limitStrategyType"),
        **common,
    )
    if "stopLimitPrice" in p and "stopLimitTimeInForce" not in p:
        raise missing("stopLimitTimeInForce")
    stop = NewOrder(
        type="STOP_LOSS_LIMIT" if "stopLimitPrice" in p else "STOP_LOSS",
        price=p.get("stopLimitPrice"),
        stop_price=p["stopPrice"],
        trailing_delta=p.get("trailingDelta"),
        time_in_force=p.get("stopLimitTimeInForce"),
        new_client_order_id=p.get("stopClientOrderId"),
        iceberg_qty=p.get("stopIcebergQty"),
        strategy_id=p.get("stopStrategyId"),
        strategy_type=p.get("stopStrategyType"),
        **common,
    )
    above, below = (maker, stop) if p["side"] == "SELL" else (stop, maker)
    return NewList(
        kind="oco",
        symbol=p["symbol"],
        list_client_order_id=p.get("listClientOrderId"),
        new_order_resp_type=p.get("newOrderRespType"),
        self_trade_prevention_mode=p.get("selfTradePreventionMode"),
        legs={"above": above, "below": below},
    )
