"""What ccxt raises, told apart: proof of no effect, try later, or nobody knows."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import ccxt

from libs.venues.budget import Priority
from libs.venues.ccxt.exchange import Call, current_call
from libs.venues.checked import line
from libs.venues.errors import VenueError, VenueRefused, VenueUnavailable, VenueUnresolved

PROOF: Final = (
    ccxt.AuthenticationError,
    ccxt.ArgumentsRequired,
    ccxt.BadRequest,
    ccxt.OperationRejected,
    ccxt.InsufficientFunds,
    ccxt.InvalidOrder,
    ccxt.NotSupported,
)
"""The exchange, or ccxt before it sent anything, said no."""

TOO_MANY: Final = (ccxt.RateLimitExceeded, ccxt.DDoSProtection)
SILENCE_S: Final = 60.0
MOST_SILENCE_S: Final = 4 * 86_400.0
DUPLICATE: Final = "duplicate order"


@asynccontextmanager
async def question(exchange: Any, priority: Priority = Priority.DATA) -> AsyncIterator[Call]:
    """Calls within ask and change nothing. Raises VenueRefused, VenueUnavailable."""
    async with _call(priority, math.inf) as call:
        try:
            yield call
        except Exception as err:
            if isinstance(err, ccxt.InvalidNonce):
                await _learn_the_time(exchange)
            raise answer_to(exchange, err, call, effect=False) from err


async def _learn_the_time(exchange: Any) -> None:
    """Requests carry the exchange's time: without learning it anew every later one would be refused as well."""
    if exchange.options.get("adjustForTimeDifference"):
        with contextlib.suppress(ccxt.BaseError, VenueError):
            await exchange.load_time_difference()


@asynccontextmanager
async def effect(exchange: Any, priority: Priority, deadline: float) -> AsyncIterator[Call]:
    """The call within changes something. Raises VenueRefused, VenueUnavailable, VenueUnresolved."""
    async with _call(priority, deadline) as call:
        try:
            yield call
        except Exception as err:
            raise answer_to(exchange, err, call, effect=True) from err


@asynccontextmanager
async def _call(priority: Priority, deadline: float) -> AsyncIterator[Call]:
    call = Call(priority, deadline)
    token = current_call.set(call)
    try:
        yield call
    finally:
        current_call.reset(token)


def answer_to(exchange: Any, err: Exception, call: Call, *, effect: bool) -> VenueError:
    """The error of ours that `err`, raised while `call` was made, stands for; a rate limit blocks the budget."""
    if isinstance(err, VenueError):
        return err
    name = f"ccxt:{exchange.id}"
    kind = type(err).__name__
    if isinstance(err, TOO_MANY):
        wait_s = _told_wait_s(exchange)
        exchange.budget.block(wait_s)
        return VenueUnavailable(f"{name}: the rate limit is reached; no call for {wait_s:g} s")
    said = _said(exchange, err)
    if isinstance(err, ccxt.DuplicateOrderId) or (effect and DUPLICATE in said.lower()):
        return VenueUnresolved(f"{name} has an order with this id already")
    if isinstance(err, PROOF):
        return VenueRefused(f"{name} refused: {said}", kind)
    if isinstance(err, ccxt.InvalidNonce):
        return VenueUnavailable(f"{name} does not accept the time or number of the request ({kind})")
    if effect and call.sent:
        return VenueUnresolved(f"{name} gave no proof of what became of the order ({kind})")
    # Texts of network errors hold the address, and that a signature.
    detail = "" if isinstance(err, ccxt.NetworkError) else f": {said}"
    return VenueUnavailable(f"{name} cannot be asked ({kind}){detail}")


def _said(exchange: Any, err: Exception) -> str:
    told = str(err)
    for secret in (exchange.secret, exchange.apiKey, exchange.password):
        if secret:
            told = told.replace(secret, "…")
    return line(told)


def _told_wait_s(exchange: Any) -> float:
    headers = exchange.last_response_headers or {}
    after = next((value for key, value in headers.items() if key.lower() == "retry-after"), "")
    with contextlib.suppress(ValueError):
        seconds = float(after)
        if 0 < seconds < math.inf:
            return min(seconds, MOST_SILENCE_S)
    return SILENCE_S


def within(seconds: float) -> float:
    """A deadline from now."""
    return time.monotonic() + seconds
