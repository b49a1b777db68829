"""Polygon: aggregate bars of US stocks, currency pairs (C:EURUSD) and crypto (X:BTCUSD), not adjusted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec

from libs.core.history import Page, rows_in
from libs.core.types import MILLISECOND, SECOND, Nanos, interval_token
from libs.venues.budget import Budget
from libs.venues.errors import VenueRefused
from libs.venues.sources.base import Ask, Facts, budget_of, check
from libs.venues.sources.rows import DAY, bars_of
from libs.venues.sources.web import Web, complaint_at, machine_now

FACTS: Final = Facts(
    name="polygon",
    about="US stocks, C:EURUSD, X:BTCUSD",
    example="AAPL",
    intervals=("1m", "5m", "15m", "30m", "1h", "2h", "4h", "1d"),
    key="POLYGON_API_KEY",
    limit=5,
    window_s=60.0,
    delay_s=900.0,
)
"""The limit is that of the free plan."""

PAGE: Final = 50_000
"""Most base bars of one answer: minutes for lengths below an hour, hours below a day."""

WORDS: Final = {"m": "minute", "h": "hour", "d": "day"}


class Aggregate(msgspec.Struct):
    t: int
    o: float
    h: float
    l: float  # noqa: E741
    c: float
    v: float = 0.0
    n: int = 0


class Aggregates(msgspec.Struct):
    status: str = ""
    results: list[Aggregate] | None = None


class PolygonSource:
    """Implements `Source`. `urls`: "rest"."""

    facts = FACTS

    def __init__(self, urls: Mapping[str, str], key: str) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self._web = Web(
            "Polygon", urls["rest"], budget_of(FACTS), complaint_at("message", "error"), key=key, headers=headers
        )

    async def pages(self, ask: Ask, after: str = "") -> AsyncIterator[Page]:
        check(FACTS, ask)
        length, unit = interval_token(ask.interval_s)[:-1], WORDS[ask.interval[-1]]
        place = f"/v2/aggs/ticker/{quote(ask.symbol, safe=':.')}/range/{length}/{unit}"
        base_s = {"minute": 60, "hour": 3600, "day": 86_400}[unit]
        # So short that an answer never has to be cut: nothing then depends on the address of a next page.
        span: Nanos = PAGE * base_s * SECOND
        start = int(after) if after else ask.start
        while start < ask.end:
            end = min(ask.end, start + span)
            days = start - start % DAY if unit == "day" else start
            path = f"{place}/{days // MILLISECOND}/{(end - 1) // MILLISECOND}"
            answer = await self._web.get(path, {"adjusted": "false", "sort": "asc", "limit": PAGE}, Aggregates)
            if answer.status not in ("OK", "DELAYED"):
                raise VenueRefused(f"Polygon refused: {answer.status or 'an answer without a status'}")
            columns = bars_of(FACTS.name, ask, [self._row(ask, row) for row in answer.results or []])
            start = end
            if rows_in(columns):
                yield Page(columns, str(start))

    def _row(self, ask: Ask, row: Aggregate) -> Any:
        opened = row.t * MILLISECOND
        if ask.interval == "1d":
            opened += DAY // 2  # days of shares begin at midnight in New York: the date is what counts
            opened -= opened % DAY
        return (opened, row.o, row.h, row.l, row.c, row.v, max(0, row.n))

    async def now(self) -> Nanos:
        return machine_now()

    def budgets(self) -> tuple[Budget, ...]:
        return (self._web.budget,)

    async def aclose(self) -> None:
        await self._web.aclose()
