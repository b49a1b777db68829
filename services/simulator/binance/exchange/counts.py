"""Unfilled order counts of each account, in the venue's clock-aligned windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.simulator.binance.exchange.api import Answer, ApiError
from services.simulator.binance.intervals import DAY_MS

_SPAN_MS: Final = {"SECOND": 1_000, "MINUTE": 60_000, "HOUR": 3_600_000, "DAY": DAY_MS}
TAKER_GIVES_BACK: Final = 1
MAKER_GIVES_BACK: Final = 5


class Counts:
    """Counts new orders that have not traded yet. An order's first fill gives units back, its end gives nothing."""

    def __init__(self, limits: Sequence[Mapping[str, Any]]) -> None:
        """`limits` are the ORDERS rows of the venue's rateLimits."""
        self._limits = [dict(row) for row in limits if row["rateLimitType"] == "ORDERS"]
        self._spans = [_SPAN_MS[row["interval"]] * int(row["intervalNum"]) for row in self._limits]
        self._used: dict[int, list[list[int]]] = {}

    def _windows(self, account: int, now: int) -> list[list[int]]:
        windows = self._used.get(account)
        if windows is None:
            windows = self._used[account] = [[0, 0] for _ in self._limits]
        for window, span in zip(windows, self._spans, strict=True):
            if window[0] != now // span:
                window[0], window[1] = now // span, 0
        return windows

    def check(self, account: int, now: int, orders: int = 1) -> None:
        """Raises ApiError (429) when `orders` more are too many."""
        for window, row in zip(self._windows(account, now), self._limits, strict=True):
            if window[1] + orders > row["limit"]:
                per = f"{row['intervalNum']} {row['interval']}"
                text = f"Too many new orders; current limit is {row['limit']} orders per {per}."
                raise ApiError(-1015, text, 429)

    def add(self, account: int, now: int, orders: int = 1) -> None:
        """Count accepted orders."""
        for window in self._windows(account, now):
            window[1] += orders

    def give_back(self, account: int, now: int, *, maker: bool) -> None:
        """Count the first fill of an order, whenever that was placed."""
        for window in self._windows(account, now):
            window[1] = max(0, window[1] - (MAKER_GIVES_BACK if maker else TAKER_GIVES_BACK))

    def rows(self, account: int, now: int) -> list[Answer]:
        """The limits with what is used of them."""
        windows = self._windows(account, now)
        return [{**row, "count": window[1]} for row, window in zip(self._limits, windows, strict=True)]
