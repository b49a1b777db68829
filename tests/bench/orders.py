"""What an order costs the client, from the decision to its reports; and what keeping a book costs.

The client's processor time counts, all threads, never the venue's: that runs in a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, Final

import ccxt.async_support as ccxt
import msgspec
from ccxt.async_support.base.ws.order_book import OrderBook
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect
from sortedcontainers import SortedDict

from libs.common.embedded.ports import answers, free_port
from libs.core.types import Action, Instrument, Mode, Order, OrderState, ReportKind, Side, stable_id
from libs.venues.binance.book import LocalBook
from libs.venues.binance.codec import DepthUpdate, Snapshot
from libs.venues.binance.market import BinanceMarketData
from libs.venues.binance.signing import HmacSigner, signed_params
from libs.venues.binance.trading import BinanceTrading
from libs.venues.budget import SHARE, Priority
from libs.venues.credentials import Credentials
from tests.bench.harness import REPEATS, Line, absolute, compared, interleaved
from tests.bench.order_desk import SYMBOL
from tests.bench.sandbox import BenchError, Sandbox, until

ORDERS: Final = 2_000
ORDERS_AT_SIMULATOR: Final = 40
"""The account may place 100 in 10 s there, and so must we."""

KEYS: Final = Credentials(key="k" * 64, secret="s" * 64)
TARGET_US: Final = 150.0

UPDATES: Final = 20_000
LEVELS: Final = 1_000
CHANGES: Final = 14
"""Levels of a side in one update, as a busy 100 ms of a large pair has them."""

_numbers = iter(range(1, 1 << 40))


def order(symbol: str, quantity: str, worst: str) -> Order:
    """An entry as the executor hands it over."""
    return Order(
        id="o",
        ts_event=time.time_ns(),
        intent_id=stable_id("bench", next(_numbers)),
        revision=1,
        state=OrderState.SENT,
        mode=Mode.LIVE,
        venue="binance",
        account="bench",
        symbol=symbol,
        strategy="bench",
        side=Side.BUY,
        action=Action.ENTER,
        quantity=Decimal(quantity),
        worst_price=Decimal(worst),
        position_id="p",
        reason="bench",
    )


async def cpu_us(step: Callable[[], Awaitable[None]], count: int) -> float:
    """Processor time of this process for one `step`, in us."""
    begun = time.process_time()
    for _ in range(count):
        await step()
    return (time.process_time() - begun) / count * 1e6


class Bare(WSListener):
    """Sends bytes and waits for the answer's: no decoding, no clock, no books."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            self.answer.set_result(frame.get_payload_as_bytes())


async def order_cost(repeats: int) -> list[Line]:
    """`order_place` against a bare loop with the same bytes."""
    port = free_port()
    async with Sandbox("orders") as box:
        await box.module("desk", "tests.bench.order_desk", str(port))
        await until(lambda: answers(port), "the desk to listen")
        urls = {"rest": f"http://127.0.0.1:{port}", "ws_api": f"ws://127.0.0.1:{port}/ws-api/v3"}
        trading = BinanceTrading(urls, KEYS, currency="USDT")
        market = BinanceMarketData(urls["rest"], "ws://127.0.0.1:1")
        (instrument,) = await market.instruments([SYMBOL])
        transport, listener = await ws_connect(Bare, urls["ws_api"])
        signer = HmacSigner(KEYS.key, KEYS.secret)

        async def ours() -> float:
            return await cpu_us(lambda: _submitted(trading, instrument, "0.1", "101"), ORDERS)

        async def bare() -> float:
            ready = [_request(number, signer) for number in range(ORDERS)]

            async def step() -> None:
                listener.answer = asyncio.get_running_loop().create_future()
                transport.send(WSMsgType.TEXT, ready.pop())
                await listener.answer

            return await cpu_us(step, ORDERS)

        try:
            await interleaved(ours, bare, 1)
            pairs = await interleaved(ours, bare, repeats)
        finally:
            transport.disconnect(graceful=False)
            await trading.aclose()
            await market.aclose()
    what = "client CPU of an order from decision to fill reports; reference: a bare picows loop with the same bytes"
    values, references = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return [absolute("order_place", values, unit="us", what=what, at_most=TARGET_US, references=references)]


async def _submitted(trading: BinanceTrading, instrument: Instrument, quantity: str, worst: str) -> None:
    reports = await trading.submit(order(instrument.symbol, quantity, worst), instrument)
    if reports[-1].kind is not ReportKind.FILLED:
        raise BenchError(f"an order was not filled: {reports[-1].kind} {reports[-1].detail}")


def _request(number: int, signer: HmacSigner) -> bytes:
    params = signed_params(
        {
            "symbol": SYMBOL,
            "side": "BUY",
            "quantity": "0.1",
            "newClientOrderId": stable_id("bare", number),
            "newOrderRespType": "FULL",
            "type": "LIMIT",
            "timeInForce": "IOC",
            "price": "101",
            "recvWindow": 3000,
            "timestamp": time.time_ns() // 1_000_000,
        },
        signer,
    )
    return msgspec.json.encode({"id": number, "method": "order.place", "params": params})


