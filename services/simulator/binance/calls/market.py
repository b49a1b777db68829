"""Market data calls: time, listings, book, trades, klines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from services.simulator.binance import wire
from services.simulator.binance.calls.params import (
    Params,
    bad_combination,
    boolean,
    integer,
    limit,
    may,
    need,
    one_of,
    symbols,
    time_ms,
    time_zone,
)
from services.simulator.binance.calls.spec import Call
from services.simulator.binance.candles import Print
from services.simulator.binance.exchange.api import ApiError
from services.simulator.binance.exchange_info import exchange_info
from services.simulator.binance.intervals import INTERVALS
from services.simulator.binance.shifted import shifted_klines
from services.simulator.binance.venue import Venue

STATUSES: Final = ("TRADING", "END_OF_DAY", "HALT", "BREAK", "CANCEL_ONLY")
MAX_ROWS: Final = 1_000
MAX_DEPTH: Final = 5_000
_DEPTH_WEIGHTS: Final = ((100, 5), (500, 25), (1_000, 50), (MAX_DEPTH, 250))
status: Final = one_of(STATUSES, -1122, "Invalid symbolStatus.")
interval: Final = one_of(INTERVALS, -1120, "Invalid interval.")


async def ping(venue: Venue, account: int, p: Params) -> Any:
    return {}


def server_time(venue: Venue, account: int, p: Params) -> Any:
    return {"serverTime": venue.now_ms()}


def listings(venue: Venue, account: int, p: Params) -> Any:
    if "symbolStatus" in p and ("symbol" in p or "symbols" in p):
        raise bad_combination()
    listed = venue.feed.symbols
    wanted: Sequence[str] = [p["symbol"]] if "symbol" in p else p.get("symbols") or list(listed)
    rows_of = [listed[venue.known(symbol)] for symbol in wanted]
    answer = exchange_info(venue.now_ms(), rows_of, venue.exchange.statuses)
    rows = answer["symbols"]
    if "symbolStatus" in p:
        rows = [row for row in rows if row["status"] == p["symbolStatus"]]
    if "permissions" in p and not _permitted(p["permissions"]):
        rows = []
    if not p.get("showPermissionSets", True):
        rows = [{**row, "permissionSets": []} for row in rows]
    return {**answer, "symbols": rows}


def _permitted(text: str) -> bool:
    try:
        asked = msgspec.json.decode(text, type=list[str]) if text.startswith("[") else [text]
    except msgspec.DecodeError:
        raise ApiError(-1130, "Data sent for parameter 'permissions' is not valid.") from None
    return bool({"SPOT", "MARGIN"} & set(asked))


def depth(venue: Venue, account: int, p: Params) -> Any:
    book = venue.feed.depth(check_status(venue, p))
    return msgspec.Raw(wire.depth_snapshot(book.last_id, *book.top(_levels(p))))


def _levels(p: Params) -> int:
    levels: int = p.get("limit", 100)
    return min(levels, MAX_DEPTH)


def _depth_weight(p: Params) -> int:
    levels = _levels(p)
    return next(weight for most, weight in _DEPTH_WEIGHTS if levels <= most)


def check_status(venue: Venue, p: Params) -> str:
    """Return the listed symbol asked for. Raises ApiError when it is not, or not in the state asked for."""
    symbol: str = venue.known(p["symbol"])
    if p.get("symbolStatus", status_of(venue, symbol)) != status_of(venue, symbol):
        raise ApiError(-1220, "The symbol's status does not match the requested symbolStatus.")
    return symbol


def status_of(venue: Venue, symbol: str) -> str:
    """The state of a listed symbol, one of STATUSES."""
    return venue.exchange.statuses[symbol]


def trades(venue: Venue, account: int, p: Params) -> Any:
    rows = venue.feed.trades(venue.known(p["symbol"]), p.get("fromId"), _rows(p))
    return [wire.trade_row(row) for row in rows]


def block_trades(venue: Venue, account: int, p: Params) -> Any:
    venue.known(p["symbol"])
    return []


def aggregate_trades(venue: Venue, account: int, p: Params) -> Any:
    from_id, start, end = p.get("fromId"), p.get("startTime"), p.get("endTime")
    if from_id is not None and (start is not None or end is not None):
        raise bad_combination()
    rows = _span(venue, venue.known(p["symbol"]), from_id, start, end, _rows(p))
    return [wire.agg_trade_row(row) for row in rows]


def _span(
    venue: Venue, symbol: str, from_id: int | None, start: int | None, end: int | None, count: int
) -> Sequence[Print]:
    if start is not None:
        from_id = venue.feed.first_trade_at(symbol, start)
    elif end is not None:
        from_id = max(1, venue.feed.first_trade_at(symbol, end + 1) - count)
    rows = venue.feed.trades(symbol, from_id, count)
    return rows if end is None else [row for row in rows if row.ms <= end]


async def klines(venue: Venue, account: int, p: Params) -> Any:
    span = (p.get("startTime"), p.get("endTime"), _rows(p))
    return await shifted_klines(venue.feed, venue.known(p["symbol"]), p["interval"], p.get("timeZone", 0), *span)


def _rows(p: Params) -> int:
    rows: int = p.get("limit", 500)
    return min(rows, MAX_ROWS)


_symbol, _limit, _from_id = need("symbol"), may("limit", limit), may("fromId", integer)
_start, _end = may("startTime", time_ms), may("endTime", time_ms)
_kline_params = (_symbol, need("interval", interval), _start, _end, may("timeZone", time_zone), _limit)

CALLS: Final = (
    Call(ws="ping", rest="GET /api/v3/ping", answer=ping),
    Call(ws="time", rest="GET /api/v3/time", answer=server_time),
    Call(
        ws="exchangeInfo",
        rest="GET /api/v3/exchangeInfo",
        weight=20,
        params=(
            may("symbol"),
            may("symbols", symbols),
            may("permissions"),
            may("showPermissionSets", boolean),
            may("symbolStatus", status),
        ),
        exclusive=(("symbol", "symbols", "permissions"),),
        answer=listings,
    ),
    Call(
        ws="depth",
        rest="GET /api/v3/depth",
        weight=_depth_weight,
        params=(_symbol, _limit, may("symbolStatus", status)),
        answer=depth,
    ),
    Call(ws="trades.recent", rest="GET /api/v3/trades", weight=25, params=(_symbol, _limit), answer=trades),
    Call(
        ws="trades.historical",
        rest="GET /api/v3/historicalTrades",
        weight=25,
        params=(_symbol, _limit, _from_id),
        answer=trades,
    ),
    Call(
        ws="blockTrades.historical",
        rest="GET /api/v3/historicalBlockTrades",
        weight=25,
        params=(_symbol, _limit, need("fromId", integer)),
        answer=block_trades,
    ),
    Call(
        ws="trades.aggregate",
        rest="GET /api/v3/aggTrades",
        weight=4,
        params=(_symbol, _from_id, _start, _end, _limit),
        answer=aggregate_trades,
    ),
    Call(ws="klines", rest="GET /api/v3/klines", weight=2, params=_kline_params, answer=klines),
    Call(ws="uiKlines", rest="GET /api/v3/uiKlines", weight=2, params=_kline_params, answer=klines),
)
