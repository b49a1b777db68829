"""From the parameters of a request to an order: which go together, exact amounts, the venue's refusals."""

from __future__ import annotations

import secrets
from decimal import Decimal
from typing import Any, Final

from services.simulator.binance.decimals import ONE
from services.simulator.binance.exchange.api import ApiError, NewOrder
from services.simulator.binance.exchange.orders import ALGO, AT_MARKET, NONE, Order

_TYPES: Final = frozenset({"LIMIT", "LIMIT_MAKER", "MARKET", *ALGO})
_LIMITS: Final = frozenset({"LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"})
_TIMED: Final = _LIMITS - {"LIMIT_MAKER"}
_PEGS: Final = frozenset({"PRIMARY_PEG", "MARKET_PEG"})
_MAX_PEG_LEVELS: Final = 100
_FIRST_STRATEGY_TYPE: Final = 1_000_000


def new_client_id() -> str:
    """An id of 22 characters, as the server makes one for an order or cancel without its own."""
    return secrets.token_hex(11)


def amount(value: Decimal | None, name: str) -> int:
    """A parameter in 1e-8, 0 when it was not sent. Raises ApiError when it has more than eight decimals."""
    if value is None:
        return 0
    scaled = value.scaleb(8)
    count = int(scaled)
    if count != scaled:
        raise ApiError(-1111, f"Parameter '{name}' has too much precision.")
    return count


def positive(value: Decimal | None, name: str, what: str) -> int:
    """As `amount`, and refuses zero and less as the venue does."""
    count = amount(value, name)
    if value is not None and count <= 0:
        raise ApiError(-1013, f"Invalid {what}.")
    return count


def compose(account: int, new: NewOrder, *, stp: str | None = None, sized: bool = True) -> Order:
    """Build the order, without id and times. `stp` is the mode when the order says none; opo legs are not `sized`.

    Raises ApiError for what is missing, not wanted, or does not go together.
    """
    if new.side not in ("BUY", "SELL"):
        raise ApiError(-1117, "Invalid side.")
    if new.type not in _TYPES:
        raise ApiError(-1116, "Invalid orderType.")
    _required(new, sized)
    _unwanted(new)
    _pegging(new)
    if new.strategy_type is not None and new.strategy_type < _FIRST_STRATEGY_TYPE:
        raise ApiError(-1134, "'strategyType' cannot be a value less than 1000000.")
    order = Order(
        account=account,
        symbol=new.symbol,
        id=0,
        client_id=new.new_client_order_id or new_client_id(),
        side=new.side,
        type=new.type,
        tif=new.time_in_force or "GTC",
        qty=positive(new.quantity, "quantity", "quantity"),
        price=positive(new.price, "price", "price"),
        quote_qty=positive(new.quote_order_qty, "quoteOrderQty", "quoteOrderQty"),
        stop=positive(new.stop_price, "stopPrice", "stopPrice"),
        trailing=new.trailing_delta or 0,
        iceberg=amount(new.iceberg_qty, "icebergQty"),
        stp=new.self_trade_prevention_mode or stp or "NONE",
        strategy_id=new.strategy_id,
        strategy_type=new.strategy_type,
        peg=new.peg_price_type or "",
        peg_offset=new.peg_offset_type or "",
        peg_levels=new.peg_offset_value or 0,
        created=NONE,
        updated=NONE,
    )
    if order.iceberg > order.qty and sized:
        raise ApiError(-2010, "IcebergQty exceeds QTY.")
    if order.iceberg and order.tif != "GTC":
        raise ApiError(-1014, "Unsupported order combination.")
    if order.price and order.qty and order.price * order.qty < ONE:
        raise ApiError(-2010, "Price * QTY is zero or less.")
    return order


def _required(new: NewOrder, sized: bool) -> None:
    needs: list[tuple[str, Any]] = []
    if new.type in _TIMED:
        needs.append(("timeInForce", new.time_in_force))
    if sized and new.type != "MARKET":
        needs.append(("quantity", new.quantity))
    if new.type in _LIMITS and not new.peg_price_type:
        needs.append(("price", new.price))
    for name, value in needs:
        if value is None:
            raise ApiError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    if new.time_in_force not in (None, "GTC", "IOC", "FOK"):
        raise ApiError(-1115, "Invalid timeInForce.")
    if new.type == "MARKET" and sized:
        _one_of("quantity", new.quantity, "quoteOrderQty", new.quote_order_qty)
    if new.type in ALGO:
        _one_of("stopPrice", new.stop_price, "trailingDelta", new.trailing_delta)


def _one_of(first: str, one: object, second: str, other: object) -> None:
    if one is None and other is None:
        raise ApiError(-1102, f"Param '{first}' or '{second}' must be sent, but both were empty/null!")


def _unwanted(new: NewOrder) -> None:
    unwanted: list[tuple[str, Any]] = []
    if new.type not in _TIMED and not (new.type == "LIMIT_MAKER" and new.time_in_force == "GTC"):
        unwanted.append(("timeInForce", new.time_in_force))
    if new.type in AT_MARKET:
        unwanted += [("price", new.price), ("icebergQty", new.iceberg_qty)]
    if new.type not in ALGO:
        unwanted += [("stopPrice", new.stop_price), ("trailingDelta", new.trailing_delta)]
    if new.type != "MARKET" or new.quantity is not None:
        unwanted.append(("quoteOrderQty", new.quote_order_qty))
    for name, value in unwanted:
        if value is not None:
            raise ApiError(-1106, f"Parameter '{name}' sent when not required.")


def _pegging(new: NewOrder) -> None:
    if new.peg_price_type is None:
        if new.peg_offset_type is not None or new.peg_offset_value is not None:
            raise ApiError(-1128, "Combination of optional parameters invalid.")
        return
    if new.peg_price_type not in _PEGS:
        raise ApiError(-1210, "Invalid pegPriceType.")
    if new.type not in _LIMITS:
        raise ApiError(-2010, "This order type may not use pegged price.")
    if new.peg_price_type == "MARKET_PEG" and new.type == "LIMIT_MAKER":
        raise ApiError(-2010, "This price peg cannot be used with this order type.")
    if new.peg_price_type == "PRIMARY_PEG" and new.type == "LIMIT" and new.time_in_force != "GTC":
        raise ApiError(-1014, "Unsupported order combination.")
    if (new.peg_offset_type is None) != (new.peg_offset_value is None):
        raise ApiError(-1128, "Combination of optional parameters invalid.")
    if new.peg_offset_type not in (None, "PRICE_LEVEL"):
        raise ApiError(-1211, "Invalid pegOffsetType.")
    if not 0 <= (new.peg_offset_value or 0) <= _MAX_PEG_LEVELS:
        raise ApiError(-1130, "Data sent for parameter 'pegOffsetValue' is not valid.")
