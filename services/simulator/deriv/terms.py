"""What a contract promises: the terms fixed at purchase, with their shortcode and longcode."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from services.simulator.deriv import words
from services.simulator.deriv.hours import DAY_SECS
from services.simulator.deriv.symbols import SYMBOLS, Symbol

MULTIPLIERS: Final = ("MULTUP", "MULTDOWN")
DIGITALS: Final = ("CALL", "PUT", "CALLE", "PUTE")
DIGITS: Final = ("DIGITMATCH", "DIGITDIFF", "DIGITEVEN", "DIGITODD", "DIGITOVER", "DIGITUNDER")
ACCUMULATORS: Final = ("ACCU",)
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": DAY_SECS}


class Terms(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A contract as bought. Money is in the account's currency; times are epoch seconds.

    `stake` is what a multiplier levers or an accumulator lets grow; `buy_price` what was paid, the fee of deal
    cancellation included. `ticks` is the length of a tick contract, or the most that an accumulator lasts. `barrier`
    of a rise/fall contract is `S0P` (the entry spot), an offset such as `+0.10`, or an absolute level; `digit` is what
    a digit contract bets on. `take_profit` and `stop_loss` are the amounts of money at purchase, both positive.
    `daily` contracts end with a day; `fixed_expiry` says that the buyer gave the end and not the length. `growth_rate`
    is per tick, `band` the fraction either side of the previous spot an accumulator survives within.
    """

    contract_type: str
    symbol: str
    currency: str
    date_start: int
    date_expiry: int
    buy_price: Decimal
    payout: Decimal = Decimal(0)
    ticks: int | None = None
    daily: bool = False
    barrier: str = "S0P"
    digit: int | None = None
    fixed_expiry: bool = False
    stake: Decimal = Decimal(0)
    multiplier: int = 0
    commission: Decimal = Decimal(0)
    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    cancellation_secs: int = 0
    cancellation_price: Decimal = Decimal(0)
    growth_rate: Decimal = Decimal(0)
    band: Decimal = Decimal(0)
    max_payout: Decimal = Decimal(0)

    @property
    def listed(self) -> Symbol:
        """The symbol it is on."""
        return SYMBOLS[self.symbol]

    @property
    def is_multiplier(self) -> bool:
        """Whether it is a multiplier."""
        return self.contract_type in MULTIPLIERS

    @property
    def is_digit(self) -> bool:
        """Whether it bets on the last digit of a quote."""
        return self.contract_type in DIGITS

    @property
    def is_accumulator(self) -> bool:
        """Whether its stake grows tick by tick."""
        return self.contract_type in ACCUMULATORS

    @property
    def is_rise_fall(self) -> bool:
        """Whether it bets on the side of a barrier at its end."""
        return self.contract_type in DIGITALS

    @property
    def up(self) -> bool:
        """Whether it gains when the price rises."""
        return self.contract_type in ("CALL", "CALLE", "MULTUP")

    @property
    def wins_ties(self) -> bool:
        """Whether ending exactly at the barrier wins."""
        return self.contract_type in ("CALLE", "PUTE")

    @property
    def cancellation_until(self) -> int:
        """The last second in which deal cancellation is alive; before the start when it was not bought."""
        return self.date_start + self.cancellation_secs if self.cancellation_secs else self.date_start - 1

    def shortcode(self) -> str:
        """Return the venue's compact name of the contract."""
        return words.shortcode(self)

    def longcode(self) -> str:
        """Return the contract in words."""
        return words.longcode(self)


def multiplier_expiry(date_start: int) -> int:
    """Return the end of the day 36,501 days on: a multiplier in effect never expires."""
    return (date_start // DAY_SECS + 36_501) * DAY_SECS - 1


def end_of_day(epoch: int, days: int = 0) -> int:
    """Return the last second (23:59:59 UTC) of the day `days` after that of `epoch`."""
    return (epoch // DAY_SECS + days + 1) * DAY_SECS - 1


def duration_secs(duration: int, unit: str) -> int:
    """Return a duration of unit s, m, h or d in seconds."""
    return duration * _UNITS[unit]
