"""How many calls the Options API allows: its own buckets per user, pings per connection, REST per address and user."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Final

from services.simulator.deriv.errors import ApiError
from services.simulator.deriv.limits import CallMeter, Quota

TRADING: Final = "pricing_and_trading"
MONEY: Final = "balance_and_statement"
OUTCOME: Final = "portfolio_and_profit_table"
GENERAL: Final = "general"
QUOTAS: Final = {
    GENERAL: Quota(220, 14_400),
    TRADING: Quota(360, 14_400),
    MONEY: Quota(100, 2_000),
    OUTCOME: Quota(30, 1_500),
}
BUCKETS: Final = {
    **dict.fromkeys(("proposal", "proposal_open_contract", "buy", "sell"), TRADING),
    **dict.fromkeys(("balance", "statement"), MONEY),
    **dict.fromkeys(("portfolio", "profit_table"), OUTCOME),
}
PINGS_PER_SECOND: Final = 10
REST_PER_MINUTE: Final = 300
REST_PER_TEN_MINUTES: Final = 1_000
REST_PER_MINUTE_OF_USER: Final = 80


class Window:
    """Counts events in a sliding window."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._events: deque[float] = deque()

    def take(self, now: float) -> bool:
        """Count one event at `now` (seconds) if there is room; returns whether there was."""
        while self._events and self._events[0] <= now - self._seconds:
            self._events.popleft()
        if len(self._events) >= self._most:
            return False
        self._events.append(now)
        return True


def user_meter() -> CallMeter:
    """Return the meter that all connections of a user, or one anonymous connection, count on."""
    return CallMeter(QUOTAS, BUCKETS, GENERAL)


class ConnectionMeter(CallMeter):
    """Counts pings for one connection, and everything with the calls of its user."""

    def __init__(self, user: CallMeter) -> None:
        super().__init__(QUOTAS, BUCKETS, GENERAL)
        self._user = user
        self._pings = Window(PINGS_PER_SECOND, 1.0)

    def take(self, call: str, now: float) -> None:
        """Count one call at `now` (seconds). Raises RateLimit (ApiError) when there is no room for it."""
        if call == "ping" and not self._pings.take(now):
            raise ApiError("RateLimit", "You have reached the rate limit for ping.")
        self._user.take(call, now)


class RestMeter:
    """Counts REST requests by address and by user."""

    def __init__(self) -> None:
        self._addresses: defaultdict[str, tuple[Window, Window]] = defaultdict(
            lambda: (Window(REST_PER_MINUTE, 60.0), Window(REST_PER_TEN_MINUTES, 600.0))
        )
        self._user = Window(REST_PER_MINUTE_OF_USER, 60.0)

    def of_address(self, address: str, now: float) -> bool:
        """Count one request from an address at `now` (seconds); returns whether it is allowed."""
        return all(window.take(now) for window in self._addresses[address])

    def of_user(self, now: float) -> bool:
        """Count one request with a good token at `now` (seconds); returns whether it is allowed."""
        return self._user.take(now)
