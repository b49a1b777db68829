"""A ccxt exchange that spends from our budget, keeps numbers as text, and survives what comes down the line."""

from __future__ import annotations

import functools
import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final
from urllib.parse import urlsplit

import ccxt.async_support
import ccxt.pro

from libs.venues.budget import Budget, Priority
from libs.venues.ccxt.quirks import quirk_of
from libs.venues.checked import line
from libs.venues.credentials import Credentials
from libs.venues.errors import VenueUnavailable
from libs.venues.pace import is_loopback

log = logging.getLogger("libs.venues.ccxt")

TIMEOUT_MS: Final = 10_000
WINDOW_S: Final = 2.0
LEAST_UNITS: Final = 5
"""A budget's window is short, but long enough for so many calls: what waits for ccxt's own pace behind it must never
be much, as that queue knows no priorities, and yet each priority needs a share."""

PRIVATE: Final = ("ws-api", "private", "auth")
"""What the name of an address for an account's own stream has in it."""

OnOdd = Callable[[str, str], None]


class Call:
    """One question or order on its way. `deadline`: monotonic seconds after which it must not leave any more."""

    def __init__(self, priority: Priority, deadline: float = math.inf) -> None:
        self.priority, self.deadline = priority, deadline
        self.sent = False


_DATA: Final = Call(Priority.DATA)
current_call: Final[ContextVar[Call]] = ContextVar("ccxt call", default=_DATA)


class _Guarded:
    """Mixed in before ccxt's class of an exchange."""

    budget: Budget
    on_odd: OnOdd

    async def throttle(self, cost: float | None = None) -> None:
        call = current_call.get()
        patience_s = min(60.0, max(0.0, call.deadline - time.monotonic()))
        await self.budget.take(call.priority, max(1, math.ceil(cost or 1)), patience_s=patience_s)
        await super().throttle(cost)  # type: ignore[misc]

    async def fetch(self, *args: Any, **kwargs: Any) -> Any:
        call = current_call.get()
        if time.monotonic() > call.deadline:
            raise VenueUnavailable("not sent: it took too long until it could be")
        call.sent = call is not _DATA
        return await super().fetch(*args, **kwargs)  # type: ignore[misc]

    def client(self, url: str) -> Any:
        """A WebSocket of ccxt, which would fall silent for good at the first message that it cannot read."""
        client = super().client(url)  # type: ignore[misc]
        if "handle_message" not in vars(client):
            handle = client.handle_message

            def guarded(message: Any) -> None:
                try:
                    handle(message)
                except Exception as err:
                    self.on_odd(line(getattr(message, "data", "")), f"malformed: {line(err)}")

            make = client.future

            def taken(name: str) -> Any:
                future = make(name)
                future.remove_done_callback(_take)
                future.add_done_callback(_take)
                return future

            client.handle_message, client.future = guarded, taken
        return client


def _take(future: Any) -> None:
    """Take an exception that nobody may be left to take."""
    if not future.cancelled():
        future.exception()


@functools.cache
def _class_of(exchange_id: str) -> type[Any]:
    if exchange_id not in ccxt.async_support.exchanges:
        raise ValueError(f"exchange {exchange_id!r} is unknown to ccxt {ccxt.__version__}")
    home = ccxt.pro if exchange_id in ccxt.pro.exchanges else ccxt.async_support
    return type(f"Guarded_{exchange_id}", (_Guarded, getattr(home, exchange_id)), {})


def _exact_json(body: str) -> Any:
    """JSON whose fractions stay text; NaN and the infinities are no JSON."""
    return json.loads(body, parse_float=str, parse_constant=_refuse)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def make_exchange(
    exchange_id: str,
    urls: Mapping[str, str],
    credentials: Credentials,
    *,
    sandbox: bool,
    exact: bool,
    budget: Budget | None = None,
    on_odd: OnOdd | None = None,
) -> Any:
    """The ccxt object of `exchange_id`; must be made within a running loop when it is first used, and closed.

    `urls` (rest, ws, ws_api) move every address elsewhere. `exact`: numbers stay text all the way; order books that
    are kept from streams need floats.

    Raises:
        ValueError: unknown exchange, no sandbox, or addresses without rest; in one line.
    """
    quirk = quirk_of(exchange_id)
    made: Any = _class_of(exchange_id)(
        {
            "enableRateLimit": True,
            "timeout": TIMEOUT_MS,
            "number": str if exact else float,
            "apiKey": credentials.key,
            "secret": credentials.secret or credentials.private_key,
            "password": credentials.token,
            "uid": credentials.account_id,
            "aiohttp_trust_env": not any(is_loopback(url) for url in urls.values()),
            "options": dict(quirk.options),
        }
    )
    if exact:
        made.on_json_response = _exact_json
    made.budget = budget or budget_of(exchange_id, made)
    made.on_odd = on_odd or (lambda payload, reason: None)
    if urls:
        if not urls.get("rest"):
            raise ValueError(f"ccxt:{exchange_id} needs an address for rest when others are given")
        made.urls["api"] = _moved(made.urls["api"], urls, "")
        made.timeout_on_exit = 0
    elif sandbox:
        if not made.urls.get("test"):
            raise ValueError(f"{exchange_id} has no test network that ccxt knows")
        made.set_sandbox_mode(True)
    return made


def budget_of(exchange_id: str, exchange: Any) -> Budget:
    """What ccxt says that the exchange bears: one unit each `rateLimit` milliseconds."""
    unit_s = max(1.0, float(exchange.rateLimit)) / 1000
    window_s = max(WINDOW_S, LEAST_UNITS * unit_s)
    return Budget(f"{exchange_id} requests", round(window_s / unit_s), window_s)


def _moved(address: Any, urls: Mapping[str, str], name: str) -> Any:
    """Every address within `address` at another host; one that no host is named for goes to that of rest."""
    if isinstance(address, dict):
        return {key: _moved(value, urls, f"{name}.{key}") for key, value in address.items()}
    if not isinstance(address, str):
        return address
    old = urlsplit(address)
    if old.scheme in ("ws", "wss"):
        private = any(word in f"{name}{old.netloc}" for word in PRIVATE)
        place = (urls.get("ws_api") if private else None) or urls.get("ws") or f"ws{urls['rest'][4:]}"
    else:
        place = urls["rest"]
    new = urlsplit(place)
    path = new.path if new.path.strip("/") else old.path
    return f"{new.scheme}://{new.netloc}{path}"


async def close(exchange: Any) -> None:
    """Close it; what it says of a connection that had broken before concerns nobody any more."""
    try:
        await exchange.close()
    except Exception as err:
        log.debug("closing %s: %s", exchange.id, type(err).__name__)
