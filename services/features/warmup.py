"""History for the engines: what the venue has, lengthened by what the store has where it joins without a hole."""

from __future__ import annotations

from libs.common.bus import Bus
from libs.common.store import Store, StoreError
from libs.core.types import Bar, HistoryRequest, Warmup, stable_id, token

REQUEST_S = 20.0


async def history(bus: Bus, store: Store | None, venue: str, symbol: str, interval_s: int, count: int) -> Warmup:
    """At most `count` consecutive closed bars up to now, oldest first; fewer when there are no more.

    Raises:
        BusError: ingest does not answer, or answers with an error.
    """
    key = (venue, symbol, interval_s)
    request = HistoryRequest(
        id=stable_id("history", "features", *key),
        ts_event=0,
        venue=venue,
        symbol=symbol,
        interval_s=interval_s,
        count=count,
    )
    answer = await bus.request(f"req.history.{token(venue)}", request, REQUEST_S)
    bars = [bar for bar in answer if isinstance(bar, Bar)]
    if len(bars) < count and store is not None:
        bars = await _stored(store, bars, key, count) + bars
    end = bars[-1].ts_event if bars else 0
    return Warmup(
        id=stable_id("warmup", *key, end, len(bars)),
        ts_event=end,
        venue=venue,
        symbol=symbol,
        interval_s=interval_s,
        bars=tuple(bars),
    )


async def _stored(store: Store, bars: list[Bar], key: tuple[str, str, int], count: int) -> list[Bar]:
    """Stored bars that end where `bars` begin, without a hole: another session of a simulator is no history."""
    end = bars[0].open_time if bars else 0
    try:
        found = await store.bars(*key, count - len(bars), end)
    except StoreError:
        return []
    joined: list[Bar] = []
    for bar in reversed(found):
        if end and bar.ts_event != end:
            break
        joined.append(bar)
        end = bar.open_time
    return joined[::-1]
