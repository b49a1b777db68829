"""Makes the execute stage's small world (tests/unit/execute/execute_world.py) importable here."""

from __future__ import annotations

import sys
from pathlib import Path

WORLD = str(Path(__file__).parents[2] / "unit" / "execute")

if WORLD not in sys.path:
    sys.path.append(WORLD)
