"""Makes the execute stage's small world and the service around it importable here."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent

for folder in (HERE, HERE.parents[1] / "unit" / "execute"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
