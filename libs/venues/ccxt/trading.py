"""Orders of one account at any exchange that ccxt knows: sent once, told trade by trade, looked up when in doubt."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any, Final

import ccxt

from libs.core.types import MILLISECOND, Instrument, Order, Side, VenueReport
from libs.venues.base import (
    Holds,
    PrivateSink,
    VenueError,
    VenuePosition,
    VenueRefused,
    VenueUnavailable,
    VenueUnresolved,
)
from libs.venues.budget import Budget, Priority
from libs.venues.ccxt.exchange import close, make_exchange
from libs.venues.ccxt.markets import market_of
from libs.venues.ccxt.outcome import effect, question, within
from libs.venues.ccxt.quirks import quirk_of
from libs.venues.ccxt.reports import ENDED, WORKING, Row, Teller, are_whole, row_of
from libs.venues.checked import ZERO, Absurd, down_to, exact, spelled
from libs.venues.credentials import Credentials
from libs.venues.listener import Listener

PREPARED_S: Final = 15.0
"""An order that is not on its way by then stays here."""

ABSENT_S: Final = 45.0
"""An order that the exchange does not know so long after it was sent is taken to have never arrived: requests end
after 10 s, what is signed with a deadline of 5 s is not carried out later, and engines give up within seconds."""

BEFORE_MS: Final = 60_000
PAGE: Final = 500
REMEMBERED: Final = 10_000


class CcxtTrading:
    """Implements `Trading` for spot. Raises ValueError for an exchange that ccxt does not know.

    Orders never rest: entries are limit orders that fill at once or expire, exits are market orders. Money moved from
    outside is not told: it shows as a difference between ledger and balances.
    """

    holds = Holds.ASSETS

    def __init__(
        self,
        exchange_id: str,
        urls: Mapping[str, str],
        credentials: Credentials,
        *,
        currency: str,
        sandbox: bool = False,
    ) -> None:
        """`urls`: rest, ws, ws_api, to move every address; empty = the exchange's own. `currency`: the cash."""
        self.name = f"ccxt:{exchange_id}"
        self._currency = currency
        self._quirk = quirk_of(exchange_id)
        self._exchange = make_exchange(exchange_id, urls, credentials, sandbox=sandbox, exact=True)
        ring = self._ring if self._exchange.has.get("watchOrders") else None
        self._listener = Listener(self.name, self.resolve, self._look, ring)
        self._sent: OrderedDict[str, float] = OrderedDict()
        self._ids: OrderedDict[str, str] = OrderedDict()

    # --- orders ------------------------------------------------------------------------------------------------

    async def submit(self, order: Order, instrument: Instrument) -> list[VenueReport]:
        """A limit order at `order.worst_price` that fills at once as far as it can; the rest expires."""
        if order.side is not Side.BUY:
            raise VenueRefused(f"{order.symbol}: a position at a spot exchange cannot be opened by selling")
        price = down_to(order.worst_price, instrument.price_step)
        quantity = self._sized(order, instrument)
        if not price or price * quantity < instrument.min_notional:
            raise VenueRefused(
                f"{order.symbol}: {spelled(price * quantity)} {instrument.quote} is less than the exchange's smallest "
                f"order of {spelled(instrument.min_notional)}"
            )
        return await self._place(order, quantity, price, Priority.ENTRY)

    async def close(self, order: Order, venue_position_id: str, instrument: Instrument) -> list[VenueReport]:
        """A market order of `order.quantity`; there is no position to name at a spot exchange."""
        return await self._place(order, self._sized(order, instrument), None, Priority.EXIT)

    def _sized(self, order: Order, instrument: Instrument) -> Decimal:
        quantity = down_to(order.quantity, instrument.qty_step)
        if not quantity or quantity < instrument.min_qty:
            raise VenueRefused(
                f"{order.symbol}: {spelled(order.quantity)} is less than the exchange's smallest quantity of "
                f"{spelled(instrument.min_qty)}"
            )
        if quantity > instrument.max_qty:
            raise VenueRefused(f"{order.symbol}: {spelled(quantity)} is more than {spelled(instrument.max_qty)}")
        return quantity

    async def _place(
        self, order: Order, quantity: Decimal, price: Decimal | None, priority: Priority
    ) -> list[VenueReport]:
        deadline = within(PREPARED_S)
        pair = await self._pair(order.symbol, priority)
        limit = {} if price is None else {"timeInForce": "IOC"}
        params = {"clientOrderId": order.intent_id, **limit, **self._quirk.order(self._exchange)}
        kind = "market" if price is None else "limit"
        amount, worst = spelled(quantity), None if price is None else spelled(price)
        _keep(self._sent, order.intent_id, time.monotonic())
        try:
            async with effect(self._exchange, priority, deadline):
                answer = await self._exchange.create_order(pair, kind, order.side.value, amount, worst, params)
        except VenueUnavailable:
            await self._correct_clock()
            raise
        self._listener.expect(order)
        try:
            row = row_of(answer)
            if row.client_id not in ("", order.intent_id):
                raise Absurd(f"answer about order {row.client_id[:40]!r}")
            _keep(self._ids, order.intent_id, row.id)
            if row.status in ENDED and are_whole(row.trades):
                return Teller(self.name, order, row).all(row.trades)
        except Absurd as err:
            raise VenueUnresolved(f"{self.name}: the answer to an order is unusable: {err}") from err
        # Many exchanges only say that they have it.
        found = await self.resolve(order)
        if not found:
            raise VenueUnresolved(f"{self.name} has order {row.id}; what became of it is not known yet")
        return found

    async def _correct_clock(self) -> None:
        """Requests carry the exchange's time: learn it anew where it may have been refused for that."""
        if self._exchange.options.get("adjustForTimeDifference"):
            with suppress(VenueError):
                async with question(self._exchange, Priority.EXIT):
                    await self._exchange.load_time_difference()

    async def cancel(self, order: Order) -> list[VenueReport]:
        """End what still works of it; [] where nothing does."""
        found = await self.resolve(order)
        if found is not None:
            return found
        order_id = self._known_id(order)
        if not order_id:
            raise VenueUnresolved(f"{self.name} does not say yet under which number it has order {order.intent_id}")
        pair = await self._pair(order.symbol, Priority.EXIT)
        with suppress(ccxt.OrderNotFound):
            async with effect(self._exchange, Priority.EXIT, within(PREPARED_S)):
                await self._exchange.cancel_order(order_id, pair)
        found = await self.resolve(order)
        if found is None:
            raise VenueUnresolved(f"order {order.intent_id} is cancelled; what was filled before is not known yet")
        return found

    # --- what became of them -----------------------------------------------------------------------------------

    async def resolve(self, order: Order) -> list[VenueReport] | None:
        """Ask by number or our own id, then for its trades; absence counts once it can no longer come to be."""
        first_heard = self._sent.setdefault(order.intent_id, time.monotonic())
        asked = time.monotonic()
        try:
            row = await self._look_up(order)
            if row is None:
                return [] if asked - first_heard >= ABSENT_S else None
            _keep(self._ids, order.intent_id, row.id)
            if row.status in WORKING or row.status not in ENDED:
                return None
            return Teller(self.name, order, row).all(await self._trades_of(order, row))
        except (VenueError, Absurd):
            return None

    def _known_id(self, order: Order) -> str:
        return order.venue_order_id or self._ids.get(order.intent_id, "")

    async def _look_up(self, order: Order) -> Row | None:
        """The order as the exchange knows it now; None when it does not. Raises VenueError, Absurd."""
        pair, order_id, exchange = await self._pair(order.symbol, Priority.EXIT), self._known_id(order), self._exchange
        by_our_id = not order_id and self._quirk.by_client_id
        if exchange.has.get("fetchOrder") and (order_id or by_our_id):
            params = {"clientOrderId": order.intent_id} if by_our_id else {}
            async with question(exchange, Priority.EXIT):
                try:
                    told = await exchange.fetch_order(order_id or None, pair, params)
                except ccxt.OrderNotFound:
                    told = None
            row = None if told is None else row_of(told)
            if row is not None and row.client_id not in ("", order.intent_id):
                raise Absurd(f"answer about order {row.client_id[:40]!r}")
            return row
        return await self._search(order, pair, order_id)

    async def _search(self, order: Order, pair: str, order_id: str) -> Row | None:
        exchange, since = self._exchange, order.ts_event // MILLISECOND - BEFORE_MS
        if exchange.has.get("fetchOrders"):
            lists = [exchange.fetch_orders]
        else:
            lists = [exchange.fetch_open_orders, exchange.fetch_closed_orders]
            lists += [exchange.fetch_canceled_orders] if exchange.has.get("fetchCanceledOrders") else []
        for listed in lists:
            async with question(exchange, Priority.EXIT):
                rows = [row_of(told) for told in await listed(pair, since)]
            for row in rows:
                if order.intent_id == row.client_id or (order_id and order_id == row.id):
                    return row
            if len(rows) >= PAGE:
                raise Absurd("more orders than one answer holds")
        return None

    async def _trades_of(self, order: Order, row: Row) -> list[dict[str, Any]]:
        """Every trade of it. Raises VenueError, Absurd."""
        if not row.filled:
            return []
        if are_whole(row.trades):
            return list(row.trades)
        exchange, since = self._exchange, order.ts_event // MILLISECOND - BEFORE_MS
        pair = await self._pair(order.symbol, Priority.EXIT)
        async with question(exchange, Priority.EXIT):
            try:
                rows = await exchange.fetch_order_trades(row.id, pair)
            except (ccxt.NotSupported, ccxt.ArgumentsRequired):  # Kraken has it and wants the trades' numbers for it
                rows = await exchange.fetch_my_trades(pair, since)
        return [trade for trade in rows if isinstance(trade, dict) and trade.get("order") == row.id]

    async def _pair(self, symbol: str, priority: Priority) -> str:
        async with question(self._exchange, priority):
            await self._exchange.load_markets()
        return str(market_of(self._exchange, symbol)["symbol"])

    # --- the account -------------------------------------------------------------------------------------------

    async def balance(self) -> tuple[Decimal, str]:
        return (await self.balances()).get(self._currency, ZERO), self._currency

    async def balances(self) -> dict[str, Decimal]:
        async with question(self._exchange):
            self._exchange.check_required_credentials()
            told = await self._exchange.fetch_balance()
        try:
            held = {asset: exact(total, asset) for asset, total in told["total"].items() if total is not None}
        except (Absurd, KeyError, AttributeError, TypeError) as err:
            raise VenueUnavailable(f"{self.name}: the balances cannot be read: {err}") from err
        return {asset: total for asset, total in held.items() if total}

    async def open_positions(self) -> list[VenuePosition]:
        return []

    async def watch(self, venue_position_id: str) -> list[VenueReport]:
        return []

    async def _look(self, sink: PrivateSink) -> None:
        await self.balances()

    async def _ring(self, rung: Callable[[], None]) -> None:
        while True:
            await self._exchange.watch_orders()
            rung()

    async def listen(self, sink: PrivateSink) -> None:
        """Follow what becomes of our orders until cancelled; raises VenueRefused when the key is not accepted."""
        await self._listener.run(sink)

    def budgets(self) -> tuple[Budget, ...]:
        return (self._exchange.budget,)

    async def aclose(self) -> None:
        await close(self._exchange)


def _keep(book: OrderedDict[str, Any], key: str, value: Any) -> None:
    book[key] = value
    book.move_to_end(key)
    if len(book) > REMEMBERED:
        book.popitem(last=False)
