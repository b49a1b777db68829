"""Orders of one Deriv account: proposal, buy once, sell; what became of them, and what happens to the account."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from libs.core.types import Action, Instrument, Order, ReportKind, VenueReport
from libs.venues.base import Holds, PrivateSink, VenuePosition
from libs.venues.budget import Budget, Priority
from libs.venues.credentials import Credentials
from libs.venues.deriv import contracts
from libs.venues.deriv.client import DerivClient
from libs.venues.deriv.codec import codec_for
from libs.venues.deriv.connection import NoAnswer
from libs.venues.deriv.contracts import Product, Purchase
from libs.venues.deriv.door import private_door
from libs.venues.deriv.memory import Memory
from libs.venues.deriv.model import Ask, Contract, Proposal, Receipt
from libs.venues.deriv.private import PrivateStream
from libs.venues.deriv.protection import protect
from libs.venues.deriv.resolver import Resolver
from libs.venues.deriv.watch import ContractWatch
from libs.venues.errors import VenueError, VenueRefused, VenueUnavailable, VenueUnresolved

REPRICE: Final = frozenset({"PriceMoved", "InvalidContractProposal"})
"""Refusals of a buy after which a new proposal is asked for: the price moved, or the proposal's connection is gone."""

REPRICE_MOST: Final = 5
PRICE_S: Final = 20.0
"""Seconds after which no buy is sent any more: what was decided is stale, and the books are searched near its time."""

ENDED: Final = frozenset({"ContractAlreadySold", "ContractNotFound", "NoOpenPosition"})
"""Refusals of a sale that say the contract may be over."""

TOO_EARLY: Final = frozenset({"SellAtEntryTick", "EntryTickMissing", "WaitForContractSettlement"})
"""Refusals of a sale that the next tick lifts."""

SELL_MOST: Final = 8
TICK_S: Final = 1.0


