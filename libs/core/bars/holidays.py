"""Days on which the New York Stock Exchange is closed or closes early: by rule, by date where no rule could know."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import Final

CLOSE: Final = 16
EARLY_CLOSE: Final = 13

MONDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY = 0, 3, 4, 5, 6

UNPLANNED: Final = frozenset(
    date.fromisoformat(day)
    for day in (
        "1994-04-27",  # mourning: Nixon
        *("2001-09-11", "2001-09-12", "2001-09-13", "2001-09-14"),
        "2004-06-11",  # mourning: Reagan
        "2007-01-02",  # mourning: Ford
        *("2012-10-29", "2012-10-30"),  # hurricane
        "2018-12-05",  # mourning: Bush
        "2025-01-09",  # mourning: Carter
    )
)
"""Full closures since 1990 that no rule foresaw."""


def us_stocks_close(day: date) -> int | None:
    """The hour in New York at which regular trading ends on `day`; None when there is none.

    Rules of the exchange as published (NYSE Rule 7.2 and its list of holidays): days from 1990 on, early closes as
    they are kept today.
    """
    if day.weekday() >= SATURDAY or day in UNPLANNED or day in _holidays(day.year):
        return None
    return EARLY_CLOSE if day in _half_days(day.year) else CLOSE


@lru_cache(maxsize=256)
def _holidays(year: int) -> frozenset[date]:
    days = {
        _nth(year, 2, MONDAY, 3),  # Washington's birthday
        _easter(year) - timedelta(days=2),  # Good Friday
        _nth(year, 6, MONDAY, 1) - timedelta(days=7),  # Memorial Day
        _observed(date(year, 7, 4)),
        _nth(year, 9, MONDAY, 1),  # Labor Day
        _nth(year, 11, THURSDAY, 4),  # Thanksgiving
        _observed(date(year, 12, 25)),
    }
    new_year = date(year, 1, 1)
    if new_year.weekday() != SATURDAY:  # the Friday before ends a year of accounts, so it is not kept
        days.add(_observed(new_year))
    if year >= 1998:
        days.add(_nth(year, 1, MONDAY, 3))  # Martin Luther King
    if year >= 2022:
        days.add(_observed(date(year, 6, 19)))
    return frozenset(days)


@lru_cache(maxsize=256)
def _half_days(year: int) -> frozenset[date]:
    days = {_nth(year, 11, THURSDAY, 4) + timedelta(days=1), date(year, 12, 24)}
    fourth = date(year, 7, 4)
    if year >= 2013 or fourth.weekday() != THURSDAY:
        days.add(date(year, 7, 3))
    else:
        days.add(date(year, 7, 5))
    return frozenset(days)


def _nth(year: int, month: int, weekday: int, n: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))


def _observed(day: date) -> date:
    if day.weekday() == SATURDAY:
        return day - timedelta(days=1)
    return day + timedelta(days=1) if day.weekday() == SUNDAY else day


def _easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (the anonymous algorithm, Nature, 20 April 1876)."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (b - (b + 8) // 25 + 1) // 3
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    r = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * r) // 451
    month, before = divmod(h + r - 7 * m + 114, 31)
    return date(year, month, before + 1)
