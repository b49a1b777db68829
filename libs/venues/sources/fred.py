"""FRED, the St. Louis Fed: economic series with every revision at the day it was published."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from libs.core.history import Kind, Page, between, of_rows, rows_in
from libs.core.types import SECOND, Nanos
from libs.venues.budget import Budget
from libs.venues.checked import line
from libs.venues.errors import VenueUnavailable
from libs.venues.sources.base import Ask, Facts, budget_of, check
from libs.venues.sources.rows import day_of
from libs.venues.sources.web import Web, complaint_at, machine_now

FACTS: Final = Facts(
    name="fred",
    about="economic series, published and revised",
    example="DGS10",
    intervals=("readings",),
    key="FRED_API_KEY",
    limit=100,
    window_s=60.0,
    delay_s=86_400.0,
)

HOME: Final = ZoneInfo("America/Chicago")
FIRST: Final = "1776-07-04"
"""The first day that it knows, by its own convention."""

PAGE: Final = 100_000
VINTAGES: Final = 1_000
"""Days of publication asked for at once; it takes 2000."""

MISSING: Final = "."


class Vintages(msgspec.Struct):
    count: int
    vintage_dates: list[str]


class Observation(msgspec.Struct):
    realtime_start: str
    date: str
    value: str


class Observations(msgspec.Struct):
    count: int
    observations: list[Observation]


class FredSource:
    """Implements `Source`: a reading's time is the midnight after the day on which it was published, in Chicago.

    FRED tells the day alone. An earlier moment could put a value before its release. `urls`: "rest".
    """

    facts = FACTS

    def __init__(self, urls: Mapping[str, str], key: str) -> None:
        self._key = key
        self._web = Web("FRED", urls["rest"], budget_of(FACTS), complaint_at("error_message"), key=key)

    async def pages(self, ask: Ask, after: str = "") -> AsyncIterator[Page]:
        check(FACTS, ask)
        vintages = await self._vintages(ask)
        done = int(after or 0)
        for first in range(0, len(vintages), VINTAGES):
            if first < done:
                continue
            # Each span begins with the last day of the one before: what it tells of that day is known already, or is
            # older and was only cut off there.
            since = vintages[first - 1] if first else FIRST
            until = vintages[min(first + VINTAGES, len(vintages)) - 1]
            if self._published(ask.symbol, until) < ask.start:
                continue
            rows = []
            for row in await self._observations(ask.symbol, since, until):
                if row.value != MISSING and (first == 0 or row.realtime_start > since):
                    rows.append(self._row(ask.symbol, row))
            columns = between(Kind.READINGS, of_rows(Kind.READINGS, rows), ask.start, ask.end)
            if rows_in(columns):
                yield Page(columns, str(first + VINTAGES))

    async def _vintages(self, ask: Ask) -> list[str]:
        found: list[str] = []
        while True:
            params = self._params(ask.symbol, FIRST, "9999-12-31") | {"limit": 10_000, "offset": len(found)}
            answer = await self._web.get("/fred/series/vintagedates", params, Vintages)
            found += answer.vintage_dates
            if len(found) >= answer.count or not answer.vintage_dates:
                return [day for day in sorted(set(found)) if self._published(ask.symbol, day) < ask.end]

    async def _observations(self, series: str, since: str, until: str) -> list[Observation]:
        found: list[Observation] = []
        while True:
            params = self._params(series, since, until) | {"limit": PAGE, "offset": len(found), "sort_order": "asc"}
            answer = await self._web.get("/fred/series/observations", params, Observations)
            found += answer.observations
            if len(found) >= answer.count or not answer.observations:
                return found

    def _params(self, series: str, since: str, until: str) -> dict[str, str | int]:
        known: dict[str, str | int] = {"series_id": series, "api_key": self._key, "file_type": "json"}
        return known | {"realtime_start": since, "realtime_end": until}

    def _row(self, series: str, row: Observation) -> tuple[Nanos, Nanos, float]:
        try:
            return (self._published(series, row.realtime_start), day_of(row.date), float(row.value))
        except ValueError as err:
            raise VenueUnavailable(f"FRED's observations of {series} cannot be read: {line(err)}") from None

    def _published(self, series: str, day: str) -> Nanos:
        try:
            after = date.fromisoformat(day) + timedelta(days=1)
            midnight = datetime(after.year, after.month, after.day, tzinfo=HOME)
        except (ValueError, OverflowError) as err:
            raise VenueUnavailable(f"FRED's days of {series} cannot be read: {line(err)}") from None
        return int(midnight.timestamp()) * SECOND

    async def now(self) -> Nanos:
        return machine_now()

    def budgets(self) -> tuple[Budget, ...]:
        return (self._web.budget,)

    async def aclose(self) -> None:
        await self._web.aclose()
