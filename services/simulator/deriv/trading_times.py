"""When the symbols of each market trade, as the venue tells it for a day."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, Final

from services.simulator.deriv.hours import WEEKDAYS, Session
from services.simulator.deriv.symbols import SYMBOLS, Symbol

CLOSED: Final = "--"


def trading_times(day: date) -> dict[str, Any]:
    """Return the value of `trading_times` for a day (UTC): markets, their submarkets, their symbols."""
    markets: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for symbol in SYMBOLS.values():
        submarkets = markets.setdefault(symbol.place.market_name, {})
        submarkets.setdefault(symbol.place.submarket_name, []).append(_row(symbol, day))
    return {
        "markets": [
            {
                "name": market,
                "submarkets": [{"name": name, "symbols": symbols} for name, symbols in submarkets.items()],
            }
            for market, submarkets in markets.items()
        ]
    }


def _row(symbol: Symbol, day: date) -> dict[str, Any]:
    sessions = {session.weekday: session for session in symbol.hours.sessions}
    today = sessions.get(day.weekday())
    times: dict[str, Any] = {"open": [CLOSED], "close": [CLOSED], "settlement": CLOSED}
    if today is not None:
        # Contracts of a day settle with its end, also where the market closes earlier.
        times = {"open": [_clock(today.first)], "close": [_clock(today.last)], "settlement": "23:59:59"}
    return {
        "events": _events(symbol.hours.sessions),
        "name": symbol.display_name,
        "symbol": symbol.name,
        "times": times,
        "trading_days": [name for number, name in enumerate(WEEKDAYS) if number in sessions],
    }


def _events(sessions: tuple[Session, ...]) -> list[dict[str, str]]:
    usual = sessions[0].last
    names = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
    return [
        {"dates": names[session.weekday], "descrip": f"Closes early (at {_clock(session.last)[:5]})"}
        for session in sessions
        if session.last < usual
    ]


def _clock(second: int) -> str:
    return f"{datetime.fromtimestamp(second, UTC):%H:%M:%S}"
