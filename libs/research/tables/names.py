"""Which column is which: by the names that people give them, or by what the user says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from libs.core.history import FIELDS, Kind, time_of
from libs.research.tables.place import TableError

TIME: Final = "time"
DATE: Final = "date"
ZONE: Final = "zone"
"""What may stand beside the columns: the zone of times that name none, for example America/New_York."""

_TIMES: Final = (
    "ts time timestamp opentime openat starttime begin datetime dt t unix unixtime epoch gmttime localtime date"
)
KNOWN: Final[dict[Kind, dict[str, str]]] = {
    Kind.BARS: {
        TIME: _TIMES,
        "open": "open o openprice first",
        "high": "high h highprice max",
        "low": "low l lowprice min",
        "close": "close c closeprice last price",
        "volume": "volume v vol basevolume volumebase volumebtc volumeeth qty quantity tickvolume tickvol",
        "buy_volume": "buyvolume takerbuybaseassetvolume takerbuybasevolume takerbuyvolume takerbasevolume buyvol",
        "trades": "trades n count numberoftrades tradecount tradescount numtrades transactions",
    },
    Kind.TRADES: {
        TIME: f"tsevent tradetime executiontime {_TIMES}",
        "price": "price p px rate quote bid value",
        "size": "size qty quantity amount q volume vol v",
        "side": "side takerside direction m isbuyermaker buyermaker",
        "seq": "seq id tradeid aggtradeid a tid sequence",
    },
    Kind.READINGS: {
        TIME: f"tsevent published publicationtime releasedate realtimestart {_TIMES}",
        "period": "period observationdate refdate",
        "value": "value val close price rate index reading",
    },
}
"""Kind to its columns, each with the names it goes by (letters and digits only, in order of preference)."""

NEEDED: Final = {
    Kind.BARS: (TIME, "open", "high", "low", "close"),
    Kind.TRADES: (TIME, "price"),
    Kind.READINGS: (TIME, "value"),
}

BINANCE_KLINES: Final = (
    (TIME, 0), ("open", 1), ("high", 2), ("low", 3), ("close", 4), ("volume", 5), ("trades", 8), ("buy_volume", 9),
)  # fmt: skip
"""Columns of Binance's public kline files, which come without a header."""

KLINE_COLUMNS: Final = 12


def parse_columns(text: str) -> dict[str, str]:
    """Of "time=ts,open=o": our name to theirs.

    Raises:
        TableError: no such text, or a name that no kind has.
    """
    if not text:
        return {}
    ours = {TIME, ZONE} | {name for fields in FIELDS.values() for name in fields}
    found: dict[str, str] = {}
    for part in text.split(","):
        name, equals, theirs = (piece.strip() for piece in part.partition("="))
        name = TIME if name in ("ts", "open_time", "ts_event") else name
        if not equals or not theirs or name not in ours:
            raise TableError(f"--columns: {part.strip()!r} is none of {', '.join(sorted(ours))} followed by =COLUMN")
        found[name] = theirs
    return found


def assign(
    headers: Sequence[str],
    given: Mapping[str, str],
    kind: Kind | None,
    *,
    times: Sequence[str] = (),
    headless: bool = False,
) -> tuple[Kind, dict[str, str]]:
    """What the table holds, and our column to the header of theirs.

    `given` goes before what the names suggest; it may also name a column by its number, from 1. `times`: columns that
    hold nothing but times; they, or a first column without a name, are the time where no name tells it.

    Raises:
        TableError: a needed column cannot be told; names what is there.
    """
    chosen = {name: _header(theirs, headers) for name, theirs in given.items() if name != ZONE}
    if headless and not given and len(headers) == KLINE_COLUMNS:
        return Kind.BARS, {name: headers[index] for name, index in BINANCE_KLINES}
    kinds = (kind,) if kind is not None else (Kind.BARS, Kind.TRADES, Kind.READINGS)
    for candidate in kinds:
        found = _guess(headers, candidate, chosen, times)
        if candidate is Kind.READINGS and "value" not in found and len(headers) == 2 and TIME in found:
            found["value"] = next(header for header in headers if header != found[TIME])
        if all(name in found for name in NEEDED[candidate]):
            return candidate, found
    wanted = kinds[0]
    lacking = ", ".join(name for name in NEEDED[wanted] if name not in _guess(headers, wanted, chosen, times))
    raise TableError(
        f"no column for {lacking}; there are: {', '.join(headers)}; say which with --columns {TIME}=NAME,..."
    )


def _header(theirs: str, headers: Sequence[str]) -> str:
    if theirs in headers:
        return theirs
    if theirs.isdigit() and 0 < int(theirs) <= len(headers):
        return headers[int(theirs) - 1]
    raise TableError(f"no column {theirs!r}; there are: {', '.join(headers)}")


def _guess(headers: Sequence[str], kind: Kind, chosen: Mapping[str, str], times: Sequence[str]) -> dict[str, str]:
    known = KNOWN[kind]
    found = {name: header for name, header in chosen.items() if name in known}
    plain: dict[str, str] = {}
    for header in headers:
        plain.setdefault(re.sub(r"[^a-z0-9]", "", header.lower()), header)
    taken = set(found.values())
    for name, names in known.items():
        if name in found:
            continue
        for word in names.split():
            if word in plain and plain[word] not in taken:
                found[name] = plain[word]
                taken.add(plain[word])
                break
    if TIME not in found and (unnamed := times or [header for header in headers[:1] if _is_unnamed(header)]):
        found[TIME] = unnamed[0]
    elif TIME in found and TIME not in chosen:
        found |= _date_beside(plain, found[TIME], taken)
    return found


def _is_unnamed(header: str) -> bool:
    """An index that was written along by a data frame."""
    return header in ("", "index") or header.lower().startswith(("unnamed", "column_1"))


def _date_beside(plain: Mapping[str, str], time: str, taken: set[str]) -> dict[str, str]:
    """The day, where a column of its own holds it and `time` only the hour."""
    day = plain.get("date")
    return {DATE: day} if day is not None and day != time and day not in taken else {}


def canonical(kind: Kind, name: str) -> str:
    """The name in `FIELDS` of what is called `TIME` here."""
    return time_of(kind) if name == TIME else name
