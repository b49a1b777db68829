"""A symbol's filters: an order made to pass them, or refused before it is sent with the name of the one it fails."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Final

import msgspec

from libs.core.types import Side
from libs.venues.base import VenueRefused
from libs.venues.binance.exchange_info import Filter, SymbolInfo
from libs.venues.checked import EXACT, ZERO, down_to, spelled

FILTER_FAILURE: Final = "-1013"
"""The venue's own code, so that a refusal of ours reads like one of the venue's."""

NO_LIMIT: Final = Decimal("Infinity")
FINEST: Final = 30
"""Digits after the point that an amount can have."""

DRIFT: Final = Decimal("0.01")
"""How far the average price may have moved since it was asked for."""


class Shaped(msgspec.Struct, frozen=True):
    """What is sent: on the grid, never more than asked, never a worse price. `price` is None at market."""

    quantity: Decimal
    price: Decimal | None


class Rules:
    """The filters of one symbol. `reference`: the newest average price known, which some compare with; None = unknown.

    What only the venue can know (positions, foreign orders, its own reference price) is left to the venue.
    """

    def __init__(self, info: SymbolInfo, reference: Decimal | None = None) -> None:
        by_type = {row.filterType: row for row in info.filters}
        self.symbol, self.base, self.quote = info.symbol, info.baseAsset, info.quoteAsset
        self.reference = reference
        self._tick = by_type["PRICE_FILTER"].tickSize if "PRICE_FILTER" in by_type else ZERO
        self._prices = [row for row in info.filters if row.filterType.startswith(("PRICE_FILTER", "PERCENT_PRICE"))]
        self._notionals = [row for row in info.filters if row.filterType in ("NOTIONAL", "MIN_NOTIONAL")]
        lot, market_lot = by_type.get("LOT_SIZE"), by_type.get("MARKET_LOT_SIZE")
        self._lots = [lot] if lot is not None else []
        self._market_lots = [*self._lots, *([market_lot] if market_lot is not None else [])]
        self._most_orders = by_type["MAX_NUM_ORDERS"].maxNumOrders if "MAX_NUM_ORDERS" in by_type else 0

    def limit(self, side: Side, quantity: Decimal, worst: Decimal, open_orders: int = 0) -> Shaped:
        """A limit order that fills at `worst` or better, beside `open_orders` of ours on the symbol.

        Raises:
            VenueRefused: no order of at most that quantity and at no worse price passes; names the filter.
        """
        if 0 < self._most_orders <= open_orders:
            text = f"{self.symbol}: filter MAX_NUM_ORDERS: {open_orders} orders of ours are on their way already"
            raise VenueRefused(text, FILTER_FAILURE)
        price = self._limit_price(side, worst)
        shaped = self._on_lots(self._lots, quantity)
        for row in self._notionals:
            if 0 < row.maxNotional < EXACT.multiply(price, shaped):
                shaped = self._on_lots(self._lots, EXACT.divide(row.maxNotional, price))
        worth = EXACT.multiply(price, shaped)
        for row in self._notionals:
            if worth < row.minNotional:
                raise self._refusal(
                    row, f"{spelled(worth)} {self.quote} is below the minimum of {spelled(row.minNotional)}"
                )
        return Shaped(shaped, price)

    def market(self, quantity: Decimal) -> Shaped:
        """An order at market; raises as `limit`."""
        return Shaped(self._on_lots(self._market_lots, quantity), None)

    def _limit_price(self, side: Side, worst: Decimal) -> Decimal:
        """`worst` on the tick and within the price bands, moved only to where it is better for us."""
        bands = [(row, *self._band(row, side)) for row in self._prices]
        if side is Side.BUY:
            price = down_to(min([worst, *(high for _, _, high in bands)]), self._tick)
        else:
            price = _up(max([worst, *(low for _, low, _ in bands)]), self._tick)
        for row, low, high in bands:
            if not low <= price <= high or price <= 0:
                raise self._refusal(row, f"no price for a {side.value} at {spelled(worst)} or better is allowed")
        return price

    def _band(self, row: Filter, side: Side) -> tuple[Decimal, Decimal]:
        """Lowest and highest price that the filter lets through; a bound of 0 is none.

        The venue's reference is a little newer than ours: the bound that a price may be moved to is drawn in by
        DRIFT, the one that refuses it is let out.
        """
        if row.filterType == "PRICE_FILTER":
            return row.minPrice, row.maxPrice or NO_LIMIT
        if not self.reference:
            return ZERO, NO_LIMIT
        down, up = row.multiplierDown, row.multiplierUp
        if row.filterType == "PERCENT_PRICE_BY_SIDE":
            buys = side is Side.BUY
            down = row.bidMultiplierDown if buys else row.askMultiplierDown
            up = row.bidMultiplierUp if buys else row.askMultiplierUp
        reference = EXACT.multiply(self.reference, 1 - side.sign * DRIFT)
        return EXACT.multiply(reference, down), EXACT.multiply(reference, up) if up else NO_LIMIT

    def _on_lots(self, lots: list[Filter], quantity: Decimal) -> Decimal:
        """The largest quantity on every grid, not above `quantity` nor the most of one order."""
        most = min([quantity, *(lot.maxQty for lot in lots if lot.maxQty > 0)])
        shaped = down_to(most, _common_step([lot.stepSize for lot in lots]))
        for lot in lots:
            if shaped <= 0 or shaped < lot.minQty:
                least = max(lot.minQty, lot.stepSize)
                raise self._refusal(lot, f"{spelled(quantity)} {self.base} is below the minimum of {spelled(least)}")
        return shaped

    def _refusal(self, row: Filter, why: str) -> VenueRefused:
        return VenueRefused(f"{self.symbol}: filter {row.filterType}: {why}", FILTER_FAILURE)


def _up(value: Decimal, step: Decimal) -> Decimal:
    below = down_to(value, step)
    return below if below == value else EXACT.add(below, step)


def _common_step(steps: list[Decimal]) -> Decimal:
    """The smallest grid that lies on all of `steps`; 0 where none of them is one."""
    units = [int(step.scaleb(FINEST, EXACT)) for step in steps if step > 0]
    return Decimal(math.lcm(*units)).scaleb(-FINEST, EXACT).normalize(EXACT) if units else ZERO
