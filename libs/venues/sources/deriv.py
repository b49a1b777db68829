"""Deriv: ticks and candles, asked backwards page by page, each time of each answer verified."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Final

from libs.core.history import Kind, Page, of_rows
from libs.core.types import SECOND, Nanos
from libs.venues.budget import Budget
from libs.venues.deriv.client import DerivClient
from libs.venues.deriv.codec import codec_for
from libs.venues.deriv.door import public_door
from libs.venues.deriv.history import PAGE, is_price
from libs.venues.errors import VenueUnavailable
from libs.venues.sources.base import Ask, Facts, check

FACTS: Final = Facts(
    name="deriv",
    about="Deriv; raw ticks may be kept 24 hours",
    example="R_100",
    intervals=("1m", "2m", "3m", "5m", "10m", "15m", "30m", "1h", "2h", "4h", "8h", "1d", "ticks"),
    limit=220,
    window_s=60.0,
    delay_s=1.0,
    keep_s=86_400.0,
)


class DerivSource:
    """Implements `Source` over the venue's own WebSocket client. `urls`: "ws"."""

    facts = FACTS

    def __init__(self, urls: Mapping[str, str], api: str = "v3", app_id: str = "") -> None:
        """Raises ValueError: an unknown `api`."""
        codec = codec_for(api)
        self._client = DerivClient(public_door(urls, api, app_id), codec, codec.limits())

    async def pages(self, ask: Ask, after: str = "") -> AsyncIterator[Page]:
        check(FACTS, ask)
        async for page in self._ticks(ask, after) if ask.interval == "ticks" else self._candles(ask, after):
            yield page

    async def _ticks(self, ask: Ask, after: str) -> AsyncIterator[Page]:
        start, end = -(-ask.start // SECOND), int(after) if after else -(-ask.end // SECOND) - 1
        while end >= start:
            answer = await self._client.call(self._client.codec.tick_page(ask.symbol, start, end, PAGE))
            # Asked for times before its retention, the venue answers with its latest ticks and does not say so.
            points = [(at, price) for at, price in answer if start <= at <= end and is_price(price)]
            if not points:
                return
            if points != sorted(points, key=lambda point: point[0]):
                raise VenueUnavailable(f"Deriv's ticks of {ask.symbol} before {end} come out of order")
            end = points[0][0] - 1
            if len(answer) == PAGE and points[-1][0] > points[0][0]:
                # Of the oldest second some ticks may have been left out: it is asked for again.
                end = points[0][0]
                points = [point for point in points if point[0] > end]
            rows = [(at * SECOND, price, 0.0, 0, at) for at, price in points]
            yield Page(of_rows(Kind.TRADES, rows), str(end))
            if len(answer) < PAGE:
                return

    async def _candles(self, ask: Ask, after: str) -> AsyncIterator[Page]:
        interval_s = ask.interval_s
        start = -(-ask.start // SECOND)
        end = int(after) if after else ask.end // SECOND - interval_s  # the opening of the newest that is closed
        while end >= start:
            # A candle is made of ticks up to the end that is asked for: the newest needs all of its length.
            request = self._client.codec.candle_page(ask.symbol, interval_s, start, end + interval_s - 1, PAGE)
            answer = await self._client.call(request)
            rows = [
                (c.epoch * SECOND, c.open, c.high, c.low, c.close, 0.0, 0.0, 0)
                for c in answer
                if start <= c.epoch <= end and c.epoch % interval_s == 0 and _is_sound(c.open, c.high, c.low, c.close)
            ]
            if not rows:
                return
            end = min(row[0] for row in rows) // SECOND - 1
            yield Page(of_rows(Kind.BARS, rows), str(end))
            if len(answer) < PAGE:
                return

    async def now(self) -> Nanos:
        return await self._client.call(self._client.codec.time()) * SECOND

    def budgets(self) -> tuple[Budget, ...]:
        return self._client.budgets()

    async def aclose(self) -> None:
        await self._client.aclose()


def _is_sound(open_: float, high: float, low: float, close: float) -> bool:
    return all(map(is_price, (open_, high, low, close))) and low <= min(open_, close) <= max(open_, close) <= high
