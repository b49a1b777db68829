"""Trading and account calls, handed to the matching engine."""

from __future__ import annotations

from typing import Any, Final

from services.simulator.binance.calls.orders import (
    LISTS,
    OLD_OCO,
    ORDER,
    SMART,
    read_list,
    read_old_oco,
    read_order,
)
from services.simulator.binance.calls.params import (
    Param,
    Params,
    bad_combination,
    boolean,
    client_id,
    decimal,
    integer,
    limit,
    may,
    need,
    one_of,
    signed_integer,
    time_ms,
)
from services.simulator.binance.calls.spec import Call, Handler, Security
from services.simulator.binance.exchange.api import ApiError, OrderKey, Page
from services.simulator.binance.intervals import DAY_MS
from services.simulator.binance.venue import Venue

MAX_ROWS: Final = 1_000
restrictions: Final = one_of(
    ("ONLY_NEW", "ONLY_PARTIALLY_FILLED"),
    -1145,
    "cancelRestrictions has to be either ONLY_NEW or ONLY_PARTIALLY_FILLED.",
)


def place(venue: Venue, account: int, p: Params) -> Any:
    venue.known(p["symbol"])
    return venue.exchange.place(account, read_order(p))


def test(venue: Venue, account: int, p: Params) -> Any:
    venue.known(p["symbol"])
    return venue.exchange.test(account, read_order(p), compute_commission=p.get("computeCommissionRates", False))


def cancel(venue: Venue, account: int, p: Params) -> Any:
    names = {"new_client_order_id": p.get("newClientOrderId"), "restrictions": p.get("cancelRestrictions")}
    return venue.exchange.cancel(account, _key(venue, p, "orderId", "origClientOrderId"), **names)


def cancel_all(venue: Venue, account: int, p: Params) -> Any:
    return venue.exchange.cancel_all(account, venue.known(p["symbol"]))


def cancel_replace(venue: Venue, account: int, p: Params) -> Any:
    key = _key(venue, p, "cancelOrderId", "cancelOrigClientOrderId")
    return venue.exchange.cancel_replace(
        account,
        p["cancelReplaceMode"],
        key,
        read_order(p),
        cancel_new_client_order_id=p.get("cancelNewClientOrderId"),
        restrictions=p.get("cancelRestrictions"),
        rate_limit_mode=p.get("orderRateLimitExceededMode"),
    )


def amend(venue: Venue, account: int, p: Params) -> Any:
    key = _key(venue, p, "orderId", "origClientOrderId")
    return venue.exchange.amend(account, key, p["newQty"], p.get("newClientOrderId"))


def order(venue: Venue, account: int, p: Params) -> Any:
    return venue.exchange.order(account, _key(venue, p, "orderId", "origClientOrderId"))


def open_orders(venue: Venue, account: int, p: Params) -> Any:
    return venue.exchange.open_orders(account, venue.known(p["symbol"]) if "symbol" in p else None)


def all_orders(venue: Venue, account: int, p: Params) -> Any:
    return venue.exchange.all_orders(account, venue.known(p["symbol"]), _page(p, "orderId"))


def my_trades(venue: Venue, account: int, p: Params) -> Any:
    if "orderId" in p and ("startTime" in p or "endTime" in p):
        raise bad_combination()
    return venue.exchange.my_trades(account, venue.known(p["symbol"]), p.get("orderId"), _page(p, "fromId"))


def place_list(kind: str) -> Handler:
    """The handler that places order lists of one kind."""

    def answer(venue: Venue, account: int, p: Params) -> Any:
        venue.known(p["symbol"])
        return venue.exchange.place_list(account, read_list(kind, p))

    return answer


def place_old_oco(venue: Venue, account: int, p: Params) -> Any:
    venue.known(p["symbol"])
    return venue.exchange.place_list(account, read_old_oco(p))


def cancel_list(venue: Venue, account: int, p: Params) -> Any:
    _need_either(p, "orderListId", "listClientOrderId")
    names = p.get("orderListId"), p.get("listClientOrderId"), p.get("newClientOrderId")
    return venue.exchange.cancel_list(account, venue.known(p["symbol"]), *names)


