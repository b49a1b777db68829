"""What every call works on: market, engine, keys, limits, faults and the clock of one venue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from services.simulator.binance.exchange.api import ApiError, Exchange
from services.simulator.binance.feed import NS_PER_MS, VENUE, Feed
from services.simulator.binance.keys import DEFAULT_RECV_WINDOW_MS, Keys, check_time
from services.simulator.binance.limits import Limits
from services.simulator.faults.base import Faults


@dataclass
class Venue:
    """One simulated venue. `speed`: data seconds per machine second, 1 but for recorded data.

    `take_down` cuts every connection, as maintenance does.
    """

    feed: Feed
    exchange: Exchange
    keys: Keys
    limits: Limits
    faults: Faults
    take_down: Callable[[], None]
    speed: float = 1.0

    def now_ms(self) -> int:
        """The clock that the venue shows, which a fault may have moved."""
        return self.feed.now_ms() + self.faults.clock_offset_ns(VENUE) // NS_PER_MS

    def known(self, symbol: str) -> str:
        """Return `symbol`. Raises ApiError when it is not listed."""
        if symbol not in self.feed.symbols:
            raise ApiError(-1121, "Invalid symbol.")
        return symbol

    def check_time(self, timestamp_ms: Decimal, window_ms: Decimal | None) -> None:
        """Refuse a request that is too old or too young for the venue's clock. Raises ApiError -1021.

        Recorded time stands, jumps and runs fast: there a stamp of the machine's clock is as good, and the window is
        as many times longer as the data are faster.
        """
        window = DEFAULT_RECV_WINDOW_MS if window_ms is None else window_ms
        try:
            check_time(timestamp_ms, window * Decimal(self.speed), Decimal(self.now_ms()))
        except ApiError:
            if self.feed.extrapolate:
                raise
            check_time(timestamp_ms, window, Decimal(self.limits.now_ms()))

    def rate_limits(self, address: str, account: int) -> list[dict[str, Any]]:
        """The `rateLimits` block of the WebSocket API; with the order counts of `account` unless it is 0."""
        counts = self.exchange.order_counts(account) if account else []
        return [*counts, *self.limits.rows(address)]
