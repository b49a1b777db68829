"""The demo account: balance, contracts and statement, journalled so that no order is lost or doubled."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from services.simulator.deriv.contracts import Closing, Contract, Due, LimitChange, Limits
from services.simulator.deriv.errors import ApiError
from services.simulator.deriv.kinds import make_contract
from services.simulator.deriv.market import Market
from services.simulator.deriv.terms import Terms
from services.simulator.journal import Journal

CURRENCY: Final = "USD"
OPENING_BALANCE: Final = Decimal("10000.00")
MAX_OPEN: Final = 100
_FIRST_CONTRACT_ID: Final = 281_353_700_008
_FIRST_TRANSACTION_ID: Final = 560_806_400_008
_ID_STEP: Final = 20


class Bought(msgspec.Struct, frozen=True, tag="buy"):
    """Journal event: a contract was bought."""

    contract_id: int
    transaction_id: int
    terms: Terms


class Closed(msgspec.Struct, frozen=True, tag="close"):
    """Journal event: a contract was sold or settled."""

    closing: Closing


class Updated(msgspec.Struct, frozen=True, tag="update", omit_defaults=True):
    """Journal event: the limit orders of a contract were changed, for ticks later than second `after`."""

    contract_id: int
    update_id: int
    after: int
    time: int
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None


class Moved(msgspec.Struct, frozen=True, tag="cash"):
    """Journal event: money came or went without a contract; `amount` is signed."""

    transaction_id: int
    action: str
    amount: Decimal
    time: int


Event = Bought | Closed | Updated | Moved


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an account's statement.

    `amount` is signed, `contract` None for money that has to do with none, `reference_id` the purchase a sale belongs
    to. `action` is the venue's word: buy, sell, virtual_credit, deposit, withdrawal, transfer, adjustment.
    """

    loginid: str
    transaction_id: int
    action: str
    amount: Decimal
    balance: Decimal
    time: int
    contract: Contract | None = None
    reference_id: int | None = None


class Ids:
    """Hands out the ids of contracts and transactions; accounts of one venue share it, so that none is used twice."""

    def __init__(self) -> None:
        self.contract = _FIRST_CONTRACT_ID
        self.transaction = _FIRST_TRANSACTION_ID

    def used(self, transaction_id: int, contract_id: int = 0) -> None:
        """Go on after ids that an event has taken."""
        self.transaction = max(self.transaction, transaction_id + _ID_STEP)
        self.contract = max(self.contract, contract_id + _ID_STEP)


class Account:
    """One account in USD."""

    def __init__(self, loginid: str, market: Market, journal: Journal[Event], ids: Ids | None = None) -> None:
        """Rebuild the account from its journal; contracts still open continue on the same price path."""
        self.loginid = loginid
        self.balance = OPENING_BALANCE
        self.contracts: dict[int, Contract] = {}
        self.open: dict[int, Contract] = {}
        self.statement: list[Transaction] = []
        self._market = market
        self._journal = journal
        self._ids = ids or Ids()
        for event in journal.replay():
            self._apply(event)

    def buy(self, terms: Terms) -> tuple[Transaction, Contract]:
        """Buy a contract; returns its transaction and itself. Raises ApiError (balance, too many open positions)."""
        if terms.buy_price > self.balance:
            raise ApiError(
                "InsufficientBalance",
                f"Your account balance ({self.balance:.2f} {CURRENCY}) is insufficient to buy this contract "
                f"({terms.buy_price:.2f} {CURRENCY}).",
            )
        if len(self.open) >= MAX_OPEN:
            message = f"Sorry, you cannot hold more than {MAX_OPEN} contracts at a given time."
            raise ApiError("OpenPositionLimitExceeded", message)
        event = Bought(self._ids.contract, self._ids.transaction, terms)
        self._journal.append(event)
        return self._buy(event)

    def close(self, contract: Contract, due: Due) -> Transaction:
        """Pay out an open contract and return the transaction."""
        closing = Closing(
            contract_id=contract.contract_id,
            transaction_id=self._ids.transaction,
            status=due.status,
            price=due.price,
            time=due.time,
            reason=due.reason,
        )
        event = Closed(closing)
        self._journal.append(event)
        return self._close(event)

    def change_limits(self, contract: Contract, limits: Limits, time: int) -> LimitChange:
        """Change limit orders of an open contract for the ticks to come; returns the amounts now in force.

        `limits` has the amounts to set, None to remove one; what it does not name stays.
        """
        amounts = {name: limits.get(name, getattr(contract.changes[-1], name)) for name in ("take_profit", "stop_loss")}
        event = Updated(contract.contract_id, self._ids.transaction, self._market.present, time, **amounts)
        self._journal.append(event)
        self._change(event)
        return contract.changes[-1]

    def move(self, action: str, amount: Decimal, time: int) -> Transaction:
        """Let money come (positive) or go without a contract. Raises ApiError when more goes than is there."""
        if self.balance + amount < 0:
            raise ApiError("InsufficientBalance", f"Your account balance is {self.balance:.2f} {CURRENCY}.")
        event = Moved(self._ids.transaction, action, amount, time)
        self._journal.append(event)
        return self._move(event)

    def find(self, contract_id: int) -> Contract | None:
        """Return a contract, open or closed, with its past filled in, or None."""
        contract = self.contracts.get(contract_id)
        if contract is not None and contract.last is None:
            self.catch_up(contract, self._market.present)
        return contract

    def catch_up(self, contract: Contract, present: int) -> None:
        """Step a contract restored from the journal through the ticks it has missed, up to second `present`."""
        end = contract.closing.time if contract.closing else present
        for tick in self._market.feeds[contract.terms.symbol].between(contract.terms.date_start, end):
            contract.on_tick(tick)
        contract.on_second(end)

    def _apply(self, event: Event) -> None:
        if isinstance(event, Bought):
            self._buy(event)
        elif isinstance(event, Closed):
            self._close(event)
        elif isinstance(event, Updated):
            self._change(event)
        else:
            self._move(event)

    def _buy(self, event: Bought) -> tuple[Transaction, Contract]:
        contract = make_contract(event.contract_id, event.transaction_id, event.terms)
        self.contracts[contract.contract_id] = contract
        self.open[contract.contract_id] = contract
        self._ids.used(event.transaction_id, event.contract_id)
        price, time = event.terms.buy_price, event.terms.date_start
        return self._state("buy", event.transaction_id, -price, time, contract), contract

    def _close(self, event: Closed) -> Transaction:
        closing = event.closing
        contract = self.open.pop(closing.contract_id)
        contract.closing = closing
        return self._state(
            "sell", closing.transaction_id, closing.price, closing.time, contract, contract.buy_transaction_id
        )

    def _change(self, event: Updated) -> None:
        change = LimitChange(event.after, event.time, event.take_profit, event.stop_loss, event.update_id)
        self.contracts[event.contract_id].changes.append(change)
        self._ids.used(event.update_id)

    def _move(self, event: Moved) -> Transaction:
        return self._state(event.action, event.transaction_id, event.amount, event.time)

    def _state(
        self,
        action: str,
        transaction_id: int,
        amount: Decimal,
        time: int,
        contract: Contract | None = None,
        reference: int | None = None,
    ) -> Transaction:
        self._ids.used(transaction_id)
        self.balance += amount
        transaction = Transaction(
            loginid=self.loginid,
            transaction_id=transaction_id,
            action=action,
            amount=amount,
            balance=self.balance,
            time=time,
            contract=contract,
            reference_id=reference,
        )
        self.statement.append(transaction)
        return transaction
