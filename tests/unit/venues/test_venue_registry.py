"""Making adapters by name: known ones come up, everything else fails in one line that says what is known."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from libs.venues.credentials import Credentials
from libs.venues.registry import ENDPOINTS, addresses, is_real, make_market_data, make_trading

TOKEN = Credentials(token="t")


@pytest.mark.parametrize("venue", ["binance", "deriv"])
async def test_every_open_market_has_an_adapter(venue: str) -> None:
    adapter = make_market_data(venue)
    assert adapter.name == venue
    await adapter.aclose()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: make_market_data("krakn"), "known: alpaca, binance, deriv, ccxt:<exchange id>"),
        (lambda: make_market_data("deriv", api="v9"), "api 'v9' of deriv is unknown; known: v3, options"),
        (lambda: make_market_data("deriv", endpoint="mars"), "known: simulator, live, testnet"),
        (lambda: make_market_data("binance", endpoints={"wss": "x"}), "no endpoint wss; it has: rest, ws, ws_api"),
        (lambda: make_market_data("binance", endpoint="simulator"), "needs an address for rest, ws"),
        (lambda: make_market_data("ccxt:kraken", endpoints={"wss": "x"}), "no endpoint wss"),
        (lambda: make_market_data("ccxt:kraken", endpoint="simulator"), "needs an address for rest"),
        (lambda: make_trading("ccxt:kraken", endpoint="simulator", credentials=Credentials(key="k")), "for rest"),
        (lambda: make_market_data("alpaca"), "ALPACA_API_KEY"),
        (lambda: make_trading("binance"), "BINANCE_API_KEY"),
        (lambda: make_trading("binance", credentials=Credentials(key="k")), "BINANCE_SECRET_KEY"),
        (lambda: make_trading("alpaca", credentials=Credentials(key="k")), "ALPACA_SECRET_KEY"),
        (lambda: make_trading("ccxt:kraken"), "API key"),
        (lambda: make_trading("nowhere"), "unknown"),
        (lambda: make_trading("deriv"), "DERIV_TOKEN"),
        (lambda: make_trading("deriv", credentials=TOKEN, product="digits"), "known: multiplier, rise_fall"),
        (lambda: make_trading("deriv", credentials=TOKEN, product="rise_fall", duration=0), "needs a duration"),
    ],
)
def test_a_wrong_name_fails_in_one_line(make: Any, says: str) -> None:
    with pytest.raises(ValueError) as failed:
        make()
    assert says in str(failed.value)
    assert "\n" not in str(failed.value)


def test_an_address_of_ones_own_replaces_one_of_the_endpoints() -> None:
    urls = addresses("binance", endpoint="testnet", overrides={"rest": "http://here"})
    assert urls["rest"] == "http://here"
    assert urls["ws_api"] == ENDPOINTS["binance"]["spot"]["testnet"]["ws_api"]


def test_nothing_of_the_real_venue_fills_up_a_simulators_addresses() -> None:
    assert addresses("binance", endpoint="simulator", overrides={"rest": "http://here"}) == {"rest": "http://here"}


@pytest.mark.parametrize(
    ("venue", "url", "real"),
    [
        ("binance", "https://api.binance.com", True),
        ("binance", "wss://ws-api.binance.com:443/ws-api/v3", True),
        ("binance", "https://testnet.binance.vision", False),
        ("binance", "http://127.0.0.1:1", False),
        ("deriv", "wss://ws.derivws.com/websockets/v3?app_id=5", True),
        ("deriv", "ws://simulator:1/websockets/v3", False),
    ],
)
def test_where_real_money_is_is_known_by_the_host(venue: str, url: str, real: bool) -> None:
    assert is_real(venue, {"rest": url}) is real


def test_a_library_that_is_not_installed_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "libs.venues.ccxt.market", None)
    with pytest.raises(ValueError) as failed:
        make_market_data("ccxt:kraken")
    assert "the ccxt adapter needs a library that is missing" in str(failed.value)
    assert "\n" not in str(failed.value)
