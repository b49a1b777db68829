"""Alpaca's past: bars by page, newest first, and prints from a moment on."""

from __future__ import annotations

from typing import Final

from libs.core.types import SECOND, Bar, Nanos, Trade
from libs.venues import checked
from libs.venues.alpaca import codec
from libs.venues.alpaca.assets import is_crypto
from libs.venues.alpaca.codec import VENUE, BarRow, Print, instant, told_at
from libs.venues.alpaca.rest import AlpacaRest
from libs.venues.checked import Absurd, price, sequence, size
from libs.venues.errors import VenueUnavailable

FEED: Final = "iex"
"""The exchange whose share prices the free plan shows."""

PAGE: Final = 10_000
MOST_PAGES: Final = 50
_FRAMES: Final = {60: "1Min", 86_400: "1Day"} | {m * 60: f"{m}Min" for m in range(2, 60)}
_FRAMES_H: Final = {h * 3600: f"{h}Hour" for h in range(1, 24)}
FRAMES: Final[dict[int, str]] = _FRAMES | _FRAMES_H
"""Seconds to Alpaca's name of a length."""

SHARES_SLACK: Final = 8
"""Shares trade a fifth of all hours; holidays and quiet minutes come on top."""

LEAST_SLACK_S: Final = 5 * 86_400


def _sides(symbol: str) -> tuple[str, dict[str, str | int]]:
    if is_crypto(symbol):
        return "/v1beta3/crypto/us", {"symbols": symbol}
    return "/v2/stocks", {"symbols": symbol, "feed": FEED, "adjustment": "raw"}


async def bars(rest: AlpacaRest, symbol: str, interval_s: int, count: int, end: Nanos) -> list[Bar]:
    """The newest `count` closed bars that end at or before `end`, oldest first; [] for a length that there is not."""
    frame = FRAMES.get(interval_s)
    if frame is None or count <= 0:
        return []
    last = end // SECOND // interval_s * interval_s - interval_s
    span = (count - 1) * interval_s
    first = last - (span if is_crypto(symbol) else max(span * SHARES_SLACK, LEAST_SLACK_S))
    place, params = _sides(symbol)
    params |= {"timeframe": frame, "start": told_at(first * SECOND), "end": told_at(last * SECOND), "sort": "desc"}
    found: dict[Nanos, Bar] = {}
    for _ in range(MOST_PAGES):
        left = min(PAGE, count - len(found))
        answer = await rest.get(f"{place}/bars", codec.bars, {**params, "limit": left})
        rows = (answer.bars or {}).get(symbol, [])
        try:
            page = [bar_of(symbol, interval_s, row) for row in rows]
        except Absurd as err:
            raise VenueUnavailable(f"Alpaca's bars of {symbol} cannot be read: {err}") from err
        found |= {bar.open_time: bar for bar in page if bar.open_time <= last * SECOND}
        if len(found) >= count or not answer.next_page_token:
            break
        params["page_token"] = answer.next_page_token
    return [found[at] for at in sorted(found)][-count:]


def bar_of(symbol: str, interval_s: int, row: BarRow) -> Bar:
    """Raises Absurd."""
    prices = (price(row.o), price(row.h), price(row.l), price(row.c))
    return checked.bar_of(VENUE, symbol, interval_s, instant(row.t), prices, volume=size(row.v), trades=max(0, row.n))


async def trades(rest: AlpacaRest, symbol: str, start: Nanos, until: Nanos) -> list[Trade]:
    """Every print from `start` up to `until` (ns UTC), oldest first."""
    place, params = _sides(symbol)
    params.pop("adjustment", None)
    params |= {"start": told_at(start), "end": told_at(until), "limit": PAGE}
    found: list[Trade] = []
    for _ in range(MOST_PAGES):
        answer = await rest.get(f"{place}/trades", codec.prints, params)
        try:
            found += [print_of(row) for row in (answer.trades or {}).get(symbol, [])]
        except Absurd as err:
            raise VenueUnavailable(f"Alpaca's prints of {symbol} cannot be read: {err}") from err
        if not answer.next_page_token:
            break
        params["page_token"] = answer.next_page_token
    return found


def print_of(row: Print | codec.Frame) -> Trade:
    """A print; crypto ones say who was the aggressor. Raises Absurd."""
    side = {"B": 1, "S": -1}.get(row.tks, 0)
    return Trade(instant(row.t), price(row.p), size(row.s), side, sequence(row.i))
