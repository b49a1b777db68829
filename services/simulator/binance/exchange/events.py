"""User data events with the venue's keys and their order; conditional keys stand only where they apply."""

from __future__ import annotations

from collections.abc import Iterable

from services.simulator.binance.decimals import ONE, text8
from services.simulator.binance.exchange.accounts import Account
from services.simulator.binance.exchange.api import Event
from services.simulator.binance.exchange.orders import AT_MARKET, NONE, Fill, Order, OrderList, Prevented


def execution_report(
    order: Order,
    kind: str,
    now: int,
    execution: int,
    *,
    fill: Fill | None,
    prevented: Prevented | None,
    client_id: str,
    reject: str,
    trade_group: int,
) -> Event:
    """`executionReport`. `kind` is the execution type, `client_id` that of a cancel or an amendment."""
    event: Event = {
        "e": "executionReport",
        "E": now,
        "s": order.symbol,
        "c": client_id or order.client_id,
        "S": order.side,
        "o": order.type,
        "f": order.tif,
        "q": text8(order.qty),
        "p": text8(order.price),
        "P": text8(order.stop),
    }
    if order.trailing:
        event["d"] = order.trailing
    event |= {
        "F": text8(order.iceberg),
        "g": order.list_id,
        "C": order.client_id if client_id else "",
        "x": kind,
        "X": order.status,
        "r": reject,
        "i": order.id,
        "l": text8(fill.qty if fill else 0),
        "z": text8(order.executed),
        "L": text8(fill.price if fill else 0),
        "n": text8(fill.fee) if fill else "0",
        "N": fill.fee_asset if fill else None,
        "T": now,
        "t": fill.trade if fill else NONE,
    }
    if order.prevented_match != NONE:
        event["v"] = order.prevented_match
    event |= {
        "I": execution,
        "w": on_book(order, kind),
        "m": fill.maker if fill else False,
        "M": fill is not None,
        "O": order.created,
        "Z": text8(order.spent),
        "Y": text8(fill.quote if fill else 0),
        "Q": text8(order.quote_qty),
    }
    if order.trailing:
        event["D"] = order.tracking
    if order.strategy_id is not None:
        event["j"] = order.strategy_id
    if order.strategy_type is not None:
        event["J"] = order.strategy_type
    if order.working != NONE:
        event["W"] = order.working
    event["V"] = order.stp
    if prevented is not None:
        event |= _prevention(order, prevented, trade_group)
    elif order.prevented:
        event["A"] = text8(order.prevented)
    if order.peg:
        event["gP"] = order.peg
        if order.peg_offset:
            event["gOT"] = order.peg_offset
            event["gOV"] = order.peg_levels
        if order.pegged:
            event["gp"] = text8(order.pegged)
    if order.reason:
        event["eR"] = order.reason
    return event


def _prevention(order: Order, row: Prevented, trade_group: int) -> Event:
    taker = row.taker == order.id and row.taker_account == order.account
    last = max(row.taker_qty if taker else row.maker_qty, 0)
    event: Event = {}
    if trade_group != NONE:
        event["u"] = trade_group
    event |= {"U": row.maker if taker else row.taker, "Cs": row.symbol}
    if row.mode == "TRANSFER":
        quote = last * row.price // ONE
        event |= {"pl": text8(last), "pL": text8(row.price), "pY": text8(quote)}
    return event | {"A": text8(order.prevented), "B": text8(last)}


def on_book(order: Order, kind: str) -> bool:
    """Whether the order is on the book with this report: a taker's fills and whatever ends an order are not."""
    if order.status == "NEW" or kind in ("NEW", "REPLACED"):
        return order.working != NONE and order.status != "PENDING_NEW"
    lasting = order.tif == "GTC" and order.type not in AT_MARKET
    return order.open and lasting and order.seq > 0


def account_position(account: Account, assets: Iterable[str], now: int) -> Event:
    """`outboundAccountPosition` of the assets that may have changed."""
    return {
        "e": "outboundAccountPosition",
        "E": now,
        "u": account.updated,
        "B": [
            {"a": asset, "f": text8(account.balance(asset).free), "l": text8(account.balance(asset).locked)}
            for asset in assets
        ],
    }


def balance_update(asset: str, amount: int, now: int) -> Event:
    """`balanceUpdate`: money from or to outside."""
    return {"e": "balanceUpdate", "E": now, "a": asset, "d": text8(amount), "T": now}


def list_status(order_list: OrderList, legs: Iterable[Order], status: str, now: int) -> Event:
    """`listStatus`; `status` is its listStatusType."""
    return {
        "e": "listStatus",
        "E": now,
        "s": order_list.symbol,
        "g": order_list.id,
        "c": order_list.contingency,
        "l": status,
        "L": "ALL_DONE" if order_list.done else "EXECUTING",
        "r": "NONE",
        "C": order_list.client_id,
        "T": now,
        "O": [{"s": leg.symbol, "i": leg.id, "c": leg.client_id} for leg in legs],
    }
