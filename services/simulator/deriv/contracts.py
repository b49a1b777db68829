"""The life of a contract: entry on the next tick, its triggers, its expiry and its settlement."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from services.simulator.deriv import pricing
from services.simulator.deriv.errors import ApiError
from services.simulator.deriv.market import Tick
from services.simulator.deriv.terms import Terms


class Closing(msgspec.Struct, frozen=True, kw_only=True):
    """How a contract ended: `status` sold, won or lost, what was paid out, when, and by which transaction."""

    contract_id: int
    transaction_id: int
    status: str
    price: Decimal
    time: int


class Contract:
    """A bought contract, stepped by the ticks of its symbol and by the seconds of the venue's clock."""

    def __init__(self, contract_id: int, buy_transaction_id: int, terms: Terms) -> None:
        self.contract_id = contract_id
        self.buy_transaction_id = buy_transaction_id
        self.terms = terms
        self.entry: Tick | None = None
        self.last: Tick | None = None
        self.exit: Tick | None = None
        self.stream: list[Tick] = []
        self.decided_at: int | None = None
        self.closing: Closing | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is neither sold nor settled."""
        return self.closing is None

    @property
    def is_expired(self) -> bool:
        """Whether its outcome is decided; it may still wait for settlement."""
        return self.decided_at is not None

    def on_tick(self, tick: Tick) -> None:
        """Take one tick of the symbol; entry is the first one strictly after the start."""
        if self.is_expired or tick.epoch <= self.terms.date_start:
            return
        if not self.terms.is_multiplier and not self.terms.ticks and tick.epoch > self.terms.date_expiry:
            return
        self.last = tick
        if self.entry is None:
            self.entry = tick
        elif self.terms.is_multiplier and self._triggered(tick):
            self._decide(tick)
        if self.terms.ticks:
            self.stream.append(tick)
            if len(self.stream) == self.terms.ticks + 1:
                self._decide(tick)

    def on_second(self, epoch: int) -> None:
        """Take the passing of one second, after its ticks: a time contract ends with its expiry."""
        if self.terms.is_multiplier or self.terms.ticks or self.is_expired:
            return
        if epoch >= self.terms.date_expiry and self.last is not None:
            self.exit = self.last
            self.decided_at = self.terms.date_expiry

    def _decide(self, tick: Tick) -> None:
        self.exit = tick
        self.decided_at = tick.epoch

    def settlement(self, epoch: int) -> tuple[str, Decimal, int] | None:
        """Return status, amount and time of the settlement due at second `epoch`, or None while there is none.

        A decided rise/fall contract settles a second after its deciding tick: expired is not yet sold.
        """
        if self.closing is not None or self.decided_at is None or self.exit is None:
            return None
        if self.terms.is_multiplier:
            bid = pricing.multiplier_bid(self.terms.stake, self.profit(self.exit))
            return ("won" if bid > self.terms.stake else "lost"), bid, self.decided_at
        if epoch <= self.decided_at:
            return None
        if self._in_the_money(self.exit):
            return "won", self.terms.payout, self.decided_at + 1
        return "lost", Decimal("0.00"), self.decided_at + 1

    # --- multipliers -------------------------------------------------------------------------------------------

    def profit(self, tick: Tick) -> Decimal:
        """Return a multiplier's profit at a tick; before entry only its commission is lost."""
        terms = self.terms
        entry = terms.listed.text((self.entry or tick).quote)
        spot = terms.listed.text(tick.quote)
        return pricing.multiplier_profit(
            terms.up, terms.stake, terms.multiplier, terms.commission, Decimal(entry), Decimal(spot)
        )

    def orders(self, basis: Tick) -> dict[str, tuple[Decimal, Decimal]]:
        """Return a multiplier's limit orders: name -> (amount of money, spot level); `basis` stands in for entry."""
        terms = self.terms
        amounts = {
            "stop_out": -terms.stake,
            "stop_loss": -terms.stop_loss if terms.stop_loss else None,
            "take_profit": terms.take_profit,
        }
        entry = Decimal(terms.listed.text((self.entry or basis).quote))
        return {
            name: (
                amount,
                pricing.multiplier_level(
                    terms.up, terms.stake, terms.multiplier, terms.commission, entry, amount, terms.listed.pip
                ),
            )
            for name, amount in amounts.items()
            if amount is not None
        }

    def _triggered(self, tick: Tick) -> bool:
        spot = Decimal(self.terms.listed.text(tick.quote))
        for name, (_, level) in self.orders(tick).items():
            reached = spot >= level if self.terms.up == (name == "take_profit") else spot <= level
            if reached:
                return True
        return False

    # --- rise/fall ---------------------------------------------------------------------------------------------

    def barrier(self) -> Decimal | None:
        """Return the level a rise/fall contract is decided against; None before entry when it hangs on it."""
        code = self.terms.barrier
        if code != "S0P" and code[0] not in "+-":
            return Decimal(code)
        if self.entry is None:
            return None
        entry = Decimal(self.terms.listed.text(self.entry.quote))
        return entry if code == "S0P" else entry + Decimal(code)

    def _in_the_money(self, tick: Tick) -> bool:
        barrier = self.barrier()
        spot = Decimal(self.terms.listed.text(tick.quote))
        return barrier is not None and (spot > barrier if self.terms.up else spot < barrier)

    # --- what it is worth --------------------------------------------------------------------------------------

    def bid(self, spot: Tick, now: int) -> Decimal:
        """Return what the contract is worth at the newest tick of its symbol."""
        if self.closing is not None:
            return self.closing.price
        terms = self.terms
        if terms.is_multiplier:
            return pricing.multiplier_bid(terms.stake, self.profit(self.exit or spot))
        if self.exit is not None:
            return terms.payout if self._in_the_money(self.exit) else Decimal("0.00")
        remaining = terms.date_expiry - now
        if terms.ticks:
            remaining = (terms.ticks + 1 - len(self.stream)) * terms.listed.period_secs
        barrier = self.barrier() or Decimal(terms.listed.text(spot.quote))
        chance = pricing.digital_probability(terms.up, spot.quote, float(barrier), terms.listed.sigma, remaining)
        return pricing.digital_bid(terms.payout, chance)

    def check_sale(self) -> None:
        """Raise ApiError, with the venue's reason, when the contract cannot be sold at this moment."""
        if self.closing is not None:
            raise ApiError("ContractAlreadySold", "This contract has been sold.")
        if self.is_expired:
            raise ApiError("WaitForContractSettlement", "Please wait for contract settlement.")
        if self.entry is None:
            raise ApiError("EntryTickMissing", "Waiting for entry tick.")
        if self.terms.ticks:
            raise ApiError("ResaleNotOffered", "Resale of this contract is not offered.")
        if self.last is None or self.last.epoch <= self.entry.epoch:
            raise ApiError("SellAtEntryTick", "Contract cannot be sold at entry tick. Please wait for the next tick.")
