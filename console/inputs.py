"""What commands of research are given: bars from a table or the store, and the set of features that they name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from console.context import CommandError, settings_or_fail
from libs.common.settings.sections import OWN_SETS
from libs.core.features.catalogue import FeatureSet
from libs.core.types import Bar

if TYPE_CHECKING:
    from libs.core.features.engine import Bars
    from libs.research.leak.series import History

_PAIR = re.compile(r"[A-Z][A-Z0-9]{1,11}")
_INTERVAL = re.compile(r"\d+(?:s|m|h|d|w)")
SEED = 1


class Given(NamedTuple):
    """Bars with what their place says of them."""

    bars: Bars
    symbol: str
    interval_s: int
    calendar: str = "always"


def read_bars(data: str, calendar: str = "") -> Given:
    """Bars of a Parquet, CSV or SQLite table; symbol, interval and calendar are told by its name and its times.

    Raises:
        CommandError: it holds no bars, too few to tell their interval, or there is no such calendar.
    """
    from console.data_check import guessed_calendar
    from libs.core.bars.sessions import CALENDARS
    from libs.core.features.engine import Bars
    from libs.research.tables import TableError, read
    from libs.research.tables.place import place_of

    try:
        columns = read.read_bars(data)
        path = place_of(data).path
    except TableError as err:
        raise CommandError(str(err)) from None
    interval_s = read.interval_of(columns)
    if interval_s <= 0:
        raise CommandError(f"{data} holds too few bars to tell their interval")
    names = ("open", "high", "low", "close", "volume")
    bars = Bars(open_time=columns["open_time"], **{name: columns[name].astype("f8") for name in names})
    if calendar and calendar not in CALENDARS:
        raise CommandError(f"no calendar {calendar!r}; there are {', '.join(CALENDARS)}")
    return Given(bars, symbol_of(path), interval_s, calendar or guessed_calendar(columns, interval_s).name)


def symbol_of(path: Path) -> str:
    """The part of a file's name that looks like a symbol: BTCUSDT of binance_BTCUSDT_1h.parquet."""
    parts = path.name.split(".")[0].replace("-", "_").split("_")
    pairs = [part for part in parts if _PAIR.fullmatch(part)]
    named = [part for part in parts if part and not _INTERVAL.fullmatch(part)]
    return (pairs or named or [path.stem])[0].upper()


def read_history(data: str) -> History:
    """The same for the leak attack, with seeded inputs beside the bars."""
    from libs.research.leak.series import around

    given = read_bars(data)
    return around(given.bars, given.interval_s, SEED)


def set_of(name: str) -> FeatureSet:
    """A set of features by name: one of the catalogue's, or one of the configuration.

    Raises:
        CommandError: there is none; the text lists those there are.
    """
    from libs.core.features.catalogue import feature_set

    try:
        if name in OWN_SETS:
            return feature_set(name)
        chosen = settings_or_fail().features
        if name not in chosen.sets:
            raise CommandError(f"no feature set {name!r}; there are {', '.join((*OWN_SETS, *chosen.sets))}")
        return feature_set(name, chosen.sets[name], chosen.paths)
    except ValueError as err:
        raise CommandError(str(err)) from None


def given_of(bars: Iterable[Bar], symbol: str, interval_s: int) -> Given:
    """Bars as messages, oldest first, as columns."""
    from libs.core.features.engine import Bars

    return Given(Bars.of(bars), symbol, interval_s)
