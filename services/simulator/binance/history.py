"""What the modelled market has done so far: its trades and klines at any moment, drawn when asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from threading import Lock
from typing import Final

import numpy as np

from services.simulator.binance.candles import Candle, Print
from services.simulator.binance.draws import Ints
from services.simulator.binance.intervals import SECOND_MS, end_of, open_of, step_back
from services.simulator.binance.model import CHUNK_MS, Market, Tape

BLOCK: Final = 60
_KEPT_BLOCKS: Final = 3_000  # 3,000 hours of minute summaries, about 12 MB a symbol
_BATCH_TRADES: Final = 50_000  # bounds the memory of one drawing


class History:
    """Trades and klines of one market up to a given moment. Times are ms UTC."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self._blocks: OrderedDict[int, Ints] = OrderedDict()
        self._blocks_lock = Lock()  # long histories are drawn in a worker thread, running bars in the loop's

    def last_trade_id(self, now_ms: int) -> int:
        """Return the id of the newest trade at or before `now_ms`; that of the last listed one before if none."""
        chunk = now_ms // CHUNK_MS
        tape = self.market.tape(chunk, chunk + 1)
        return self.market.first_trade_id(chunk) - 1 + int(np.searchsorted(tape.trade_ms, now_ms, "right"))

    def prints(self, first_id: int, last_id: int) -> list[Print]:
        """Return the trades with ids in [first_id, last_id], oldest first."""
        first_id = max(first_id, 1)
        if last_id < first_id:
            return []
        chunks = self.market.chunk_of_trade(first_id), self.market.chunk_of_trade(last_id) + 1
        return [trade for tape in self._tapes(*chunks) for trade in self._read(tape) if first_id <= trade.id <= last_id]

    def first_id_at(self, ms: int) -> int:
        """Return the id of the first trade at or after `ms`."""
        return self.last_trade_id(max(ms, self._listed_ms) - 1) + 1 if ms > self._listed_ms else 1

    def klines(self, interval: str, start: int | None, end: int | None, limit: int, now_ms: int) -> list[Candle]:
        """Return bars with open times in [start, end] as known at `now_ms`, the running one included."""
        newest = open_of(interval, min(now_ms, now_ms if end is None else end))
        if start is None:
            first = step_back(interval, newest, limit - 1)
        else:
            first = open_of(interval, start)
            first = first if first == start else end_of(interval, first)
        oldest = open_of(interval, self._listed_ms)
        first = max(first, oldest)
        opens: list[int] = []
        while first <= newest and len(opens) < limit:
            opens.append(first)
            first = end_of(interval, first)
        if not opens:
            return []
        stop = min(end_of(interval, opens[-1]), now_ms + 1)
        return self._seconds(opens, stop) if interval == "1s" else self._minutes(interval, opens, stop)

    @property
    def _listed_ms(self) -> int:
        return self.market.listed_chunk * CHUNK_MS

    def _tapes(self, first: int, last: int) -> Iterator[Tape]:
        """Draw chunks [first, last) in pieces that are equally busy and not too large."""
        chunk = first
        while chunk < last:
            activity = self.market.activity(chunk)
            stop = min(last, chunk + _BATCH_TRADES // activity.trades)
            if self.market.activity(stop - 1) is not activity:
                stop = self.market.dense_chunk
            yield self.market.tape(chunk, stop)
            chunk = stop

    def _read(self, tape: Tape) -> Iterator[Print]:
        listing = self.market.listing
        columns = (tape.trade_ms, tape.price * listing.tick, tape.lots * listing.lot, tape.sell)
        first = self.market.first_trade_id(tape.first_chunk)
        for trade_id, (ms, price, qty, sell) in enumerate(zip(*(c.tolist() for c in columns), strict=True), first):
            yield Print(trade_id, ms, price, qty, bool(sell))

    def _seconds(self, opens: list[int], stop: int) -> list[Candle]:
        # one chunk earlier, so that a quiet first second has a close to stand at
        first = max(opens[0] // CHUNK_MS - 1, self.market.listed_chunk)
        candles = {ms: Candle(ms, 0, 0, 0, 0) for ms in opens}
        price = 0
        for tape in self._tapes(first, (stop - 1) // CHUNK_MS + 1):
            for trade in self._read(tape):
                if trade.ms >= stop:
                    break
                if trade.ms < opens[0]:
                    price = trade.price
                else:
                    candles[trade.ms // SECOND_MS * SECOND_MS].add(trade)
        for candle in candles.values():
            if candle.trades == 0:
                candle.open = candle.high = candle.low = candle.close = price
            price = candle.close
        return list(candles.values())

    def _minutes(self, interval: str, opens: list[int], stop: int) -> list[Candle]:
        first = max(opens[0] // CHUNK_MS, self.market.listed_chunk)
        last = -(-stop // CHUNK_MS)
        with self._blocks_lock:
            table = self._summaries(first, last)
        if stop % CHUNK_MS:
            table = np.concatenate([table[:-1], self._running(last - 1, stop)])
        if table.shape[0] == 0:
            return []
        starts = np.searchsorted(np.arange(first, first + table.shape[0]) * CHUNK_MS, np.array(opens), "left")
        starts = starts[starts < table.shape[0]]
        return [
            self._candle(open_ms, first, table, int(low), int(high))
            for open_ms, low, high in zip(opens, starts, [*starts[1:], table.shape[0]], strict=False)
        ]

    def _candle(self, open_ms: int, first: int, table: Ints, low: int, high: int) -> Candle:
        part = table[low:high]
        tick, lot = self.market.listing.tick, self.market.listing.lot
        count = int(part[:, 8].sum())
        first_id = self.market.first_trade_id(first + low)
        return Candle(
            open_ms=open_ms,
            open=int(part[0, 0]) * tick,
            high=int(part[:, 1].max()) * tick,
            low=int(part[:, 2].min()) * tick,
            close=int(part[-1, 3]) * tick,
            volume=int(part[:, 4].sum()) * lot,
            quote=int(part[:, 5].sum()) * tick * lot,
            trades=count,
            taker_base=int(part[:, 6].sum()) * lot,
            taker_quote=int(part[:, 7].sum()) * tick * lot,
            first_id=first_id if count else -1,
            last_id=first_id + count - 1 if count else -1,
        )

    def _running(self, chunk: int, stop: int) -> Ints:
        """Summarise the trades of `chunk` before `stop`; no row when the bar would open with it and has none."""
        tape = self.market.tape(chunk, chunk + 1)
        count = int(np.searchsorted(tape.trade_ms, stop, "left"))
        if count == 0:
            return np.empty((0, 9), np.int64)
        return _summary(tape, count)

    def _summaries(self, first: int, last: int) -> Ints:
        """Return a row for each chunk in [first, last): open, high, low, close, volumes, count; in ticks and lots."""
        blocks = range(first // BLOCK, (last - 1) // BLOCK + 1)
        missing = [block for block in blocks if block not in self._blocks]
        if missing:
            self._draw(min(missing), max(missing))
        rows = np.concatenate([self._blocks[block] for block in blocks])
        for block in blocks:
            self._blocks.move_to_end(block)
        while len(self._blocks) > _KEPT_BLOCKS:
            self._blocks.popitem(last=False)
        skip = first - max(blocks[0] * BLOCK, self.market.listed_chunk)
        return rows[skip : skip + last - first]

    def _draw(self, low: int, high: int) -> None:
        first = max(low * BLOCK, self.market.listed_chunk)
        tapes = self._tapes(first, (high + 1) * BLOCK)
        rows = np.concatenate([_summary(tape, tape.activity.trades) for tape in tapes])
        for block in range(low, high + 1):
            at = max(block * BLOCK, first)
            self._blocks[block] = rows[at - first : (block + 1) * BLOCK - first]


def _summary(tape: Tape, count: int) -> Ints:
    """Summarise the first `count` trades of every chunk in the tape."""
    price, lots, sell = (
        column.reshape(-1, tape.activity.trades)[:, :count] for column in (tape.price, tape.lots, tape.sell)
    )
    quote = price * lots
    bought = 1 - sell
    columns = (
        price[:, 0],
        price.max(axis=1),
        price.min(axis=1),
        price[:, -1],
        lots.sum(axis=1),
        quote.sum(axis=1),
        (lots * bought).sum(axis=1),
        (quote * bought).sum(axis=1),
        np.full(price.shape[0], count),
    )
    return np.stack(columns, axis=1).astype(np.int64)
