"""A Kraken that replays recorded answers, and makes the few that nobody recorded in the shape of those."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from aiohttp import web

SAMPLES = Path(__file__).parents[3].parent / "shared" / "protocols" / "binance-samples" / "kraken"
TXID = "OUF4EM-FRGI2-MQMWZD"

_FIAT = {"aclass": "currency", "decimals": 4, "display_decimals": 2, "status": "enabled"}
_COIN = {"aclass": "currency", "decimals": 10, "display_decimals": 5, "status": "enabled"}
ASSETS = {
    "ZUSD": {**_FIAT, "altname": "USD"},
    "XXBT": {**_COIN, "altname": "XBT"},
    "ETH": {**_COIN, "altname": "ETH"},
    "USDT": {**_COIN, "altname": "USDT", "decimals": 8},
}


def recorded(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_text())


def pairs() -> dict[str, Any]:
    """The recorded pair, and two more like it."""
    told = recorded("http_asset_pairs_tokenized")
    (like,) = told["result"].values()
    for base, quote, name, wsname, tick in (
        ("XXBT", "USDT", "XBTUSDT", "XBT/USDT", "0.1"),
        ("XXBT", "ZUSD", "XXBTZUSD", "XBT/USD", "0.1"),
    ):
        alt = name.replace("XXBTZ", "XBT")
        told["result"][name] = {
            **like,
            "altname": alt,
            "wsname": wsname,
            "aclass_base": "currency",
            "base": base,
            "quote": quote,
            "pair_decimals": 1,
            "ordermin": "0.00005",
            "tick_size": tick,
        }
    return dict(told)


class KrakenStub:
    """`asked` keeps each call's path and form. `answers` replace what a call says; an exception ends the connection."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.answers: dict[str, Any] = {
            "Assets": {"error": [], "result": ASSETS},
            "AssetPairs": pairs(),
            "OHLC": recorded("http_ohlc"),
            "Depth": recorded("http_order_book"),
            "Balance": recorded("http_spot_balance"),
            "BalanceEx": self._extended(),
            "AddOrder": recorded("http_add_order_spot"),
            "CancelOrder": recorded("http_cancel_order_spot"),
            "TradesHistory": recorded("http_trades_history"),
            "OpenOrders": {"error": [], "result": {"open": {}}},
            "ClosedOrders": {"error": [], "result": {"closed": {}, "count": 0}},
            "Time": {"error": [], "result": {"unixtime": int(time.time()), "rfc1123": ""}},
        }
        app = web.Application()
        app.add_routes([web.route("*", "/0/{access}/{name}", self._serve)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    def _extended(self) -> dict[str, Any]:
        held = recorded("http_spot_balance")["result"]
        return {"error": [], "result": {name: {"balance": total, "hold_trade": "0.0"} for name, total in held.items()}}

    async def start(self) -> dict[str, str]:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return {"rest": f"http://127.0.0.1:{self._runner.addresses[0][1]}"}

    async def stop(self) -> None:
        await self._runner.cleanup()

    def calls(self, name: str) -> list[dict[str, str]]:
        return [form for asked, form in self.asked if asked == name]

    async def _serve(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        form = {key: str(value) for key, value in (await request.post()).items()}
        self.asked.append((name, form or dict(request.query)))
        answer = self.answers.get(name, {"error": ["EGeneral:Unknown method"]})
        if isinstance(answer, Exception):
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return web.Response(text=answer if isinstance(answer, str) else json.dumps(answer))

    # --- an order that was executed ------------------------------------------------------------------------------

    def executed(self, *parts: tuple[str, str, str], status: str = "closed", client_id: str) -> None:
        """The order of AddOrder came to be, with executions of (price, volume, fee) in the shape of the recorded."""
        (like, *_) = recorded("http_trades_history")["result"]["trades"].values()
        trades = {
            f"TCCCTY-WJ6EO-{number:06}": {
                **like,
                "ordertxid": TXID,
                "pair": "XBTUSDT",
                "time": time.time(),
                "price": price,
                "vol": volume,
                "fee": fee,
                "trade_id": 2000 + number,
            }
            for number, (price, volume, fee) in enumerate(parts)
        }
        others = recorded("http_trades_history")["result"]["trades"]
        total = sum((float(volume) for _, volume, _ in parts), 0.0)
        row = {
            "refid": None,
            "userref": 0,
            "cl_ord_id": client_id,
            "status": status,
            "opentm": time.time(),
            "closetm": time.time(),
            "descr": {"pair": "XBTUSDT", "type": "buy", "ordertype": "limit", "price": "50000.0", "price2": "0"},
            "vol": "0.01000000",
            "vol_exec": f"{total:.8f}",
            "cost": "0",
            "fee": "0",
            "price": "0",
            "misc": "",
            "oflags": "fciq",
            "trades": list(trades),
        }
        self.answers["QueryOrders"] = {"error": [], "result": {TXID: row}}
        self.answers["ClosedOrders"] = {"error": [], "result": {"closed": {TXID: row}, "count": 1}}
        result = {"trades": {**others, **trades}, "count": len(others) + len(trades)}
        self.answers["TradesHistory"] = {"error": [], "result": result}
