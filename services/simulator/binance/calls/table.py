"""The whole table, looked up by REST method and path or by WebSocket method."""

from __future__ import annotations

from typing import Final

from services.simulator.binance.calls import account, market, tickers, trading
from services.simulator.binance.calls.spec import Call

TABLE: Final[tuple[Call, ...]] = (*market.CALLS, *tickers.CALLS, *trading.CALLS, *account.CALLS)
BY_METHOD: Final[dict[str, Call]] = {call.ws: call for call in TABLE if call.ws}
