"""History kept up to date: from its source into a table under <var>/data, and from there into the store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from libs.common import runtime
from libs.common.secrets import SecretError
from libs.common.settings import Settings
from libs.common.settings.sources import HistorySettings, moment
from libs.common.store import Store, StoreError
from libs.common.store.database import FAILURES
from libs.common.store.errors import explained
from libs.core.history import Columns, Kind, Page, between, rows_in
from libs.core.types import SECOND, Nanos
from libs.research.tables.download import Outcome, Progress, download, prune
from libs.research.tables.manifest import What, beside, load_manifest, write_whole
from libs.research.tables.place import Format, Place, TableError, place_of
from libs.venues.base import VenueError
from libs.venues.sources.base import Ask, Source, check, steady
from services.ingest.sources import open_source

SILENT: Final[Progress] = lambda share, rows: None  # noqa: E731
HOUR_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What shall be had: `start`, `end` in ns UTC, `end` 0 = all that is there now. `names`: see `write_table`."""

    source: str
    symbol: str
    interval: str
    start: Nanos
    end: Nanos
    place: Place
    names: dict[str, str]


@dataclass(frozen=True, slots=True)
class Updated:
    """What became of one entry of the configuration. `problem` "" = it is up to date."""

    name: str
    place: Place
    rows: int = 0
    new: int = 0
    stored: int | None = None
    dropped: int = 0
    problem: str = ""


async def fetch(source: Source, wish: Wish, progress: Progress = SILENT) -> Outcome:
    """Have the wish at its place; what is there already is not asked for.

    Raises:
        VenueError: the source; TableError: the table; one line each.
    """
    facts = source.facts
    shape = Ask(wish.symbol, wish.interval, wish.start, wish.start + 1)
    check(facts, shape)
    now = await source.now()
    length = shape.interval_s * SECOND
    end = min(wish.end or now, now)
    if length and (wish.end == 0 or wish.end > now):
        end -= end % length
    what = What(
        source=wish.source,
        symbol=wish.symbol,
        interval=wish.interval,
        kind=shape.kind,
        interval_s=shape.interval_s,
        keep_s=facts.keep_s if shape.kind is Kind.TRADES else 0.0,
    )
    settled = now - int(facts.delay_s * SECOND) - 2 * length - SECOND

    def pages(start: Nanos, until: Nanos, after: str) -> AsyncIterator[Page]:
        return steady(source, Ask(wish.symbol, wish.interval, start, until), after)

    return await download(wish.place, what, wish.start, end, settled, pages, names=wish.names, progress=progress)


def place_for(entry: HistorySettings, var: Path) -> Place:
    """Where an entry of the configuration is kept. Raises TableError."""
    if entry.out is not None:
        return place_of(str(entry.out))
    safe = "".join(c if c.isalnum() or c in "-." else "-" for c in entry.symbol).strip("-.") or "table"
    name = f"{entry.source.replace(':', '-')}_{safe}_{entry.interval}.parquet"
    return Place(Format.PARQUET, var / "data" / name)


async def update(
    entry: HistorySettings, settings: Settings, var: Path, store: Store | None, progress: Progress = SILENT
) -> Updated:
    """Bring one entry up to date; what fails is told in the answer."""
    name = f"{entry.source} {entry.symbol} {entry.interval}"
    place = Place(Format.PARQUET, var / "data")
    try:
        place = place_for(entry, var)
        source = open_source(entry.source, var, endpoint=entry.endpoint, columns=entry.columns)
        try:
            keep_s = _keep_s(source, entry, settings)
            now = datetime.now(UTC)
            start = int(moment(entry.start, now).timestamp()) * SECOND
            dropped = 0
            if keep_s:
                before = await source.now() - int(keep_s * SECOND)
                start = max(start, before)
                if load_manifest(place) is not None:
                    dropped = await asyncio.to_thread(
                        prune, place, before, await _cited(store, entry.source, entry.symbol)
                    )
            wish = Wish(entry.source, entry.symbol, entry.interval, start, 0, place, {})
            outcome = await fetch(source, wish, progress)
        finally:
            await source.aclose()
        stored = await _store(store, place, outcome) if store is not None else None
        return Updated(name, place, outcome.manifest.rows, rows_in(outcome.fetched), stored, dropped)
    except (VenueError, TableError, SecretError, StoreError) as err:
        return Updated(name, place, problem=str(err))
    except OSError as err:
        return Updated(name, place, problem=f"{err.strerror or err}: {err.filename or place}")


