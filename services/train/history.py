"""Bars to learn from: asked of ingest page by page, newest first, kept as columns."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import numpy as np

from libs.common.bus import Bus, BusError
from libs.core.types import Bar, HistoryRequest, stable_id, token

PAGE: Final = 5000
"""Bars of one answer at most, as ingest serves them."""

TIMEOUT_S: Final = 20.0
TRIES: Final = 3
RETRY_S: Final = 1.0


async def bars_of(bus: Bus, venue: str, symbol: str, interval_s: int, count: int) -> list[Bar]:
    """The newest `count` closed bars, or as many as the venue has; oldest first.

    Raises:
        BusError: nobody answers.
    """
    found: dict[int, Bar] = {}
    end = 0
    while len(found) < count:
        wanted = min(PAGE, count - len(found))
        page = await _page(bus, venue, symbol, interval_s, wanted, end)
        new = [bar for bar in page if bar.open_time not in found]
        found |= {bar.open_time: bar for bar in new}
        if not new or len(page) < wanted:
            break
        end = min(bar.open_time for bar in new)
    return [found[time] for time in sorted(found)][-count:]


async def _page(bus: Bus, venue: str, symbol: str, interval_s: int, count: int, end: int) -> list[Bar]:
    request = HistoryRequest(
        id=stable_id("training-history", venue, symbol, interval_s, count, end),
        ts_event=0,
        venue=venue,
        symbol=symbol,
        interval_s=interval_s,
        count=count,
        end=end,
    )
    for left in reversed(range(TRIES)):
        try:
            answer = await bus.request(f"req.history.{token(venue)}", request, TIMEOUT_S)
            return [bar for bar in answer if isinstance(bar, Bar)]
        except BusError:
            if not left:
                raise
            await asyncio.sleep(RETRY_S)
    return []


def write_bars(bars: list[Bar], path: Path) -> None:
    """Columns as the fitting process reads them. Raises OSError."""
    columns: dict[str, Any] = {name: np.array([getattr(bar, name) for bar in bars]) for name in _COLUMNS}
    columns["open_time"] = np.array([bar.open_time for bar in bars], dtype=np.int64)
    columns["flags"] = np.array([bar.flags for bar in bars], dtype=np.int64)
    with path.open("wb") as out:
        np.savez(out, **columns)


_COLUMNS: Final = ("open", "high", "low", "close", "volume")
