"""Orders of one Binance Spot account: sent once, told trade by trade, looked up whenever their fate is unknown."""

from __future__ import annotations

import random
import time
from collections import OrderedDict
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from libs.core.types import MILLISECOND, SECOND, Instrument, Nanos, Order, Side, VenueReport
from libs.venues.base import (
    Holds,
    PrivateSink,
    VenueError,
    VenuePosition,
    VenueRefused,
    VenueUnavailable,
    VenueUnresolved,
)
from libs.venues.binance import api, reports, trade_codec
from libs.venues.binance.api import SignedApi
from libs.venues.binance.filters import FILTER_FAILURE, Shaped
from libs.venues.binance.limits import Limits
from libs.venues.binance.reports import Execution
from libs.venues.binance.rest import BinanceRest
from libs.venues.binance.rulebook import Rulebook
from libs.venues.binance.session import CLOCK_S, RECV_WINDOW_MS, SIMULATED_CLOCK_S, Session
from libs.venues.binance.signing import Value, signer_of
from libs.venues.binance.user_stream import UserStream
from libs.venues.budget import Budget, Priority
from libs.venues.checked import ZERO, Absurd, amount, spelled
from libs.venues.credentials import Credentials

PREPARED_S: Final = 15.0
"""An order that is not on its way by then stays here: budgets, rules and connections took too long."""

ENGINE_NS: Final = 10 * SECOND
"""The matching engine's own timeout."""

BEFORE_NS: Final = 60 * SECOND
"""How much earlier than it was planned an order is looked for: the two clocks may differ."""

UNKNOWN_ORDER: Final = "-2013"
ARCHIVED: Final = "-2026"
ENGINE_REFUSED_ORDER: Final = "-2010"
ENGINE_REFUSED_CANCEL: Final = "-2011"
DUPLICATE: Final = "Duplicate order sent"
PAGE: Final = 1000
REMEMBERED: Final = 10_000


