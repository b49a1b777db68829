"""Makes the acceptance suite's parts importable and lets time run faster within a test."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
if str(HERE) not in sys.path:
    sys.path.append(str(HERE))

for module in ("cases", "market", "orders", "private", "hostile", "world", "ledger"):
    pytest.register_assert_rewrite(f"acceptance_{module}")
