"""The life every contract shares: entry on the next tick, its end, and the wait between expiry and settlement."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

import msgspec

from services.simulator.deriv.errors import ApiError
from services.simulator.deriv.market import Tick
from services.simulator.deriv.terms import Terms

NOTHING = Decimal("0.00")
Limits = Mapping[str, Decimal | None]
"""amounts of limit orders by name; None removes one"""


class Reason(StrEnum):
    """What ended a contract."""

    SOLD = "sold"  # by its owner, at the market
    CANCELLED = "cancelled"  # by its owner, with deal cancellation
    EXPIRED = "expired"  # its last tick or second came
    TAKE_PROFIT = "take_profit"
    STOP_LOSS = "stop_loss"
    STOP_OUT = "stop_out"
    KNOCKED_OUT = "knocked_out"  # an accumulator left its band
    MAX_TICKS = "max_ticks"
    MAX_PAYOUT = "max_payout"


class Closing(msgspec.Struct, frozen=True, kw_only=True):
    """How a contract ended: `status` sold, won, lost or cancelled, what was paid, when, and by which transaction."""

    contract_id: int
    transaction_id: int
    status: str
    price: Decimal
    time: int
    reason: str = ""


class Due(NamedTuple):
    """A payment the venue owes on a contract that ended by itself."""

    status: str
    price: Decimal
    time: int
    reason: Reason


class LimitOrder(NamedTuple):
    """An order that closes a contract: signed amount of money, the spot that is worth it, and when it was given.

    The level of an accumulator's take profit is not one spot: it is None.
    """

    amount: Decimal
    level: Decimal | None
    date: int


class LimitChange(NamedTuple):
    """The amounts in force for ticks later than second `after`, as changed at second `time`; `id` 0 is the purchase."""

    after: int
    time: int
    take_profit: Decimal | None
    stop_loss: Decimal | None
    id: int = 0


class Contract:
    """A bought contract, stepped by the ticks of its symbol and by the seconds of the venue's clock.

    Its subclasses say when it ends and what it is worth. `stream` are the ticks from the entry on of a contract that
    counts ticks; `exit` is the tick that decided it, `decided_at` the second.
    """

    path_dependent = False
    limits_allowed: tuple[str, ...] = ()

    def __init__(self, contract_id: int, buy_transaction_id: int, terms: Terms) -> None:
        self.contract_id = contract_id
        self.buy_transaction_id = buy_transaction_id
        self.terms = terms
        self.entry: Tick | None = None
        self.last: Tick | None = None
        self.exit: Tick | None = None
        self.stream: list[Tick] = []
        self.decided_at: int | None = None
        self.reason: Reason | None = None
        self.closing: Closing | None = None
        self.changes = [LimitChange(terms.date_start - 1, terms.date_start, terms.take_profit, terms.stop_loss)]
        self.changed_ns = 0

    # --- state -------------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether it is neither sold nor settled."""
        return self.closing is None

    @property
    def is_expired(self) -> bool:
        """Whether its outcome is decided; it may still wait for settlement."""
        return self.decided_at is not None

    @property
    def expiry(self) -> int:
        """The second it ends; of a contract counted in ticks, known exactly once it has ended."""
        return self.terms.date_expiry

    @property
    def resale(self) -> bool:
        """Whether the venue buys it back before its end."""
        return True

    # --- time --------------------------------------------------------------------------------------------------

    def on_tick(self, tick: Tick) -> None:
        """Take one tick of the symbol; entry is the first one strictly after the start."""
        if self.is_expired or tick.epoch <= self.terms.date_start or self._is_past(tick):
            return
        previous, self.last = self.last, tick
        if self.entry is None:
            self.entry = tick
            self._enter(tick)
        elif previous is not None:
            self._step(previous, tick)

    def on_second(self, epoch: int) -> None:
        """Take the passing of one second, after its ticks."""

    def _is_past(self, tick: Tick) -> bool:
        return False

    def _enter(self, tick: Tick) -> None:
        """Take the entry tick."""

    def _step(self, previous: Tick, tick: Tick) -> None:
        """Take a tick after the entry."""

    def _decide(self, tick: Tick, reason: Reason) -> None:
        self.exit = tick
        self.decided_at = tick.epoch
        self.reason = reason

    def settlement(self, epoch: int) -> Due | None:
        """Return the payment due at second `epoch`, or None while there is none."""
        raise NotImplementedError

    # --- what it is worth --------------------------------------------------------------------------------------

    def bid(self, spot: Tick, now: int) -> Decimal:
        """Return what the contract is worth at the newest tick of its symbol; once closed, what was paid."""
        return self.closing.price if self.closing is not None else self._bid(spot, now)

    def _bid(self, spot: Tick, now: int) -> Decimal:
        raise NotImplementedError

    def profit(self, spot: Tick, now: int) -> Decimal:
        """Return the running profit, or the final one: worth less what was paid."""
        return self.bid(spot, now) - self.terms.buy_price

    def barrier(self) -> Decimal | None:
        """Return the level a rise/fall contract is decided against; None where there is none (yet)."""
        return None

    # --- orders on it ------------------------------------------------------------------------------------------

    def orders(self, basis: Tick) -> dict[str, LimitOrder]:
        """Return the limit orders in force; `basis` stands in for an entry that has not come."""
        return self.orders_of(self.changes[-1], basis)

    def orders_of(self, limits: LimitChange, basis: Tick) -> dict[str, LimitOrder]:
        """Return the limit orders as one change left them."""
        return {}

    def limits_at(self, epoch: int) -> LimitChange:
        """Return the amounts in force for a tick of second `epoch`."""
        return next(change for change in reversed(self.changes) if change.after < epoch)

    def check_limits(self, limits: Limits, spot: Tick, now: int) -> Limits:
        """Return these amounts in cents. Raises ApiError when they may not be set now."""
        raise ApiError("ContractUpdateNotAllowed", "Update of this contract is not allowed.")

    def check_sale(self) -> None:
        """Raise ApiError, with the venue's reason, when the contract cannot be sold at this moment."""
        if self.closing is not None:
            raise ApiError("ContractAlreadySold", "This contract has been sold.")
        if self.is_expired:
            raise ApiError("WaitForContractSettlement", "Please wait for contract settlement.")
        if self.entry is None:
            raise ApiError("EntryTickMissing", "Waiting for entry tick.")
        if not self.resale:
            raise ApiError("ResaleNotOffered", "Resale of this contract is not offered.")
        if self.last is None or self.last.epoch <= self.entry.epoch:
            raise ApiError("SellAtEntryTick", "Contract cannot be sold at entry tick. Please wait for the next tick.")

    def check_better_cancelled(self, spot: Tick, now: int) -> None:
        """Raise ApiError when selling would pay less than cancelling."""

    def check_cancel(self, now: int) -> None:
        """Raise ApiError, with the venue's reason, when deal cancellation cannot be used at second `now`."""
        if self.closing is not None:
            raise ApiError("ContractAlreadySold", "This contract has been sold.")
        if not self.terms.cancellation_secs:
            raise ApiError(
                "DealCancellationNotBought",
                "Deal cancellation not purchased. This contract does not include deal cancellation. Your contract can "
                "only be cancelled when you select deal cancellation in your purchase.",
            )
        if now > self.terms.cancellation_until:
            raise ApiError(
                "DealCancellationExpired",
                "Deal cancellation period has expired. Your contract can only be cancelled while deal cancellation is "
                "active.",
            )
        if self.is_expired:
            raise ApiError("WaitForContractSettlement", "Please wait for contract settlement.")
        if self.entry is None:
            raise ApiError("EntryTickMissing", "Waiting for entry tick.")

    def cancellable(self, now: int) -> bool:
        """Whether deal cancellation is alive at second `now`."""
        return self.is_open and not self.is_expired and now <= self.terms.cancellation_until
