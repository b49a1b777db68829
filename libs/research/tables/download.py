"""History from a source into a table: only what is missing, resumed where it broke off, never half a table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from typing import Final, NamedTuple, ParamSpec, TypeVar

import numpy as np

from libs.core.history import Columns, Kind, Page, joined, rows_in, time_of
from libs.core.types import SECOND, Nanos
from libs.research.tables.manifest import Manifest, What, load_manifest, save_manifest
from libs.research.tables.place import Format, Place, TableError
from libs.research.tables.read import is_there, read_table
from libs.research.tables.spool import Spool
from libs.research.tables.write import digest_of, write_table

Fetch = Callable[[Nanos, Nanos, str], AsyncIterator[Page]]
"""Start, end and where an earlier run was, to the pages that follow."""

Progress = Callable[[float, int], None]
"""Share of the time that has been covered, 0 to 1, and rows so far."""

NOTHING: Final[Columns] = {}
P = ParamSpec("P")
T = TypeVar("T")


class Outcome(NamedTuple):
    """`fetched`: the rows that this download brought, {} for none; `columns`: the whole table."""

    manifest: Manifest
    fetched: Columns
    columns: Columns


async def download(
    place: Place,
    what: What,
    start: Nanos,
    end: Nanos,
    settled: Nanos,
    fetch: Fetch,
    *,
    names: Mapping[str, str] | None = None,
    progress: Progress = lambda share, rows: None,
) -> Outcome:
    """Have [start, end) of `what` at `place`; what is there already is not asked for.

    `settled`: what the source tells of times before it is final; of later ones only what it has told is taken as had.

    Raises:
        TableError: something else lies there, or it was changed. What `fetch` raises: nothing is lost, run it again.
    """
    place = place.named()
    spool = await _finished(Spool, place, what)
    try:
        have, rows = await _finished(_present, place, what, dict(names or {}), spool.cursor is not None)
        fetched: list[Columns] = []
        while (span := _next_span(spool, have, start, end)) is not None:
            if spool.cursor is None:
                spool.begin(*span)
            await _collect(spool, fetch, progress)
            new = joined(what.kind, [spool.columns()])
            if have is None and not rows_in(new):
                spool.done()
                raise TableError(f"{what}: the source has no rows in that time")
            merged = await _finished(_merge, place, what, have, rows, new, span, settled, dict(names or {}))
            have, rows = merged
            spool.done()
            if rows_in(new):
                fetched.append(new)
            if merged[0].end < span[1]:
                break  # the source has no more for now
        if have is None:
            raise TableError(f"{what}: the end lies at or before the start")
        return Outcome(have, joined(what.kind, fetched) if fetched else NOTHING, rows)
    finally:
        spool.close()


async def _finished(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run in a thread; whoever is cancelled waits for it, as it must not go on writing when others may."""
    task = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


def _next_span(spool: Spool, have: Manifest | None, start: Nanos, end: Nanos) -> tuple[Nanos, Nanos] | None:
    if spool.cursor is not None:
        return spool.cursor.start, spool.cursor.end
    if have is None:
        return (start, end) if start < end else None
    if start < have.start:
        return start, have.start
    return (have.end, end) if have.end < end else None


async def _collect(spool: Spool, fetch: Fetch, progress: Progress) -> None:
    cursor = spool.cursor
    if cursor is None:
        raise RuntimeError("begin first")
    key = time_of(cursor.what.kind)
    if cursor.start >= cursor.end:
        return
    known = spool.columns()[key]
    low, high = (int(known.min()), int(known.max())) if len(known) else (cursor.end, cursor.start)
    async for page in fetch(cursor.start, cursor.end, cursor.after):
        await _finished(spool.append, page)
        if times := page.columns[key].tolist():
            low, high = min(low, *times), max(high, *times)
        progress(min(1.0, max(0, high - low) / (cursor.end - cursor.start)), spool.cursor.rows if spool.cursor else 0)
    progress(1.0, spool.cursor.rows if spool.cursor else 0)


def _present(place: Place, what: What, names: dict[str, str], broken_off: bool) -> tuple[Manifest | None, Columns]:
    """What is at `place` already. After a run that broke off while it wrote, the checksum may be that of before."""
    have = load_manifest(place)
    empty = joined(what.kind, [])
    if not is_there(place):
        return None, empty
    if have is None:
        if broken_off:
            return None, empty
        raise TableError(f"{place} is there and was not downloaded by this command; name another file")
    if have.what != what:
        raise TableError(f"{place} holds {have.what}; name another file for {what}")
    if have.names != names:
        raise TableError(f"{place} has other --columns; name another file, or leave them as they are")
    if place.format is not Format.SQLITE and not broken_off and digest_of(place.path) != have.sha256:
        raise TableError(f"{place} was changed since it was downloaded (its checksum differs); move it away")
    columns = joined(what.kind, [read_table(place, names, what.kind).columns])
    return have, columns


def _merge(
    place: Place,
    what: What,
    have: Manifest | None,
    rows: Columns,
    new: Columns,
    span: tuple[Nanos, Nanos],
    settled: Nanos,
    names: dict[str, str],
) -> tuple[Manifest, Columns]:
    whole = joined(what.kind, [rows, new])
    times = new[time_of(what.kind)]
    told = int(times[-1]) + max(what.interval_s * SECOND, 1) if len(times) and what.kind is not Kind.READINGS else 0
    start, end = span[0], max(span[0], min(span[1], max(settled, told)))
    if have is not None:
        start, end = min(start, have.start), max(end, have.end)
    return _written(place, what, whole, start, end, names), whole


def _written(place: Place, what: What, columns: Columns, start: Nanos, end: Nanos, names: dict[str, str]) -> Manifest:
    digest = write_table(place, what.kind, columns, names)
    times = columns[time_of(what.kind)]
    manifest = Manifest(
        what=what,
        start=start,
        end=end,
        rows=len(times),
        first=int(times[0]) if len(times) else 0,
        last=int(times[-1]) if len(times) else 0,
        names=names,
        sha256=digest,
    )
    save_manifest(place, manifest)
    return manifest


def prune(place: Place, before: Nanos, keep: Collection[Nanos] = ()) -> int:
    """Drop rows older than `before`, but those at the times in `keep`; how many went.

    Raises:
        TableError: there is no downloaded table at `place`, or another process writes it.
    """
    place = place.named()
    have = load_manifest(place)
    if have is None:
        raise TableError(f"{place} was not downloaded by this command")
    spool = Spool(place, have.what)
    try:
        have, columns = _present(place, have.what, have.names, spool.cursor is not None)
        if have is None:
            return 0
        times = columns[time_of(have.what.kind)]
        stays = (times >= before) | np.isin(times, np.fromiter(keep, np.int64, len(keep)))
        gone = int((~stays).sum())
        if gone:
            # Whoever is killed in here leaves a download of nothing that is then taken up.
            spool.begin(have.end, have.end)
            kept = {name: values[stays] for name, values in columns.items()}
            start = max(have.start, min(before, have.end))
            _written(place, have.what, kept, start, have.end, have.names)
            spool.done()
        return gone
    finally:
        spool.close()
