"""Sources of history as live feeds: asked again and again, what is new is published, and how late it is is told."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any, Final

from libs.common.bus import Bus
from libs.common.chassis import Chassis, FatalError
from libs.common.secrets import SecretError
from libs.common.settings.sources import PollerSettings
from libs.core.bars.forming import bar_id
from libs.core.bars.sessions import calendar_named
from libs.core.history import FIELDS, Columns, Kind, joined, time_of
from libs.core.types import (
    SECOND,
    Bar,
    BarFlag,
    FeedHealth,
    FeedState,
    Nanos,
    Reading,
    interval_token,
    stable_id,
    token,
)
from libs.research.tables.place import TableError
from libs.venues.base import VenueError
from libs.venues.sources.base import Ask, Source, check
from services.ingest.outgoing import Outgoing
from services.ingest.sources import open_source

FIRST_BARS: Final = 3
"""Published at the first start: enough to tell that it works, and no history that features would take for live."""

FIRST_READINGS: Final[Nanos] = 400 * 86_400 * SECOND
"""How far back the newest reading of a series is looked for: a yearly one is found."""

SPREAD: Final = 0.1

Open = Callable[[PollerSettings], Source]


class Poller:
    """One series of one source."""

    def __init__(self, settings: PollerSettings, source: Source, bus: Bus, out: Outgoing, rng: random.Random) -> None:
        """Raises VenueRefused: the source has no such thing."""
        self.settings, self._source, self._bus, self._out, self._rng = settings, source, bus, out, rng
        self._ask = Ask(settings.symbol, settings.interval, 0, 1)
        check(source.facts, self._ask)
        self._newest: Nanos | None = None
        self.published = self.failures = 0
        self.problem = ""

    @property
    def name(self) -> str:
        """Source, symbol and interval, for people."""
        return f"{self.settings.source} {self.settings.symbol} {self.settings.interval}"

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await self.poll()
            await asyncio.sleep(self.settings.every_s * self._rng.uniform(1 - SPREAD, 1 + SPREAD))

    async def poll(self) -> int:
        """Ask once and publish what is new; how many rows that were. What fails is told in the feed's health."""
        try:
            now = await self._source.now()
            if self._newest is None:
                self._newest = await self._last_published()
            first = self._newest is None
            columns = await self._rows(now)
        except VenueError as err:
            self.failures += 1
            self._tell(time.time_ns(), "" if self.problem else "unreachable", str(err), down=True)
            self.problem = str(err)
            return 0
        keep = (FIRST_BARS if self._ask.kind is Kind.BARS else 1) if first else None
        rows = self._publish(columns, keep)
        event = "reconnect" if self.problem else ""
        self.problem = ""
        self._tell(now, event, "it answers again" if event else "")
        return rows

    async def _last_published(self) -> Nanos | None:
        """Time of the newest row that the bus has got; None for none."""
        source, symbol = token(self.settings.source), token(self.settings.symbol)
        if self._ask.kind is Kind.READINGS:
            last = await self._bus.last(f"md.series.{source}.{symbol}")
            return last.event.ts_event if last is not None and isinstance(last.event, Reading) else None
        last = await self._bus.last(f"md.bar.{interval_token(self._ask.interval_s)}.{source}.{symbol}")
        return last.event.open_time if last is not None and isinstance(last.event, Bar) else None

    async def _rows(self, now: Nanos) -> Columns:
        kind, length = self._ask.kind, self._ask.interval_s * SECOND
        if self._newest is not None:
            start = self._newest + max(length, 1)
        elif kind is Kind.READINGS:
            start = now - FIRST_READINGS
        else:
            # Bars of shares pause over a night and a long weekend; three days of minutes are one page.
            start = now - max(3 * 86_400 * SECOND, (FIRST_BARS + 2) * length) - int(self._source.facts.delay_s * SECOND)
        if start >= now:
            return joined(kind, [])
        ask = Ask(self.settings.symbol, self.settings.interval, start, now)
        return joined(kind, [page.columns async for page in self._source.pages(ask)])

    def _publish(self, columns: Columns, keep: int | None) -> int:
        kind = self._ask.kind
        rows = list(zip(*(columns[name].tolist() for name in FIELDS[kind]), strict=True))
        rows = rows if keep is None else rows[-keep:]
        for row in rows:
            if kind is Kind.READINGS:
                self._out.put(self._reading(*row))
            else:
                self._out.put_bar(self._bar(*row))
        if rows:
            self._newest = max(self._newest or 0, int(columns[time_of(kind)][-1]))
        self.published += len(rows)
        return len(rows)

    def _reading(self, ts_event: Nanos, period: Nanos, value: float) -> Reading:
        source, series = self.settings.source, self.settings.symbol
        return Reading(
            id=stable_id("reading", source, series, ts_event, period),
            ts_event=ts_event,
            ts_init=time.time_ns(),
            source=source,
            series=series,
            period=period,
            value=value,
        )

    def _bar(self, at: Nanos, open_: float, high: float, low: float, close: float, *rest: Any) -> Bar:
        volume, buy_volume, trades = rest
        venue, symbol, interval_s = self.settings.source, self.settings.symbol, self._ask.interval_s
        return Bar(
            id=bar_id(venue, symbol, interval_s, at),
            ts_event=at + interval_s * SECOND,
            venue=venue,
            symbol=symbol,
            interval_s=interval_s,
            open_time=at,
            open=open_,
            high=high,
            low=low,
            close=close,
            volume=volume,
            buy_volume=buy_volume,
            trades=trades,
            flags=BarFlag.VENUE,
            ts_recv=time.time_ns(),
        )

    def _tell(self, now: Nanos, event: str, detail: str, *, down: bool = False) -> None:
        """The health of the feed: how late its data is by nature, and whether it is later than that."""
        facts, length = self._source.facts, self._ask.interval_s * SECOND
        newest = self._newest + length if self._newest is not None else 0
        staleness = max(0, now - newest) if newest else 0
        closed = not calendar_named(self.settings.calendar).is_open(now)
        allowed = (facts.delay_s + 2 * self.settings.every_s) * SECOND + 2 * length
        # Nobody knows when the next value of a series is due.
        late = self._ask.kind is Kind.BARS and not down and not closed and (not newest or staleness > allowed)
        state = FeedState.DOWN if down or late else FeedState.CLOSED if closed else FeedState.OPEN
        self._out.put(
            FeedHealth(
                id=stable_id("health", self.settings.source, self.settings.symbol, event, now, self.published),
                ts_event=now,
                ts_init=time.time_ns(),
                venue=self.settings.source,
                symbol=self.settings.symbol,
                score=0.0 if down or late else 1.0,
                state=state,
                staleness_s=staleness / SECOND,
                delay_s=facts.delay_s,
                failing=("stale",) if down or late else (),
                event=event or ("stale" if late else ""),
                detail=detail or (f"nothing newer for {staleness / SECOND:.0f} s" if late else ""),
            )
        )

    async def aclose(self) -> None:
        """Close the source."""
        await self._source.aclose()


class Pollers:
    """Every poller of the configuration."""

    def __init__(self, chassis: Chassis, out: Outgoing, open_: Open | None = None) -> None:
        self._chassis, self._out = chassis, out
        self._open = open_ or (
            lambda row: open_source(row.source, chassis.var, endpoint=row.endpoint, columns=row.columns)
        )
        self._pollers: list[Poller] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Open them all. Raises FatalError when one cannot be: no such source, no key."""
        rng = random.Random()
        for row in self._chassis.settings.data.pollers:
            try:
                self._pollers.append(Poller(row, self._open(row), self._chassis.bus, self._out, rng))
            except (VenueError, SecretError, TableError) as err:
                raise FatalError(f"data.pollers: {err}") from err
        self._tasks = [self._chassis.spawn(poller.run(), f"poller {poller.name}") for poller in self._pollers]

    async def aclose(self) -> None:
        """Ask no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(poller.aclose() for poller in self._pollers))

    def info(self) -> dict[str, Any]:
        """Counts per poller."""
        return {p.name: {"published": p.published, "failures": p.failures, "problem": p.problem} for p in self._pollers}
