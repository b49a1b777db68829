"""What a contract promises: the terms fixed at purchase, with their shortcode and longcode."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from services.simulator.deriv.symbols import SYMBOLS, Symbol

DAY_SECS: Final = 86_400
MULTIPLIERS: Final = ("MULTUP", "MULTDOWN")
DIGITALS: Final = ("CALL", "PUT")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": DAY_SECS}


class Terms(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A contract as bought. Money is in the account's currency; times are epoch seconds.

    `stake` is what a multiplier levers; `buy_price` what was paid. `ticks` is the length of a tick contract.
    `barrier` of a digital is `S0P` (the entry spot), an offset such as `+0.10`, or an absolute level.
    `take_profit` and `stop_loss` are amounts of money, both positive.
    """

    contract_type: str
    symbol: str
    currency: str
    date_start: int
    date_expiry: int
    buy_price: Decimal
    payout: Decimal = Decimal(0)
    ticks: int | None = None
    barrier: str = "S0P"
    stake: Decimal = Decimal(0)
    multiplier: int = 0
    commission: Decimal = Decimal(0)
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None

    @property
    def listed(self) -> Symbol:
        """The symbol it is on."""
        return SYMBOLS[self.symbol]

    @property
    def is_multiplier(self) -> bool:
        """Whether it is a multiplier; otherwise it is a rise/fall contract."""
        return self.contract_type in MULTIPLIERS

    @property
    def up(self) -> bool:
        """Whether it gains when the price rises."""
        return self.contract_type in ("CALL", "MULTUP")

    def shortcode(self) -> str:
        """Return the venue's compact name of the contract."""
        head = f"{self.contract_type}_{self.symbol.upper()}"
        if self.is_multiplier:
            limits = f"{self.take_profit or 0:.2f}" + (f"_{self.stop_loss:.2f}" if self.stop_loss else "")
            times = f"{self.date_start}_{self.date_expiry}"
            return f"{head}_{self.stake:.2f}_{self.multiplier}_{times}_0_{limits}_N1"
        end = f"{self.ticks}T" if self.ticks else str(self.date_expiry)
        return f"{head}_{self.payout}_{self.date_start}_{end}_{self._barrier_code()}_0"

    def _barrier_code(self) -> str:
        if self.barrier == "S0P":
            return self.barrier
        if self.barrier[0] in "+-":
            return f"S{int(Decimal(self.barrier) / self.listed.pip)}P"
        return str(int(Decimal(self.barrier) * 1_000_000))

    def longcode(self) -> str:
        """Return the contract in words."""
        name = self.listed.display_name
        if self.is_multiplier:
            side, change = ("Up", "increase") if self.up else ("Down", "decrease")
            return (
                f"If you select '{side}', your total profit/loss will be the percentage {change} in {name}, "
                f"multiplied by {(self.stake * self.multiplier).normalize():f}, minus commissions."
            )
        direction = "higher" if self.up else "lower"
        target = self._barrier_words()
        if self.ticks:
            length = _plural(self.ticks, "tick")
            return f"Win payout if {name} after {length} is strictly {direction} than {target}."
        length = _words(self.date_expiry - self.date_start)
        return f"Win payout if {name} is strictly {direction} than {target} at {length} after contract start time."

    def _barrier_words(self) -> str:
        if self.barrier == "S0P":
            return "entry spot"
        if self.barrier[0] in "+-":
            side = "plus" if self.barrier[0] == "+" else "minus"
            return f"entry spot {side} {self.barrier[1:]}"
        return self.barrier


def multiplier_expiry(date_start: int) -> int:
    """Return the end of the day 36,501 days on: a multiplier in effect never expires."""
    return (date_start // DAY_SECS + 36_501) * DAY_SECS - 1


def duration_secs(duration: int, unit: str) -> int:
    """Return a duration of unit s, m, h or d in seconds."""
    return duration * _UNITS[unit]


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _words(seconds: int) -> str:
    parts = []
    for noun, size in (("day", DAY_SECS), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(_plural(count, noun))
    return " ".join(parts)
