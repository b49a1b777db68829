"""Orders of one Deriv account: proposal, buy once, sell, and the search for what became of a buy without an answer."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal
from typing import Final

from libs.core.types import SECOND, Action, Instrument, Order, ReportKind, VenueReport
from libs.venues.base import VenueError, VenueRefused, VenueUnresolved
from libs.venues.deriv import contracts
from libs.venues.deriv.client import DerivClient, NoAnswer
from libs.venues.deriv.codec import Codec
from libs.venues.deriv.contracts import Product, Purchase
from libs.venues.deriv.model import Booking, Contract, Proposal, Receipt
from libs.venues.deriv.v3 import STATEMENT_PAGE
from libs.venues.deriv.watch import ContractWatch

REPRICE: Final = frozenset({"PriceMoved", "InvalidContractProposal"})
"""Refusals of a buy after which a new proposal is asked for."""

REPRICE_MOST: Final = 5
ENDED: Final = frozenset({"ContractAlreadySold", "ContractNotFound", "NoOpenPosition"})
"""Refusals of a sale that say the contract may be over."""

TOO_EARLY: Final = frozenset({"SellAtEntryTick", "EntryTickMissing", "WaitForContractSettlement"})
"""Refusals of a sale that the next tick lifts."""

SELL_MOST: Final = 8
TICK_S: Final = 1.0
SETTLE_S: Final = 10.0
"""Venue seconds after which a buy that the books do not show never happened."""


class DerivTrading:
    """Implements `Trading`. A buy is sent once per call of `submit` unless the venue proves that it had no effect."""

    name = "deriv"

    def __init__(
        self,
        url: str,
        codec: Codec,
        token: str,
        *,
        currency: str = "USD",
        product: Product | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._client = DerivClient(url, codec, token=token, rng=rng)
        self._watch = ContractWatch(self._client)
        self._currency = currency
        self._product = product or Product()
        self._intents: dict[int, str] = {}

    async def submit(self, order: Order, instrument: Instrument) -> list[VenueReport]:
        """Ask for a price, check it against the order's limits, buy; a price that moved is asked for again."""
        ask = self._product.ask(order, instrument, self._currency)
        for _ in range(REPRICE_MOST):
            proposal = await self._client.call(self._client.codec.proposal(ask))
            _check(proposal, order)
            try:
                receipt = await self._buy(proposal)
            except VenueRefused as err:
                if err.code not in REPRICE:
                    raise
                continue
            return await self._bought(order, proposal, receipt)
        raise VenueRefused(f"the price moved {REPRICE_MOST} times in a row", "PriceMoved")

    async def _buy(self, proposal: Proposal) -> Receipt:
        try:
            return await self._client.call(self._client.codec.buy(proposal.id, proposal.ask_price))
        except NoAnswer as err:
            raise VenueUnresolved(f"whether the buy happened is not known: {err}") from err

    async def _bought(self, order: Order, proposal: Proposal, receipt: Receipt) -> list[VenueReport]:
        self._intents[receipt.contract_id] = order.intent_id
        purchase = Purchase(
            receipt.contract_id,
            receipt.transaction_id,
            receipt.buy_price,
            receipt.purchase_time,
            receipt.balance_after,
        )
        contract = await self._watch.until_entered(receipt.contract_id)
        if contract is not None and contract.entry_spot is not None:
            fill = contracts.bought(order.intent_id, purchase, contract.entry_spot, contract.commission)
        else:
            detail = "the entry spot is not known yet; the price is the proposal's spot"
            fill = contracts.bought(order.intent_id, purchase, proposal.spot, proposal.commission, detail)
        return [contracts.acknowledged(order.intent_id, receipt), fill]

    async def close(self, order: Order, venue_position_id: str, instrument: Instrument) -> list[VenueReport]:
        """Sell at market; a contract that ended meanwhile is reported as CLOSED."""
        contract_id = int(venue_position_id)
        for _ in range(SELL_MOST):
            try:
                sale = await self._client.call(self._client.codec.sell(contract_id, Decimal(0)))
            except NoAnswer as err:
                raise VenueUnresolved(f"whether the sale happened is not known: {err}") from err
            except VenueRefused as err:
                if err.code in TOO_EARLY:
                    await asyncio.sleep(TICK_S)
                    continue
                contract = await self._contract_or_none(contract_id) if err.code in ENDED else None
                if contract is not None and contract.is_sold:
                    return [contracts.settled(order.intent_id, contract, ReportKind.CLOSED)]
                raise
            return [contracts.sold(order.intent_id, sale, await self._contract_or_none(contract_id))]
        raise VenueRefused(f"contract {contract_id} cannot be sold yet; try again", "SellAtEntryTick")

    async def _contract_or_none(self, contract_id: int) -> Contract | None:
        """The contract as it is now, for details that are nice to have."""
        try:
            return await self._watch.ask(contract_id)
        except VenueError:
            return None

    async def resolve(self, order: Order) -> list[VenueReport] | None:
        """Look for the order's trace in the account's books; several possible traces leave it unknown.

        An exit is found by `order.venue_order_id`, which names the contract it was to sell.
        """
        try:
            if order.action is Action.EXIT:
                return await self._resolve_exit(order)
            return await self._resolve_entry(order)
        except VenueError:
            return None

    async def _resolve_entry(self, order: Order) -> list[VenueReport] | None:
        codec = self._client.codec
        # The time first: what the books show must be at least as new as the moment we judge them by.
        now = await self._client.call(codec.time())
        holdings = await self._client.call(codec.holdings())
        bookings = await self._bookings_since(order.ts_event // SECOND - contracts.BEFORE_S)
        taken = {cid for cid, intent in self._intents.items() if intent != order.intent_id}
        found = contracts.candidates(order, self._product.contract_type(order.side), holdings, bookings, taken)
        if not found:
            return [] if now * SECOND > order.ts_event + int(SETTLE_S * SECOND) else None
        if len(found) > 1:
            return None
        purchase = found[0]
        self._intents[purchase.contract_id] = order.intent_id
        contract = await self._watch.ask(purchase.contract_id)
        price = (contract.entry_spot or contract.current_spot) if contract is not None else None
        commission = contract.commission if contract is not None else Decimal(0)
        return [contracts.bought(order.intent_id, purchase, price, commission, "found in the account's books")]

    async def _bookings_since(self, date_from: int) -> list[Booking]:
        found: list[Booking] = []
        while True:
            page = await self._client.call(self._client.codec.bookings(date_from, len(found)))
            found += page
            if len(page) < STATEMENT_PAGE:
                return found

    async def _resolve_exit(self, order: Order) -> list[VenueReport] | None:
        if not order.venue_order_id.isdigit():
            return None
        now = await self._client.call(self._client.codec.time())
        contract = await self._watch.ask(int(order.venue_order_id))
        if contract is None:
            return None
        if contract.is_sold:
            return [contracts.settled(order.intent_id, contract, ReportKind.FILLED)]
        return [] if now * SECOND > order.ts_event + int(SETTLE_S * SECOND) else None

    async def balance(self) -> tuple[Decimal, str]:
        """Cash and its currency."""
        cash = await self._client.call(self._client.codec.balance())
        return cash.amount, cash.currency

    async def open_positions(self) -> list[tuple[str, str]]:
        """Contract id and symbol of everything in the portfolio."""
        return [(str(row.contract_id), row.symbol) for row in await self._client.call(self._client.codec.holdings())]

    async def watch(self, venue_position_id: str) -> list[VenueReport]:
        """CLOSED once the contract is sold or settled; expired alone is not."""
        contract_id = int(venue_position_id)
        contract = await self._watch.latest(contract_id)
        if contract is None or not contract.is_sold:
            self._intents.setdefault(contract_id, "")
            return []
        return [contracts.settled(self._intents.get(contract_id, ""), contract, ReportKind.CLOSED)]

    async def aclose(self) -> None:
        await self._client.aclose()


def _check(proposal: Proposal, order: Order) -> None:
    """Raises VenueRefused when the quote is beyond what the order allows."""
    if proposal.ask_price > order.quantity:
        raise VenueRefused(f"asked {proposal.ask_price}, more than the stake of {order.quantity}", "AskAboveStake")
    if not contracts.is_within_limit(proposal.spot, order):
        raise VenueRefused(f"spot {proposal.spot} is beyond the limit of {order.worst_price}", "BeyondLimit")
