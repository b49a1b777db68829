"""The behaviour suite that every venue adapter inherits; `make venues-table` writes what came of it."""

import sys
from pathlib import Path

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.append(HERE)
