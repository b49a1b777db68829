"""ccxt, unchanged, trades and listens at the simulator; a warning of its fails the test as any other does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

BTC = "BTC/USDT"
DEADLINE_SECS = 20.0


@pytest.fixture
async def exchange(start: Any) -> AsyncIterator[Any]:
    ccxt = pytest.importorskip("ccxt.pro", reason="ccxt is not installed")
    simulator = await start()
    client = ccxt.binance(
        {
            "apiKey": "key-of-the-test",
            "secret": "its-secret",
            "options": {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False},
        }
    )
    rest = simulator.rest_url + "/api/v3"
    client.urls["api"] |= {"public": rest, "private": rest}
    client.urls["api"]["ws"] |= {"spot": simulator.ws_url + "/ws", "ws-api": {"spot": simulator.ws_api_url}}
    yield client
    await client.close()


async def test_market_data(exchange: Any) -> None:
    markets = await exchange.load_markets()
    assert {"BTC/USDT", "ETH/USDT"} <= set(markets)
    assert (markets[BTC]["precision"]["amount"], markets[BTC]["precision"]["price"]) == (1e-05, 0.01)
    assert abs(await exchange.fetch_time() - exchange.milliseconds()) < 5_000
    book = await exchange.fetch_order_book(BTC, 20)
    assert book["bids"][0][0] < book["asks"][0][0]
    ticker = await exchange.fetch_ticker(BTC)
    assert ticker["low"] <= ticker["last"] <= ticker["high"]
    assert set(await exchange.fetch_tickers([BTC, "ETH/USDT"])) == {BTC, "ETH/USDT"}
    assert (await exchange.fetch_bids_asks([BTC]))[BTC]["bid"] > 0
    assert (await exchange.fetch_last_prices([BTC]))[BTC]["price"] > 0
    trades = await exchange.fetch_trades(BTC, limit=10)
    assert len(trades) == 10
    bars = await exchange.fetch_ohlcv(BTC, "1m", limit=10)
    assert [len(bar) for bar in bars] == [6] * 10


ORDERS: list[tuple[str, str, float | None, dict[str, Any]]] = [
    ("market", "buy", None, {}),
    ("market", "buy", None, {"cost": 100}),
    ("limit", "buy", 50_000.0, {}),
    ("limit", "buy", 50_000.0, {"timeInForce": "IOC"}),
    ("limit", "buy", 50_000.0, {"postOnly": True}),
    ("limit", "sell", 150_000.0, {"clientOrderId": "named-by-the-test"}),
    ("market", "sell", None, {"stopLossPrice": 50_000}),
    ("limit", "sell", 49_000.0, {"stopLossPrice": 50_000}),
    ("market", "sell", None, {"takeProfitPrice": 150_000}),
    ("limit", "sell", 149_000.0, {"takeProfitPrice": 150_000}),
    ("market", "sell", None, {"trailingDelta": 100, "stopLossOrTakeProfit": "stopLoss"}),
]


async def test_account_and_orders_of_all_types(exchange: Any) -> None:
    await exchange.load_markets()
    balance = await exchange.fetch_balance()
    assert balance["USDT"]["free"] == 10_000.0
    for kind, side, price, params in ORDERS:
        amount = None if "cost" in params else 0.001
        placed = await exchange.create_order(BTC, kind, side, amount, price, params)
        asked = await exchange.fetch_order(placed["id"], BTC)
        assert (asked["side"], asked["symbol"]) == (side, BTC), (kind, params)
    opened = await exchange.fetch_open_orders(BTC)
    assert len(opened) == 8
    resting = next(order for order in opened if order["type"] == "limit" and order["side"] == "buy")
    edited = await exchange.edit_order(resting["id"], BTC, "limit", "buy", 0.002, 51_000.0)
    assert edited["amount"] == 0.002
    assert (await exchange.cancel_order(edited["id"], BTC))["status"] == "canceled"
    await exchange.cancel_all_orders(BTC)
    assert await exchange.fetch_open_orders(BTC) == []
    trades = await exchange.fetch_my_trades(BTC)
    assert len(trades) >= 2
    assert trades[0]["fee"]["currency"] == "BTC"
    assert len(await exchange.fetch_orders(BTC)) == 12
    assert len(await exchange.fetch_closed_orders(BTC)) >= 2
    ccxt = pytest.importorskip("ccxt")
    with pytest.raises(ccxt.InsufficientFunds):
        await exchange.create_order(BTC, "market", "buy", 1.0)
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.fetch_order("999999", BTC)
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.cancel_order("999999", BTC)
    with pytest.raises(ccxt.BadSymbol):
        await exchange.fetch_ticker("NO/SUCH")


async def test_streams_and_orders_over_the_websocket_api(exchange: Any) -> None:
    await exchange.load_markets()
    async with asyncio.timeout(DEADLINE_SECS):
        for stream in (
            exchange.watch_trades(BTC),
            exchange.watch_ticker(BTC),
            exchange.watch_ohlcv(BTC, "1m"),
            exchange.watch_bids_asks([BTC]),
        ):
            assert await stream
        book = await exchange.watch_order_book(BTC)
        for _ in range(3):
            book = await exchange.watch_order_book(BTC)
        assert book["bids"][0][0] < book["asks"][0][0]
        assert book["nonce"]
        orders, fills = (
            asyncio.create_task(exchange.watch_orders(BTC)),
            asyncio.create_task(exchange.watch_my_trades(BTC)),
        )
        placed: list[str] = []
        while not (orders.done() and fills.done()):  # the subscription is made in the background
            order = await exchange.create_order_ws(BTC, "market", "buy", 0.001)
            assert order["status"] == "closed"
            placed.append(order["id"])
            await asyncio.wait([orders, fills], timeout=0.2)
        assert (await orders)[-1]["id"] in placed
        assert (await fills)[-1]["order"] in placed
        assert (await exchange.fetch_order_ws(placed[0], BTC))["filled"] == 0.001
        resting = await exchange.create_order_ws(BTC, "limit", "buy", 0.001, 50_000.0)
        assert len(await exchange.fetch_open_orders_ws(BTC)) == 1
        assert (await exchange.cancel_order_ws(resting["id"], BTC))["status"] == "canceled"
        account = (await exchange.fetch_balance_ws())["info"]  # ccxt 4.5.90 parses it as if of another market
        assert {row["asset"] for row in account["balances"]} >= {"USDT", "BTC"}
