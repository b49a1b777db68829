"""How contracts are spelt: the venue's shortcodes and its longcodes in English."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from services.simulator.deriv.terms import Terms

_PERIODS: Final = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))
_DIGITS: Final = {
    "DIGITMATCH": "{}",
    "DIGITDIFF": "not {}",
    "DIGITEVEN": "even",
    "DIGITODD": "odd",
    "DIGITOVER": "higher than {}",
    "DIGITUNDER": "lower than {}",
}


def shortcode(terms: Terms) -> str:
    """Return the compact name: TYPE_SYMBOL_PAYOUT_START_END_BARRIER1_BARRIER2 and its kin."""
    head = f"{terms.contract_type}_{terms.symbol.upper()}"
    if terms.is_multiplier:
        limits = f"{terms.take_profit or 0:.2f}" + (f"_{terms.stop_loss:.2f}" if terms.stop_loss else "")
        times = f"{terms.date_start}_{terms.date_expiry}"
        cancellation = f"{terms.cancellation_secs // 60}m" if terms.cancellation_secs else "0"
        return f"{head}_{terms.stake:.2f}_{terms.multiplier}_{times}_{cancellation}_{limits}_N1"
    if terms.is_accumulator:
        return f"{head}_{terms.stake:.2f}_0_{terms.growth_rate}_1_{terms.band}_{terms.date_start}"
    end = f"{terms.ticks}T" if terms.ticks else f"{terms.date_expiry}{'F' if terms.fixed_expiry else ''}"
    if terms.is_digit:
        digit = "" if terms.digit is None else f"_{terms.digit}_0"
        return f"{head}_{terms.payout}_{terms.date_start}_{end}{digit}"
    return f"{head}_{terms.payout}_{terms.date_start}_{end}_{_barrier_code(terms)}_0"


def _barrier_code(terms: Terms) -> str:
    if terms.barrier == "S0P":
        return terms.barrier
    if terms.barrier[0] in "+-":
        return f"S{int(Decimal(terms.barrier) / terms.listed.pip)}P"
    return str(int(Decimal(terms.barrier) * 1_000_000))


def longcode(terms: Terms) -> str:
    """Return the contract in words."""
    name = terms.listed.display_name
    if terms.is_multiplier:
        side, change = ("Up", "increase") if terms.up else ("Down", "decrease")
        return (
            f"If you select '{side}', your total profit/loss will be the percentage {change} in {name}, "
            f"multiplied by {(terms.stake * terms.multiplier).normalize():f}, minus commissions."
        )
    if terms.is_accumulator:
        growth = (terms.growth_rate * 100).normalize()
        return (
            f"After the entry spot tick, your stake will grow continuously by {growth:f}% for every tick that the spot "
            f"price remains within the ± {terms.band * 100:.5f}% from the previous spot price."
        )
    length = _plural(terms.ticks, "tick") if terms.ticks else period(terms.date_expiry - terms.date_start)
    if terms.is_digit:
        outcome = _DIGITS[terms.contract_type].format(terms.digit)
        return f"Win payout if the last digit of {name} is {outcome} after {length}."
    direction = "higher" if terms.up else "lower"
    relation = f"{direction} than or equal to" if terms.wins_ties else f"strictly {direction} than"
    target = _barrier_words(terms)
    if terms.ticks:
        return f"Win payout if {name} after {length} is {relation} {target}."
    if terms.daily:
        day = datetime.fromtimestamp(terms.date_expiry, UTC).date().isoformat()
        return f"Win payout if {name} is {relation} {target} at close on {day}."
    return f"Win payout if {name} is {relation} {target} at {length} after contract start time."


def _barrier_words(terms: Terms) -> str:
    if terms.barrier == "S0P":
        return "entry spot"
    if terms.barrier[0] in "+-":
        side = "plus" if terms.barrier[0] == "+" else "minus"
        return f"entry spot {side} {terms.barrier[1:]}"
    return terms.barrier


def period(seconds: int) -> str:
    """Return a length of time in words: `1 minute`, `1 hour 30 minutes`."""
    parts = []
    for noun, size in _PERIODS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(_plural(count, noun))
    return " ".join(parts)


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
