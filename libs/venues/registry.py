"""Which venues there are, where they live, and how an adapter for one is made."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast
from urllib.parse import urlsplit

from libs.venues.base import MarketData, Trading
from libs.venues.credentials import Credentials

CCXT: Final = "ccxt:"
"""What comes before the id of an exchange that is reached through the ccxt library."""

_DERIV_V3: Final = {"ws": "wss://ws.derivws.com/websockets/v3"}
_DERIV_OPTIONS: Final = {
    "ws": "wss://api.derivws.com/trading/v1/options/ws",
    "rest": "https://api.derivws.com/trading/v1/options",
}
_DERIV_ACCOUNTS: Final = {"live": "real", "testnet": "demo"}
"""Endpoint to the kind of account that the Options API may trade; a simulator's may be either, demo first."""

_ALPACA_DATA: Final = {"data": "https://data.alpaca.markets", "stream_data": "wss://stream.data.alpaca.markets"}

ENDPOINTS: Final[dict[str, dict[str, dict[str, dict[str, str]]]]] = {
    # At Deriv the token (v3) or the kind of account (options) tells play money from real, not the address.
    "deriv": {
        "v3": {"live": _DERIV_V3, "testnet": _DERIV_V3},
        "options": {"live": _DERIV_OPTIONS, "testnet": _DERIV_OPTIONS},
    },
    "binance": {
        "spot": {
            "live": {
                "rest": "https://api.binance.com",
                "ws": "wss://stream.binance.com:9443",
                "ws_api": "wss://ws-api.binance.com:443/ws-api/v3",
            },
            "testnet": {
                "rest": "https://testnet.binance.vision",
                "ws": "wss://stream.testnet.binance.vision:9443",
                "ws_api": "wss://ws-api.testnet.binance.vision/ws-api/v3",
            },
        }
    },
    "alpaca": {
        "stocks": {
            "live": {
                "rest": "https://api.alpaca.markets",
                "stream": "wss://api.alpaca.markets/stream",
                **_ALPACA_DATA,
            },
            "testnet": {
                "rest": "https://paper-api.alpaca.markets",
                "stream": "wss://paper-api.alpaca.markets/stream",
                **_ALPACA_DATA,
            },
        }
    },
}
"""Venue, api and endpoint (live, or testnet: play money) to its addresses; the first api of a venue is its default."""

_CCXT_ADDRESSES: Final = ("rest", "ws", "ws_api")
"""What may be moved elsewhere for an exchange behind ccxt, which knows the real addresses itself."""