async def order_against_ccxt(repeats: int) -> list[Line]:
    """`order_place_simulator` against ccxt's create_order at the same simulator."""
    async with Sandbox("orders-simulator") as box:
        facts_file = box.folder / "simulator" / "simulator.json"
        child = await box.module("simulator", "services.simulator", env={"CV_SIM_STATE_DIR": str(facts_file.parent)})
        await until(facts_file.exists, f"the simulator; {child.last_words()}")
        facts = json.loads(facts_file.read_bytes())
        urls = {"rest": facts["binance_rest_url"], "ws_api": facts["binance_ws_api_url"]}
        market = BinanceMarketData(urls["rest"], facts["binance_ws_url"])
        (instrument,) = await market.instruments([SYMBOL])
        trading = BinanceTrading(
            urls, Credentials(key=facts["key"], secret=facts["secret"]), currency="USDT", simulator=True
        )
        other = _ccxt(facts)
        try:
            await other.load_markets()
            worst = str(float((await other.fetch_ticker("BTC/USDT"))["last"]) * 1.02)

            async def ours() -> float:
                await until(lambda: _may_send(trading), "the venue's order limit to let us")
                return await cpu_us(lambda: _submitted(trading, instrument, "0.0001", worst), ORDERS_AT_SIMULATOR)

            async def theirs() -> float:
                return await cpu_us(lambda: _created(other, float(worst)), ORDERS_AT_SIMULATOR)

            await interleaved(ours, theirs, 1)
            pairs = await interleaved(ours, theirs, repeats)
        finally:
            await other.close()
            await trading.aclose()
            await market.aclose()
    what = "client CPU of an order at the simulated Binance; reference: create_order of ccxt, by REST"
    return [compared("order_place_ccxt", pairs, unit="us", what=what, at_most=0.5)]


def _may_send(trading: BinanceTrading) -> bool:
    states = [budget.state() for budget in trading.budgets() if "orders" in budget.name]
    return all(state.used + ORDERS_AT_SIMULATOR <= state.limit * SHARE[Priority.ENTRY] for state in states)


async def _created(exchange: Any, worst: float) -> None:
    made = await exchange.create_order("BTC/USDT", "limit", "buy", 0.0001, worst, {"timeInForce": "IOC"})
    if made["status"] != "closed":
        raise BenchError(f"an order of ccxt was not filled: {made['status']}")


def _ccxt(facts: dict[str, Any]) -> Any:
    options = {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False}
    exchange = ccxt.binance(
        {"apiKey": facts["key"], "secret": facts["secret"], "enableRateLimit": False, "options": options}
    )
    for name in ("public", "private", "v1"):
        exchange.urls["api"][name] = f"{facts['binance_rest_url']}/api/v3"
    return exchange


class Walk:
    """A seeded book and its diffs: sizes change, levels vanish and come near a price that walks."""

    def __init__(self) -> None:
        rng = random.Random(5)
        middle = 1_000_000
        self.bids = {(middle - 1 - i) / 100: 1.0 + i % 9 for i in range(LEVELS)}
        self.asks = {(middle + 1 + i) / 100: 1.0 + i % 9 for i in range(LEVELS)}
        self.updates: list[DepthUpdate] = []
        for number in range(1, UPDATES + 1):
            middle += rng.choice((-2, -1, 0, 0, 1, 2))
            sides = []
            for sign in (-1, 1):
                ticks = rng.sample(range(1, 60), CHANGES)
                fresh = [((middle + sign * t) / 100, rng.choice((0.0, rng.random() * 5))) for t in ticks]
                gone = [((middle - sign * t) / 100, 0.0) for t in (0, 1, 2)]
                sides.append([*fresh, *gone])
            self.updates.append(DepthUpdate(1, SYMBOL, number, number, sides[0], sides[1]))


async def book_rate(repeats: int) -> list[Line]:
    """Updates a CPU second: ours against ccxt's order book, and against two SortedDicts."""
    walk = Walk()
    ends: set[tuple[float, float]] = set()

    async def ours() -> float:
        book = LocalBook()
        book.seed(Snapshot(0, list(walk.bids.items()), list(walk.asks.items())))
        begun = time.process_time()
        for update in walk.updates:
            book.apply(update)
            bids, asks = book.top(1)
        ends.add((bids[0][0], asks[0][0]))
        return UPDATES / (time.process_time() - begun)

    async def of_ccxt() -> float:
        levels = {"bids": [list(x) for x in walk.bids.items()], "asks": [list(x) for x in walk.asks.items()]}
        book = OrderBook(levels)
        bids, asks = book["bids"], book["asks"]
        begun = time.process_time()
        for update in walk.updates:
            for level in update.b:
                bids.storeArray(list(level))
            for level in update.a:
                asks.storeArray(list(level))
            best = bids[0][0], asks[0][0]
        ends.add(best)
        return UPDATES / (time.process_time() - begun)

    async def of_sorted() -> float:
        bids, asks = SortedDict(walk.bids), SortedDict(walk.asks)
        begun = time.process_time()
        for update in walk.updates:
            for side, levels in ((bids, update.b), (asks, update.a)):
                for price, size in levels:
                    if size:
                        side[price] = size
                    else:
                        side.pop(price, None)
            best = bids.peekitem(-1)[0], asks.peekitem(0)[0]
        ends.add(best)
        return UPDATES / (time.process_time() - begun)

    lines = []
    for name, reference in (("ccxt's order book", of_ccxt), ("two SortedDicts", of_sorted)):
        await interleaved(ours, reference, 1)
        pairs = await interleaved(ours, reference, repeats)
        what = f"book updates of {2 * (CHANGES + 3)} levels and the best of each side; reference: {name}"
        short = "ccxt" if reference is of_ccxt else "sorteddict"
        lines.append(compared(f"book_updates_{short}", pairs, unit="updates/s", what=what, at_least=1.0))
    if len(ends) != 1:
        raise BenchError(f"the books do not end alike: {sorted(ends)}")
    return lines


async def run(repeats: int = REPEATS) -> list[Line]:
    """The lines of orders and books."""
    return [*await order_cost(repeats), *await order_against_ccxt(repeats), *await book_rate(repeats)]
