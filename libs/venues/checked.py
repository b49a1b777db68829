"""Numbers and times from strangers, checked: money exactly, market data as floats, nothing that cannot be true."""

from __future__ import annotations

import math
from contextlib import suppress
from decimal import Context, Decimal, InvalidOperation
from typing import Final

from libs.core.bars import bar_id
from libs.core.types import MILLISECOND, SECOND, Bar, BarFlag, Nanos

ZERO: Final = Decimal(0)
LATEST_MS: Final = 4_102_444_800_000
"""The year 2100; a later stamp is not milliseconds."""

LATEST: Final = LATEST_MS * MILLISECOND
MOST_TEXT: Final = 200
EXACT: Final = Context(prec=120)
"""Bears every amount that is let through, down to a grid of another."""


class Absurd(ValueError):
    """It cannot be true, or not be told exactly; the text says what."""


def amount(value: Decimal, what: str = "it") -> Decimal:
    """An exact price, quantity or fee: finite, not negative, and of a size that arithmetic bears. Raises Absurd."""
    if not value:
        return ZERO
    if value.is_finite() and not value.is_signed() and -30 <= value.adjusted() <= 30 and +value == value:
        return value
    raise Absurd(f"{what} is {_shown(value)}, no amount")


def exact(value: object, what: str) -> Decimal:
    """As `amount`, of anything but a float: money never goes by way of one. Raises Absurd."""
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise Absurd(f"{what} is {_shown(value)}, no exact number")
    try:
        return amount(Decimal(value), what)
    except InvalidOperation:
        raise Absurd(f"{what} is {_shown(value)}, no number") from None


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


def check_time(ms: int) -> None:
    """A stamp of this century, in milliseconds. Raises Absurd."""
    if not 0 < ms < LATEST_MS:
        raise Absurd(f"time {_shown(ms)} is not in milliseconds of this century")


def stamp(ms: object) -> Nanos:
    """Milliseconds of this century as ns UTC. Raises Absurd."""
    if isinstance(ms, bool) or not isinstance(ms, int):
        raise Absurd(f"time {_shown(ms)} is not in milliseconds of this century")
    check_time(ms)
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
    """The multiple of `step` (0 = no grid) at or below `value`, exactly: nothing is divided."""
    return value if step == 0 else EXACT.subtract(value, EXACT.remainder(value, step)).normalize(EXACT)


def spelled(value: Decimal) -> str:
    """As venues take it: no exponent, no needless zeros."""
    return f"{value.normalize(EXACT):f}"


def decimals(step: Decimal) -> int:
    """Digits after the point that `step` needs."""
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def line(value: object) -> str:
    """Anything as one short line for people."""
    return " ".join(str(value).split())[:MOST_TEXT].encode(errors="replace").decode()


def bar_of(
    venue: str,
    symbol: str,
    interval_s: int,
    open_time: Nanos,
    prices: tuple[float, float, float, float],
    *,
    volume: float,
    buy_volume: float = 0.0,
    trades: int = 0,
    last_seq: int = 0,
    flags: BarFlag = BarFlag.HISTORY,
    recv_ns: Nanos = 0,
) -> Bar:
    """A closed bar (open, high, low, close) as a venue tells it, EMPTY when nothing traded in it. Raises Absurd."""
    open_, high, low, close = prices
    if not (all(0.0 < each < math.inf for each in prices) and low <= open_ <= high and low <= close <= high):
        raise Absurd(f"bar with open {open_}, high {high}, low {low}, close {close}")
    if not (0.0 <= volume < math.inf and 0.0 <= buy_volume < math.inf and 0 <= trades < 1 << 63):
        raise Absurd(f"bar with volume {volume}, taker buys {buy_volume}, {trades} trades")
    if not 0 < open_time < LATEST or open_time % (interval_s * SECOND):
        raise Absurd(f"bar that opens at {open_time} ns, off the {interval_s} s grid of this century")
    if not last_seq < 1 << 63:
        raise Absurd(f"sequence {last_seq} is none")
    if not trades and not volume:
        flags |= BarFlag.EMPTY
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
        buy_volume=buy_volume,
        trades=trades,
        flags=int(flags),
        last_seq=max(0, last_seq),
        ts_recv=recv_ns,
    )


def _shown(value: object) -> str:
    return repr(value)[:40]
