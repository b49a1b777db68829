"""What an answer other than success proves: nothing happened, nothing was even tried, or nobody knows."""

from __future__ import annotations

import math
import time
from typing import Final

import msgspec

from libs.venues.base import VenueError, VenueRefused, VenueUnavailable, VenueUnresolved
from libs.venues.binance import codec, trade_codec
from libs.venues.binance.limits import Limits
from libs.venues.binance.trade_codec import Envelope

NO_PROOF: Final = frozenset({-1000, -1001, -1006, -1007})
"""The venue's own codes for "perhaps": unknown error, internal disconnect, unexpected answer, engine timeout."""

TOO_MANY: Final = (429, 418)
TOO_MANY_ORDERS: Final = -1015
FIREWALL: Final = 403
SILENCE_S: Final = 60.0
"""Asked for by a rate limit that does not say how long."""

MOST_SILENCE_S: Final = 4 * 86_400.0
"""Bans last three days at most."""

MOST_TEXT: Final = 300


def outcome(call: str, status: int, code: int | None, text: str, wait_s: float, limits: Limits) -> VenueError:
    """The error that an answer with HTTP `status` stands for; a rate limit also blocks the budgets for `wait_s`.

    `code` and `text` are the venue's, None and "" where the answer had none. `wait_s` 0 = not told.
    """
    said = " ".join(text.split())[:MOST_TEXT]
    if status in TOO_MANY:
        seconds = min(wait_s if math.isfinite(wait_s) and wait_s > 0 else SILENCE_S, MOST_SILENCE_S)
        if code == TOO_MANY_ORDERS:
            limits.block_orders(seconds)
            return VenueUnavailable(f"Binance takes no more orders of this account for {seconds:g} s")
        limits.block_calls(seconds)
        return VenueUnavailable(f"Binance's rate limit is reached; no call for {seconds:g} s")
    if status == FIREWALL:
        return VenueRefused(f"Binance's firewall refused {call}", str(code or status))
    if 400 <= status < 500 and code is not None and code not in NO_PROOF:
        return VenueRefused(f"Binance refused {call}: {said} ({code})", str(code))
    reason = f": {said} ({code})" if code is not None else ""
    return VenueUnresolved(f"Binance answered {call} with status {status}{reason}")


def result_of(call: str, answer: Envelope, limits: Limits) -> msgspec.Raw:
    """The result of a WebSocket API answer; raises what it stands for where it is none."""
    limits.observe(answer.rateLimits)
    if answer.status == 200 and answer.error is None:
        return answer.result
    if answer.error is None:
        raise outcome(call, answer.status, None, "", 0.0, limits)
    wait_s = _told_wait_s(answer.error.data) if answer.status in TOO_MANY else 0.0
    raise outcome(call, answer.status, answer.error.code, answer.error.msg, wait_s, limits)


def _told_wait_s(data: msgspec.Raw) -> float:
    try:
        told = trade_codec.patience.decode(data)
    except codec.UNREADABLE:
        return 0.0
    return told.retryAfter / 1000 - (told.serverTime / 1000 if told.serverTime else time.time())
