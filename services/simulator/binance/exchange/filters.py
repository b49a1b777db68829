"""The venue's filters: the rows of exchangeInfo as exact tests in 1e-8."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from services.simulator.binance.decimals import ONE, parse8
from services.simulator.binance.exchange.api import ApiError
from services.simulator.binance.exchange.orders import ALGO, AT_MARKET, Order

Reference = Callable[[int], int]
"""The price to compare with, for a filter's avgPriceMins; 0 when there is none."""

_MULTIPLIERS: Final = ("multiplierUp", "multiplierDown")


def failure(name: str) -> ApiError:
    """The refusal by a filter."""
    return ApiError(-1013, f"Filter failure: {name}")


class Rules:
    """The filters of one symbol, or of the exchange, or of an account's assets."""

    def __init__(self, filters: Iterable[Mapping[str, Any]]) -> None:
        """Amounts are read as the venue prints them. Raises ValueError for text that is no plain decimal."""
        self._rows = {row["filterType"]: {key: _number(value) for key, value in row.items()} for row in filters}

    def limit(self, name: str, field: str) -> int | None:
        """One integer field of a filter, None when there is no such filter."""
        row = self._rows.get(name)
        return None if row is None else int(row[field])

    @property
    def step(self) -> int:
        """The quantity step, 1e-8 without one."""
        return self.limit("LOT_SIZE", "stepSize") or 1

    @property
    def smallest(self) -> int:
        """The smallest quantity of an order."""
        return self.limit("LOT_SIZE", "minQty") or 0

    @property
    def smallest_at_market(self) -> int:
        """The smallest quantity of a MARKET order."""
        return self.limit("MARKET_LOT_SIZE", "minQty") or 0

    def check(self, order: Order, reference: Reference) -> None:
        """Test what one order says for itself; raises ApiError naming the first filter that fails."""
        for price in (order.price, order.pegged, order.stop):
            if price:
                self._price(price)
        for price in (order.price, order.pegged):
            if price:
                self._percent(order, price, reference)
        if order.trailing:
            self._trailing(order)
        if not order.quote_qty and order.qty:
            self.check_quantity(order)
        self._notional(order, reference)
        limit = self.limit("ICEBERG_PARTS", "limit")
        if limit is not None and order.iceberg and -(-order.qty // order.iceberg) > limit:
            raise failure("ICEBERG_PARTS")

    def check_quantity(self, order: Order) -> None:
        """Test quantities against the lot sizes."""
        for qty in (order.qty, order.iceberg):
            if qty and not self._lot("LOT_SIZE", qty):
                raise failure("LOT_SIZE")
        if order.type == "MARKET" and not self._lot("MARKET_LOT_SIZE", order.qty):
            raise failure("MARKET_LOT_SIZE")

    def _price(self, price: int) -> None:
        row = self._rows.get("PRICE_FILTER")
        if row is None:
            return
        low, high, tick = row["minPrice"], row["maxPrice"], row["tickSize"]
        if price < low or (high and price > high) or (tick and price % tick):
            raise failure("PRICE_FILTER")

    def _percent(self, order: Order, price: int, reference: Reference) -> None:
        for name, up, down in (
            ("PERCENT_PRICE", *_MULTIPLIERS),
            ("PERCENT_PRICE_BY_SIDE", *_side_multipliers("bid" if order.buy else "ask")),
        ):
            row = self._rows.get(name)
            if row is None or not (ref := reference(row["avgPriceMins"])):
                continue
            if not ref * row[down] <= price * ONE <= ref * row[up]:
                raise failure(name)

    def _lot(self, name: str, qty: int) -> bool:
        row = self._rows.get(name)
        if row is None:
            return True
        low, high, step = row["minQty"], row["maxQty"], row["stepSize"]
        return qty >= low and (not high or qty <= high) and (not step or qty % step == 0)

    def _trailing(self, order: Order) -> None:
        row = self._rows.get("TRAILING_DELTA")
        if row is None:
            return
        side = "Above" if order.type.startswith("STOP_LOSS") == order.buy else "Below"
        if not row[f"minTrailing{side}Delta"] <= order.trailing <= row[f"maxTrailing{side}Delta"]:
            raise failure("TRAILING_DELTA")

    def _notional(self, order: Order, reference: Reference) -> None:
        market = order.type in AT_MARKET
        for name, low, high in (
            ("MIN_NOTIONAL", "applyToMarket", ""),
            ("NOTIONAL", "applyMinToMarket", "applyMaxToMarket"),
        ):
            row = self._rows.get(name)
            if row is None or not (order.qty or order.quote_qty):
                continue
            if order.quote_qty:
                notional = order.quote_qty * ONE
            elif market:
                ref = reference(row["avgPriceMins"])
                if not ref:
                    continue
                notional = ref * order.qty
            elif order.limit:
                notional = order.limit * order.qty
            else:
                continue
            if (not market or row[low]) and notional < row["minNotional"] * ONE:
                raise failure(name)
            if high and (not market or row[high]) and notional > row["maxNotional"] * ONE:
                raise failure(name)

    def check_asset(self, order: Order, base: str, quote: str, limits: Mapping[str, int]) -> None:
        """Test the MAX_ASSET limits of an account (1e-8 by asset)."""
        notional = order.quote_qty or (order.limit or order.cover) * order.qty // ONE
        if order.qty > limits.get(base, order.qty) or notional > limits.get(quote, notional):
            raise failure("MAX_ASSET")

    def check_counts(self, new: Sequence[Order], open_orders: Iterable[Order], lists: int, prefix: str = "") -> None:
        """Test the numbers of open orders and lists with `new` among them; `prefix` EXCHANGE_ for all symbols."""
        orders = [*open_orders, *new]
        kinds = (
            ("MAX_NUM_ORDERS", "maxNumOrders", new, len(orders)),
            (
                "MAX_NUM_ALGO_ORDERS",
                "maxNumAlgoOrders",
                [order for order in new if order.type in ALGO],
                sum(order.type in ALGO for order in orders),
            ),
            (
                "MAX_NUM_ICEBERG_ORDERS",
                "maxNumIcebergOrders",
                [order for order in new if order.iceberg],
                sum(order.iceberg > 0 for order in orders),
            ),
            ("MAX_NUM_ORDER_LISTS", "maxNumOrderLists", new if len(new) > 1 else (), lists + 1),
        )
        for name, field, affected, count in kinds:
            limit = self.limit(prefix + name, field)
            if affected and limit is not None and count > limit:
                raise failure(prefix + name)

    def check_position(self, order: Order, held: int, open_orders: Iterable[Order]) -> None:
        """Test MAX_POSITION for a purchase; `held` is the base asset, free and locked."""
        limit = self.limit("MAX_POSITION", "maxPosition")
        if limit is None or not order.buy:
            return
        buying = sum(each.left for each in open_orders if each.buy)
        if held + buying + order.qty > limit:
            raise failure("MAX_POSITION")


def _side_multipliers(side: str) -> tuple[str, str]:
    return f"{side}MultiplierUp", f"{side}MultiplierDown"


def _number(value: object) -> Any:
    return parse8(value) if isinstance(value, str) and value[:1].isdigit() else value
