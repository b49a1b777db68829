"""Makes the council's small world and the house around the service importable here."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.predict import app as app_module

FOLDERS = (Path(__file__).parents[2] / "unit" / "predict", Path(__file__).parent)

for folder in map(str, FOLDERS):
    if folder not in sys.path:
        sys.path.append(folder)


@pytest.fixture
async def house(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Any]:
    """A house whose services are killed at the end."""
    from predict_house import House

    monkeypatch.setattr(app_module, "RETRY_S", 0.02)
    monkeypatch.setattr(app_module, "SAVE_EVERY_S", 0.02)
    made = House(tmp_path)
    yield made
    await made.kill()
    await made.venue.close()
