"""The acceptance cases at an exchange that is reached through ccxt."""

from __future__ import annotations

from acceptance_cases import AcceptanceCases
from ccxt_house import CcxtHouse


class TestCcxtBinance(AcceptanceCases):
    """Binance Spot, by the unified calls."""

    house_type = CcxtHouse