def _keep_s(source: Source, entry: HistorySettings, settings: Settings) -> float:
    """How long raw rows of it may be kept, seconds; 0 = as long as one likes."""
    if not source.facts.keep_s or parse_kind(entry.interval) is not Kind.TRADES:
        return 0.0
    return settings.features.deriv_ticks_hours * HOUR_S


def parse_kind(interval: str) -> Kind:
    """What the rows of an interval are."""
    return Ask("", interval, 0, 1).kind


async def update_all(
    settings: Settings, var: Path, progress: Callable[[str], Progress] = lambda name: SILENT
) -> list[Updated]:
    """Every entry of `data.history`, one after the other; into the store as well where one is reached."""
    store = await _open_store(settings, var)
    try:
        found = []
        for entry in settings.data.history:
            found.append(await update(entry, settings, var, store, progress(f"{entry.source} {entry.symbol}")))
        had = {row.place for row in found}
        return found + [row for row in await drop_others(settings, var, store) if row.place not in had]
    finally:
        if store is not None:
            await store.close()


async def drop_others(settings: Settings, var: Path, store: Store | None) -> list[Updated]:
    """Drop what may no longer be kept from every download under <var>/data, whoever made it; those that lost rows."""
    found: list[Updated] = []
    for path in sorted((var / "data").glob("*.json")):
        try:
            place = place_of(str(path.with_suffix("")))
            known = load_manifest(place)
            if known is None or not known.what.keep_s:
                continue
            before = time.time_ns() - int(settings.features.deriv_ticks_hours * HOUR_S * SECOND)
            cited = await _cited(store, known.what.source, known.what.symbol)
            gone = await asyncio.to_thread(prune, place, before, cited)
        except (TableError, StoreError) as err:
            found.append(Updated(path.stem, Place(Format.CSV, path), problem=str(err)))
        else:
            if gone:
                found.append(Updated(str(known.what), place, known.rows - gone, dropped=gone))
    return found


async def _open_store(settings: Settings, var: Path) -> Store | None:
    """The store; None where none is configured, or it cannot be reached: the tables are filled all the same."""
    url = runtime.database_url(var, settings.platform.database_url)
    if not url:
        return None
    try:
        store = Store(url, connections=1)
        await store.open()
    except StoreError:
        return None
    return store


class _Stored(msgspec.Struct):
    """Which part of a table the store has got."""

    start: Nanos
    end: Nanos


async def _store(store: Store, place: Place, outcome: Outcome) -> int:
    """Hand the store what it has not got of a table; how many rows were new to it."""
    what, manifest = outcome.manifest.what, outcome.manifest
    path = beside(place, "stored")
    had = _read_stored(path)
    if had is not None and manifest.start >= had.start and not rows_in(outcome.fetched) and manifest.end <= had.end:
        return 0
    columns: Columns = outcome.columns
    if had is not None and manifest.start >= had.start:
        columns = between(what.kind, columns, had.end, manifest.end + 1)
    written = await write_history(store, what, columns) if rows_in(columns) else 0
    write_whole(path, msgspec.json.encode(_Stored(manifest.start, manifest.end)))
    return written


def _read_stored(path: Path) -> _Stored | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Stored)
    except (OSError, msgspec.DecodeError):
        return None


async def write_history(store: Store, what: What, columns: Columns) -> int:
    """Rows of `what` into the store, where their venue is the source's name. Raises StoreError."""
    if what.kind is Kind.BARS:
        return await store.write_history_bars(what.source, what.symbol, what.interval_s, columns)
    if what.kind is Kind.TRADES:
        return await store.write_history_ticks(what.source, what.symbol, columns)
    return await store.write_readings(what.source, what.symbol, columns)


async def _cited(store: Store | None, venue: str, symbol: str) -> Collection[Nanos]:
    """Times of the ticks that orders on record cite."""
    if store is None:
        return ()
    query = "SELECT body -> 'items' AS items FROM cited WHERE body ->> 'venue' = $1 AND body ->> 'symbol' = $2"
    try:
        rows: Sequence[Any] = await store.pool.fetch(query, venue, symbol)
    except FAILURES as err:
        raise explained(err, store.url) from err
    items = [item for row in rows if row["items"] for item in msgspec.json.decode(row["items"])]
    return {int(item[1]) for item in items if isinstance(item, list) and len(item) > 1}
