"""Makes the matching engine's small world (tests/unit/simulator_binance/exchange_world.py) importable here."""

from __future__ import annotations

import sys
from pathlib import Path

WORLD = str(Path(__file__).parents[2] / "unit" / "simulator_binance")

if WORLD not in sys.path:
    sys.path.append(WORLD)
