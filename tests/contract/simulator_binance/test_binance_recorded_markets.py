"""Orders find a market in whatever is played: recorded books, recordings of trades alone, files of bars."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import polars as pl
import pytest

E0 = 1_723_161_255_000
HOUR = 3_600_000
BUY = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}


def recorded(path: Path, *, book: bool) -> Path:
    """A recording of falling prices, with a book or without."""
    rows = []
    if book:
        snapshot = {
            "lastUpdateId": 10,
            "bids": [["59999.00000000", "1.00000000"], ["59990.00000000", "2.00000000"]],
            "asks": [["60001.00000000", "1.00000000"], ["60010.00000000", "2.00000000"]],
        }
        rows.append(f"{E0 * 1_000_000} {json.dumps(snapshot)}")
    for number in range(1, 200):
        price = 60_000 - number * 10
        stamp = E0 + number * 10
        trade = {
            "e": "trade",
            "E": stamp,
            "s": "BTCUSDT",
            "t": number,
            "p": f"{price}.00000000",
            "q": "0.50000000",
            "T": stamp,
            "m": True,
            "M": True,
        }
        rows.append(f"{stamp * 1_000_000} {json.dumps({'stream': 'btcusdt@trade', 'data': trade})}")
        if book:
            depth = {
                "e": "depthUpdate",
                "E": stamp,
                "s": "BTCUSDT",
                "U": 10 + number,
                "u": 10 + number,
                "b": [[f"{price - 1}.00000000", "1.00000000"], [f"{price + 9}.00000000", "0.00000000"]],
                "a": [[f"{price + 1}.00000000", "1.00000000"]],
            }
            rows.append(f"{stamp * 1_000_000 + 1} {json.dumps({'stream': 'btcusdt@depth@100ms', 'data': depth})}")
    path.write_text("\n".join(rows) + "\n")
    return path


def bars(path: Path) -> Path:
    """Hourly bars whose prices fall by a hundred an hour."""
    count = 40
    opens = [60_000.0 - 100 * index for index in range(count)]
    frame = {
        "ts": [E0 // HOUR * HOUR + index * HOUR for index in range(count)],
        "open": opens,
        "high": [price + 50 for price in opens],
        "low": [price - 120 for price in opens],
        "close": [price - 100 for price in opens],
        "volume": [40.0] * count,
    }
    pl.DataFrame(frame).write_parquet(path)
    return path


@pytest.mark.parametrize("kind", ["book", "trades", "bars"])
async def test_orders_are_filled_by_what_is_played(
    start: Any, trader: Any, http: aiohttp.ClientSession, tmp_path: Path, kind: str
) -> None:
    if kind == "bars":
        data, stream, speed = bars(tmp_path / "binance_BTCUSDT_1h.parquet"), "btcusdt@kline_1h", 20_000
    else:
        data, stream, speed = recorded(tmp_path / "s.jsonl", book=kind == "book"), "btcusdt@trade", 10
    simulator = await start(data=data, speed=speed)
    call = trader(simulator)
    async with http.ws_connect(f"{simulator.ws_url}/ws/{stream}") as ws:
        await ws.receive(timeout=15)
        status, bought = await call("POST", "order", **BUY)
        assert (status, bought["status"]) == (200, "FILLED"), bought
        paid = float(bought["fills"][0]["price"])
        assert 50_000 < paid < 60_100
        low = f"{paid - (150 if kind == 'bars' else 500):.2f}"
        limit = {**BUY, "type": "LIMIT", "timeInForce": "GTC", "price": low}
        status, resting = await call("POST", "order", **limit)
        assert (status, resting["status"]) == (200, "NEW")
        async with asyncio.timeout(20):
            while not simulator.feed.ended:
                await ws.receive(timeout=15)
    _, row = await call("GET", "order", symbol="BTCUSDT", orderId=resting["orderId"])
    assert row["status"] == "FILLED"
    assert float(row["cummulativeQuoteQty"]) <= float(low) * 0.01 + 1e-8


async def test_recorded_time_takes_stamps_of_its_own_and_of_the_machine(
    start: Any, trader: Any, tmp_path: Path
) -> None:
    simulator = await start(data=recorded(tmp_path / "s.jsonl", book=True))
    call = trader(simulator)
    assert (await call("GET", "account"))[0] == 200
    assert (await call("GET", "account", timestamp=simulator.feed.now_ms()))[0] == 200
    status, body = await call("GET", "account", timestamp=simulator.feed.now_ms() - 10_000)
    assert (status, body["code"]) == (400, -1021)
