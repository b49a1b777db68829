"""Calls that exist on the WebSocket API alone: logging on and off, and user data subscriptions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from services.simulator.binance.calls.params import Param, integer, may
from services.simulator.binance.exchange.api import ApiError

if TYPE_CHECKING:
    from services.simulator.binance.ws_api import ApiClient

Params = dict[str, str]


@dataclass(frozen=True)
class SessionCall:
    """What one method answers; its parameters beside those of signing."""

    answer: Callable[[ApiClient, Params], Any]
    params: Sequence[Param] = ()
    weight: int = 2


def logon(client: ApiClient, p: Params) -> Any:
    client.signed_by(p)
    client.check_time(p)
    _, verifier = client.venue.keys.find(p["apiKey"])
    if not verifier.logon:
        raise ApiError(-4056, "Only Ed25519 API keys are supported by this method.")
    client.key, client.authorized_since = p["apiKey"], client.venue.now_ms()
    return status(client, p)


def status(client: ApiClient, p: Params) -> Any:
    return {
        "apiKey": client.key,
        "authorizedSince": client.authorized_since,
        "connectedSince": client.connected_since,
        "returnRateLimits": client.show_limits,
        "serverTime": client.venue.now_ms(),
        "userDataStream": bool(client.subscriptions.ids()),
    }


def logout(client: ApiClient, p: Params) -> Any:
    client.key = client.authorized_since = None
    client.subscriptions.end_session()
    return status(client, p)


def subscribe(client: ApiClient, p: Params) -> Any:
    if client.key is None:
        raise ApiError(-1002, "You are not authorized to execute this request.", 401)
    account, _ = client.venue.keys.find(client.key)
    return {"subscriptionId": client.subscriptions.subscribe(account, client.key, session=True)}


def subscribe_signed(client: ApiClient, p: Params) -> Any:
    account = client.signed_by(p)
    client.check_time(p)
    return {"subscriptionId": client.subscriptions.subscribe(account, p["apiKey"], session=False)}


def unsubscribe(client: ApiClient, p: Params) -> Any:
    number = integer("subscriptionId", p["subscriptionId"]) if "subscriptionId" in p else None
    client.subscriptions.unsubscribe(number)
    return {}


def subscriptions(client: ApiClient, p: Params) -> Any:
    return [{"subscriptionId": number} for number in client.subscriptions.ids()]


SESSION_CALLS: Final = {
    "session.logon": SessionCall(logon),
    "session.status": SessionCall(status),
    "session.logout": SessionCall(logout),
    "session.subscriptions": SessionCall(subscriptions),
    "userDataStream.subscribe": SessionCall(subscribe),
    "userDataStream.subscribe.signature": SessionCall(subscribe_signed),
    "userDataStream.unsubscribe": SessionCall(unsubscribe, (may("subscriptionId", integer),)),
}
