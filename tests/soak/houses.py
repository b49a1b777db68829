"""The venues that are soaked, by the name that `make soak VENUE=` takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from acceptance_world import House
from binance_house import BinanceHouse
from deriv_house import DerivHouse, DerivOptionsHouse

HOUSES: dict[str, Callable[[Path], House]] = {
    "binance": BinanceHouse,
    "deriv": DerivHouse,
    "deriv-options": DerivOptionsHouse,
}
