"""Trading calls, handed to the matching engine."""

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
from services.simulator.binance.exchange.api import ApiError, OrderKey
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
    return venue.exchange.cancel(account, key_of(venue, p, "orderId", "origClientOrderId"), **names)


def cancel_all(venue: Venue, account: int, p: Params) -> Any:
    return venue.exchange.cancel_all(account, venue.known(p["symbol"]))


def cancel_replace(venue: Venue, account: int, p: Params) -> Any:
    key = key_of(venue, p, "cancelOrderId", "cancelOrigClientOrderId")
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
    key = key_of(venue, p, "orderId", "origClientOrderId")
    return venue.exchange.amend(account, key, p["newQty"], p.get("newClientOrderId"))


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
    need_either(p, "orderListId", "listClientOrderId")
    names = p.get("orderListId"), p.get("listClientOrderId"), p.get("newClientOrderId")
    return venue.exchange.cancel_list(account, venue.known(p["symbol"]), *names)


def smart_order(venue: Venue, account: int, p: Params) -> Any:
    raise ApiError(-1020, "This operation is not supported.")


def key_of(venue: Venue, p: Params, id_name: str, client_name: str) -> OrderKey:
    symbol = venue.known(p["symbol"])
    need_either(p, id_name, client_name)
    return OrderKey(symbol=symbol, order_id=p.get(id_name), orig_client_order_id=p.get(client_name))


def need_either(p: Params, first: str, second: str) -> None:
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


def _test_weight(p: Params) -> int:
    return 20 if p.get("computeCommissionRates") else 1


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
)
