"""Bars of the store: of the stack that runs, or of the last one, whose PostgreSQL is started for a moment."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from console.context import DEMO, ROOT, CommandError, base_var
from libs.common import runtime
from libs.common.embedded.ports import answers, free_port
from libs.common.embedded.postgres import EmbeddedPostgres
from libs.common.embedded.process import Child
from libs.common.store import Store, StoreError, StoreUnreachable
from libs.core.types import interval_seconds, interval_token

if TYPE_CHECKING:
    from console.inputs import Given

HOW = "get some with `conclave data download`, give a table with --data, or run `conclave demo`"
START_S, POLL_S = 30.0, 0.05


@asynccontextmanager
async def open_store() -> AsyncIterator[Store]:
    """The store of DATABASE_URL or the running stack, else of the last one.

    Raises:
        CommandError: there is none, or it does not answer.
    """
    var = base_var()
    folders = [folder for folder in (var, var / DEMO) if runtime.read_stack(folder)]
    url = runtime.database_url(folders[0] if folders else var, "")
    async with _last(var) if not url else _known(url) as found:
        store = Store(found, connections=1)
        try:
            await store.open()
            yield store
        except StoreError as err:
            raise CommandError(str(err)) from None
        finally:
            await store.close()


@asynccontextmanager
async def _known(url: str) -> AsyncIterator[str]:
    yield url


@asynccontextmanager
async def _last(var: Path) -> AsyncIterator[str]:
    """The data base that an earlier stack left behind, started on a free port until the block ends."""
    used = [folder / "postgres" for folder in (var, var / DEMO) if (folder / "postgres" / "data").exists()]
    if not used:
        raise CommandError(f"no stack has run here, so there are no bars; {HOW}")
    newest = max(used, key=lambda folder: folder.stat().st_mtime)
    server = EmbeddedPostgres(newest, free_port(), secrets.token_hex(12))
    child = Child(await asyncio.to_thread(server.spec), newest.parent / "logs", ROOT)
    await child.start()
    try:
        for _ in range(int(START_S / POLL_S)):
            if answers(server.port) and await _serves(server.url):
                break
            await asyncio.sleep(POLL_S)
        else:
            raise CommandError(f"PostgreSQL in {newest} does not start: {child.last_words()}")
        yield server.url
    finally:
        await child.stop()


async def _serves(url: str) -> bool:
    """Whether it takes connections: a server that recovers listens before it does."""
    store = Store(url, connections=1)
    try:
        await store.open()
    except StoreUnreachable:
        return False
    finally:
        await store.close()
    return True


async def stored_bars(symbol: str, venue: str, interval: str, count: int) -> Given:
    """The newest `count` bars of a symbol; of the venue and interval that have most of them where none is named.

    Raises:
        CommandError: there are none; the text says what there is and how to get more.
    """
    from console.inputs import given_of

    wanted = _seconds(interval)
    async with open_store() as store:
        rows = await store.pool.fetch(
            "SELECT venue, interval_s, count(*) AS bars FROM bars WHERE symbol = $1 GROUP BY 1, 2 ORDER BY 3 DESC",
            symbol,
        )
        fitting = [
            row for row in rows if venue in ("", row["venue"]) and wanted in (0, row["interval_s"]) and row["bars"] > 1
        ]
        if not fitting:
            there = ", ".join(f"{row['venue']} {interval_token(row['interval_s'])}" for row in rows)
            known = f"; there are {there}" if there else ""
            named = " ".join(part for part in (venue, symbol, interval) if part)
            raise CommandError(f"the store holds no bars of {named}{known}; {HOW}")
        row = fitting[0]
        found = await store.bars(row["venue"], symbol, row["interval_s"], count)
    return given_of(found, symbol, row["interval_s"])


def _seconds(interval: str) -> int:
    try:
        return interval_seconds(interval) if interval else 0
    except ValueError as err:
        raise CommandError(str(err)) from None
