"""Binance's rate limits as budgets: learned from exchangeInfo, corrected by what each answer says was used."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from libs.venues.base import VenueUnavailable
from libs.venues.budget import Budget, Priority

WEIGHT: Final = "REQUEST_WEIGHT"
ORDERS: Final = "ORDERS"
RAW: Final = "RAW_REQUESTS"

MINUTE_S: Final = 60.0
UNIT_S: Final = {"SECOND": 1.0, "MINUTE": MINUTE_S, "HOUR": 3600.0, "DAY": 86_400.0}
NAMES: Final = {WEIGHT: "request weight", ORDERS: "orders", RAW: "raw requests"}

UNTIL_TOLD: Final = ((WEIGHT, MINUTE_S, 6000), (RAW, 300.0, 61_000), (ORDERS, 10.0, 50), (ORDERS, 86_400.0, 160_000))
"""The lowest limits ever documented; exchangeInfo tells those in force."""

CONNECTIONS: Final = 300
CONNECTIONS_S: Final = 300.0
"""Connection attempts from one address; not among the limits that the venue tells."""

PATIENCE_S: Final = {Priority.EXIT: 10.0, Priority.ENTRY: 2.0, Priority.DATA: MINUTE_S}
"""How long a call may wait for its budget: an entry later than that is no longer the one that was decided."""

MOST_LIMIT: Final = 1 << 31
_USED_HEADER: Final = re.compile(r"X-MBX-(USED-WEIGHT|ORDER-COUNT)-([1-9]\d{0,3})([SMHD])", re.IGNORECASE)
_HEADER_UNIT_S: Final = {"S": 1.0, "M": MINUTE_S, "H": 3600.0, "D": 86_400.0}
_HEADER_KIND: Final = {"USED-WEIGHT": WEIGHT, "ORDER-COUNT": ORDERS}


class RateLimit(msgspec.Struct, gc=False):
    """One row of rateLimits; `count` is what was used of it, -1 where the answer does not say."""

    rateLimitType: str
    interval: str
    intervalNum: int
    limit: int
    count: int = -1

    @property
    def window_s(self) -> float:
        """Length of its window; 0 for a unit that nobody knows."""
        return UNIT_S.get(self.interval, 0.0) * self.intervalNum


class Limits:
    """Every budget of one address, and of one account where orders are placed."""

    def __init__(self, *, places_orders: bool = False) -> None:
        self.connections = Budget("binance connections", CONNECTIONS, CONNECTIONS_S)
        self._places_orders = places_orders
        self._budgets: dict[tuple[str, float], Budget] = {}
        self._rows: dict[tuple[str, str, int], Budget] = {}
        self._spent_by_order: tuple[Budget, ...] = ()
        self._spent_by_call: tuple[tuple[Budget, bool], ...] = ()
        for kind, window_s, limit in UNTIL_TOLD:
            self._learn(kind, window_s, limit)

    def budgets(self) -> tuple[Budget, ...]:
        """All of them."""
        return (*self._budgets.values(), self.connections)

    def learn(self, rows: Iterable[RateLimit]) -> None:
        """Take over the limits in force."""
        for row in rows:
            if row.window_s > 0 and 0 < row.limit < MOST_LIMIT:
                self._learn(row.rateLimitType, row.window_s, row.limit)

    def _learn(self, kind: str, window_s: float, limit: int) -> None:
        if kind not in NAMES or (kind == ORDERS and not self._places_orders):
            return
        known = self._budgets.get((kind, window_s))
        if known is not None:
            known.resize(limit)
            return
        self._budgets[kind, window_s] = Budget(f"binance {NAMES[kind]} per {_length(window_s)}", limit, window_s)
        self._spent_by_order = tuple(b for (of, _), b in self._budgets.items() if of == ORDERS)
        self._spent_by_call = tuple((b, of == WEIGHT) for (of, _), b in self._budgets.items() if of != ORDERS)

    async def take(self, priority: Priority, weight: int, *, order: bool = False) -> None:
        """Spend one call of `weight`, and one order of the account's when `order`.

        The venue no longer counts an order once it fills; here it stays counted, which is never too few.

        Raises:
            VenueUnavailable: it does not fit within the patience of `priority`; nothing was spent.
        """
        patience_s = PATIENCE_S[priority]
        taken: list[tuple[Budget, int]] = []
        try:
            if order:
                for budget in self._spent_by_order:
                    await _take(budget, priority, 1, patience_s)
                    taken.append((budget, 1))
            for budget, by_weight in self._spent_by_call:
                cost = weight if by_weight else 1
                await _take(budget, priority, cost, patience_s)
                taken.append((budget, cost))
        except BaseException:
            for budget, cost in taken:
                budget.give_back(cost)
            raise

    async def take_connection(self, priority: Priority) -> None:
        """Spend one attempt to connect; raises as `take`."""
        await _take(self.connections, priority, 1, PATIENCE_S[priority])

    def observe(self, rows: Iterable[RateLimit]) -> None:
        """What an answer of the WebSocket API says was used, and of how much."""
        for row in rows:
            budget = self._rows.get((row.rateLimitType, row.interval, row.intervalNum))
            if budget is None:
                budget = self._budgets.get((row.rateLimitType, row.window_s))
                if budget is None:
                    continue
                self._rows[row.rateLimitType, row.interval, row.intervalNum] = budget
            if 0 <= row.count < MOST_LIMIT:
                budget.observe(row.count)
            if row.limit != budget.limit and 0 < row.limit < MOST_LIMIT:
                budget.resize(row.limit)

    def observe_headers(self, headers: Mapping[str, str]) -> None:
        """What an answer of REST says was used."""
        for name, value in headers.items():
            if found := _USED_HEADER.fullmatch(name):
                key = _HEADER_KIND[found[1].upper()], int(found[2]) * _HEADER_UNIT_S[found[3].upper()]
                budget = self._budgets.get(key)
                if budget is not None and value.isascii() and value.isdigit() and int(value) < MOST_LIMIT:
                    budget.observe(int(value))

    def block_calls(self, seconds: float) -> None:
        """Too much weight (429) or banned (418): silence for `seconds`, whoever asks."""
        for budget, _ in self._spent_by_call:
            budget.block(seconds)

    def block_orders(self, seconds: float) -> None:
        """Too many new orders (-1015): none for `seconds`."""
        for budget in self._spent_by_order:
            budget.block(seconds)


async def _take(budget: Budget, priority: Priority, cost: int, patience_s: float) -> None:
    if budget.try_take(priority, cost):
        return
    blocked_s = budget.state().blocked_s
    if blocked_s > patience_s:
        raise VenueUnavailable(f"Binance's rate limit is reached; no call for {blocked_s:.0f} s")
    await budget.take(priority, cost, patience_s=patience_s)


def _length(window_s: float) -> str:
    for unit, seconds in (("day", 86_400.0), ("min", MINUTE_S)):
        if window_s >= seconds:
            return unit if window_s == seconds else f"{window_s / seconds:g} {unit}"
    return f"{window_s:g} s"
