"""CoinGecko: bars of a coin over the last day or month, and its price as a series."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from libs.core.history import Kind, Page, between, of_rows, rows_in
from libs.core.types import MILLISECOND, SECOND, Nanos
from libs.venues.budget import Budget
from libs.venues.checked import Absurd, price, stamp
from libs.venues.errors import VenueRefused, VenueUnavailable
from libs.venues.sources.base import Ask, Facts, budget_of, check
from libs.venues.sources.rows import DAY, bars_of
from libs.venues.sources.web import Web, complaint_at, machine_now

FACTS: Final = Facts(
    name="coingecko",
    about="coins by id, also as bitcoin/eur",
    example="bitcoin",
    intervals=("30m", "4h", "readings"),
    key="COINGECKO_API_KEY",
    key_optional=True,
    limit=25,
    window_s=60.0,
    delay_s=900.0,
)
"""Bars: 30 minutes of the last two days, 4 hours of the last month. Readings: the price, of the last year by a free
key."""

REACH_DAYS: Final = {"30m": 1, "4h": 30}
"""Asked for so many days back, bars have this length."""

WINDOW: Final[Nanos] = 90 * DAY
"""Prices of a longer span come daily instead of hourly."""


class CoinGeckoSource:
    """Implements `Source`. `urls`: "rest"."""

    facts = FACTS

    def __init__(self, urls: Mapping[str, str], key: str = "") -> None:
        headers = {"x-cg-demo-api-key": key} if key else {}
        complaint = complaint_at("status.error_message", "error.status.error_message", "error")
        self._web = Web("CoinGecko", urls["rest"], budget_of(FACTS), complaint, key=key, headers=headers)

    async def pages(self, ask: Ask, after: str = "") -> AsyncIterator[Page]:
        check(FACTS, ask)
        coin, _, currency = ask.symbol.partition("/")
        if not all(part.isascii() and part.replace("-", "").isalnum() for part in (coin, currency or "usd")):
            raise VenueRefused(f"coingecko: {ask.symbol!r} is no coin id; see the coin's page, for example bitcoin")
        each = self._prices if ask.interval == "readings" else self._bars
        async for page in each(ask, f"/api/v3/coins/{coin}", currency.lower() or "usd", after):
            yield page

    async def _bars(self, ask: Ask, place: str, currency: str, after: str) -> AsyncIterator[Page]:
        if after:
            return
        params: dict[str, str | int] = {"vs_currency": currency, "days": REACH_DAYS[ask.interval]}
        told = await self._web.get(f"{place}/ohlc", params, list[tuple[int, float, float, float, float]])
        length = ask.interval_s * SECOND
        # Stamped at their close; the newest may stand at the moment of the answer instead.
        rows: list[Any] = [
            (at * MILLISECOND - length, o, h, low, c, 0.0, 0)
            for at, o, h, low, c in told
            if at * MILLISECOND % length == 0
        ]
        columns = bars_of(FACTS.name, ask, rows)
        if rows_in(columns):
            yield Page(columns, "all")

    async def _prices(self, ask: Ask, place: str, currency: str, after: str) -> AsyncIterator[Page]:
        start = int(after) if after else ask.start
        while start < ask.end:
            end = min(ask.end, start + WINDOW)
            span = {"from": start // SECOND, "to": -(-end // SECOND)}
            params: dict[str, str | int] = {"vs_currency": currency, **span}
            answer = await self._web.get(f"{place}/market_chart/range", params, dict[str, list[tuple[int, float]]])
            try:
                rows = [(stamp(at), stamp(at), price(value)) for at, value in answer.get("prices", [])]
            except Absurd as err:
                raise VenueUnavailable(f"CoinGecko's prices of {ask.symbol} cannot be read: {err}") from None
            columns = between(Kind.READINGS, of_rows(Kind.READINGS, rows), start, end)
            start = end
            if rows_in(columns):
                yield Page(columns, str(start))

    async def now(self) -> Nanos:
        return machine_now()

    def budgets(self) -> tuple[Budget, ...]:
        return (self._web.budget,)

    async def aclose(self) -> None:
        await self._web.aclose()