def addresses(
    venue: str, *, api: str = "", endpoint: str = "live", overrides: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Where `venue` is reached: the addresses of `endpoint` with `overrides` in their place, alone for "simulator".

    Raises:
        ValueError: unknown venue, api, endpoint or address; in one line.
    """
    given = dict(overrides or {})
    if venue.startswith(CCXT):
        _refuse_strange(venue, given, _CCXT_ADDRESSES)
        return given
    apis = ENDPOINTS.get(venue)
    if apis is None:
        raise ValueError(f"venue {venue!r} is unknown; known: {', '.join(sorted(ENDPOINTS))}, {CCXT}<exchange id>")
    chosen = api or next(iter(apis))
    if chosen not in apis:
        raise ValueError(f"api {api!r} of {venue} is unknown; known: {', '.join(apis)}")
    _refuse_strange(venue, given, tuple(apis[chosen]["live"]))
    if endpoint == "simulator":
        return given
    if endpoint not in apis[chosen]:
        raise ValueError(f"endpoint {endpoint!r} is unknown; known: simulator, {', '.join(apis[chosen])}")
    return apis[chosen][endpoint] | given


def is_real(venue: str, urls: Mapping[str, str]) -> bool:
    """Whether one of `urls` is a host where `venue` deals in real money."""
    live = {
        urlsplit(url).hostname for endpoints in ENDPOINTS.get(venue, {}).values() for url in endpoints["live"].values()
    }
    return any(urlsplit(url).hostname in live for url in urls.values())


def make_market_data(
    venue: str,
    *,
    api: str = "",
    endpoint: str = "live",
    endpoints: Mapping[str, str] | None = None,
    simulator: bool = False,
    kline_intervals: Sequence[int] = (60,),
    credentials: Credentials | None = None,
) -> MarketData:
    """The market data adapter of `venue` at `endpoint`; `endpoints` override single addresses of it.

    `kline_intervals` in seconds: klines to listen to besides trades; lengths the venue has none of are left out.
    `credentials`: for venues that show their prices to those alone who log in (alpaca), and Deriv's application id.

    Raises:
        ValueError: unknown venue, api or endpoint, or a library that is not installed; in one line.
    """
    urls = addresses(venue, api=api, endpoint=endpoint, overrides=endpoints)
    known = credentials or Credentials()
    # Adapters are imported when asked for: a service that only trades on paper need not hold their libraries.
    if venue == "deriv":
        from libs.venues.deriv.market import DerivMarketData

        _need(venue, urls, ("ws",))
        return DerivMarketData(urls, api, app_id=known.app_id)
    if venue == "binance":
        from libs.venues.binance.market import BinanceMarketData

        _need(venue, urls, ("rest", "ws"))
        return BinanceMarketData(
            urls["rest"], urls["ws"], simulator=simulator, kline_intervals=kline_intervals, credentials=known
        )
    if venue == "alpaca":
        _need_credentials(venue, known.key and known.secret, "ALPACA_API_KEY and ALPACA_SECRET_KEY")
        return cast(MarketData, _load("alpaca.market", "AlpacaMarketData", "alpaca")(urls, known))
    _need_simulated(venue, endpoint, urls)
    make = _load("ccxt.market", "CcxtMarketData", "ccxt")
    sandbox = endpoint == "testnet"
    return cast(MarketData, make(venue.removeprefix(CCXT), urls, credentials=known, sandbox=sandbox))


def make_trading(
    venue: str,
    *,
    api: str = "",
    endpoint: str = "live",
    endpoints: Mapping[str, str] | None = None,
    credentials: Credentials | None = None,
    currency: str = "USD",
    product: str = "multiplier",
    duration: int = 5,
    duration_unit: str = "t",
    simulator: bool = False,
) -> Trading:
    """The order adapter of one account of `venue`, whose cash is in `currency`.

    Deriv: `product` multiplier, or rise_fall over `duration` `duration_unit`.

    Raises:
        ValueError: unknown venue, api, endpoint or product, missing credentials or library; in one line.
    """
    urls = addresses(venue, api=api, endpoint=endpoint, overrides=endpoints)
    known = credentials or Credentials()
    if venue == "deriv":
        from libs.venues.deriv.contracts import product_of
        from libs.venues.deriv.trading import DerivTrading

        _need(venue, urls, ("ws", "rest") if api == "options" else ("ws",))
        _need_credentials(venue, known.token, "DERIV_TOKEN")
        chosen = product_of(product, duration, duration_unit)
        kind = _DERIV_ACCOUNTS.get(endpoint, "")
        return DerivTrading(urls, api, known, currency=currency, product=chosen, account_type=kind)
    if venue == "binance":
        _need(venue, urls, ("rest", "ws_api"))
        secret = known.secret or known.private_key
        _need_credentials(
            venue, known.key and secret, "BINANCE_API_KEY and BINANCE_SECRET_KEY (or BINANCE_PRIVATE_KEY)"
        )
        from libs.venues.binance.trading import BinanceTrading

        return BinanceTrading(urls, known, currency=currency, simulator=simulator)
    if venue == "alpaca":
        _need_credentials(venue, known.key and known.secret, "ALPACA_API_KEY and ALPACA_SECRET_KEY")
        return cast(Trading, _load("alpaca.trading", "AlpacaTrading", "alpaca")(urls, known, currency=currency))
    _need_simulated(venue, endpoint, urls)
    _need_credentials(venue, known.key, "the exchange's API key (see .env.example)")
    make = _load("ccxt.trading", "CcxtTrading", "ccxt")
    sandbox = endpoint == "testnet"
    return cast(Trading, make(venue.removeprefix(CCXT), urls, known, currency=currency, sandbox=sandbox))


def _load(module: str, name: str, extra: str) -> Any:
    """An adapter whose library may be missing."""
    try:
        return getattr(importlib.import_module(f"libs.venues.{module}"), name)
    except ImportError as err:
        raise ValueError(f"the {extra} adapter needs a library that is missing ({err}); make setup") from None


def _refuse_strange(venue: str, given: Mapping[str, str], known: Sequence[str]) -> None:
    strange = sorted(set(given) - set(known))
    if strange:
        raise ValueError(f"{venue} has no endpoint {', '.join(strange)}; it has: {', '.join(sorted(known))}")


def _need(venue: str, urls: Mapping[str, str], names: Sequence[str]) -> None:
    missing = [name for name in names if not urls.get(name)]
    if missing:
        raise ValueError(f"{venue} needs an address for {', '.join(missing)}; set data.venues.urls")


def _need_simulated(venue: str, endpoint: str, urls: Mapping[str, str]) -> None:
    """ccxt knows the real addresses by itself: where a simulator is meant, none of them may stay."""
    if endpoint == "simulator":
        _need(venue, urls, ("rest",))


def _need_credentials(venue: str, given: object, names: str) -> None:
    if not given:
        raise ValueError(f"orders at {venue} need credentials; set {names}")
