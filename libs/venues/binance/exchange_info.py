"""exchangeInfo as instruments, with the exact steps of the filters."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from libs.core.types import MILLISECOND, Instrument, InstrumentKind, Nanos, stable_id
from libs.venues import checked
from libs.venues.base import VenueUnavailable
from libs.venues.binance import codec
from libs.venues.binance.limits import RateLimit
from libs.venues.checked import ZERO

PLANTED: Final = "PLANTED"
"""The base asset of the simulator's demonstration pair."""


class Filter(msgspec.Struct):
    """Any filter; fields of other kinds stay at their defaults."""

    filterType: str
    minPrice: Decimal = ZERO
    maxPrice: Decimal = ZERO
    tickSize: Decimal = ZERO
    minQty: Decimal = ZERO
    maxQty: Decimal = ZERO
    stepSize: Decimal = ZERO
    minNotional: Decimal = ZERO
    maxNotional: Decimal = ZERO
    multiplierUp: Decimal = ZERO
    multiplierDown: Decimal = ZERO
    bidMultiplierUp: Decimal = ZERO
    bidMultiplierDown: Decimal = ZERO
    askMultiplierUp: Decimal = ZERO
    askMultiplierDown: Decimal = ZERO
    maxNumOrders: int = 0


NUMBERS: Final = tuple(field.name for field in msgspec.structs.fields(Filter) if field.type is Decimal)


class SymbolInfo(msgspec.Struct):
    symbol: str
    status: str
    baseAsset: str
    quoteAsset: str
    filters: list[Filter]
    isSpotTradingAllowed: bool = False


class ExchangeInfo(msgspec.Struct):
    serverTime: int
    symbols: list[SymbolInfo]
    rateLimits: list[RateLimit] = []


_decoder = msgspec.json.Decoder(ExchangeInfo)


def decode_exchange_info(body: bytes) -> ExchangeInfo:
    """Raises VenueUnavailable when the answer cannot be read or holds a number that is none."""
    try:
        info = _decoder.decode(body)
        checked.check_time(info.serverTime)
        for row in info.symbols:
            for rule in row.filters:
                for name in NUMBERS:
                    setattr(rule, name, checked.amount(getattr(rule, name)))
    except (*codec.UNREADABLE, checked.Absurd) as err:
        raise VenueUnavailable(f"Binance's exchangeInfo cannot be read: {err}") from err
    return info


def _plain(value: Decimal) -> Decimal:
    """Without trailing zeros or an exponent: 0.01000000 becomes 0.01 and 9000000 stays."""
    return value.quantize(Decimal(1).scaleb(-checked.decimals(value)), context=checked.EXACT)


def instrument_of(info: SymbolInfo, server_ms: int, *, simulator: bool = False) -> Instrument:
    """A spot instrument; data only where spot trading is not allowed or the filters give no steps.

    `simulator`: the venue is ours, so a base asset of this name is the planted one; nobody else's is.
    """
    by_type = {row.filterType: row for row in info.filters}
    price = by_type.get("PRICE_FILTER", Filter("PRICE_FILTER"))
    lot = by_type.get("LOT_SIZE", Filter("LOT_SIZE"))
    notional = by_type.get("NOTIONAL") or by_type.get("MIN_NOTIONAL") or Filter("NOTIONAL")
    tradable = info.isSpotTradingAllowed and price.tickSize > 0 and lot.stepSize > 0
    now: Nanos = server_ms * MILLISECOND
    pair = f"{info.baseAsset}/{info.quoteAsset}"
    planted = simulator and info.baseAsset == PLANTED
    return Instrument(
        id=stable_id("instrument", "binance", info.symbol, now),
        ts_event=now,
        venue="binance",
        symbol=info.symbol,
        canonical=pair,
        name=f"{pair} wave" if planted else pair,
        kind=InstrumentKind.SPOT if tradable else InstrumentKind.QUOTE_ONLY,
        base=info.baseAsset,
        quote=info.quoteAsset,
        decimals=checked.decimals(price.tickSize),
        price_step=_plain(price.tickSize),
        qty_step=_plain(lot.stepSize),
        min_qty=_plain(lot.minQty),
        max_qty=_plain(lot.maxQty),
        min_notional=_plain(notional.minNotional),
        planted=planted,
        is_open=info.status == "TRADING",
    )
