"""A source of history opened as configured: its key, its addresses, and how files are read."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

from libs.common import runtime
from libs.common.secrets import read_secret
from libs.core.history import Columns, Kind
from libs.research.tables.names import parse_columns
from libs.research.tables.read import read_table
from libs.venues.errors import VenueRefused, VenueUnavailable
from libs.venues.sources.base import Facts, Source
from libs.venues.sources.registry import VENUES, facts_of, make_source

AT_SIMULATOR: Final = (*VENUES, "ccxt:binance")


def key_of(facts: Facts, var: Path) -> str:
    """The key of a source, "" where there is none. Raises SecretError."""
    if facts.name == "deriv":
        return read_secret("DERIV_APP_ID", var) or ""
    return (read_secret(facts.key, var) or "") if facts.key else ""


def open_source(
    name: str, var: Path, *, endpoint: str = "live", urls: Mapping[str, str] | None = None, columns: str = ""
) -> Source:
    """The source `name`. `urls` replace its addresses; `columns`: names in the files that it reads.

    Raises:
        VenueRefused: no such source, no key, no library. VenueUnavailable: no simulator runs under `var`.
        SecretError, TableError: what was given cannot be read.
    """
    given = dict(urls or {})
    if endpoint == "simulator" and not given:
        if name not in AT_SIMULATOR:
            raise VenueRefused(f"{name} has no simulator; it has for: {', '.join(AT_SIMULATOR)}")
        given = runtime.venue_urls(var, name, endpoint, {})
        if not given:
            raise VenueUnavailable(f"{name}: no simulator runs under {var}; start one (conclave up, conclave demo)")
    if name.startswith("ccxt:"):
        given = {key: url for key, url in given.items() if key in ("rest", "ws", "ws_api")}
    elif name in VENUES:
        given = {key: url for key, url in given.items() if key in ("rest", "ws")}
    try:
        key = key_of(facts_of(name), var)
        return make_source(name, key=key, urls=given, read=partial(_read, parse_columns(columns)))
    except ValueError as err:
        raise VenueRefused(str(err)) from None


def _read(names: Mapping[str, str], where: str, kind: Kind) -> Columns:
    return read_table(where, names, kind).columns