class BinanceTrading:
    """Implements `Trading`. Raises ValueError at once for credentials that cannot be used.

    Orders never rest: entries are limit orders that fill at once or expire, exits are market orders. Whatever is not
    proven is left unresolved and never sent again.
    """

    name = "binance"
    holds = Holds.ASSETS

    def __init__(
        self,
        urls: Mapping[str, str],
        credentials: Credentials,
        *,
        currency: str,
        simulator: bool = False,
        rng: random.Random | None = None,
    ) -> None:
        """`urls`: rest and ws_api. `currency`: the asset that is the account's cash. `simulator`: time may run fast."""
        rng = rng or random.Random()
        signer = signer_of(credentials)
        self._currency = currency
        self._rest = BinanceRest(urls["rest"], Limits(places_orders=True))
        self._stream = UserStream(self._trades_of, rng)
        self._session = Session(
            self._rest,
            urls["ws_api"],
            signer,
            self._stream.on_event,
            self._stream.on_gap,
            rng,
            clock_s=SIMULATED_CLOCK_S if simulator else CLOCK_S,
        )
        self._api = SignedApi(self._rest, self._session, signer)
        self._rules = Rulebook(self._rest)
        self._sent: OrderedDict[str, Nanos] = OrderedDict()
        self._under_way: dict[str, int] = {}

    # --- orders ------------------------------------------------------------------------------------------------

    async def submit(self, order: Order, instrument: Instrument) -> list[VenueReport]:
        """A limit order at `order.worst_price` that fills at once as far as it can; the rest expires."""
        if order.side is not Side.BUY:
            raise VenueRefused(f"{order.symbol}: a position at Binance Spot cannot be opened by selling")
        latest = time.monotonic() + PREPARED_S
        rules = await self._rules.of(order.symbol, Priority.ENTRY)
        shaped = rules.limit(order.side, order.quantity, order.worst_price, self._under_way.get(order.symbol, 0))
        return await self._place(order, shaped, Priority.ENTRY, latest)

    async def close(self, order: Order, venue_position_id: str, instrument: Instrument) -> list[VenueReport]:
        """A market order of `order.quantity`; there is no position to name at a spot venue."""
        latest = time.monotonic() + PREPARED_S
        rules = await self._rules.of(order.symbol, Priority.EXIT)
        return await self._place(order, rules.market(order.quantity), Priority.EXIT, latest)

    async def _place(self, order: Order, shaped: Shaped, priority: Priority, latest: float) -> list[VenueReport]:
        params: dict[str, Value] = {
            "symbol": order.symbol,
            "side": order.side.value.upper(),
            "quantity": spelled(shaped.quantity),
            "newClientOrderId": order.intent_id,
            "newOrderRespType": "FULL",
        }
        if shaped.price is None:
            params["type"] = "MARKET"
        else:
            params |= {"type": "LIMIT", "timeInForce": "IOC", "price": spelled(shaped.price)}
        self._under_way[order.symbol] = self._under_way.get(order.symbol, 0) + 1
        try:
            body = await self._api.effect(api.PLACE, params, priority, lambda at: self._remember(order, at, latest))
        except VenueRefused as err:
            if err.code == ENGINE_REFUSED_ORDER and DUPLICATE in str(err):
                raise VenueUnresolved(f"Binance has an order {order.intent_id} already") from err
            if err.code == FILTER_FAILURE:
                self._rules.forget(order.symbol)
            raise
        finally:
            self._under_way[order.symbol] -= 1
        return self._told(order, trade_codec.read(trade_codec.placed, body, "order.place"))

    def _told(self, order: Order, answer: trade_codec.Placed) -> list[VenueReport]:
        try:
            if answer.symbol != order.symbol:
                raise Absurd(f"answer about {answer.symbol[:40]!r}")
            return reports.of_answer(order.intent_id, answer, order.quantity)
        except Absurd as err:
            raise VenueUnresolved(f"Binance's answer to order.place is unusable: {err}") from err

    def _remember(self, order: Order, at: Nanos, latest: float) -> None:
        """Called as it is sent: how late an unknown order may still come to be is counted from here."""
        if time.monotonic() > latest:
            raise VenueUnavailable(f"not sent: it took more than {PREPARED_S:g} s until it could be")
        self._sent[order.intent_id] = at
        self._sent.move_to_end(order.intent_id)
        if len(self._sent) > REMEMBERED:
            self._sent.popitem(last=False)

    async def cancel(self, order: Order) -> list[VenueReport]:
        """End what still works of it; [] where nothing does."""
        params: dict[str, Value] = {"symbol": order.symbol, "origClientOrderId": order.intent_id}
        try:
            await self._api.effect(api.CANCEL, params, Priority.EXIT)
        except VenueRefused as err:
            if err.code == ENGINE_REFUSED_CANCEL:
                return []
            raise
        found = await self.resolve(order)
        if found is None:
            raise VenueUnresolved(f"order {order.intent_id} is cancelled; what was filled before is not known yet")
        return found

    # --- what became of them -----------------------------------------------------------------------------------

    async def resolve(self, order: Order) -> list[VenueReport] | None:
        """Ask by our id, then for its trades; unknown to the venue counts only when it can no longer come to be."""
        try:
            return await self._resolve(order)
        except (VenueError, Absurd):
            return None

    async def _resolve(self, order: Order) -> list[VenueReport] | None:
        # The time first: what the venue says must be at least as new as the moment that it is judged by.
        now = await self._session.time(Priority.EXIT)
        params: dict[str, Value] = {"symbol": order.symbol, "origClientOrderId": order.intent_id}
        try:
            body = await self._api.query(api.STATUS, params, Priority.EXIT)
        except VenueRefused as err:
            if err.code == UNKNOWN_ORDER:
                return [] if await self._never_came(order, now) else None
            if err.code == ARCHIVED:
                return [reports.archived(order.intent_id, order.symbol, order.ts_event)]
            raise
        row = trade_codec.read(trade_codec.order_row, body, "order.status")
        if row.symbol != order.symbol:
            return None
        of = reports.subject(order.intent_id, row.symbol, row.orderId)
        executed = amount(row.executedQty)
        trades = await self._trades_of(row.symbol, row.orderId) if executed else []
        told = [reports.acknowledged(of, row.time), *reports.fills(of, trades, executed)]
        end = reports.ending(of, row.status, row.expiryReason, row.updateTime)
        if end is not None:
            return [*told, end]
        if row.status in trade_codec.WORKING:
            return told
        return [*told, reports.unsent(of, row.updateTime)] if executed < order.quantity else told

    async def _never_came(self, order: Order, now: Nanos) -> bool:
        """Whether an order that the venue says it does not know can no longer come to be, nor is in its list."""
        end = self._no_later_than(order)
        if now <= end:
            return False
        params: dict[str, Value] = {
            "symbol": order.symbol,
            "startTime": (order.ts_event - BEFORE_NS) // MILLISECOND,
            "endTime": end // MILLISECOND,
            "limit": PAGE,
        }
        body = await self._api.query(api.ORDERS, params, Priority.EXIT)
        rows = trade_codec.read(trade_codec.order_rows, body, "allOrders")
        return len(rows) < PAGE and all(row.clientOrderId != order.intent_id for row in rows)

    def _no_later_than(self, order: Order) -> Nanos:
        """Venue time after which an order that the venue does not know can no longer come to be."""
        sent = self._sent.get(order.intent_id) or order.ts_event + int(PREPARED_S * SECOND)
        return max(sent, order.ts_event) + RECV_WINDOW_MS * MILLISECOND + ENGINE_NS

    async def _trades_of(self, symbol: str, order_id: int) -> list[Execution]:
        """Every trade of one order, oldest first. Raises VenueError."""
        found: list[Execution] = []
        params: dict[str, Value] = {"symbol": symbol, "orderId": order_id, "limit": PAGE}
        while True:
            body = await self._api.query(api.TRADES_OF_ORDER, params, Priority.EXIT)
            rows = trade_codec.read(trade_codec.trade_rows, body, "myTrades")
            after = found[-1].trade_id if found else -1
            found += reports.of_trades([row for row in rows if row.orderId == order_id and row.id > after])
            if len(rows) < PAGE or found[-1].trade_id == after:
                return found
            params = {**params, "fromId": found[-1].trade_id + 1}

    # --- the account -------------------------------------------------------------------------------------------

    async def balance(self) -> tuple[Decimal, str]:
        return (await self.balances()).get(self._currency, ZERO), self._currency

    async def balances(self) -> dict[str, Decimal]:
        body = await self._api.query(api.ACCOUNT, {}, Priority.DATA)
        try:
            rows = trade_codec.read(trade_codec.account, body, "account.status").balances
            held = {row.asset: amount(row.free) + amount(row.locked) for row in rows}
        except (VenueUnresolved, Absurd) as err:
            raise VenueUnavailable(f"Binance's balances cannot be read: {err}") from err
        return {asset: total for asset, total in held.items() if total}

    async def open_positions(self) -> list[VenuePosition]:
        return []

    async def watch(self, venue_position_id: str) -> list[VenueReport]:
        return []

    async def listen(self, sink: PrivateSink) -> None:
        """Follow the account's event stream until cancelled; raises VenueRefused when the key is not accepted."""
        await self._stream.run(self._session, sink)

    def budgets(self) -> tuple[Budget, ...]:
        return self._rest.limits.budgets()

    async def aclose(self) -> None:
        await self._rules.aclose()
        await self._session.aclose()
        await self._rest.aclose()
