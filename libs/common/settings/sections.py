"""What every section of the settings is made of: its base, and the kinds of values that several have."""

from __future__ import annotations

import difflib
import re
from decimal import Decimal
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from libs.core.bars import graded
from libs.core.bars.sessions import CALENDARS
from libs.core.types import interval_seconds, is_bar_length, ticks_in


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _interval(text: str) -> str:
    if not is_bar_length(interval_seconds(text)):
        raise ValueError(f"{text!r} is no length of a bar; it must divide a day (1s to 12h, 1d) or be 1w")
    return text


def _bar_interval(text: str) -> str:
    return text if ticks_in(text) else _interval(text)


def _calendar(name: str) -> str:
    if name not in ("", *CALENDARS):
        raise ValueError(f"{name!r} is no calendar; there are: {', '.join(CALENDARS)}; empty = the venue's usual one")
    return name


def _check(name: str) -> str:
    graded({name: 0.0}, {})
    return name


APIS: Final[dict[str, tuple[str, ...]]] = {
    "deriv": ("v3", "options"),
    "binance": ("spot",),
    "alpaca": ("stocks",),
    "ccxt": ("spot",),
}
"""Venue to the wire protocols that it speaks, the usual one first."""


def _venue(name: str) -> str:
    if name in APIS and name != "ccxt":
        return name
    library, _, exchange = name.partition(":")
    if library == "ccxt" and re.fullmatch(r"[a-z0-9]+", exchange):
        return name
    near = difflib.get_close_matches(name, APIS, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise ValueError(f"must be deriv, binance, alpaca or ccxt:<exchange id>, for example ccxt:kraken{hint}")


Interval = Annotated[str, AfterValidator(_interval)]
BarInterval = Annotated[str, AfterValidator(_bar_interval)]
CalendarName = Annotated[str, AfterValidator(_calendar)]
CheckName = Annotated[str, AfterValidator(_check)]
VenueName = Annotated[str, AfterValidator(_venue)]
Fraction = Annotated[Decimal, Field(gt=0, le=1)]
Seconds = Annotated[float, Field(gt=0)]
FeatureSetName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")]
Series = Annotated[str, Field(pattern=r"^[^/]+/.+$", description="source/series")]

OWN_SETS: Final = ("core20", "full")
"""Feature sets of the catalogue."""
