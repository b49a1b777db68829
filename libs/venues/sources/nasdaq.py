"""Nasdaq Data Link: daily data sets by code, as bars where they have four prices, else their values as readings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec

from libs.core.history import Kind, Page, between, of_rows, rows_in
from libs.core.types import Nanos
from libs.venues.budget import Budget
from libs.venues.checked import line, real
from libs.venues.errors import VenueRefused, VenueUnavailable
from libs.venues.sources.base import Ask, Facts, budget_of, check
from libs.venues.sources.rows import DAY, bars_of, day_of, told_day
from libs.venues.sources.web import Web, complaint_at, machine_now

FACTS: Final = Facts(
    name="nasdaq",
    about="Nasdaq Data Link; a column: WIKI/AAPL/Close",
    example="WIKI/AAPL",
    intervals=("1d", "readings"),
    key="NASDAQ_DATA_LINK_API_KEY",
    limit=300,
    window_s=10.0,
    delay_s=86_400.0,
)

CLOSES: Final = ("close", "settle", "last")
VOLUMES: Final = ("volume", "total volume")


class Data(msgspec.Struct):
    column_names: list[str]
    data: list[list[Any]]


class Answer(msgspec.Struct):
    dataset_data: Data


class NasdaqSource:
    """Implements `Source`. The day on which a reading was published is not told: its own day must be over.

    `urls`: "rest".
    """

    facts = FACTS

    def __init__(self, urls: Mapping[str, str], key: str) -> None:
        self._key = key
        self._web = Web(
            "Nasdaq Data Link", urls["rest"], budget_of(FACTS), complaint_at("quandl_error.message"), key=key
        )

    async def pages(self, ask: Ask, after: str = "") -> AsyncIterator[Page]:
        check(FACTS, ask)
        if after:
            return
        base, _, rest = ask.symbol.partition("/")
        code, _, column = rest.partition("/")
        if not code:
            raise VenueRefused(f"nasdaq: write {ask.symbol!r} as DATABASE/DATASET, for example {FACTS.example}")
        path = f"/api/v3/datasets/{quote(base, safe='')}/{quote(code, safe='')}/data.json"
        days = {"start_date": told_day(ask.start - DAY), "end_date": told_day(ask.end)}
        answer = await self._web.get(path, days | {"order": "asc", "api_key": self._key}, Answer)
        data = answer.dataset_data
        names = [name.lower() for name in data.column_names]
        try:
            made = self._readings(ask, names, data.data, column) if ask.kind is Kind.READINGS else None
            columns = made if made is not None else bars_of(FACTS.name, ask, self._bars(ask, names, data.data))
        except (ValueError, TypeError, IndexError) as err:
            raise VenueUnavailable(f"Nasdaq Data Link's rows of {ask.symbol} cannot be read: {line(err)}") from None
        if rows_in(columns):
            yield Page(columns, "all")

    def _bars(self, ask: Ask, names: list[str], rows: list[list[Any]]) -> list[Any]:
        close = next((names.index(name) for name in CLOSES if name in names), None)
        if close is None or not {"open", "high", "low"} <= set(names):
            raise VenueRefused(f"nasdaq: {ask.symbol} has no bars but {', '.join(names)}; ask for readings")
        volume = next((names.index(name) for name in VOLUMES if name in names), None)
        open_, high, low = names.index("open"), names.index("high"), names.index("low")
        return [
            (day_of(row[0]), row[open_], row[high], row[low], row[close], row[volume] if volume else 0.0, 0)
            for row in rows
            if None not in (row[open_], row[high], row[low], row[close])
        ]

    def _readings(self, ask: Ask, names: list[str], rows: list[list[Any]], column: str) -> Any:
        if column and column.lower() not in names:
            raise VenueRefused(f"nasdaq: {ask.symbol} names no column; there are: {', '.join(names[1:])}")
        index = names.index(column.lower()) if column else 1
        told = [
            (day_of(row[0]) + DAY, day_of(row[0]), real(row[index], "value", above=-1e300, least=-1e300))
            for row in rows
            if row[index] is not None
        ]
        return between(Kind.READINGS, of_rows(Kind.READINGS, told), ask.start, ask.end)

    async def now(self) -> Nanos:
        return machine_now()

    def budgets(self) -> tuple[Budget, ...]:
        return (self._web.budget,)

    async def aclose(self) -> None:
        await self._web.aclose()
