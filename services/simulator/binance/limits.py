"""Request limits of an address: weight, raw requests, connections; refusal (429) and then a ban (418)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from services.simulator.binance.exchange.api import ApiError

WEIGHT_A_MINUTE: Final = 6_000
RAW_IN_FIVE_MINUTES: Final = 300_000
CONNECTIONS_IN_FIVE_MINUTES: Final = 300
MINUTE_S: Final = 60
FIVE_MINUTES_S: Final = 300
FIRST_BAN_S: Final = 120
LONGEST_BAN_S: Final = 3 * 86_400
PATIENCE: Final = 20


@dataclass
class _Window:
    """A count in one clock-aligned window."""

    length_s: int
    number: int = -1
    count: int = 0

    def add(self, now: float, amount: int) -> int:
        """Count `amount`; a window that has passed begins again at zero."""
        if (number := int(now // self.length_s)) != self.number:
            self.number, self.count = number, 0
        self.count = max(0, self.count + amount)
        return self.count

    def ends_at(self, now: float) -> float:
        return (now // self.length_s + 1) * self.length_s


class _Address:
    """What one address has used up."""

    def __init__(self) -> None:
        self.weight = _Window(MINUTE_S)
        self.raw = _Window(FIVE_MINUTES_S)
        self.connections = _Window(FIVE_MINUTES_S)
        self.refused = _Window(MINUTE_S)
        self.banned_until = 0.0
        self.bans = 0


class Limits:
    """Counts per address in windows aligned to the clock, as the venue does.

    An address that goes on after `patience` refusals within a minute is banned: two minutes, then four, up to three
    days. `highest` is the largest weight that any address had in one minute, for tests of clients.
    """

    def __init__(
        self,
        now: Callable[[], float] | None = None,
        *,
        weight: int = WEIGHT_A_MINUTE,
        raw: int = RAW_IN_FIVE_MINUTES,
        connections: int = CONNECTIONS_IN_FIVE_MINUTES,
        patience: int = PATIENCE,
    ) -> None:
        """`now` is the machine clock in seconds, the system's when not given."""
        self._now = now or time.time
        self._weight, self._raw, self._connections, self._patience = weight, raw, connections, patience
        self._addresses: dict[str, _Address] = {}
        self.highest = 0
        self.refusals = 0
        self.bans = 0

    def now_ms(self) -> int:
        """The machine clock that the windows are aligned to."""
        return int(self._now() * 1_000)

    def spend(self, address: str, weight: int) -> int:
        """Count one request; returns the weight used in this minute. Raises ApiError 429 or 418."""
        now, used = self._now(), self._of(address)
        self._check_ban(used, now)
        if used.raw.add(now, 1) > self._raw:
            text = f"Too many requests; current limit is {self._raw} requests per 5 MINUTE."
            raise self._refuse(used, now, used.raw, text)
        total = used.weight.add(now, weight)
        if total > self._weight:
            text = f"Too much request weight used; current limit is {self._weight} request weight per 1 MINUTE."
            raise self._refuse(used, now, used.weight, text)
        self.highest = max(self.highest, total)
        return total

    def give_back(self, address: str, weight: int) -> int:
        """Return the weight of a call that turned out to be free; returns what is used then."""
        return self._of(address).weight.add(self._now(), -weight)

    def used(self, address: str) -> int:
        """The weight used in this minute."""
        return self._of(address).weight.add(self._now(), 0)

    def connect(self, address: str) -> None:
        """Count one connection attempt. Raises ApiError 429 or 418."""
        now, used = self._now(), self._of(address)
        self._check_ban(used, now)
        if used.connections.add(now, 1) > self._connections:
            text = f"Too many connection attempts; current limit is {self._connections} per '5 MINUTE'."
            raise self._refuse(used, now, used.connections, text, -1034)

    def rows(self, address: str) -> list[dict[str, Any]]:
        """The `rateLimits` block of the WebSocket API, without the order counts."""
        return [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": self._weight,
                "count": self.used(address),
            }
        ]

    def _of(self, address: str) -> _Address:
        used = self._addresses.get(address)
        if used is None:
            used = self._addresses[address] = _Address()
        return used

    def _check_ban(self, used: _Address, now: float) -> None:
        if now < used.banned_until:
            raise _banned(used.banned_until, now)

    def _refuse(self, used: _Address, now: float, window: _Window, text: str, code: int = -1003) -> ApiError:
        self.refusals += 1
        if used.refused.add(now, 1) > self._patience:
            used.banned_until = now + min(FIRST_BAN_S * 2**used.bans, LONGEST_BAN_S)
            used.bans += 1
            self.bans += 1
            return _banned(used.banned_until, now)
        return limited(text, code, window.ends_at(now), now)


def limited(text: str, code: int, until: float, now: float) -> ApiError:
    """429: wait until `until` (s). The WebSocket API tells it in ms inside `data`."""
    return _with_wait(text, code, 429, until, now)


def _banned(until: float, now: float) -> ApiError:
    text = f"Way too much request weight used; IP banned until {int(until * 1_000)}."
    return _with_wait(text, -1003, 418, until, now)


def _with_wait(text: str, code: int, status: int, until: float, now: float) -> ApiError:
    wait = {"serverTime": int(now * 1_000), "retryAfter": int(until * 1_000)}
    return ApiError(code, text, status, {"Retry-After": str(max(1, int(until - now + 0.999)))}, wait)
