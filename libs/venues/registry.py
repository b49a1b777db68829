"""Which venues there are, where they live, and how an adapter for one is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from libs.venues.base import MarketData, Trading

DERIV_APP_ID: Final = "1089"
"""Deriv's shared test id, used where an address names none; register your own for more than a look."""

ENDPOINTS: Final[dict[str, dict[str, str]]] = {
    "deriv": {"ws": f"wss://ws.derivws.com/websockets/v3?app_id={DERIV_APP_ID}"},
    "binance": {"rest": "https://api.binance.com", "ws": "wss://stream.binance.com:9443"},
}
"""The real venues."""


def make_market_data(
    venue: str,
    *,
    api: str = "",
    endpoints: Mapping[str, str] | None = None,
    simulator: bool = False,
    kline_intervals: Sequence[int] = (60,),
) -> MarketData:
    """The market data adapter of `venue`; `endpoints` override the real ones (deriv: ws; binance: rest, ws).

    `kline_intervals` in seconds: klines to listen to besides trades; lengths the venue has none of are left out.

    Raises:
        ValueError: unknown venue, api or endpoint, in one line.
    """
    urls = _urls(venue, endpoints)
    # Adapters are imported when asked for: a service that only trades on paper need not hold their libraries.
    if venue == "deriv":
        from libs.venues.deriv.codec import codec_for
        from libs.venues.deriv.market import DerivMarketData

        return DerivMarketData(urls["ws"], codec_for(api))
    from libs.venues.binance.market import BinanceMarketData

    return BinanceMarketData(urls["rest"], urls["ws"], simulator=simulator, kline_intervals=kline_intervals)


def make_trading(
    venue: str,
    *,
    api: str = "",
    endpoints: Mapping[str, str] | None = None,
    token: str = "",
    currency: str = "USD",
    product: str = "multiplier",
    duration: int = 5,
    duration_unit: str = "t",
) -> Trading:
    """The order adapter of `venue`. Deriv: `product` multiplier, or rise_fall over `duration` `duration_unit`.

    Raises:
        ValueError: unknown venue, api, endpoint or product, or no token; in one line.
    """
    urls = _urls(venue, endpoints)
    if venue != "deriv":
        raise ValueError(f"orders at {venue} are not supported yet; use mode: paper for it")
    if not token:
        raise ValueError("orders at deriv need a token; set DERIV_TOKEN")
    from libs.venues.deriv.codec import codec_for
    from libs.venues.deriv.contracts import product_of
    from libs.venues.deriv.trading import DerivTrading

    chosen = product_of(product, duration, duration_unit)
    return DerivTrading(urls["ws"], codec_for(api), token, currency=currency, product=chosen)


def _urls(venue: str, endpoints: Mapping[str, str] | None) -> dict[str, str]:
    if venue not in ENDPOINTS:
        raise ValueError(f"venue {venue!r} is unknown; known: {', '.join(sorted(ENDPOINTS))}")
    known = ENDPOINTS[venue]
    strange = sorted(set(endpoints or ()) - set(known))
    if strange:
        raise ValueError(f"{venue} has no endpoint {', '.join(strange)}; it has: {', '.join(sorted(known))}")
    urls = known | dict(endpoints or {})
    if venue == "deriv" and "app_id=" not in urls["ws"]:
        urls["ws"] += f"{'&' if '?' in urls['ws'] else '?'}app_id={DERIV_APP_ID}"
    return urls
