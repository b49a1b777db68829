"""Makes the council's small world (tests/unit/predict/council_world.py) importable here."""

from __future__ import annotations

import sys
from pathlib import Path

WORLD = str(Path(__file__).parents[2] / "unit" / "predict")

if WORLD not in sys.path:
    sys.path.append(WORLD)
