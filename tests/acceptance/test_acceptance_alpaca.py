"""The acceptance cases at Alpaca, whose place a stub takes."""

from __future__ import annotations

from acceptance_cases import AcceptanceCases
from alpaca_house import AlpacaHouse


class TestAlpaca(AcceptanceCases):
    """Crypto assets."""

    house_type = AlpacaHouse
