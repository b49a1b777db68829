"""What can be soaked, by the name that `make soak VENUE=` takes: each adapter alone, and the house's executor on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from binance_house import BinanceHouse
from ccxt_house import CcxtHouse
from deriv_house import DerivHouse, DerivOptionsHouse

from tests.soak.executor import ExecutorRun
from tests.soak.run import Run

RUNS: dict[str, Callable[[Path, int], Run | ExecutorRun]] = {
    "binance": lambda folder, seed: Run(BinanceHouse(folder), seed),
    "binance-executor": lambda folder, seed: ExecutorRun(BinanceHouse(folder), seed),
    "ccxt-binance": lambda folder, seed: Run(CcxtHouse(folder), seed),
    "deriv": lambda folder, seed: Run(DerivHouse(folder), seed),
    "deriv-executor": lambda folder, seed: ExecutorRun(DerivHouse(folder), seed),
    "deriv-options": lambda folder, seed: Run(DerivOptionsHouse(folder), seed),
}
