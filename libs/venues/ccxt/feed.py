"""One `stream` call: a life of ccxt's streams after the other, each message checked before it is told."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

import ccxt

from libs.core.types import MILLISECOND, Nanos, Quote, Trade
from libs.venues.base import FeedSink, Level
from libs.venues.checked import LATEST_MS, Absurd, line, price, sequence, size, stamp

DEPTH: Final = 20
"""Levels a side that are passed on."""

QUIET_S: Final = 45.0
"""Without a print or a book of any symbol for so long, the connections are made anew."""

POLL_S: Final = 3.0
"""Between two questions about a symbol at an exchange without streams."""

REMEMBERED: Final = 2_000

_SIDES: Final = {"buy": 1, "sell": -1}


def trade_of(row: Any) -> Trade:
    """A print in ccxt's unified shape; `seq` is the exchange's id where that is a number. Raises Absurd."""
    if not isinstance(row, dict):
        raise Absurd("a print that is none")
    side = row.get("side")
    return Trade(
        stamp(row.get("timestamp")),
        price(row.get("price")),
        size(row.get("amount")),
        _SIDES.get(side, 0) if isinstance(side, str) else 0,
        sequence(row.get("id")),
    )


def levels_of(rows: Iterable[Any], count: int = DEPTH) -> list[Level]:
    """The first `count` levels of one side, best first. Raises Absurd."""
    found: list[Level] = []
    for row in rows:
        if len(found) == count:
            break
        found.append((price(row[0]), size(row[1])))
    return found


class Feed:
    """Outlives single connections. `pairs`: our spelling of each symbol to ccxt's. `offset`: venue less machine, ns."""

    def __init__(self, name: str, pairs: Mapping[str, str], sink: FeedSink) -> None:
        self.sink = sink
        self.offset: Nanos = 0
        self._name, self._pairs = name, pairs
        self._last = dict.fromkeys(pairs, 0)
        self._seen: OrderedDict[tuple[str, Any], None] = OrderedDict()
        self._reason = ""
        self._live = False
        self._heard = 0.0

    def on_odd(self, payload: str, reason: str) -> None:
        """A message that ccxt could not read."""
        self.sink.reject("", payload.encode(errors="replace"), reason)

    def lost(self, reason: str) -> None:
        """A life ended."""
        self.sink.status("*", "disconnect" if self._live else "unreachable", reason)
        self._reason = reason
        self._live = False

    async def live(self, exchange: Any) -> str:
        """Tell what `exchange` streams until that breaks; the reason why it did."""
        self._heard = time.monotonic()
        prints, books = exchange.has.get("watchTrades"), exchange.has.get("watchOrderBook")
        tasks = [asyncio.create_task(self._keep_watch())]
        for symbol, pair in self._pairs.items():
            ask_prints = exchange.watch_trades if prints else _politely(exchange.fetch_trades)
            ask_book = exchange.watch_order_book if books else _politely(exchange.fetch_order_book)
            tasks.append(asyncio.create_task(self._prints(symbol, pair, ask_prints)))
            tasks.append(asyncio.create_task(self._books(symbol, pair, ask_book)))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return _why(next(iter(done)))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_watch(self) -> None:
        while True:
            quiet_s = time.monotonic() - self._heard
            if quiet_s >= QUIET_S:
                raise TimeoutError(f"silent for {quiet_s:.0f} s")
            await asyncio.sleep(QUIET_S - quiet_s)

    def _heard_one(self) -> None:
        self._heard = time.monotonic()
        if not self._live:
            self._live = True
            if self._reason:
                self.sink.status("*", "reconnect", f"after: {self._reason}")

    # --- prints ------------------------------------------------------------------------------------------------

    async def _prints(self, symbol: str, pair: str, ask: Callable[[str], Awaitable[Any]]) -> None:
        while True:
            rows = list(await ask(pair))
            recv_ns = time.time_ns()
            for row in rows:
                self._tell_print(symbol, row, recv_ns)

    def _tell_print(self, symbol: str, row: Any, recv_ns: Nanos) -> None:
        try:
            trade = trade_of(row)
            if self._last[symbol] and not trade.seq:
                raise Absurd("a print without its number, where all others had one")
        except Absurd as err:
            self.sink.reject(symbol, line(row).encode(), str(err))
            return
        self._heard_one()
        if self._is_new(symbol, trade, row):
            self.sink.trade(symbol, trade, recv_ns)

    def _is_new(self, symbol: str, trade: Trade, row: Any) -> bool:
        if trade.seq:
            new = trade.seq > self._last[symbol]
            self._last[symbol] = max(trade.seq, self._last[symbol])
            return new
        key = (symbol, row.get("id") or (trade.ts_event, trade.price, trade.size))
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > REMEMBERED * len(self._pairs):
            self._seen.popitem(last=False)
        return True

    # --- books -------------------------------------------------------------------------------------------------

    async def _books(self, symbol: str, pair: str, ask: Callable[[str], Awaitable[Any]]) -> None:
        last_id, own_id, top = 0, 0, None
        while True:
            try:
                book = await ask(pair)
                # ccxt goes on working on this very object: everything is read before anyone else gets a turn.
                nonce = sequence(book["nonce"]) if book["nonce"] is not None else 0
                bids, asks = levels_of(book["bids"]), levels_of(book["asks"])
                told_ms = book["timestamp"]
            except ccxt.ChecksumError as err:
                self.sink.status(symbol, "resync", line(err))
                if not last_id:  # ccxt may say so for ever, without ever waiting for the exchange
                    raise ccxt.NetworkError(f"the book of {pair} cannot be put together: {line(err)}") from err
                last_id = 0
                continue
            except (Absurd, IndexError) as err:
                raise ccxt.NetworkError(f"the book of {pair} cannot be read: {err}") from err
            recv_ns = time.time_ns()
            own_id += 1
            now_id = nonce or own_id
            if now_id <= last_id or not bids or not asks:
                continue
            if bids[0][0] >= asks[0][0]:
                self.sink.status(symbol, "resync", "book crossed; taking a new one")
                raise ccxt.NetworkError(f"the book of {pair} is crossed")
            self._heard_one()
            ts_event = _time(told_ms) or recv_ns + self.offset
            self.sink.book(symbol, bids, asks, last_id + 1 if last_id else now_id, now_id, ts_event, recv_ns)
            last_id = now_id
            if (bids[0], asks[0]) != top:
                top = (bids[0], asks[0])
                self.sink.quote(symbol, Quote(ts_event, *bids[0], *asks[0], now_id), recv_ns)


def _time(ms: object) -> Nanos:
    return ms * MILLISECOND if isinstance(ms, int) and 0 < ms < LATEST_MS else 0


def _why(task: asyncio.Task[None]) -> str:
    """Why one of the streams ended; ccxt cancels them when it closes a connection itself."""
    if task.cancelled():
        return "the connection was closed"
    err = task.exception()
    return line(err) or type(err).__name__


def _politely(ask: Callable[[str], Awaitable[Any]]) -> Callable[[str], Awaitable[Any]]:
    async def later(pair: str) -> Any:
        await asyncio.sleep(POLL_S)
        return await ask(pair)

    return later
