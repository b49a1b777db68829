"""The seeded market: prices, quotes, trades and a book as pure functions of seed, anchor, symbol and time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.simulator.binance.draws import Draws, Floats, Ints
from services.simulator.binance.intervals import DAY_MS, MINUTE_MS
from services.simulator.binance.planted import SYMBOL, WAVE, Wave

CHUNK_MS: Final = MINUTE_MS
CHUNKS_A_DAY: Final = DAY_MS // CHUNK_MS
YEAR_CHUNKS: Final = 365 * CHUNKS_A_DAY
LISTED_DAYS: Final = 400
DENSE_DAYS: Final = 2
_STRIDE: Final = 1 << 11  # counters set aside for one chunk, more than any chunk draws
_LEVELS_SIDE: Final = 250
_REFRESH_QUOTES: Final = 400
_GENERATIONS: Final = 1 << 24
_SPREAD_ODDS: Final = 0.12


@dataclass(frozen=True)
class Activity:
    """How busy a chunk is; the counts are the same in every chunk, so ids are found without generating the past."""

    quotes: int
    trades: int
    size: int


# Modest rates (7 trades, 15 quotes a second) so that a whole stack fits two cores. Long before the anchor the market
# is thinner and its trades larger, or a month of hourly bars would take seconds to draw.
DENSE: Final = Activity(quotes=900, trades=420, size=1)
SPARSE: Final = Activity(quotes=12, trades=12, size=35)


@dataclass(frozen=True)
class Listing:
    """A modelled symbol. Ticks and lots are the integer units of price and quantity.

    `tick` and `lot` are in 1e-8, `start_price` in ticks at the anchor, `volatility` per square root of a year,
    `touch_lots` the mean quantity at the best price, `cell_ticks` the mean distance between deeper levels. A `wave`
    about the start price takes the place of the random walk.
    """

    symbol: str
    tick: int
    lot: int
    start_price: int
    volatility: float
    touch_lots: int
    cell_ticks: int
    wave: Wave | None = None


LISTINGS: Final = (
    Listing("BTCUSDT", 10**6, 10**3, 9_500_000, 0.50, 40_000, 60),
    Listing("ETHUSDT", 10**6, 10**4, 320_000, 0.65, 50_000, 3),
    Listing(SYMBOL, 10**6, 10**5, 10_000, 0.0, 1_000_000, 2, WAVE),
)


@dataclass(frozen=True)
class Tape:
    """Consecutive chunks, flattened in time order: quotes (best prices) and the trades that hit them.

    Times are ms UTC, prices ticks, quantities lots. `at` is the index of the quote that each trade met.
    """

    first_chunk: int
    activity: Activity
    quote_ms: Ints
    bid: Ints
    ask: Ints
    bid_lots: Ints
    ask_lots: Ints
    trade_ms: Ints
    at: Ints
    sell: Ints
    price: Ints
    lots: Ints


class Market:
    """One modelled symbol, from LISTED_DAYS before the anchor on."""

    def __init__(self, listing: Listing, seed: int, anchor_ms: int) -> None:
        self.listing = listing
        self._anchor = anchor_ms // CHUNK_MS
        self.listed_chunk = self._anchor - LISTED_DAYS * CHUNKS_A_DAY
        self.dense_chunk = self._anchor - DENSE_DAYS * CHUNKS_A_DAY
        self._sigma = listing.volatility / np.sqrt(YEAR_CHUNKS)
        self._path: Floats | None = None

        def draws(name: str) -> Draws:
            return Draws(seed, listing.symbol, name)

        self._returns, self._steps, self._quote_times = draws("return"), draws("step"), draws("quote time")
        self._spreads, self._gaps, self._sides, self._sizes = (
            draws("spread"),
            draws("gap"),
            draws("side"),
            draws("size"),
        )
        self._touch = (draws("bid touch"), draws("ask touch"))
        self._cells = tuple(
            (draws(f"{side} offset"), draws(f"{side} phase"), draws(f"{side} depth")) for side in ("bid", "ask")
        )

    def activity(self, chunk: int) -> Activity:
        """Return how busy `chunk` is."""
        return DENSE if chunk >= self.dense_chunk else SPARSE

    def first_trade_id(self, chunk: int) -> int:
        """Return the id of the first trade of `chunk`."""
        thin, busy = self._chunks_before(chunk)
        return 1 + thin * SPARSE.trades + busy * DENSE.trades

    def first_update_id(self, chunk: int) -> int:
        """Return the id of the first book update of `chunk`: every quote and every trade is one."""
        thin, busy = self._chunks_before(chunk)
        return 1 + thin * (SPARSE.trades + SPARSE.quotes) + busy * (DENSE.trades + DENSE.quotes)

    def chunk_of_trade(self, trade_id: int) -> int:
        """Return the chunk in which `trade_id` (at least 1) printed or will print."""
        thin = (self.dense_chunk - self.listed_chunk) * SPARSE.trades
        if trade_id <= thin:
            return self.listed_chunk + (trade_id - 1) // SPARSE.trades
        return self.dense_chunk + (trade_id - 1 - thin) // DENSE.trades

    def tape(self, first: int, last: int) -> Tape:
        """Draw chunks `first` to `last` (exclusive), which must be listed and equally busy."""
        activity = self.activity(first)
        chunks = np.arange(first, last, dtype=np.int64)[:, None]
        quotes, trades = activity.quotes, activity.trades
        quote_at = chunks * _STRIDE + np.arange(quotes)
        trade_at = chunks * _STRIDE + np.arange(trades)

        jitter = self._quote_times.uniform(quote_at)
        jitter[:, 0] = 0.0  # the chunk opens with a quote, so that every trade has one to meet
        quote_ms = np.floor((np.arange(quotes) + jitter) * (CHUNK_MS / quotes)).astype(np.int64) + chunks * CHUNK_MS
        wave = self.listing.wave
        mid = np.exp(self._bridge(first, last, quote_at) if wave is None else self._waving(wave, quote_at, quote_ms))
        bid = np.floor(mid).astype(np.int64)
        wide = self._spreads.uniform(quote_at)
        ask = bid + 1 + np.where(wide < _SPREAD_ODDS, wide / _SPREAD_ODDS * self.listing.cell_ticks, 0).astype(np.int64)

        gaps = self._gaps.exponential(chunks * _STRIDE + np.arange(trades + 1))
        arrival = np.cumsum(gaps, axis=1)
        trade_ms = np.floor(arrival[:, :-1] / arrival[:, -1:] * CHUNK_MS).astype(np.int64) + chunks * CHUNK_MS

        flat_bid, flat_ask, flat_ms = bid.ravel(), ask.ravel(), quote_ms.ravel()
        bid_lots = self._touch_lots(0, quote_at)
        ask_lots = self._touch_lots(1, quote_at)
        at = np.searchsorted(flat_ms, trade_ms.ravel(), "right") - 1
        sell = (self._sides.uniform(trade_at).ravel() < 0.5).astype(np.int64)
        touch = np.where(sell, bid_lots[at], ask_lots[at])
        # each print takes at most half of what the ones before it left, so the touch outlives its quote
        turn = np.arange(at.size) - np.searchsorted(at, at, "left")
        lots = np.floor(touch * 0.5 ** (turn + 1.0) * self._sizes.uniform(trade_at).ravel() ** 3).astype(np.int64)
        return Tape(
            first_chunk=first,
            activity=activity,
            quote_ms=flat_ms,
            bid=flat_bid,
            ask=flat_ask,
            bid_lots=bid_lots,
            ask_lots=ask_lots,
            trade_ms=trade_ms.ravel(),
            at=at.astype(np.int64),
            sell=sell,
            price=np.where(sell, flat_bid[at], flat_ask[at]),
            lots=np.maximum(lots, 1) * activity.size,
        )

    def depth(self, number: int, bid: int, ask: int) -> tuple[dict[int, int], dict[int, int]]:
        """Return the levels beyond the best prices at quote `number`: price in ticks to quantity in lots.

        The price axis is cut into cells that each hold one level; a level keeps its place for good and changes its
        quantity every _REFRESH_QUOTES quotes, so the diff between two moments is small and needs no memory.
        """
        return self._side(0, number, bid), self._side(1, number, ask)

    def _side(self, side: int, number: int, best: int) -> dict[int, int]:
        offsets, phases, depths = self._cells[side]
        width = self.listing.cell_ticks
        steps = np.arange(_LEVELS_SIDE, dtype=np.int64)
        cells = best // width + (steps if side else -steps)
        prices = cells * width + (offsets.uniform(cells) * width).astype(np.int64)
        generation = (number + (phases.uniform(cells) * _REFRESH_QUOTES).astype(np.int64)) // _REFRESH_QUOTES
        drawn = depths.exponential(cells * _GENERATIONS + generation % _GENERATIONS)
        lots = 1 + (drawn * self.listing.touch_lots * 0.4).astype(np.int64)
        beyond = prices > best if side else prices < best
        return dict(zip(prices[beyond].tolist(), lots[beyond].tolist(), strict=True))

    def _touch_lots(self, side: int, quote_at: Ints) -> Ints:
        # never below 2,000 lots: halving it for every print of one quote must leave something
        drawn = self._touch[side].exponential(quote_at.ravel()) * self.listing.touch_lots
        return 2_000 + drawn.astype(np.int64)

    def _chunks_before(self, chunk: int) -> tuple[int, int]:
        thin = min(chunk, self.dense_chunk) - self.listed_chunk
        return thin, max(0, chunk - self.dense_chunk)

    def _waving(self, wave: Wave, quote_at: Ints, quote_ms: Ints) -> Floats:
        """Return log mid prices of the planted pattern: a function of the time alone, but for the seeded noise."""
        noise = (self._steps.uniform(quote_at) - 0.5) * (np.sqrt(12.0) * wave.noise)
        planted: Floats = np.log(self.listing.start_price) + wave.at(quote_ms) + noise
        return planted

    def _bridge(self, first: int, last: int, quote_at: Ints) -> Floats:
        """Return log mid prices at the quotes: a random walk pinned at both ends of each chunk (Brownian bridge)."""
        ends = self._log_prices(last)[first - self.listed_chunk : last - self.listed_chunk + 1]
        quotes = quote_at.shape[1]
        # uniform steps of the right variance: some thirty of them are as good as normal, and far cheaper
        steps = (self._steps.uniform(quote_at) - 0.5) * (np.sqrt(12.0 / quotes) * self._sigma)
        walk = np.cumsum(steps, axis=1)
        share = np.arange(quotes) / quotes
        before = np.concatenate([np.zeros((walk.shape[0], 1)), walk[:, :-1]], axis=1)
        pinned: Floats = ends[:-1, None] + before + share * (np.diff(ends)[:, None] - walk[:, -1:])
        return pinned

    def _log_prices(self, last: int) -> Floats:
        """Return log prices in ticks at the chunk starts, from the listing to at least `last`."""
        path = self._path  # read and replaced whole: two threads may draw the same, never mix
        if path is None:
            walk = self._walk(0.0, self.listed_chunk, self._anchor + CHUNKS_A_DAY)
            path = walk + (np.log(self.listing.start_price) - walk[self._anchor - self.listed_chunk])
        known = self.listed_chunk + path.size - 1
        if last > known:
            more = self._walk(float(path[-1]), known, last + CHUNKS_A_DAY)
            path = np.concatenate([path, more[1:]])
        self._path = path
        return path

    def _walk(self, start: float, first: int, last: int) -> Floats:
        # a plain running sum: wherever the path is cut for extension, the floats come out the same
        increments = self._returns.normal(np.arange(first, last, dtype=np.int64)) * self._sigma
        walk: Floats = np.cumsum(np.concatenate([[start], increments]))
        return walk
