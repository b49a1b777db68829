"""Contracts decided by one tick: rise/fall and higher/lower by ticks or by time, and the last digit of a quote."""

from __future__ import annotations

from decimal import Decimal

from services.simulator.deriv import pricing
from services.simulator.deriv.contracts import NOTHING, Contract, Due, Reason
from services.simulator.deriv.market import Tick


class _Decided(Contract):
    """Pays all or nothing a second after its deciding tick: expired is not yet sold."""

    def settlement(self, epoch: int) -> Due | None:
        """Return the payment due at second `epoch`, or None while there is none."""
        if self.closing is not None or self.decided_at is None or self.exit is None or epoch <= self.decided_at:
            return None
        if self.in_the_money(self.exit):
            return Due("won", self.terms.payout, self.decided_at + 1, Reason.EXPIRED)
        return Due("lost", NOTHING, self.decided_at + 1, Reason.EXPIRED)

    def in_the_money(self, tick: Tick) -> bool:
        """Whether the contract would win if it ended with this tick."""
        raise NotImplementedError

    @property
    def expiry(self) -> int:
        """The second it ends: of a tick contract, that of its last tick once it has come."""
        return self.exit.epoch if self.terms.ticks and self.exit is not None else self.terms.date_expiry


class RiseFall(_Decided):
    """CALL, PUT and, with equality, CALLE, PUTE: at the money, above or below a barrier, after ticks or a time."""

    @property
    def resale(self) -> bool:
        """Whether it can be sold before its end: not when it lasts ticks."""
        return not self.terms.ticks

    def _is_past(self, tick: Tick) -> bool:
        return not self.terms.ticks and tick.epoch > self.terms.date_expiry

    def _enter(self, tick: Tick) -> None:
        if self.terms.ticks:
            self.stream.append(tick)

    def _step(self, previous: Tick, tick: Tick) -> None:
        if self.terms.ticks:
            self.stream.append(tick)
            if len(self.stream) == self.terms.ticks + 1:  # the entry is tick 0
                self._decide(tick, Reason.EXPIRED)

    def on_second(self, epoch: int) -> None:
        """Take the passing of one second, after its ticks: a time contract ends with the last tick before its end."""
        if self.terms.ticks or self.is_expired or epoch < self.terms.date_expiry or self.last is None:
            return
        self._decide(self.last, Reason.EXPIRED)
        self.decided_at = self.terms.date_expiry

    def barrier(self) -> Decimal | None:
        """Return the level it is decided against; None before entry when it hangs on it."""
        code = self.terms.barrier
        if code != "S0P" and code[0] not in "+-":
            return Decimal(code)
        if self.entry is None:
            return None
        entry = self.terms.listed.exact(self.entry.quote)
        return entry if code == "S0P" else entry + Decimal(code)

    def in_the_money(self, tick: Tick) -> bool:
        """Whether the tick is on the right side of the barrier; a tie only for the contracts with equality."""
        barrier = self.barrier()
        spot = self.terms.listed.exact(tick.quote)
        if barrier is None:
            return False
        if spot == barrier:
            return self.terms.wins_ties
        return (spot > barrier) == self.terms.up

    def _bid(self, spot: Tick, now: int) -> Decimal:
        terms = self.terms
        if self.exit is not None:
            return terms.payout if self.in_the_money(self.exit) else NOTHING
        remaining = terms.date_expiry - now
        if terms.ticks:
            remaining = (terms.ticks + 1 - len(self.stream)) * terms.listed.period_secs
        barrier = self.barrier() or terms.listed.exact(spot.quote)
        chance = pricing.rise_fall_probability(
            terms.up, terms.wins_ties, spot.quote, float(barrier), terms.listed, remaining
        )
        return pricing.digital_bid(terms.payout, chance)


class Digit(_Decided):
    """DIGIT*: the last digit of the N-th tick, the entry being the first."""

    @property
    def resale(self) -> bool:
        """Whether it can be sold before its end: never."""
        return False

    def _enter(self, tick: Tick) -> None:
        self._count(tick)

    def _step(self, previous: Tick, tick: Tick) -> None:
        self._count(tick)

    def _count(self, tick: Tick) -> None:
        self.stream.append(tick)
        if len(self.stream) == self.terms.ticks:
            self._decide(tick, Reason.EXPIRED)

    def barrier(self) -> Decimal | None:
        """Return the digit it bets on; None for even and odd."""
        return None if self.terms.digit is None else Decimal(self.terms.digit)

    def in_the_money(self, tick: Tick) -> bool:
        """Whether the last printed digit of the tick wins."""
        last = int(self.terms.listed.text(tick.quote)[-1])
        return pricing.digit_wins(self.terms.contract_type, self.terms.digit, last)

    def _bid(self, spot: Tick, now: int) -> Decimal:
        if self.exit is not None:
            return self.terms.payout if self.in_the_money(self.exit) else NOTHING
        chance = pricing.digit_probability(self.terms.contract_type, self.terms.digit)
        return pricing.digital_bid(self.terms.payout, chance)
