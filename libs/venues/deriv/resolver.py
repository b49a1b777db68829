"""The search for what became of an order without an answer: portfolio, statement, profit table, account stream."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Final

from libs.core.types import SECOND, Order, ReportKind, VenueReport
from libs.venues.budget import Priority
from libs.venues.deriv import contracts
from libs.venues.deriv.client import DerivClient
from libs.venues.deriv.codec import STATEMENT_PAGE
from libs.venues.deriv.contracts import Product, Purchase
from libs.venues.deriv.memory import Memory
from libs.venues.deriv.model import Booking
from libs.venues.deriv.watch import ContractWatch
from libs.venues.errors import VenueRefused, VenueUnavailable

SETTLE_S: Final = 10.0
"""Venue seconds after which a buy that the books do not show never happened."""

QUIET_S: Final = 5.0
"""And seconds since its connection was ended, by our own clock: the venue's may have been set meanwhile."""

PAGES: Final = 10
"""Pages of the statement that are read: ten thousand transactions since the order."""


class Resolver:
    """Asks ahead of everything but exits; an answer of [] is a proof and never given lightly."""

    def __init__(self, client: DerivClient, watch: ContractWatch, memory: Memory, product: Product) -> None:
        self._client, self._watch, self._memory, self._product = client, watch, memory, product
        self._doubted_at = time.monotonic()

    def doubt(self) -> None:
        """From now on something without an answer is (or was) under way."""
        self._doubted_at = time.monotonic()

    async def entry(self, order: Order) -> list[VenueReport] | None:
        """The purchase that `order` became; [] = it never happened, None = not known. Raises VenueError."""
        codec, sent = self._client.codec, self._memory.sent.get(order.intent_id) or order.ts_event // SECOND
        # The time first: what the books show must be at least as new as the moment we judge them by.
        now = await self._client.call(codec.time(), priority=Priority.EXIT)
        holdings = await self._client.call(codec.holdings(), priority=Priority.EXIT)
        bookings = await self._bookings_since(sent - contracts.BEFORE_S)
        contract_type, taken = self._product.contract_type(order.side), self._memory.taken(order.intent_id)
        found = contracts.candidates(order, sent, contract_type, holdings, bookings, taken)
        if not found:
            found = await self._elsewhere(order, sent, contract_type, taken)
        if not found:
            return [] if self._is_proof(now, order) else None
        if len(found) > 1:
            return None
        return [await self._report(order, found[0])]

    async def _bookings_since(self, date_from: int) -> list[Booking]:
        found: list[Booking] = []
        for _ in range(PAGES):
            request = self._client.codec.bookings(date_from, len(found))
            page = await self._client.call(request, priority=Priority.EXIT)
            found += page
            if len(page) < STATEMENT_PAGE:
                return found
        raise VenueUnavailable(f"more than {len(found)} transactions since the order: what is not read proves nothing")

    async def _elsewhere(self, order: Order, sent: int, contract_type: str, taken: set[int]) -> list[Purchase]:
        """What neither portfolio nor statement show (yet): contracts that ended, and purchases told by the stream."""
        try:
            request = self._client.codec.closed(sent - contracts.BEFORE_S)
            closed = await self._client.call(request, priority=Priority.EXIT)
        except VenueRefused:
            closed = []
        found = contracts.candidates(order, sent, contract_type, closed, [], taken)
        for told in self._memory.purchases:
            is_new = told.contract_id not in taken and all(told.contract_id != row.contract_id for row in found)
            if is_new and told.symbol == order.symbol and -told.amount == order.quantity:
                contract = await self._watch.ask(told.contract_id, Priority.EXIT)
                if contract is not None and contract.contract_type == contract_type:
                    found.append(Purchase(told.contract_id, told.transaction_id, -told.amount, told.time, told.balance))
        return [purchase for purchase in found if contracts.is_about(sent, purchase.time)]

    async def _report(self, order: Order, purchase: Purchase) -> VenueReport:
        contract = await self._watch.ask(purchase.contract_id, Priority.EXIT)
        self._memory.entries[purchase.contract_id] = order.intent_id
        if contract is None:
            return contracts.bought(order.intent_id, purchase, None, Decimal(0), "found in the account's books")
        price = contract.entry_spot or contract.current_spot
        return contracts.bought(order.intent_id, purchase, price, contract.commission, "found in the account's books")

    async def exit(self, order: Order) -> list[VenueReport] | None:
        """Whether the contract that `order` was to sell is sold; found by its `venue_order_id`. Raises VenueError."""
        if not order.venue_order_id.isdigit():
            return None
        now = await self._client.call(self._client.codec.time(), priority=Priority.EXIT)
        contract = await self._watch.ask(int(order.venue_order_id), Priority.EXIT)
        if contract is None:
            return None
        if contract.is_sold:
            return [contracts.settled(order.intent_id, contract, ReportKind.FILLED)]
        return [] if self._is_proof(now, order) else None

    def _is_proof(self, now: int, order: Order) -> bool:
        """Whether absence proves: by the venue's clock, and by ours, so that a clock that was set proves nothing."""
        quiet = time.monotonic() - self._doubted_at >= QUIET_S
        return quiet and now * SECOND > order.ts_event + int(SETTLE_S * SECOND)
