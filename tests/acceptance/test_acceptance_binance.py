"""The acceptance cases at Binance."""

from __future__ import annotations

from acceptance_cases import AcceptanceCases
from binance_house import BinanceHouse


class TestBinance(AcceptanceCases):
    """Our own adapter."""

    house_type = BinanceHouse
