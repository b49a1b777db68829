"""Binance's parsers: market streams, the WebSocket API with its events, and REST."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

from libs.core.types import Side
from libs.venues import checked
from libs.venues.base import VenueError
from libs.venues.binance import codec, history, reports, trade_codec
from libs.venues.binance.api_connection import ApiConnection
from libs.venues.binance.book import LocalBook
from libs.venues.binance.codec import Absurd
from libs.venues.binance.connection import StreamConnection
from libs.venues.binance.exchange_info import instrument_of
from libs.venues.binance.feed import MarketFeed
from libs.venues.binance.filters import Rules
from libs.venues.binance.limits import Limits as BinanceLimits
from libs.venues.binance.outcome import result_of
from libs.venues.binance.rest import BinanceRest
from libs.venues.binance.user_stream import UserStream
from tests.fuzz.corpus import ANSWER_ID
from tests.fuzz.ground import NOW, Answers, Take, within_turns
from tests.fuzz.sinks import SuspiciousEars, SuspiciousSink, check_report


class BinanceUnlimited(BinanceLimits):
    """Limits that let everything through."""

    async def take(self, *args: Any, **kwargs: Any) -> None: ...


class ApiLine:
    """The transport of a WebSocket API connection: what lies ready is the answer to whatever is sent."""

    def __init__(self, take: Callable[[bytes, int], None]) -> None:
        self.ready = b""
        self._take = take

    def send(self, kind: Any, message: bytes) -> None:
        number = json.loads(message)["id"]
        told = self.ready.replace(b"%d" % ANSWER_ID, b"%d" % number)
        asyncio.get_running_loop().call_soon(self._take, told, NOW)

    def disconnect(self, graceful: bool) -> None: ...

    async def wait_disconnected(self) -> None: ...


class Subscribed:
    """The session of a user stream that is subscribed once and never ends."""

    is_alive = is_subscribed = True

    def __init__(self) -> None:
        self.leaving: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def connection(self) -> Subscribed:
        return self

    async def subscribe(self, connection: Subscribed) -> None: ...

    def adopt(self, connection: Subscribed) -> None: ...

    async def keep_clock(self) -> None:
        await asyncio.Event().wait()


async def _no_trades(symbol: str, order_id: int) -> list[reports.Execution]:
    return []


class Binance:
    """Streams, the WebSocket API with its events, and REST."""

    def __init__(self) -> None:
        self.sink, self.ears = SuspiciousSink(), SuspiciousEars()
        self._limits = BinanceUnlimited(places_orders=True)
        self._http = Answers()
        self._rest = BinanceRest("http://127.0.0.1:9", self._limits)
        self._rest.http._session = self._http  # type: ignore[assignment]
        self._feed = MarketFeed(["BTCUSDT", "NKNUSDT", "LRCBTC"], (1, 60), True, self.sink, self._rest)
        self._stream = StreamConnection(self._feed.on_data, self._feed.on_odd)
        events: Any = UserStream(_no_trades, random.Random(1))
        self._events = asyncio.ensure_future(events.run(Subscribed(), self.ears))
        self._api = ApiConnection(events.on_event, events.on_gap)
        self._line = ApiLine(self._api._take)
        self._api._transport = self._line  # type: ignore[assignment]
        self._rng = random.Random(5)

    def takers(self) -> dict[str, Take]:
        """Pool to parser."""
        rest = self._rest
        return {
            "binance stream": self._market,
            "binance api": self._event,
            "binance event": self._wrapped_event,
            "binance time": self._either(self._asking(rest.server_time), self._calling("time", self._time)),
            "binance exchangeInfo": self._asking(self._exchange_info),
            "binance depth": self._asking(self._depth),
            "binance klines": self._asking(lambda: history.bars(rest, "BTCUSDT", 60, 1000, NOW)),
            "binance trades": self._asking(lambda: history.trades(rest, "BTCUSDT", self._rng.choice((0, 5)), 0)),
            "binance avgPrice": self._asking(lambda: rest.average_price("BTCUSDT")),
            "binance ticker/price": self._asking(lambda: rest.prices(())),
            "binance refusal": self._asking(
                lambda: rest.http.signed("POST", "order", "a=1", "key", timeout_s=1.0), ok=False
            ),
            "binance userDataStream.subscribe.signature": self._calling("subscribe", lambda body: True),
            "binance order.place": self._calling("order.place", self._placed),
            "binance order.status": self._calling("order.status", self._status),
            "binance myTrades": self._calling("myTrades", self._trades),
            "binance allOrders": self._calling("allOrders", lambda b: trade_codec.read(trade_codec.order_rows, b, "o")),
            "binance account.status": self._calling("account.status", self._account),
            "binance account.commission": self._calling(
                "account.commission", lambda b: trade_codec.read(trade_codec.commission, b, "c")
            ),
        }

    async def _market(self, frame: bytes) -> bool:
        before = self.sink.told
        self._http.lie_ready(b'{"lastUpdateId":1,"bids":[["1","1"]],"asks":[["2","1"]]}', ok=True)
        self._stream._take(frame, NOW)
        await asyncio.sleep(0)
        return self.sink.told > before

    # --- REST --------------------------------------------------------------------------------------------------

    def _asking(self, ask: Callable[[], Awaitable[Any]], *, ok: bool = True) -> Take:
        async def take(frame: bytes) -> bool:
            self._http.lie_ready(frame, ok=ok and self._rng.random() < 0.95)
            with suppress(VenueError):
                await ask()
                return True
            return False

        return take

    @staticmethod
    def _either(one: Take, other: Take) -> Take:
        async def take(frame: bytes) -> bool:
            return await (other if b'"result"' in frame else one)(frame)

        return take

    async def _exchange_info(self) -> None:
        info = await self._rest.exchange_info(())
        for row in info.symbols:
            instrument_of(row, info.serverTime)
            rules = Rules(row, Decimal("50000"))
            with suppress(VenueError):
                rules.limit(Side.BUY, Decimal("0.5"), Decimal("50000.123"))
            with suppress(VenueError):
                rules.market(Decimal("0.5"))

    async def _depth(self) -> None:
        LocalBook().seed(await self._rest.depth("BTCUSDT"))

    # --- the WebSocket API -------------------------------------------------------------------------------------

    def _calling(self, method: str, use: Callable[[Any], Any]) -> Take:
        async def take(frame: bytes) -> bool:
            self._line.ready = frame
            call = asyncio.ensure_future(self._api.call(method, {}, 60.0))
            if not await within_turns(call):
                return False
            with suppress(VenueError, Absurd):
                use(result_of(method, call.result(), self._limits))
                return True
            return False

        return take

    @staticmethod
    def _time(body: Any) -> None:
        checked.check_time(trade_codec.read(codec.server_time, body, "time").serverTime)

    @staticmethod
    def _placed(body: Any) -> None:
        placed = trade_codec.read(trade_codec.placed, body, "order.place")
        told = reports.of_answer("intent", placed, Decimal("0.01"))
        for report in told:
            check_report(report)
        assert sum((report.quantity or Decimal(0) for report in told), Decimal(0)) == placed.executedQty

    @staticmethod
    def _status(body: Any) -> None:
        row = trade_codec.read(trade_codec.order_row, body, "order.status")
        of = reports.subject("intent", row.symbol, row.orderId)
        checked.amount(row.executedQty)
        check_report(reports.acknowledged(of, row.time))
        end = reports.ending(of, row.status, row.expiryReason, row.updateTime)
        if end is not None:
            check_report(end)

    @staticmethod
    def _trades(body: Any) -> None:
        rows = trade_codec.read(trade_codec.trade_rows, body, "myTrades")
        of = reports.subject("intent", "BTCUSDT", 1)
        for trade in reports.of_trades(rows):
            check_report(reports.filled(of, trade))

    @staticmethod
    def _account(body: Any) -> None:
        for row in trade_codec.read(trade_codec.account, body, "account.status").balances:
            checked.amount(row.free) + checked.amount(row.locked)

    async def _event(self, frame: bytes) -> bool:
        before = self.ears.told
        self._api._take(frame, NOW)
        for _ in range(3):
            await asyncio.sleep(0)
        return self.ears.told > before

    async def _wrapped_event(self, frame: bytes) -> bool:
        return await self._event(b'{"subscriptionId":0,"event":' + frame + b"}")

    def check(self) -> None:
        """Fail when something ended that must not."""
        if self._events.done():
            self._events.result()
            raise AssertionError("the stream of events ended")
        assert not self._api.ended.done()

    async def aclose(self) -> None:
        self._events.cancel()
        await asyncio.gather(self._events, return_exceptions=True)
        await self._feed.aclose()
