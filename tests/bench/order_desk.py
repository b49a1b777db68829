"""A venue that takes orders and nothing else: every order.place is answered at once with one fill.

Run as `python -m tests.bench.order_desk PORT`. Our adapter and the bare loop use it alike; it is a process of its
own, so that only the client is measured.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import msgspec
import uvloop
from aiohttp import WSMsgType, web

SYMBOL = "BTCUSDT"
PRICE = "100.00000000"
FILTERS = [
    {"filterType": "PRICE_FILTER", "minPrice": "0.01000000", "maxPrice": "1000000.00000000", "tickSize": "0.01000000"},
    {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
    {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": "100.00000000", "stepSize": "0.00000000"},
    {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True, "maxNotional": "9000000.0"},
]
LIMITS = [
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000},
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 1_000_000},
    {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 10_000_000},
]
USED = [{**row, "count": 1} for row in LIMITS[1:]]


def now() -> int:
    return time.time_ns() // 1_000_000


def placed(number: int, params: dict[str, Any]) -> dict[str, Any]:
    """The FULL answer to an order, filled whole in one trade."""
    quantity = params["quantity"]
    fill = {"price": PRICE, "qty": quantity, "commission": "0.00000010", "commissionAsset": "BTC", "tradeId": number}
    return {
        "symbol": SYMBOL,
        "orderId": number,
        "orderListId": -1,
        "clientOrderId": params["newClientOrderId"],
        "transactTime": now(),
        "price": params["price"],
        "origQty": quantity,
        "executedQty": quantity,
        "origQuoteOrderQty": "0.00000000",
        "cummulativeQuoteQty": "10.00000000",
        "status": "FILLED",
        "timeInForce": "IOC",
        "type": "LIMIT",
        "side": "BUY",
        "workingTime": now(),
        "fills": [fill],
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }


async def serve_socket(request: web.Request) -> web.WebSocketResponse:
    """The WebSocket API."""
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    number = 0
    async for message in ws:
        if message.type is WSMsgType.TEXT:
            asked = msgspec.json.decode(message.data)
            number += 1
            result = placed(number, asked["params"]) if asked["method"] == "order.place" else {"serverTime": now()}
            answer = {"id": asked["id"], "status": 200, "result": result, "rateLimits": USED}
            await ws.send_str(msgspec.json.encode(answer).decode())
    return ws


async def exchange_info(request: web.Request) -> web.Response:
    """One symbol and its filters."""
    row = {"symbol": SYMBOL, "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "filters": FILTERS}
    symbols = [row | {"isSpotTradingAllowed": True}]
    return web.json_response({"serverTime": now(), "rateLimits": LIMITS, "symbols": symbols})


async def average_price(request: web.Request) -> web.Response:
    """Always the same."""
    return web.json_response({"mins": 5, "price": PRICE, "closeTime": now()})


async def main(port: int) -> None:
    """Serve until the process is ended."""
    app = web.Application()
    app.add_routes([web.get("/ws-api/v3", serve_socket)])
    app.add_routes([web.get("/api/v3/exchangeInfo", exchange_info), web.get("/api/v3/avgPrice", average_price)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
