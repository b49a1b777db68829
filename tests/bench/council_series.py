"""Series whose truth is known: a generated volatility index, which has no edge, and an echo, which has a small one."""

from __future__ import annotations

import numpy as np

from libs.core.features.engine import Bars
from libs.core.types import SECOND
from services.simulator.deriv.processes import GeometricBrownianPath
from services.simulator.deriv.symbols import SYMBOLS

MINUTE = 60
BEGIN = 1_700_000_040 // MINUTE * MINUTE


def volatility_index(count: int, name: str = "1HZ75V", sigma: float = 0.75, seed: int = 1) -> Bars:
    """One-minute bars of the simulator's index: a tick each second, rounded to the symbol's decimals."""
    prices = GeometricBrownianPath(seed, SYMBOLS[name], sigma, BEGIN).prices(BEGIN, BEGIN + count * MINUTE - 1)
    ticks = prices.reshape(count, MINUTE)
    return Bars(
        open_time=(BEGIN + MINUTE * np.arange(count)) * SECOND,
        open=ticks[:, 0].copy(),
        high=ticks.max(axis=1),
        low=ticks.min(axis=1),
        close=ticks[:, -1].copy(),
        volume=np.full(count, float(MINUTE)),
    )


def echo(count: int, share: float = 0.1, scale: float = 0.001, seed: int = 1) -> Bars:
    """One-minute bars whose log return is `share` times the one before, plus normal noise of deviation `scale`."""
    rng = np.random.default_rng(seed)
    returns = rng.normal(0.0, scale, count)
    for t in range(1, count):
        returns[t] += share * returns[t - 1]
    close = 100.0 * np.exp(np.cumsum(returns))
    opened = np.concatenate([[100.0], close[:-1]])
    wick = np.abs(rng.normal(0.0, scale / 2.0, (2, count)))
    return Bars(
        open_time=(BEGIN + MINUTE * np.arange(count)) * SECOND,
        open=opened,
        high=np.maximum(opened, close) * (1.0 + wick[0]),
        low=np.minimum(opened, close) * (1.0 - wick[1]),
        close=close,
        volume=rng.lognormal(3.0, 0.5, count),
    )
