"""When a stop or a target fires, on ticks and inside bars."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from libs.core.types import Side

TriggerKind = Literal["stop", "target", "stop_out"]


class Trigger(msgspec.Struct, frozen=True):
    """A protective level was reached: which one, and the price at which it fires (None = the next tradable one)."""

    kind: TriggerKind
    price: Decimal | None = None


def on_price(
    side: Side,
    adverse: float,
    *,
    stop: Decimal | None,
    target: Decimal | None,
    quote_side: bool = True,
) -> Trigger | None:
    """What one price fires for a position of direction `side`.

    `adverse` is the price that the position could be closed at (the bid for a long position, the ask for a short
    one), or a print where the venue quotes none. `quote_side` False says that it is a print beside live quotes: such a
    print may hurt (stop) but not help (target), because nobody could have dealt there.
    """
    sign = side.sign
    if stop is not None and sign * adverse <= sign * float(stop):
        return Trigger("stop")
    if quote_side and target is not None and sign * adverse >= sign * float(target):
        return Trigger("target")
    return None


def on_bar(
    side: Side,
    open_: Decimal,
    high: Decimal,
    low: Decimal,
    *,
    stop: Decimal | None,
    target: Decimal | None,
    held_at_open: bool,
) -> Trigger | None:
    """What one bar fires; both levels inside it fire the stop, a gap beyond a level fires at the open.

    `held_at_open` False: the position was opened at this bar's open, so only what follows can fire.
    """
    sign = side.sign
    worst, best = (low, high) if side is Side.BUY else (high, low)
    if held_at_open and stop is not None and sign * open_ <= sign * stop:
        return Trigger("stop", open_)
    if held_at_open and target is not None and sign * open_ >= sign * target:
        return Trigger("target", open_)
    if stop is not None and sign * worst <= sign * stop:
        return Trigger("stop", stop)
    if target is not None and sign * best >= sign * target:
        return Trigger("target", target)
    return None
