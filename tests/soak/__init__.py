"""Seeded runs of orders under random faults; `make soak`."""

import sys
from pathlib import Path

ACCEPTANCE = str(Path(__file__).parents[1] / "acceptance")
if ACCEPTANCE not in sys.path:
    sys.path.append(ACCEPTANCE)
