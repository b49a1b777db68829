"""Makes the acceptance suite's parts importable, and draws which of the many cases run by default."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
if str(HERE) not in sys.path:
    sys.path.append(str(HERE))

for module in ("cases", "market", "orders", "private", "hostile", "world", "ledger"):
    pytest.register_assert_rewrite(f"acceptance_{module}")

from acceptance_sample import drawn, seed  # noqa: E402


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what was not drawn, unless somebody names a case or asks for all."""
    if os.environ.get("ACCEPTANCE") == "all" or config.getoption("keyword"):
        return
    named = any("::" in argument for argument in config.args)
    here = [item for item in items if item.path.is_relative_to(HERE)]
    if named or not here:
        return
    _, left_out = drawn(here, seed())
    if left_out:
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]
        config.hook.pytest_deselected(items=left_out)
