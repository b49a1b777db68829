"""What a few exchanges need said to them beyond ccxt's unified calls; every other one does without."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

DEADLINE_MS: Final = 5_000
"""An order that reaches the exchange later than this after it was signed must not be carried out."""


def _nothing(exchange: Any) -> dict[str, Any]:
    return {}


class Quirk(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange's needs.

    Attributes:
        options: settings of the ccxt object.
        by_client_id: an order can be asked for by our own id.
        prints_after: from a sequence, parameters that ask for the prints after it (ccxt wants a key for that); None =
            only the newest can be had. prints: how many of these at once; None = as many as the exchange likes.
        order: parameters beside each order, from the ccxt object.
    """

    options: Mapping[str, Any] = {}
    by_client_id: bool = False
    prints_after: Callable[[int], dict[str, Any]] | None = None
    prints: int | None = None
    order: Callable[[Any], dict[str, Any]] = _nothing


def _binance_prints(after: int) -> dict[str, Any]:
    return {"fetchTradesMethod": "publicGetHistoricalTrades", "fromId": after + 1}


def _kraken_order(exchange: Any) -> dict[str, Any]:
    return {"deadline": exchange.iso8601(exchange.milliseconds() + DEADLINE_MS)}


_BINANCE: Final = Quirk(
    options={
        "defaultType": "spot",
        "fetchMarkets": {"types": ["spot"]},
        "fetchCurrencies": False,
        "fetchMargins": False,
        "adjustForTimeDifference": True,
        "recvWindow": DEADLINE_MS,
        "fetchTradesMethod": "publicGetTrades",  # aggregated ones have numbers of their own
        "streamLimits": {"spot": 1},
        "subscriptionLimitByStream": {"spot": 1000},
    },
    by_client_id=True,
    prints_after=_binance_prints,
    prints=1000,
)

_QUIRKS: Final = {"binance": _BINANCE, "binanceus": _BINANCE, "kraken": Quirk(order=_kraken_order)}

_NONE: Final = Quirk()


def quirk_of(exchange_id: str) -> Quirk:
    """What the exchange needs; for most, nothing."""
    return _QUIRKS.get(exchange_id, _NONE)
