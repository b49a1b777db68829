"""What the bus remembers of the last run: where each symbol stood when it ended, however it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from libs.common.bus import Bus
from libs.core.types import SECOND, Bar, BarFlag, Nanos, Ticks, Trade, interval_token, token
from services.ingest.state import SymbolState

RESUME: Final[Nanos] = 3600 * SECOND
"""After a longer absence (data time) ingest starts afresh: what lies between is then a matter for training."""

CLOCK_SLACK: Final[Nanos] = 3 * SECOND
"""A venue that tells whole seconds, asked a moment ago, may be this far behind its own prints."""

OWN_BARS: Final[Nanos] = 120 * SECOND
"""Our own base bars of this much machine time are read back; older ones come from the venue."""

MAX_KLINES: Final = 1000
"""Closed klines that are fetched at most where they are the bars."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the bus says was published before this start: last base bars, newest print, prints since those bars."""

    bars: tuple[Bar, ...]
    last_seq: int
    stamp: Nanos
    since: tuple[Trade, ...]


async def read_standing(bus: Bus, state: SymbolState, now: Nanos) -> Standing | None:
    """Where the last run stood; None when there was none worth taking up at data time `now`."""
    last_ticks = await bus.last(state.subject)
    if last_ticks is None or not isinstance(last_ticks.event, Ticks) or not last_ticks.event.last_seq:
        return None
    ticks = last_ticks.event
    # A clock that lies before what was published is another time line: a recording played again.
    if not ticks.ts_event - CLOCK_SLACK <= now <= ticks.ts_event + RESUME:
        return None
    subject = f"md.bar.{interval_token(state.builder.base // SECOND)}.{token(state.venue)}.{token(state.symbol)}"
    last_bar = await bus.last(subject)
    if last_bar is None or not isinstance(last_bar.event, Bar):
        since = await _prints(bus, state, last_ticks.stream_ns, 0)
        return Standing((), ticks.last_seq, ticks.ts_event, since)
    own = {last_bar.event.open_time: last_bar.event}
    async for received in bus.read([subject], max(0, last_bar.stream_ns - OWN_BARS)):
        if isinstance(received.event, Bar) and received.event.open_time < last_bar.event.open_time:
            own[received.event.open_time] = received.event
    since = await _prints(bus, state, last_bar.stream_ns, last_bar.event.ts_event)
    return Standing(tuple(own[at] for at in sorted(own)), ticks.last_seq, ticks.ts_event, since)


async def _prints(bus: Bus, state: SymbolState, captured_ns: Nanos, from_time: Nanos) -> tuple[Trade, ...]:
    """Published prints since data time `from_time`; a bar follows its ticks by far less than a second."""
    prints: dict[int, Trade] = {}
    async for received in bus.read([state.subject], max(0, captured_ns - 2 * SECOND)):
        if isinstance(received.event, Ticks):
            for item in received.event.items:
                if isinstance(item, Trade) and item.ts_event >= from_time:
                    prints[item.seq] = item
    return tuple(prints[seq] for seq in sorted(prints))


async def read_kline_standing(bus: Bus, state: SymbolState, intervals_s: Sequence[int], now: Nanos) -> dict[int, Nanos]:
    """Interval to opening time of the newest bars published, where the venue's klines are the bars."""
    newest: dict[int, Nanos] = {}
    last_ticks = await bus.last(state.subject)
    printed_ns = last_ticks.stream_ns if last_ticks else 0
    for interval_s in intervals_s:
        last = await bus.last(f"md.bar.{interval_token(interval_s)}.{token(state.venue)}.{token(state.symbol)}")
        if last is None or not isinstance(last.event, Bar) or not last.event.flags & BarFlag.VENUE:
            continue
        if last.stream_ns < printed_ns:
            continue
        if last.event.open_time <= now <= last.event.ts_event + MAX_KLINES * interval_s * SECOND:
            newest[interval_s] = last.event.open_time
    return newest
