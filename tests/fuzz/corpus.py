"""Frames to spoil: told by a simulator of our own a moment ago, recorded at the venues, and Alpaca's, written by hand.

A pool is named for the parser that reads it. Answers carry ANSWER_ID, which the parsers replace by the id of the
call that waits.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from libs.venues.binance.signing import HmacSigner, signed_params
from libs.venues.deriv.codec import Codec, codec_for
from libs.venues.deriv.model import Ask
from services.simulator.app import Simulator
from services.simulator.binance.server import ACCOUNT
from services.simulator.settings import SimulatorOptions

ANSWER_ID: Final = 424242
PROTOCOLS: Final = Path(__file__).parents[2].parent / "shared" / "protocols"
LARGEST: Final = 48 * 1024
"""Larger frames are cut down to fewer rows: they say nothing new and take most of the time."""

ROWS: Final = 12

Pools = dict[str, list[bytes]]

_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


async def gather() -> Pools:
    """Everything there is on this machine."""
    pools: Pools = defaultdict(list)
    async with aiohttp.ClientSession() as http:
        simulator = Simulator(SimulatorOptions(seed=17))
        await simulator.start()
        try:
            facts = simulator.describe()
            await asyncio.gather(_deriv(http, facts, "v3", pools), _deriv(http, facts, "options", pools))
            await _binance(http, facts, simulator, pools)
        finally:
            await simulator.stop()
    for name, frame in _recorded():
        pools[name].append(frame)
    for name, told in ALPACA.items():
        pools[name] += [json.dumps(row).encode() for row in told]
    for name, told in CCXT.items():
        pools[name] += [json.dumps(row).encode() for row in told]
    return {name: [_small(frame) for frame in frames] for name, frames in pools.items()}


def _small(frame: bytes) -> bytes:
    return frame if len(frame) <= LARGEST else json.dumps(_fewer(json.loads(frame)), separators=(",", ":")).encode()


def _fewer(told: Any) -> Any:
    if isinstance(told, dict):
        return {name: _fewer(value) for name, value in told.items()}
    return [_fewer(value) for value in told[:ROWS]] if isinstance(told, list) else told


# --- Deriv ---------------------------------------------------------------------------------------------------------


async def _deriv(http: aiohttp.ClientSession, facts: dict[str, Any], api: str, pools: Pools) -> None:
    """Every call of the codec once, and a few seconds of what is pushed."""
    codec = codec_for(api)
    if api == "v3":
        url = facts["deriv_url"] + "?app_id=1089"
    else:
        rest, headers = (
            facts["deriv_options_rest_url"],
            {"Authorization": f"Bearer {facts['token']}", "Deriv-App-ID": "1089"},
        )
        async with http.get(f"{rest}/accounts", headers=headers) as answer:
            accounts = await answer.read()
        pools["deriv door"].append(accounts)
        account = json.loads(accounts)["data"][0]["account_id"]
        async with http.post(f"{rest}/accounts/{account}/otp", headers=headers) as answer:
            password = await answer.read()
        pools["deriv door"].append(password)
        async with http.get(f"{rest}/accounts") as answer:  # a refusal
            pools["deriv door"].append(await answer.read())
        url = json.loads(password)["data"]["url"]
    async with http.ws_connect(url, max_msg_size=0) as ws:

        async def ask(body: dict[str, object]) -> dict[str, Any]:
            await ws.send_str(_encode(body | {"req_id": ANSWER_ID}).decode())
            name = next(iter(body))
            while True:
                frame = (await ws.receive(10.0)).data.encode()
                told: dict[str, Any] = json.loads(frame)
                if next(iter(told.get("echo_req", {"?": 0}))) == name and told.get("msg_type") != "tick":
                    pools[f"deriv {name}"].append(frame)
                    return told
                pools["deriv stream"].append(frame)

        await _ask_everything(codec, facts["token"], ask)
        for symbol in ("1HZ100V", "R_100"):
            await ws.send_str(_encode(codec.ticks(symbol).body | {"req_id": ANSWER_ID + 1}).decode())
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            try:
                pools["deriv stream"].append((await ws.receive(1.0)).data.encode())
            except TimeoutError:
                continue


async def _ask_everything(codec: Codec, token: str, ask: Any) -> None:
    login, site = codec.login(token), codec.site()
    for request in (login, site):
        if request is not None:
            await ask(request.body)
    now = int((await ask(codec.time().body))["time"])
    await ask(codec.ping().body)
    await ask(codec.listings().body)
    await ask(codec.offer("1HZ100V").body)
    await ask(codec.tick_page("1HZ100V", now - 40, now, 30).body)
    await ask(codec.candle_page("1HZ100V", 60, now - 1200, now, 15).body)
    await ask(codec.transactions().body)
    await ask(codec.contract(1, follow=False).body)  # a refusal
    ask_for = Ask(contract_type="MULTUP", symbol="1HZ100V", stake=Decimal(10), currency="USD", multiplier=40)
    price = await ask(codec.proposal(ask_for).body)
    receipt = await ask(codec.buy(price["proposal"]["id"], Decimal(10)).body)
    contract_id = int(receipt["buy"]["contract_id"])
    await ask(codec.contract(contract_id, follow=True).body)
    await ask(codec.holdings().body)
    await ask(codec.balance().body)
    await asyncio.sleep(2.0)  # until it has its entry spot it is not bought back
    await ask(codec.sell(contract_id, Decimal(0)).body)
    for request in (codec.closed(now - 60), codec.bookings(now - 60, 0), codec.holdings()):
        await ask(request.body)
    rise = Ask(contract_type="CALL", symbol="1HZ100V", stake=Decimal(5), currency="USD", duration=5, duration_unit="t")
    await ask(codec.proposal(rise).body)


# --- Binance -------------------------------------------------------------------------------------------------------

PUBLIC: Final[dict[str, dict[str, Any]]] = {
    "time": {},
    "exchangeInfo": {"symbol": "BTCUSDT"},
    "depth": {"symbol": "BTCUSDT", "limit": 50},
    "klines": {"symbol": "BTCUSDT", "interval": "1m", "limit": 20},
    "trades": {"symbol": "BTCUSDT", "limit": 20},
    "avgPrice": {"symbol": "BTCUSDT"},
    "ticker/price": {},
}
STREAMS: Final = ("btcusdt@trade", "btcusdt@bookTicker", "btcusdt@depth@100ms", "btcusdt@kline_1s", "!simClock")


async def _binance(http: aiohttp.ClientSession, facts: dict[str, Any], simulator: Simulator, pools: Pools) -> None:
    rest, signer = facts["binance_rest_url"], HmacSigner(facts["key"], facts["secret"])
    for name, params in PUBLIC.items():
        async with http.get(f"{rest}/api/v3/{name}", params=params) as answer:
            pools[f"binance {name}"].append(await answer.read())
    async with http.get(f"{rest}/api/v3/klines", params={"symbol": "NOPE"}) as answer:
        pools["binance refusal"].append(await answer.read())
    async with (
        http.ws_connect(f"{facts['binance_ws_url']}/stream", max_msg_size=0) as stream,
        http.ws_connect(facts["binance_ws_api_url"], max_msg_size=0) as api,
    ):
        await stream.send_json({"method": "SUBSCRIBE", "params": STREAMS, "id": ANSWER_ID})

        async def ask(method: str, **params: Any) -> dict[str, Any]:
            complete = signed_params({**params, "timestamp": simulator.binance.feed.now_ms()}, signer)
            await api.send_json({"id": ANSWER_ID, "method": method, "params": complete if method != "time" else {}})
            while True:
                frame = (await api.receive(10.0)).data.encode()
                told: dict[str, Any] = json.loads(frame)
                if "event" in told:
                    pools["binance event"].append(json.dumps(told["event"]).encode())
                    pools["binance api"].append(frame)
                    continue
                pools[f"binance {method}"].append(frame)
                return told

        await ask("time")
        await ask("userDataStream.subscribe.signature")
        order = {"symbol": "BTCUSDT", "newOrderRespType": "FULL"}
        bought = await ask(
            "order.place", **order, side="BUY", type="MARKET", quantity="0.01", newClientOrderId="intent"
        )
        order_id = bought["result"]["orderId"]
        book = json.loads(pools["binance depth"][0])
        low, high = book["bids"][-1][0], book["asks"][-1][0]
        limit = {"type": "LIMIT", "timeInForce": "IOC", "quantity": "0.01"}
        await ask("order.place", **order, **limit, side="BUY", price=high, newClientOrderId="intent")
        await ask("order.place", **order, **limit, side="BUY", price=low, newClientOrderId="intent")
        await ask("order.place", **order, side="BUY", type="MARKET", quantity="0.00000001")  # refused
        await ask("order.place", **order, side="SELL", type="MARKET", quantity="0.01", newClientOrderId="intent")
        await ask("order.status", symbol="BTCUSDT", origClientOrderId="intent")
        await ask("order.status", symbol="BTCUSDT", orderId=order_id)
        await ask("order.status", symbol="BTCUSDT", origClientOrderId="unknown")
        await ask("myTrades", symbol="BTCUSDT", orderId=order_id)
        await ask("allOrders", symbol="BTCUSDT")
        await ask("account.status")
        await ask("account.commission", symbol="BTCUSDT")
        for moved in ("12.5", "-1.25"):
            simulator.binance.exchange.deposit(ACCOUNT, "USDT", Decimal(moved))
        await ask("time")
        end = time.monotonic() + 2.0
        while time.monotonic() < end:
            pools["binance stream"].append((await stream.receive(5.0)).data.encode())


# --- recorded ------------------------------------------------------------------------------------------------------

DERIV_SAMPLES: Final = {
    "v3_active_symbols_part_2023": "active_symbols",
    "v3_buy_CALL_R_100_1t": "buy",
    "v3_candles_R_100": "ticks_history",
    "v3_contracts_for_frxAUDJPY_part": "contracts_for",
    "v3_history_R_50_2018": "ticks_history",
    "v3_poc_CALL_R_100_1t_expired_not_sold": "proposal_open_contract",
    "options_v1_poc_MULTUP_1HZ100V_243687440268": "proposal_open_contract",
    "v3_portfolio_R_25": "portfolio",
    "v3_profit_table_rows": "profit_table",
    "v3_time": "time",
    "v3_website_status_limits_2018": "website_status",
    "options_v1_proposal_1HZ100V_5t": "proposal",
    "options_v1_error_symbol_rejected": "proposal",
}


def _recorded() -> Iterator[tuple[str, bytes]]:
    """Nothing where the recorded messages are not on this machine."""
    for name, call in DERIV_SAMPLES.items():
        path = PROTOCOLS / "deriv-samples" / f"{name}.json"
        if path.exists():
            yield f"deriv {call}", path.read_bytes()
    binance = PROTOCOLS / "binance-samples"
    for path in sorted(binance.glob("ws/*.txt*")):
        lines = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for line in lines.splitlines()[:300:5]:
            yield "binance stream", line.partition(b" ")[2]
    for path in sorted(binance.glob("fixtures-nautilus/user-data/*.json")):
        told = json.loads(path.read_bytes())
        yield "binance event", json.dumps(told.get("data", told)).encode()
    for path in sorted(binance.glob("fixtures-nautilus/ws/*execution_report*.json")):
        told = json.loads(path.read_bytes())
        yield "binance event", json.dumps(told.get("data", told)).encode()
    for path in sorted(binance.glob("rest/exchangeInfo*2026*.json")):
        yield "binance exchangeInfo", path.read_bytes()
    for path in sorted(binance.glob("rest/depth-limit1000*.json")):
        yield "binance depth", path.read_bytes()


# --- by hand -------------------------------------------------------------------------------------------------------

AT: Final = "2026-01-05T15:00:00.123456789Z"
_ORDER: Final = {
    "id": "o-1",
    "client_order_id": "intent",
    "symbol": "BTC/USD",
    "status": "canceled",
    "filled_qty": "0.5",
    "updated_at": AT,
    "submitted_at": AT,
}
_FILL: Final = {
    "id": "f-1",
    "activity_type": "FILL",
    "order_id": "o-1",
    "transaction_time": AT,
    "price": "100.5",
    "qty": "0.5",
    "symbol": "BTC/USD",
}
ALPACA: Final[dict[str, list[Any]]] = {
    "alpaca stream": [
        [{"T": "t", "S": "BTC/USD", "p": 100.5, "s": 0.5, "t": AT, "i": 7, "tks": "B"}],
        [{"T": "q", "S": "BTC/USD", "bp": 100.0, "bs": 1.5, "ap": 101.0, "as": 2.5, "t": AT}],
        [
            {
                "T": "b",
                "S": "BTC/USD",
                "o": 1.0,
                "h": 3.0,
                "l": 0.5,
                "c": 2.0,
                "v": 5.5,
                "n": 9,
                "t": "2026-01-05T15:00:00Z",
            },
            {"T": "subscription", "trades": ["BTC/USD"]},
        ],
    ],
    "alpaca private": [{"stream": "trade_updates", "data": {"event": "fill", "order": _ORDER}}],
    "alpaca order": [{"order": _ORDER, "fills": [_FILL]}],
    "alpaca asset": [
        {
            "id": "a-1",
            "class": "crypto",
            "symbol": "BTC/USD",
            "name": "Bitcoin",
            "status": "active",
            "tradable": True,
            "min_order_size": "0.0001",
            "min_trade_increment": "0.000000001",
            "price_increment": "0.01",
        },
        {"id": "a-2", "class": "us_equity", "symbol": "SPY", "name": "SPDR", "status": "active", "tradable": True},
    ],
    "alpaca pages": [
        {"trades": {"BTC/USD": [{"t": AT, "p": 100.5, "s": 0.5, "i": 7, "tks": "S"}]}, "next_page_token": None},
        {
            "bars": {"BTC/USD": [{"t": "2026-01-05T15:00:00Z", "o": 1, "h": 3, "l": 0.5, "c": 2, "v": 5.5, "n": 9}]},
            "next_page_token": None,
        },
    ],
    "alpaca account": [
        [{**_FILL, "activity_type": "CSD", "net_amount": "-12.5"}, {**_FILL, "id": "f-2", "net_amount": "3"}],
        {"cash": "100.5", "currency": "USD"},
        [{"asset_id": "a-1", "symbol": "BTCUSD", "qty": "0.5", "asset_class": "crypto"}],
        {"timestamp": "2026-01-05T10:00:00-05:00", "is_open": True},
        {"code": 40010001, "message": "qty must be > 0"},
    ],
}
CCXT: Final[dict[str, list[Any]]] = {
    "ccxt": [
        {
            "print": {"id": "77", "timestamp": 1_700_000_000_000, "price": 100.5, "amount": 0.5, "side": "buy"},
            "levels": [[100.5, 1.0], [100.4, 2.0]],
            "order": {
                "id": "9",
                "clientOrderId": "intent",
                "symbol": "BTC/USDT",
                "status": "canceled",
                "filled": "0.5",
                "timestamp": 1_700_000_000_000,
                "trades": [
                    {
                        "id": "5",
                        "timestamp": 1_700_000_000_000,
                        "price": "100.5",
                        "amount": "0.5",
                        "fee": {"cost": "0.01", "currency": "BNB"},
                    }
                ],
            },
            "market": {
                "symbol": "BTC/USDT",
                "base": "BTC",
                "quote": "USDT",
                "active": True,
                "spot": True,
                "precision": {"price": "0.01", "amount": "0.00001"},
                "limits": {"amount": {"min": "0.00001", "max": "9000"}, "cost": {"min": "5"}},
            },
        }
    ],
}
