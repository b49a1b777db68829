"""Alpha Vantage: bars of US stocks and of currency pairs, a month or a whole series at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from libs.core.history import Page, rows_in
from libs.core.types import Nanos
from libs.venues.budget import Budget
from libs.venues.checked import line
from libs.venues.errors import VenueError, VenueRefused, VenueUnavailable
from libs.venues.sources.base import Ask, Facts, budget_of, check
from libs.venues.sources.rows import bars_of, day_of, moment_of, months
from libs.venues.sources.web import Web, complaint_at, machine_now

FACTS: Final = Facts(
    name="alphavantage",
    about="US stocks, currency pairs (EUR/USD)",
    example="IBM",
    intervals=("1m", "5m", "15m", "30m", "1h", "1d"),
    key="ALPHAVANTAGE_API_KEY",
    limit=25,
    window_s=86_400.0,
    delay_s=900.0,
)
"""The limit is that of a free key; its intraday stocks need a premium one."""

FRAMES: Final = {"1m": "1min", "5m": "5min", "15m": "15min", "30m": "30min", "1h": "60min"}
COMPLAINTS: Final = ("Error Message", "Note", "Information")


class AlphaVantageSource:
    """Implements `Source`. `urls`: "rest"."""

    facts = FACTS

    def __init__(self, urls: Mapping[str, str], key: str) -> None:
        self._key = key
        self._web = Web("Alpha Vantage", urls["rest"], budget_of(FACTS), complaint_at(*COMPLAINTS), key=key)

    async def pages(self, ask: Ask, after: str = "") -> AsyncIterator[Page]:
        check(FACTS, ask)
        by_month = ask.interval != "1d" and "/" not in ask.symbol
        parts = months(ask.start, ask.end) if by_month else ["whole"]
        for part in parts:
            if part <= after:
                continue
            answer = await self._web.get("/query", self._question(ask, part), dict[str, Any])
            columns = bars_of(FACTS.name, ask, self._rows(ask, answer))
            if rows_in(columns):
                yield Page(columns, part)

    def _question(self, ask: Ask, part: str) -> dict[str, str]:
        base, _, quote = ask.symbol.partition("/")
        asked = {"from_symbol": base, "to_symbol": quote} if quote else {"symbol": base}
        prefix = "FX" if quote else "TIME_SERIES"
        asked |= {"outputsize": "full", "datatype": "json", "apikey": self._key}
        if ask.interval == "1d":
            return {"function": f"{prefix}_DAILY"} | asked
        asked |= {"function": f"{prefix}_INTRADAY", "interval": FRAMES[ask.interval]}
        return asked if quote else asked | {"month": part, "adjusted": "false", "extended_hours": "false"}

    def _rows(self, ask: Ask, answer: dict[str, Any]) -> list[Any]:
        meta = answer.get("Meta Data")
        series = next((part for name, part in answer.items() if name.startswith("Time Series")), None)
        if not isinstance(meta, dict) or not isinstance(series, dict):
            raise self._refusal(answer)
        zone_name = next((text for name, text in meta.items() if name.endswith("Time Zone")), "UTC")
        try:
            # Free text for people, yet it has always been the name of a zone; of daily bars only the date counts.
            zone = ZoneInfo("US/Eastern" if zone_name == "US/Eastern Time" else str(zone_name))
            return [self._row(ask, at, row, zone) for at, row in series.items()]
        except (ValueError, KeyError, TypeError, ZoneInfoNotFoundError) as err:
            raise VenueUnavailable(f"Alpha Vantage's bars of {ask.symbol} cannot be read: {line(err)}") from None

    def _row(self, ask: Ask, at: str, row: dict[str, str], zone: ZoneInfo) -> Any:
        opened = day_of(at[:10]) if ask.interval == "1d" else moment_of(at, zone)
        return (opened, row["1. open"], row["2. high"], row["3. low"], row["4. close"], row.get("5. volume", "0"), 0)

    def _refusal(self, answer: dict[str, Any]) -> VenueError:
        """It answers 200 whatever happened: a wrong question, a used up limit and a key that is not enough."""
        if wrong := answer.get("Error Message"):
            return VenueRefused(f"Alpha Vantage refused: {self._web.without_key(wrong)}")
        told = next((answer[name] for name in COMPLAINTS if name in answer), "no series in the answer")
        said = self._web.without_key(told)
        if "premium" in said and "rate limit" not in said and "per day" not in said:
            return VenueRefused(f"Alpha Vantage refused: {said}")
        return VenueUnavailable(f"Alpha Vantage gives nothing now: {said}")

    async def now(self) -> Nanos:
        return machine_now()

    def budgets(self) -> tuple[Budget, ...]:
        return (self._web.budget,)

    async def aclose(self) -> None:
        await self._web.aclose()
