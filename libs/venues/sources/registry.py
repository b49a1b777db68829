"""Which sources there are, where they live, and how one is made."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import Any, Final, cast

from libs.venues.errors import VenueRefused
from libs.venues.registry import CCXT, addresses
from libs.venues.sources.base import Facts, Source
from libs.venues.sources.files import Read

CLASSES: Final = {
    "binance": "BinanceSource",
    "deriv": "DerivSource",
    "ccxt": "CcxtSource",
    "yahoo": "YahooSource",
    "alphavantage": "AlphaVantageSource",
    "coingecko": "CoinGeckoSource",
    "fred": "FredSource",
    "polygon": "PolygonSource",
    "nasdaq": "NasdaqSource",
    "file": "FileSource",
}
"""Name to class; the module has the source's name ("file": files)."""

WEB: Final = {
    "alphavantage": "https://www.alphavantage.co",
    "coingecko": "https://api.coingecko.com",
    "fred": "https://api.stlouisfed.org",
    "polygon": "https://api.polygon.io",
    "nasdaq": "https://data.nasdaq.com",
}
"""Sources that are no venues to their addresses."""

VENUES: Final = ("binance", "deriv")
"""Sources that also play at the simulator."""


def facts_of(name: str) -> Facts:
    """What is known of the source `name`.

    Raises:
        ValueError: there is none. VenueRefused: its library is missing.
    """
    return cast(Facts, _module(name).FACTS)


def make_source(
    name: str, *, key: str = "", api: str = "", urls: Mapping[str, str] | None = None, read: Read | None = None
) -> Source:
    """The source `name`: one of `CLASSES`, or ccxt:<exchange id>.

    `urls` override its addresses. `read`: how a file is read. `api`, `key` at Deriv: its API, the application id.

    Raises:
        ValueError: no such source, exchange or address. VenueRefused: no key, or no library; all in one line.
    """
    given = dict(urls or {})
    kind = name.partition(":")[0]
    module = _module(name)
    make: Any = getattr(module, CLASSES[kind])
    if kind == "ccxt":
        exchange = name.removeprefix(CCXT)
        if exchange in ("", "ccxt"):
            raise ValueError("name the exchange: ccxt:<exchange id>, for example ccxt:kraken")
        return cast(Source, make(exchange, given))
    if kind in VENUES:
        reached = addresses(kind, api=api, overrides=given)
        return cast(Source, make(reached, api or "v3", key) if kind == "deriv" else make(reached))
    if kind == "file":
        return cast(Source, make(read))
    if kind not in WEB:
        return cast(Source, make())
    facts: Facts = module.FACTS
    if not key and not facts.key_optional:
        raise VenueRefused(f"{name}: no key; set {facts.key}")
    return cast(Source, make({"rest": WEB[kind]} | given, key))


def _module(name: str) -> Any:
    kind = name.partition(":")[0]
    if kind not in CLASSES or (":" in name and kind != "ccxt"):
        near = difflib.get_close_matches(kind, CLASSES, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"source {name!r} is unknown{hint}; there are: {', '.join(CLASSES)}")
    try:
        return importlib.import_module(f"libs.venues.sources.{'files' if kind == 'file' else kind}")
    except ImportError as err:
        raise VenueRefused(f"{kind} needs a library that is missing ({err}); make setup") from None
