"""The cases that need no simulator, at the venues' own demo and testnet accounts; skipped unless asked for."""

from __future__ import annotations

import pytest
from acceptance_cases import AcceptanceCases
from account_house import AlpacaPaper, BinanceTestnet, DerivDemo, given

SLOWLY = pytest.mark.timeout(900)
"""Time is the venue's, and so are its limits, which all cases share."""

if not given(*BinanceTestnet.needed):

    @SLOWLY
    class TestBinanceTestnet(AcceptanceCases):
        """Spot testnet."""

        house_type = BinanceTestnet


if not given(*AlpacaPaper.needed):

    @SLOWLY
    class TestAlpacaPaper(AcceptanceCases):
        """A paper account."""

        house_type = AlpacaPaper


if not given(*DerivDemo.needed):

    @SLOWLY
    class TestDerivDemo(AcceptanceCases):
        """The Options API's demo account. Not v3: there the token alone tells play money from real."""

        house_type = DerivDemo


@pytest.mark.parametrize("account", [BinanceTestnet, AlpacaPaper, DerivDemo])
def test_an_account_is_there(account: type[BinanceTestnet | AlpacaPaper | DerivDemo]) -> None:
    why_not = given(*account.needed)
    if why_not:
        pytest.skip(f"{account.title}: {why_not}")
    assert account.credentials is not None
