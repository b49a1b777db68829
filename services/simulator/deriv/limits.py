"""How many calls a user may make: the venue's buckets per minute and per hour."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.simulator.deriv.errors import ApiError

GENERAL: Final = "max_requestes_general"  # the venue spells it so
PRICING: Final = "max_requests_pricing"
OUTCOME: Final = "max_requests_outcome"
MAX_PROPOSAL_STREAMS: Final = 5
BUCKETS: Final = {
    "proposal": PRICING,
    "proposal_open_contract": PRICING,
    "portfolio": OUTCOME,
    "statement": OUTCOME,
    "profit_table": OUTCOME,
}


@dataclass(frozen=True, slots=True)
class Quota:
    """Calls allowed in any 60 s and in any 3600 s."""

    minutely: int
    hourly: int


QUOTAS: Final = {GENERAL: Quota(220, 14_400), PRICING: Quota(80, 3_600), OUTCOME: Quota(30, 1_500)}


class CallMeter:
    """Counts the calls of one user, or of one connection before it logs in."""

    def __init__(
        self, quotas: Mapping[str, Quota], buckets: Mapping[str, str] = BUCKETS, general: str = GENERAL
    ) -> None:
        """`buckets` names the quota of each call that does not count as `general`."""
        self._quotas = quotas
        self._buckets = buckets
        self._general = general
        self._calls: dict[str, deque[float]] = {name: deque() for name in quotas}

    def take(self, call: str, now: float) -> None:
        """Count one call at `now` (seconds). Raises RateLimit (ApiError) when its bucket is empty."""
        name = self._buckets.get(call, self._general)
        quota, calls = self._quotas[name], self._calls[name]
        while calls and calls[0] <= now - 3600:
            calls.popleft()
        minute_full = len(calls) >= quota.minutely and calls[-quota.minutely] > now - 60
        if minute_full or len(calls) >= quota.hourly:
            raise ApiError("RateLimit", f"You have reached the rate limit for {call}.")
        calls.append(now)
