"""The acceptance cases at an exchange that is reached through ccxt."""

from __future__ import annotations

import pytest
from acceptance_cases import AcceptanceCases

pytest.importorskip("ccxt", reason="the ccxt extra is not installed")

from ccxt_house import CcxtHouse


class TestCcxtBinance(AcceptanceCases):
    """Binance Spot, by the unified calls."""

    house_type = CcxtHouse
