"""All numbered cases in one class that each venue's suite inherits, and the list of them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec
import pytest
from acceptance_hostile import HostileCases
from acceptance_market import HistoryCases, InstrumentCases, MarketCases
from acceptance_orders import BudgetCases, FaultyEntryCases, FaultyExitCases, OrderCases, ResolverCases
from acceptance_private import PrivateCases
from acceptance_world import House, Part

CASE: Final = re.compile(r"test_([a-z]\d\d)_")


class AcceptanceCases(
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
    """Inherit it, name the house, and the venue's adapter is held to every case it has the parts for."""

    house_type: ClassVar[type[House]]

    @pytest.fixture
    async def house(self, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[House]:
        house = self.house_type(tmp_path)
        missing = set(getattr(request.function, "needs", ())) - house.parts
        if missing:
            pytest.skip(f"{house.title} has no {', '.join(sorted(missing))}")
        async with house.life():
            yield house


class Case(msgspec.Struct, frozen=True):
    """One row of the table. `needs`: the parts a venue must have for it, the simulator left out."""

    number: str
    text: str
    needs: tuple[str, ...]


def all_cases() -> list[Case]:
    """Every case in the order of the table."""
    found: dict[str, Case] = {}
    for kind in AcceptanceCases.__mro__:
        for name, method in vars(kind).items():
            matched = CASE.match(name)
            if matched is None:
                continue
            number = matched[1].upper()
            assert number not in found, f"two cases are numbered {number}"
            found[number] = Case(number, _text(method), _needs(method))
    order = "MHITPRBX"
    return sorted(found.values(), key=lambda case: (order.index(case.number[0]), case.number))


def _text(method: Any) -> str:
    text = (method.__doc__ or "").strip()
    assert text, f"{method.__name__} does not say what it demands"
    assert "\n" not in text, f"{method.__name__} needs more than a line"
    return text


def _needs(method: Any) -> tuple[str, ...]:
    return tuple(str(part) for part in getattr(method, "needs", ()) if part is not Part.SIMULATOR)
