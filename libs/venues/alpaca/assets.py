"""What Alpaca lists, as instruments: shares in whole numbers, crypto assets in the steps that it tells."""

from __future__ import annotations

from decimal import Decimal
from typing import Final
from urllib.parse import quote

from libs.core.types import Instrument, InstrumentKind, Nanos, stable_id
from libs.venues.alpaca import codec
from libs.venues.alpaca.codec import VENUE, Asset
from libs.venues.alpaca.rest import NOT_FOUND, UNPROCESSABLE, AlpacaRest
from libs.venues.budget import Priority
from libs.venues.checked import ZERO, Absurd, decimals, exact
from libs.venues.errors import VenueRefused, VenueUnavailable

CRYPTO: Final = "crypto"
CENT: Final = Decimal("0.01")
"""Step of a share's price from one dollar up; below that it is finer, and a multiple of this still on the grid."""

UNBOUND: Final = Decimal(10) ** 9
"""Stands for a largest quantity, of which Alpaca tells none."""


def is_crypto(symbol: str) -> bool:
    """Crypto assets are pairs (BTC/USD), shares are not."""
    return "/" in symbol


def parts_of(symbol: str) -> tuple[str, str]:
    """The asset that is held, and the one that pays for it."""
    base, _, paid_in = symbol.partition("/")
    return base, paid_in or "USD"


class AssetBook:
    """Assets by symbol or id, each asked for once."""

    def __init__(self, rest: AlpacaRest) -> None:
        self._rest = rest
        self._known: dict[str, Asset] = {}

    async def of(self, name: str, priority: Priority = Priority.DATA) -> Asset:
        """By symbol or id. Raises VenueRefused for one that Alpaca does not know, VenueUnavailable."""
        if name not in self._known:
            try:
                path = f"/v2/assets/{quote(name, safe='')}"
                self._known[name] = await self._rest.get(path, codec.asset, priority=priority)
            except VenueRefused as err:
                if err.code in (NOT_FOUND, UNPROCESSABLE):
                    raise VenueRefused(f"Alpaca does not know {name}", err.code) from err
                raise
        return self._known[name]

    async def all(self) -> list[Asset]:
        """Everything that can be traded."""
        listed = await self._rest.get("/v2/assets", codec.assets, {"status": "active"})
        return [asset for asset in listed if asset.tradable]

    def forget(self) -> None:
        """What was known may have changed."""
        self._known.clear()


def instrument_of(asset: Asset, now: Nanos, *, shares_trade: bool) -> Instrument:
    """`shares_trade`: the exchanges for shares are open. Raises VenueUnavailable when the listing cannot be true.

    Shares come in whole numbers: what fills at once or not at all takes no fractions there.
    """
    base, paid_in = parts_of(asset.symbol)
    crypto = asset.asset_class == CRYPTO
    try:
        price_step = _step(asset.price_increment) if crypto else CENT
        qty_step = _step(asset.min_trade_increment) if crypto else Decimal(1)
        min_qty = max(_step(asset.min_order_size), qty_step) if crypto else Decimal(1)
    except Absurd as err:
        raise VenueUnavailable(f"Alpaca lists {asset.symbol} in a way that cannot be read: {err}") from err
    tradable = asset.tradable and asset.status == "active" and price_step > 0 and qty_step > 0
    return Instrument(
        id=stable_id("instrument", VENUE, asset.symbol, now),
        ts_event=now,
        venue=VENUE,
        symbol=asset.symbol,
        canonical=f"{base}/{paid_in}",
        name=asset.name or asset.symbol,
        kind=InstrumentKind.SPOT if tradable else InstrumentKind.QUOTE_ONLY,
        base=base,
        quote=paid_in,
        decimals=decimals(price_step),
        price_step=price_step,
        qty_step=qty_step,
        min_qty=min_qty,
        max_qty=UNBOUND,
        is_open=crypto or shares_trade,
    )


def _step(told: str | None) -> Decimal:
    step = ZERO if told is None else exact(told, "step")
    return step.normalize() if step < 1 else step
