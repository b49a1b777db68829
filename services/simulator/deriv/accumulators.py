"""Accumulators: the stake grows with every tick near the one before, and is lost with the first that is not."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from services.simulator.deriv import pricing
from services.simulator.deriv.contracts import NOTHING, Contract, Due, LimitChange, LimitOrder, Limits, Reason
from services.simulator.deriv.errors import ApiError
from services.simulator.deriv.market import Tick
from services.simulator.deriv.multipliers import MIN_LIMIT, TAKE_PROFIT, check_amount
from services.simulator.deriv.terms import Terms

SHOWN_TICKS: Final = 10


class Accumulator(Contract):
    """ACCU: bid = stake x (1 + growth rate) ^ ticks survived since the entry."""

    path_dependent = True
    limits_allowed = (TAKE_PROFIT,)

    def __init__(self, contract_id: int, buy_transaction_id: int, terms: Terms) -> None:
        super().__init__(contract_id, buy_transaction_id, terms)
        self.ticks_passed = 0
        self.basis: Tick | None = None  # what the band is around

    def _enter(self, tick: Tick) -> None:
        self.stream.append(tick)
        self.basis = tick

    def _step(self, previous: Tick, tick: Tick) -> None:
        self.basis = previous
        self.stream.append(tick)
        del self.stream[:-SHOWN_TICKS]
        low, high = self.band_around(previous)
        if not low < self.terms.listed.exact(tick.quote) < high:
            self._decide(tick, Reason.KNOCKED_OUT)
            return
        self.ticks_passed += 1
        limits = self.limits_at(tick.epoch)
        if self.worth() >= self.terms.max_payout:
            self._decide(tick, Reason.MAX_PAYOUT)
        elif limits.take_profit is not None and self.worth() - self.terms.stake >= limits.take_profit:
            self._decide(tick, Reason.TAKE_PROFIT)
        elif self.ticks_passed == self.terms.ticks:
            self._decide(tick, Reason.MAX_TICKS)

    def band_around(self, spot: Tick) -> tuple[Decimal, Decimal]:
        """Return the levels the tick after `spot` must stay between, with one decimal more than its quotes."""
        symbol = self.terms.listed
        level, finer = symbol.exact(spot.quote), symbol.pip / 10
        low, high = level * (1 - self.terms.band), level * (1 + self.terms.band)
        return low.quantize(finer, ROUND_HALF_UP), high.quantize(finer, ROUND_HALF_UP)

    def worth(self) -> Decimal:
        """Return what the stake has grown to, in cents and never more than the most the venue pays."""
        grown = self.terms.stake * (1 + self.terms.growth_rate) ** self.ticks_passed
        return min(pricing.cents(grown), self.terms.max_payout)

    def settlement(self, epoch: int) -> Due | None:
        """Return the payment due: at once with the deciding tick."""
        if self.closing is not None or self.decided_at is None or self.reason is None:
            return None
        if self.reason is Reason.KNOCKED_OUT:
            return Due("lost", NOTHING, self.decided_at, self.reason)
        return Due("won", self.worth(), self.decided_at, self.reason)

    def _bid(self, spot: Tick, now: int) -> Decimal:
        return NOTHING if self.reason is Reason.KNOCKED_OUT else self.worth()

    def orders_of(self, limits: LimitChange, basis: Tick) -> dict[str, LimitOrder]:
        """Return its take profit as one change left it; no single spot is worth it."""
        if limits.take_profit is None:
            return {}
        return {TAKE_PROFIT: LimitOrder(limits.take_profit, None, limits.time)}

    def check_limits(self, limits: Limits, spot: Tick, now: int) -> Limits:
        """Return these amounts in cents. Raises ApiError unless there is only a take profit, still to be reached."""
        if set(limits) - {TAKE_PROFIT}:
            raise ApiError("ContractUpdateNotAllowed", "Stop loss is not offered for this contract.")
        amount = limits.get(TAKE_PROFIT)
        if amount is None:
            return limits
        least = max(MIN_LIMIT, self.worth() - self.terms.stake)
        return {TAKE_PROFIT: check_amount(TAKE_PROFIT, amount, least, self.terms.max_payout - self.terms.stake)}
