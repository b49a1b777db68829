"""Numbers and times from strangers, checked: money exactly, market data as floats, nothing that cannot be true."""

from __future__ import annotations

import math
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Final

from libs.core.bars import bar_id
from libs.core.types import MILLISECOND, SECOND, Bar, BarFlag, Nanos

ZERO: Final = Decimal(0)
LATEST_MS: Final = 4_102_444_800_000
"""The year 2100; a later stamp is not milliseconds."""

MOST_TEXT: Final = 200


class Absurd(ValueError):
    """It cannot be true, or not be told exactly; the text says what."""


def exact(value: object, what: str) -> Decimal:
    """A price, quantity or fee: zero or more, finite, and never by way of a float. Raises Absurd."""
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise Absurd(f"{what} is {_shown(value)}, no exact number")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise Absurd(f"{what} is {_shown(value)}, no number") from None
    if not number:
        return ZERO
    if number.is_finite() and not number.is_signed() and -30 <= number.adjusted() <= 30 and +number == number:
        return number
    raise Absurd(f"{what} is {_shown(value)}, no amount")


def positive(value: object, what: str) -> Decimal:
    """As `exact`, and above zero. Raises Absurd."""
    number = exact(value, what)
    if not number:
        raise Absurd(f"{what} is zero")
    return number


def real(value: object, what: str, *, above: float = 0.0, least: float = 0.0) -> float:
    """Market data: finite, above `above` where that is positive or zero, at least `least`. Raises Absurd."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise Absurd(f"{what} is {_shown(value)}, no number")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise Absurd(f"{what} is {_shown(value)}, no number") from None
    if math.isfinite(number) and number >= least and number > above:
        return number
    raise Absurd(f"{what} is {_shown(value)}")


def price(value: object) -> float:
    """A price of market data. Raises Absurd."""
    return real(value, "price")


def size(value: object) -> float:
    """A size of market data, zero or more. Raises Absurd."""
    return real(value, "size", above=-1.0)


def stamp(ms: object) -> Nanos:
    """Milliseconds of this century as ns UTC. Raises Absurd."""
    if isinstance(ms, bool) or not isinstance(ms, int) or not 0 < ms < LATEST_MS:
        raise Absurd(f"time {_shown(ms)} is not in milliseconds of this century")
    return ms * MILLISECOND


def sequence(value: object) -> int:
    """A number of the venue's own that grows, from its identity; 0 where that is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 < value < 1 << 63 else 0
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    return 0


def text(value: object, what: str) -> str:
    """A name that is there, and can be written again. Raises Absurd."""
    if isinstance(value, str) and value:
        with suppress(UnicodeEncodeError):  # half a surrogate pair, which Python's own JSON lets through
            value.encode()
            return value
    raise Absurd(f"{what} is {_shown(value)}")


def down_to(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of `step` that is not above `value`; `value` itself where there is no step."""
    return value // step * step if step else value


def spelled(value: Decimal) -> str:
    """Digits without an exponent, and without zeros at the end that say nothing."""
    plain = f"{value:f}"
    return (plain.rstrip("0").rstrip(".") if "." in plain else plain) or "0"


def decimals(step: Decimal) -> int:
    """Digits after the point that `step` needs."""
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def line(value: object) -> str:
    """Anything as one short line for people."""
    return " ".join(str(value).split())[:MOST_TEXT].encode(errors="replace").decode()


def past_bar(
    venue: str,
    symbol: str,
    interval_s: int,
    open_time: Nanos,
    prices: tuple[float, float, float, float],
    *,
    volume: float,
    trades: int = 0,
) -> Bar:
    """A closed bar (open, high, low, close) of the venue's history, EMPTY when nothing traded in it. Raises Absurd."""
    open_, high, low, close = prices
    if not low <= min(open_, close) <= max(open_, close) <= high:
        raise Absurd(f"bar with open {open_}, high {high}, low {low}, close {close}")
    if open_time % (interval_s * SECOND):
        raise Absurd(f"bar that opens at {open_time} ns, off the {interval_s} s grid")
    flags = BarFlag.HISTORY | (BarFlag.NONE if volume or trades else BarFlag.EMPTY)
    return Bar(
        id=bar_id(venue, symbol, interval_s, open_time),
        ts_event=open_time + interval_s * SECOND,
        venue=venue,
        symbol=symbol,
        interval_s=interval_s,
        open_time=open_time,
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=volume,
        trades=trades,
        flags=int(flags),
    )


def _shown(value: object) -> str:
    return repr(value)[:40]
