"""The acceptance cases at Deriv, over both of its APIs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from acceptance_hostile import HostileCases
from acceptance_market import HistoryCases, InstrumentCases, MarketCases
from acceptance_orders import BudgetCases, FaultyEntryCases, FaultyExitCases, OrderCases, ResolverCases
from acceptance_private import PrivateCases
from deriv_house import DerivHouse


class TestDerivV3(
    MarketCases,
    HistoryCases,
    InstrumentCases,
    OrderCases,
    FaultyEntryCases,
    FaultyExitCases,
    PrivateCases,
    ResolverCases,
    BudgetCases,
    HostileCases,
):
    """Version 3."""

    @pytest.fixture
    async def house(self, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[DerivHouse]:
        house = DerivHouse(tmp_path)
        missing = set(getattr(request.function, "needs", ())) - house.parts
        if missing:
            pytest.skip(f"{house.title} has no {', '.join(sorted(missing))}")
        async with house.life():
            yield house