class DerivTrading:
    """Implements `Trading`. A buy is sent once per call of `submit` unless the venue proves that it had no effect."""

    name = "deriv"
    holds = Holds.CONTRACTS

    def __init__(
        self,
        urls: Mapping[str, str],
        api: str,
        credentials: Credentials,
        *,
        currency: str = "USD",
        product: Product | None = None,
        account_type: str = "",
        rng: random.Random | None = None,
    ) -> None:
        """`urls`: "ws" (v3), "rest" (options). `account_type` (options): demo, real, or "" = either, demo first.

        Raises:
            ValueError: an unknown `api`; one line.
        """
        codec = codec_for(api)
        limits = codec.limits()
        drawn = rng or random.Random()
        door = private_door(urls, api, credentials, limits, account_type=account_type)
        self._client = DerivClient(door, codec, limits, token=credentials.token, rng=drawn)
        self._watch = ContractWatch(self._client)
        self._currency = currency
        self._product = product or Product()
        self._memory = Memory()
        self._resolver = Resolver(self._client, self._watch, self._memory, self._product)
        self._private = PrivateStream(self._client, self._watch, self._memory, drawn)

    async def submit(self, order: Order, instrument: Instrument) -> list[VenueReport]:
        """Ask for a price, check it against the order's limits, buy; a price that moved is asked for again.

        The order's stop and target are left with the venue too, a little further out; a venue that refuses them gets
        the order without, and the report says so.
        """
        ask = self._product.ask(order, instrument, self._currency)
        protected = bool(ask.multiplier) and (order.stop_price is not None or order.target_price is not None)
        note = ""
        deadline = asyncio.get_running_loop().time() + PRICE_S
        for _ in range(REPRICE_MOST):
            try:
                async with asyncio.timeout_at(deadline):
                    proposal = await self._propose(ask, order)
                    if protected:
                        proposal, note, protected = await self._protected(ask, proposal, order)
            except TimeoutError as err:
                raise VenueUnavailable(f"Deriv gave no price within {PRICE_S:g} s; nothing was bought") from err
            try:
                receipt = await self._buy(proposal, order)
            except VenueRefused as err:
                if err.code in REPRICE:
                    continue
                if not protected:
                    raise
                protected, note = False, f"without protective levels at the venue: {err}"
                continue
            return await self._bought(order, proposal, receipt, note)
        raise VenueRefused(f"the price moved {REPRICE_MOST} times in a row", "PriceMoved")

    async def _propose(self, ask: Ask, order: Order) -> Proposal:
        proposal = await self._client.call(self._client.codec.proposal(ask))
        if proposal.ask_price != order.quantity:
            # A purchase whose answer is lost is known in the books by its price.
            text = f"asked {proposal.ask_price} instead of the stake of {order.quantity}"
            raise VenueRefused(text, "AskIsNotStake")
        if not ask.multiplier and proposal.payout <= proposal.ask_price:
            raise VenueRefused(f"pays {proposal.payout} for {proposal.ask_price}, which is no return", "NoReturn")
        if not contracts.is_within_limit(proposal.spot, order):
            raise VenueRefused(f"spot {proposal.spot} is beyond the limit of {order.worst_price}", "BeyondLimit")
        return proposal

    async def _protected(self, ask: Ask, plain: Proposal, order: Order) -> tuple[Proposal, str, bool]:
        """A proposal with the order's levels if the venue takes them, else the plain one; a note; which of them."""
        guarded, note = protect(ask, plain, order)
        if guarded == ask:
            return plain, note, False
        try:
            return await self._propose(guarded, order), note, True
        except VenueRefused as err:
            if err.code == "BeyondLimit":
                raise
            return plain, f"without protective levels at the venue: {err}", False

    async def _buy(self, proposal: Proposal, order: Order) -> Receipt:
        self._memory.sent[order.intent_id] = proposal.asked_time
        try:
            return await self._client.call(self._client.codec.buy(proposal.id, proposal.ask_price))
        except NoAnswer as err:
            self._resolver.doubt()
            raise VenueUnresolved(f"whether the buy happened is not known: {err}") from err

    async def _bought(self, order: Order, proposal: Proposal, receipt: Receipt, note: str) -> list[VenueReport]:
        self._memory.entries[receipt.contract_id] = order.intent_id
        purchase = Purchase(
            receipt.contract_id,
            receipt.transaction_id,
            receipt.buy_price,
            receipt.purchase_time,
            receipt.balance_after,
        )
        contract = await self._watch.until_entered(receipt.contract_id)
        if contract is not None and contract.entry_spot is not None:
            price, commission = contract.entry_spot, contract.commission
        else:
            price, commission = proposal.spot, proposal.commission
            note = f"{note}; " * bool(note) + "the entry spot is not known yet; the price is the proposal's spot"
        fill = contracts.bought(order.intent_id, purchase, price, commission, note)
        return [contracts.acknowledged(order.intent_id, receipt), fill]

    async def close(self, order: Order, venue_position_id: str, instrument: Instrument) -> list[VenueReport]:
        """Sell at market; a contract that ended meanwhile is reported as CLOSED."""
        contract_id = int(venue_position_id)
        self._memory.exits[contract_id] = order.intent_id
        for _ in range(SELL_MOST):
            try:
                sale = await self._client.call(self._client.codec.sell(contract_id, Decimal(0)))
            except NoAnswer as err:
                self._resolver.doubt()
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
            return await self._watch.ask(contract_id, Priority.EXIT)
        except VenueError:
            return None

    async def cancel(self, order: Order) -> list[VenueReport]:
        """Nothing rests at Deriv: a buy happens at once or not at all."""
        return []

    async def resolve(self, order: Order) -> list[VenueReport] | None:
        """Look for the order's trace in the account's books; several possible traces leave it unknown.

        An exit is found by `order.venue_order_id`, which names the contract it was to sell.
        """
        try:
            find = self._resolver.exit if order.action is Action.EXIT else self._resolver.entry
            return await find(order)
        except VenueError:
            return None

    async def balance(self) -> tuple[Decimal, str]:
        """Cash and its currency."""
        cash = await self._client.call(self._client.codec.balance())
        return cash.amount, cash.currency

    async def balances(self) -> dict[str, Decimal]:
        """The account's cash, its only asset; contracts are positions."""
        amount, currency = await self.balance()
        return {currency: amount}

    async def open_positions(self) -> list[VenuePosition]:
        """Everything in the portfolio."""
        return [contracts.position(row) for row in await self._client.call(self._client.codec.holdings())]

    async def watch(self, venue_position_id: str) -> list[VenueReport]:
        """CLOSED once the contract is sold or settled; expired alone is not."""
        contract_id = int(venue_position_id)
        if contract_id not in self._memory.entries:
            self._memory.entries[contract_id] = ""
        contract = await self._watch.latest(contract_id)
        if contract is None or not contract.is_sold:
            return []
        return [contracts.settled(self._memory.entries[contract_id], contract, ReportKind.CLOSED)]

    async def listen(self, sink: PrivateSink) -> None:
        """Follow the account's transactions and open contracts; raises VenueRefused when the token is not accepted."""
        await self._private.run(sink)

    def budgets(self) -> tuple[Budget, ...]:
        """Deriv's buckets of calls; this process's share of what the user has."""
        return self._client.budgets()

    async def aclose(self) -> None:
        await self._client.aclose()
