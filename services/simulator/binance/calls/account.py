"""Account calls: orders, trades, lists and balances as the matching engine knows them."""

from __future__ import annotations

from typing import Any, Final

from services.simulator.binance.calls.params import (
    Param,
    Params,
    bad_combination,
    boolean,
    client_id,
    integer,
    limit,
    may,
    need,
    signed_integer,
    time_ms,
)
from services.simulator.binance.calls.spec import Call, Handler, Security, Weight
from services.simulator.binance.calls.trading import key_of, need_either
from services.simulator.binance.exchange.api import ApiError, Page
from services.simulator.binance.intervals import DAY_MS
from services.simulator.binance.venue import Venue

MAX_ROWS: Final = 1_000


def order(venue: Venue, account: int, p: Params) -> Any:
    return venue.exchange.order(account, key_of(venue, p, "orderId", "origClientOrderId"))


def open_orders(venue: Venue, account: int, p: Params) -> Any:
    return venue.exchange.open_orders(account, venue.known(p["symbol"]) if "symbol" in p else None)


def all_orders(venue: Venue, account: int, p: Params) -> Any:
    return venue.exchange.all_orders(account, venue.known(p["symbol"]), _page(p, "orderId"))


def my_trades(venue: Venue, account: int, p: Params) -> Any:
    if "orderId" in p and ("startTime" in p or "endTime" in p):
        raise bad_combination()
    return venue.exchange.my_trades(account, venue.known(p["symbol"]), p.get("orderId"), _page(p, "fromId"))


def order_list(venue: Venue, account: int, p: Params) -> Any:
    need_either(p, "orderListId", "origClientOrderId")
    return venue.exchange.order_list(account, p.get("orderListId"), p.get("origClientOrderId"))


def all_lists(venue: Venue, account: int, p: Params) -> Any:
    return venue.exchange.all_order_lists(account, _page(p, "fromId"))


def open_lists(venue: Venue, account: int, p: Params) -> Any:
    return venue.exchange.open_order_lists(account)


def account_status(venue: Venue, account: int, p: Params) -> Any:
    return venue.exchange.account(account, omit_zero=p.get("omitZeroBalances", False))


def commission(venue: Venue, account: int, p: Params) -> Any:
    return venue.exchange.commission(account, venue.known(p["symbol"]))


def my_filters(venue: Venue, account: int, p: Params) -> Any:
    return venue.exchange.my_filters(account, venue.known(p["symbol"]))


def prevented_matches(venue: Venue, account: int, p: Params) -> Any:
    if "preventedMatchId" not in p and "orderId" not in p:
        raise bad_combination()
    page = Page(from_id=p.get("fromPreventedMatchId"), limit=_rows(p))
    ids = p.get("orderId"), page, p.get("preventedMatchId")
    return venue.exchange.prevented_matches(account, venue.known(p["symbol"]), *ids)


def allocations(venue: Venue, account: int, p: Params) -> Any:
    venue.known(p["symbol"])
    return []


def amendments(venue: Venue, account: int, p: Params) -> Any:
    page = Page(from_id=p.get("fromExecutionId"), limit=_rows(p))
    return venue.exchange.amendments(account, venue.known(p["symbol"]), p["orderId"], page)


def order_counts(venue: Venue, account: int, p: Params) -> Any:
    return venue.exchange.order_counts(account)


def _rows(p: Params) -> int:
    rows: int = p.get("limit", 500)
    return min(rows, MAX_ROWS)


def _page(p: Params, from_name: str) -> Page:
    start, end = p.get("startTime"), p.get("endTime")
    if from_name in p and (start is not None or end is not None):
        raise bad_combination()
    if start is not None and end is not None and not 0 <= end - start <= DAY_MS:
        raise ApiError(-1127, "More than 24 hours between startTime and endTime.")
    return Page(from_id=p.get(from_name), start=start, end=end, limit=_rows(p))


def _trades_weight(p: Params) -> int:
    return 5 if "orderId" in p else 20


def _open_weight(p: Params) -> int:
    return 6 if "symbol" in p else 80


def _prevented_weight(p: Params) -> int:
    return 2 if "preventedMatchId" in p else 20


def _ask(rest: str, ws: str, weight: Weight, answer: Handler, *params: Param) -> Call:
    return Call(rest=rest, ws=ws, security=Security.USER_DATA, weight=weight, params=params, answer=answer)


_symbol, _limit, _order_id = need("symbol"), may("limit", limit), may("orderId", integer)
_start, _end, _from_id = may("startTime", time_ms), may("endTime", time_ms), may("fromId", integer)
_client, _list_id = may("origClientOrderId", client_id), may("orderListId", signed_integer)

CALLS: Final = (
    _ask("GET /api/v3/order", "order.status", 4, order, _symbol, _order_id, _client),
    _ask("GET /api/v3/openOrders", "openOrders.status", _open_weight, open_orders, may("symbol")),
    _ask("GET /api/v3/allOrders", "allOrders", 20, all_orders, _symbol, _order_id, _start, _end, _limit),
    _ask(
        "GET /api/v3/myTrades",
        "myTrades",
        _trades_weight,
        my_trades,
        _symbol,
        _order_id,
        _start,
        _end,
        _from_id,
        _limit,
    ),
    _ask("GET /api/v3/account", "account.status", 20, account_status, may("omitZeroBalances", boolean)),
    _ask("GET /api/v3/account/commission", "account.commission", 20, commission, _symbol),
    _ask("GET /api/v3/myFilters", "myFilters", 40, my_filters, _symbol),
    _ask("GET /api/v3/rateLimit/order", "account.rateLimits.orders", 40, order_counts),
    _ask("GET /api/v3/orderList", "orderList.status", 4, order_list, _list_id, _client),
    _ask("GET /api/v3/allOrderList", "allOrderLists", 20, all_lists, _from_id, _start, _end, _limit),
    _ask("GET /api/v3/openOrderList", "openOrderLists.status", 6, open_lists),
    _ask(
        "GET /api/v3/myPreventedMatches",
        "myPreventedMatches",
        _prevented_weight,
        prevented_matches,
        _symbol,
        may("preventedMatchId", integer),
        _order_id,
        may("fromPreventedMatchId", integer),
        _limit,
    ),
    _ask(
        "GET /api/v3/myAllocations",
        "myAllocations",
        20,
        allocations,
        _symbol,
        _start,
        _end,
        may("fromAllocationId", integer),
        _limit,
        _order_id,
    ),
    _ask(
        "GET /api/v3/order/amendments",
        "order.amendments",
        4,
        amendments,
        _symbol,
        need("orderId", integer),
        may("fromExecutionId", integer),
        _limit,
    ),
)
