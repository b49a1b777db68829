"""A file or table as a source: what someone else keeps writing there is history, and a live feed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

from libs.core.history import Columns, Kind, Page, between, joined, rows_in
from libs.core.types import SECOND, Nanos
from libs.venues.budget import Budget
from libs.venues.errors import VenueUnavailable
from libs.venues.sources.base import Ask, Facts, check
from libs.venues.sources.web import machine_now

FACTS: Final = Facts(
    name="file",
    about="CSV, Parquet, sqlite:FILE#TABLE",
    example="prices.csv",
    intervals=(),
    limit=1000,
    window_s=1.0,
    delay_s=0.0,
)

Read = Callable[[str, Kind], Columns]
"""Path and kind to its rows; blocking. Raises ValueError in one line."""


class FileSource:
    """Implements `Source` over a reader of tables."""

    facts = FACTS

    def __init__(self, read: Read) -> None:
        self._read = read

    async def pages(self, ask: Ask, after: str = "") -> AsyncIterator[Page]:
        check(FACTS, ask)
        if after:
            return
        try:
            columns = await asyncio.to_thread(self._read, ask.symbol, ask.kind)
        except ValueError as err:
            raise VenueUnavailable(str(err)) from None
        end = ask.end - ask.interval_s * SECOND + 1 if ask.kind is Kind.BARS else ask.end
        inside = between(ask.kind, joined(ask.kind, [columns]), ask.start, end)
        if rows_in(inside):
            yield Page(inside, "all")

    async def now(self) -> Nanos:
        return machine_now()

    def budgets(self) -> tuple[Budget, ...]:
        return ()

    async def aclose(self) -> None:
        return None
