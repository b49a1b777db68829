"""A tiny Binance: enough REST for ingest to start on, and a stream whose frames the measurement writes itself."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final

import msgspec
from aiohttp import WSMsgType, web

KEPT: Final = 1000
HIGH_WATER: Final = 1 << 20
STEP_MS: Final = {"1s": 1000, "1m": 60_000, "3m": 180_000, "5m": 300_000, "15m": 900_000, "30m": 1_800_000}
LOW, HIGH = 100.0, 100.1
"""The two prices of the square wave, USDT."""


def symbols_of(count: int) -> list[str]:
    """Names of the bench's symbols; the two digits are the index that the square wave is shifted by."""
    return [f"B{index:02d}USDT" for index in range(count)]


def price_at(index: int, second: int) -> float:
    """The square wave: low in every third second, shifted by the symbol's index."""
    return LOW if (second + index) % 3 == 0 else HIGH


class Market:
    """What the venue knows: its clock (ms), the newest trades and the book update id of each symbol."""

    def __init__(self, symbols: list[str], start_ms: int) -> None:
        self.symbols = symbols
        self.now_ms = start_ms
        self.trades: dict[str, deque[dict[str, Any]]] = {symbol: deque(maxlen=KEPT) for symbol in symbols}
        self.trade_ids = dict.fromkeys(symbols, 0)
        self.update_ids = dict.fromkeys(symbols, 1000)
        self.depth_ids = dict(self.update_ids)

    def trade_frame(self, symbol: str, price: float, ms: int, size: str = "0.01000000") -> bytes:
        """The next print of `symbol`, as a combined-stream message."""
        self.now_ms = max(self.now_ms, ms)
        self.trade_ids[symbol] += 1
        number, text = self.trade_ids[symbol], f"{price:.8f}"
        self.trades[symbol].append({"id": number, "price": text, "qty": size, "time": ms, "isBuyerMaker": False})
        return (
            f'{{"stream":"{symbol.lower()}@trade","data":{{"e":"trade","E":{ms},"s":"{symbol}","t":{number},'
            f'"p":"{text}","q":"{size}","T":{ms},"m":false,"M":true}}}}'
        ).encode()

    def quote_frame(self, symbol: str, price: float) -> bytes:
        """The next best bid and ask of `symbol`, one step either side of `price`."""
        self.update_ids[symbol] += 1
        return (
            f'{{"stream":"{symbol.lower()}@bookTicker","data":{{"u":{self.update_ids[symbol]},"s":"{symbol}",'
            f'"b":"{price - 0.01:.8f}","B":"3.78826000","a":"{price + 0.01:.8f}","A":"1.54698000"}}}}'
        ).encode()

    def depth_frame(self, symbol: str, price: float, ms: int, levels: int = 14) -> bytes:
        """The next book update of `symbol`: `levels` a side, the nearest one step from `price`."""
        first = self.depth_ids[symbol] + 1
        self.update_ids[symbol] += 1
        self.depth_ids[symbol] = self.update_ids[symbol]
        size = f"{1 + first % 7}.54698000"
        bids = ",".join(f'["{price - 0.01 * (i + 1):.8f}","{size}"]' for i in range(levels))
        asks = ",".join(f'["{price + 0.01 * (i + 1):.8f}","{size}"]' for i in range(levels))
        return (
            f'{{"stream":"{symbol.lower()}@depth@100ms","data":{{"e":"depthUpdate","E":{ms},"s":"{symbol}",'
            f'"U":{first},"u":{self.update_ids[symbol]},"b":[{bids}],"a":[{asks}]}}}}'
        ).encode()

    def klines(self, symbol: str, interval: str, start_ms: int, end_ms: int, limit: int) -> list[list[Any]]:
        """Rows that open in the range, oldest first."""
        step = STEP_MS.get(interval, 3_600_000)
        index = int(symbol[1:3])
        rows: list[list[Any]] = []
        for at in range(-(-start_ms // step) * step, min(end_ms, self.now_ms) + 1, step):
            if len(rows) >= limit:
                break
            first, last = price_at(index, at // 1000), price_at(index, (at + step) // 1000 - 1)
            low, high = (min(first, last), max(first, last)) if step == 1000 else (LOW, HIGH)
            rows.append([at, first, high, low, last, 1.0, at + step - 1, 100.0, 2, 0.5, 50.0, "0"])
        return rows


class BenchVenue:
    """Serves `market` on one port: REST and /stream for ingest, /bare for the bare chain."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._runner: web.AppRunner | None = None
        self._transports: dict[str, asyncio.Transport] = {}
        self.port = 0

    @property
    def rest_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def connected(self, client: str) -> bool:
        """Whether `client` ("stream" or "bare") listens."""
        return client in self._transports

    def send(self, client: str, payload: bytes) -> None:
        """One message to one client, at once."""
        self._transports[client].write(framed(payload))

    async def blast(self, client: str, frames: bytes) -> None:
        """Frames that are ready for the wire, as fast as the client takes them."""
        transport, step = self._transports[client], 1 << 17
        for at in range(0, len(frames), step):
            transport.write(frames[at : at + step])
            while transport.get_write_buffer_size() > HIGH_WATER:  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    async def start(self) -> None:
        """Listen on a free port."""
        app = web.Application()
        app.add_routes([web.get(f"/api/v3/{name}", getattr(self, f"_{name.lower()}")) for name in _CALLS])
        app.add_routes([web.get("/stream", self._stream), web.get("/bare", self._stream)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close every connection."""
        for transport in self._transports.values():
            transport.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False, autoping=True)
        await socket.prepare(request)
        client = request.path.strip("/")
        transport = request.transport
        assert transport is not None
        self._transports[client] = transport
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    number = msgspec.json.decode(message.data)["id"]
                    transport.write(framed(msgspec.json.encode({"result": None, "id": number})))
        finally:
            if self._transports.get(client) is transport:
                del self._transports[client]
        return socket

    async def _time(self, _request: web.Request) -> web.Response:
        return _answer({"serverTime": self._market.now_ms})

    async def _exchangeinfo(self, request: web.Request) -> web.Response:
        wanted = msgspec.json.decode(request.query.get("symbols", "[]")) or self._market.symbols
        rows = [{**_SYMBOL, "symbol": name, "baseAsset": name.removesuffix("USDT")} for name in wanted]
        return _answer({"serverTime": self._market.now_ms, "symbols": rows})

    async def _klines(self, request: web.Request) -> web.Response:
        query = request.query
        span = (int(query["startTime"]), int(query["endTime"]), int(query["limit"]))
        return _answer(self._market.klines(query["symbol"], query["interval"], *span))

    async def _depth(self, request: web.Request) -> web.Response:
        levels = [[f"{LOW + offset:.8f}", "2.00000000"] for offset in (-0.02, 0.12)]
        last = self._market.update_ids[request.query["symbol"]]
        return _answer({"lastUpdateId": last, "bids": levels[:1], "asks": levels[1:]})

    async def _trades(self, request: web.Request) -> web.Response:
        return _answer(list(self._market.trades[request.query["symbol"]]))

    async def _historicaltrades(self, request: web.Request) -> web.Response:
        first = int(request.query.get("fromId", 0))
        return _answer([row for row in self._market.trades[request.query["symbol"]] if row["id"] >= first])


_CALLS = ("time", "exchangeInfo", "klines", "depth", "trades", "historicalTrades")
_SYMBOL: Final[dict[str, Any]] = {
    "status": "TRADING",
    "quoteAsset": "USDT",
    "isSpotTradingAllowed": True,
    "filters": [
        {"filterType": "PRICE_FILTER", "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
        {"filterType": "NOTIONAL", "minNotional": "5.00000000"},
    ],
}


def _answer(value: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


def framed(payload: bytes) -> bytes:
    """One unmasked text frame (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    return b"\x81\x7e" + size.to_bytes(2, "big") + payload
