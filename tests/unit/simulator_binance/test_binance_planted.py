"""The planted pair is what docs/planted.md says; an honest pair earns nothing; only the simulator's is called so."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from libs.venues.binance.exchange_info import Filter, SymbolInfo, instrument_of
from services.simulator.binance.history import History
from services.simulator.binance.model import CHUNK_MS, LISTINGS, Market
from services.simulator.binance.planted import SYMBOL, WAVE

ANCHOR_MS = 1_795_185_012_345
BY_SYMBOL = {row.symbol: row for row in LISTINGS}
ROUND_TRIP = 0.0022
"""Two fees of 0.1 %, the spread and two slippages, as a fraction of the notional."""

TARGET = 0.006
"""About what a target at twice a stop of 2 ATR is on it."""


def closes(symbol: str, minutes: int = 40, seed: int = 7) -> np.ndarray:
    """Closes of one-second bars before the anchor."""
    history = History(Market(BY_SYMBOL[symbol], seed, ANCHOR_MS))
    rows = history.klines("1s", ANCHOR_MS - minutes * 60_000, None, minutes * 60, ANCHOR_MS)
    return np.array([row.close for row in rows], dtype=float)


def ema(values: np.ndarray, bars: int) -> np.ndarray:
    smoothed, level = np.empty_like(values), values[0]
    for i, value in enumerate(values):
        level += 2 / (bars + 1) * (value - level)
        smoothed[i] = level
    return smoothed


def bought_on_the_trend(prices: np.ndarray, late_bars: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Log profits after costs of buying once EMA 4 is 0.8 of the costs above EMA 10, and when each began.

    Sold at TARGET above the entry or when EMA 4 is below again; every order is filled `late_bars` after its bar.
    """
    gap = (ema(prices, 4) - ema(prices, 10)) / prices
    profits, begun = [], []
    entry = None
    for i in range(40, len(prices) - late_bars):
        if entry is None and gap[i] > 0.8 * ROUND_TRIP and gap[i - 1] <= 0.8 * ROUND_TRIP:
            entry = prices[i + late_bars]
            begun.append(i)
        elif entry is not None and (gap[i] < 0 or prices[i] > entry * (1 + TARGET)):
            profits.append(np.log(prices[i + late_bars] / entry) - ROUND_TRIP)
            entry = None
    return np.array(profits), np.array(begun)


def test_its_mid_is_the_documented_wave_at_every_quote() -> None:
    market = Market(BY_SYMBOL[SYMBOL], 7, ANCHOR_MS)
    last = ANCHOR_MS // CHUNK_MS
    tape = market.tape(last - 30, last)
    phase = (tape.quote_ms / 1_000 % 32) / 16
    expected = 10_000 * np.exp(0.025 * (0.5 - np.abs(phase - 1)))
    assert np.abs(np.log(tape.bid / expected)).max() < 4e-4, "noise of 0.0001 and less than a tick"
    assert (WAVE.leg_ms, WAVE.move) == (16_000, 0.025)


def test_buying_its_trend_pays_after_costs_every_half_minute() -> None:
    profits, begun = bought_on_the_trend(closes(SYMBOL))
    assert profits.mean() > 0.001
    assert np.diff(begun).max() <= 40


def test_buying_the_trend_of_an_honest_pair_pays_nothing() -> None:
    profits, _ = bought_on_the_trend(closes("BTCUSDT"))
    assert profits.size == 0 or profits.mean() < 0


def test_another_seed_only_changes_its_noise() -> None:
    one, other = closes(SYMBOL, 2, 1), closes(SYMBOL, 2, 2)
    assert not np.array_equal(one, other)
    assert np.abs(np.log(one / other)).max() < 4e-3, "a second without a late trade closes a little earlier"
    assert np.array_equal(one, closes(SYMBOL, 2, 1))


@pytest.mark.parametrize(("base", "planted"), [("PLANTED", True), ("BTC", False)])
def test_the_instrument_says_that_it_is_planted(base: str, planted: bool) -> None:
    assert instrument_of(listed(base), 1, simulator=True).planted is planted


def test_no_real_venue_can_list_a_planted_pair() -> None:
    assert not instrument_of(listed("PLANTED"), 1).planted


def listed(base: str) -> SymbolInfo:
    filters = [Filter("PRICE_FILTER", tickSize=Decimal("0.01")), Filter("LOT_SIZE", stepSize=Decimal("0.001"))]
    return SymbolInfo(f"{base}USDT", "TRADING", base, "USDT", filters, isSpotTradingAllowed=True)
