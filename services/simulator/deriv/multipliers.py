"""Multipliers: profit in proportion to the move, closed by their limit orders, returned by deal cancellation."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from services.simulator.deriv import pricing
from services.simulator.deriv.contracts import Contract, Due, LimitChange, LimitOrder, Limits, Reason
from services.simulator.deriv.errors import ApiError
from services.simulator.deriv.market import Tick

MIN_LIMIT: Final = Decimal("0.10")
TAKE_PROFIT: Final = "take_profit"
STOP_LOSS: Final = "stop_loss"
STOP_OUT: Final = "stop_out"


def check_amount(name: str, amount: Decimal, least: Decimal, most: Decimal) -> Decimal:
    """Return an amount of a limit order in cents. Raises LimitOrderAmountTooLow or ...TooHigh (ApiError)."""
    words = name.replace("_", " ")
    if amount < least:
        message = f"Please enter a {words} amount that's higher than {least}."
        raise ApiError("LimitOrderAmountTooLow", message)
    if amount > most:
        message = f"Please enter a {words} amount that's equal to or lower than {most}."
        raise ApiError("LimitOrderAmountTooHigh", message)
    return amount.quantize(pricing.CENT)


def most_allowed(name: str, stake: Decimal) -> Decimal:
    """Return the largest amount of a limit order: a hundred stakes to win, one to lose."""
    return stake * 100 if name == TAKE_PROFIT else stake


class Multiplier(Contract):
    """MULTUP and MULTDOWN, from the entry tick until an order on them is reached or their owner closes them."""

    path_dependent = True
    limits_allowed = (TAKE_PROFIT, STOP_LOSS)

    def _step(self, previous: Tick, tick: Tick) -> None:
        terms = self.terms
        spot = terms.listed.exact(tick.quote)
        for name, order in self.orders_of(self.limits_at(tick.epoch), tick).items():
            above = terms.up == (name == TAKE_PROFIT)
            if order.level is not None and (spot >= order.level if above else spot <= order.level):
                self._decide(tick, Reason(name))
                return

    def settlement(self, epoch: int) -> Due | None:
        """Return the payment due: at once with the tick that reached an order."""
        if self.closing is not None or self.decided_at is None or self.exit is None or self.reason is None:
            return None
        stake = self.terms.stake
        if self.reason is Reason.STOP_OUT and self.decided_at <= self.terms.cancellation_until:
            return Due("cancelled", stake, self.decided_at, self.reason)
        bid = pricing.multiplier_bid(stake, self.move_profit(self.exit))
        return Due("won" if bid > stake else "lost", bid, self.decided_at, self.reason)

    def move_profit(self, tick: Tick) -> Decimal:
        """Return the profit at a tick less commission, in cents, however deep; before entry only commission is lost."""
        terms = self.terms
        entry = terms.listed.exact((self.entry or tick).quote)
        spot = terms.listed.exact(tick.quote)
        return pricing.multiplier_profit(terms.up, terms.stake, terms.multiplier, terms.commission, entry, spot)

    def profit(self, spot: Tick, now: int) -> Decimal:
        """Return worth less stake: the venue's figure leaves out the fee of deal cancellation."""
        return self.bid(spot, now) - self.terms.stake

    def _bid(self, spot: Tick, now: int) -> Decimal:
        return pricing.multiplier_bid(self.terms.stake, self.move_profit(self.exit or spot))

    # --- limit orders ------------------------------------------------------------------------------------------

    def orders_of(self, limits: LimitChange, basis: Tick) -> dict[str, LimitOrder]:
        """Return stop out and the limit orders as one change left them; `basis` stands in for an entry to come."""
        terms = self.terms
        amounts = {
            STOP_OUT: -terms.stake,
            STOP_LOSS: -limits.stop_loss if limits.stop_loss else None,
            TAKE_PROFIT: limits.take_profit,
        }
        entry = terms.listed.exact((self.entry or basis).quote)
        return {
            name: LimitOrder(amount, self._level(entry, amount), self._ordered_at(name, limits))
            for name, amount in amounts.items()
            if amount is not None
        }

    def _level(self, entry: Decimal, amount: Decimal) -> Decimal:
        terms = self.terms
        return pricing.multiplier_level(
            terms.up, terms.stake, terms.multiplier, terms.commission, entry, amount, terms.listed.pip
        )

    def _ordered_at(self, name: str, limits: LimitChange) -> int:
        """Return when the order was given its present amount."""
        if name == STOP_OUT:
            return self.terms.date_start
        when = limits.time
        for earlier in reversed(self.changes[: self.changes.index(limits)]):
            if getattr(earlier, name) != getattr(limits, name):
                break
            when = earlier.time
        return when

    def check_limits(self, limits: Limits, spot: Tick, now: int) -> Limits:
        """Return these amounts in cents. Raises ApiError while deal cancellation lives, or when already passed."""
        if self.cancellable(now):
            name = next(iter(limits), STOP_LOSS).replace("_", " ")
            raise ApiError(
                "ContractUpdateNotAllowed",
                f"You may update your {name} amount after deal cancellation has expired.",
            )
        profit = self.move_profit(spot)
        checked: dict[str, Decimal | None] = {}
        for name, amount in limits.items():
            least = max(MIN_LIMIT, profit if name == TAKE_PROFIT else -profit)
            most = most_allowed(name, self.terms.stake)
            checked[name] = None if amount is None else check_amount(name, amount, least, most)
        return checked

    def check_better_cancelled(self, spot: Tick, now: int) -> None:
        """Raise CancelIsBetter (ApiError) when selling would pay less than cancelling."""
        if self.cancellable(now) and self.move_profit(spot) < 0:
            raise ApiError(
                "CancelIsBetter",
                "The spot price has moved. We have not closed this contract because your profit is negative and deal "
                "cancellation is active. Cancel your contract to get your full stake back.",
            )