def order_list(venue: Venue, account: int, p: Params) -> Any:
    _need_either(p, "orderListId", "origClientOrderId")
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


def smart_order(venue: Venue, account: int, p: Params) -> Any:
    raise ApiError(-1020, "This operation is not supported.")


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


def _key(venue: Venue, p: Params, id_name: str, client_name: str) -> OrderKey:
    symbol = venue.known(p["symbol"])
    _need_either(p, id_name, client_name)
    return OrderKey(symbol=symbol, order_id=p.get(id_name), orig_client_order_id=p.get(client_name))


def _need_either(p: Params, first: str, second: str) -> None:
    if first not in p and second not in p:
        raise ApiError(-1102, f"Param '{second}' or '{first}' must be sent, but both were empty/null!")


_symbol, _limit, _order_id = need("symbol"), may("limit", limit), may("orderId", integer)
_start, _end, _from_id = may("startTime", time_ms), may("endTime", time_ms), may("fromId", integer)
_client, _new_client = may("origClientOrderId", client_id), may("newClientOrderId", client_id)
_list_id = may("orderListId", signed_integer)
_restrictions = may("cancelRestrictions", restrictions)
_replaced: Final[tuple[Param, ...]] = (
    *ORDER,
    need("cancelReplaceMode", one_of(("STOP_ON_FAILURE", "ALLOW_FAILURE"))),
    may("cancelNewClientOrderId", client_id),
    may("cancelOrigClientOrderId", client_id),
    may("cancelOrderId", integer),
    _restrictions,
    may("orderRateLimitExceededMode", one_of(("DO_NOTHING", "CANCEL_ONLY"))),
)


def _write(rest: str, ws: str, answer: Handler, *params: Param, orders: bool = False, weight: int = 1) -> Call:
    return Call(
        rest=rest,
        ws=ws,
        security=Security.TRADE,
        weight=weight,
        params=params,
        answer=answer,
        free=weight == 1,
        orders=orders,
    )


def _ask(rest: str, ws: str, weight: Any, answer: Handler, *params: Param) -> Call:
    return Call(rest=rest, ws=ws, security=Security.USER_DATA, weight=weight, params=params, answer=answer)


def _test_weight(p: Params) -> int:
    return 20 if p.get("computeCommissionRates") else 1


def _trades_weight(p: Params) -> int:
    return 5 if "orderId" in p else 20


def _prevented_weight(p: Params) -> int:
    return 2 if "preventedMatchId" in p else 20


def _open_weight(p: Params) -> int:
    return 6 if "symbol" in p else 80


CALLS: Final = (
    _write("POST /api/v3/order", "order.place", place, *ORDER, orders=True),
    Call(
        rest="POST /api/v3/order/test",
        ws="order.test",
        security=Security.TRADE,
        weight=_test_weight,
        params=(*ORDER, may("computeCommissionRates", boolean)),
        answer=test,
    ),
    _write("DELETE /api/v3/order", "order.cancel", cancel, _symbol, _order_id, _client, _new_client, _restrictions),
    _write("DELETE /api/v3/openOrders", "openOrders.cancelAll", cancel_all, _symbol),
    _write("POST /api/v3/order/cancelReplace", "order.cancelReplace", cancel_replace, *_replaced, orders=True),
    _write(
        "PUT /api/v3/order/amend/keepPriority",
        "order.amend.keepPriority",
        amend,
        _symbol,
        _order_id,
        _client,
        _new_client,
        need("newQty", decimal),
        weight=4,
    ),
    *(
        _write(f"POST /api/v3/orderList/{kind}", f"orderList.place.{kind}", place_list(kind), *params, orders=True)
        for kind, params in LISTS.items()
    ),
    _write("POST /api/v3/order/oco", "orderList.place", place_old_oco, *OLD_OCO, orders=True),
    _write(
        "DELETE /api/v3/orderList",
        "orderList.cancel",
        cancel_list,
        _symbol,
        _list_id,
        may("listClientOrderId", client_id),
        _new_client,
    ),
    _write("POST /api/v3/sor/order", "sor.order.place", smart_order, *SMART, orders=True),
    _write(
        "POST /api/v3/sor/order/test", "sor.order.test", smart_order, *SMART, may("computeCommissionRates", boolean)
    ),
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
