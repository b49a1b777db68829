"""News: each source of headlines in a task of its own; what it says becomes one event, what cannot be used a letter."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any, Final

import aiohttp
import structlog

from libs.common.bus import BusError
from libs.common.chassis import Chassis
from libs.common.settings.data import NewsSettings, NewsSourceSettings
from libs.core.agents.sentiment_topics import Topics
from libs.core.types import SECOND, Headline, Nanos, restamped, token
from libs.venues.news.entry import Entry, Refused, headline
from libs.venues.news.feed import parse_feed
from libs.venues.news.lines import LineTail, load_replay, parse_line
from libs.venues.news.poll import FeedPoller, FeedUnavailable
from services.ingest import metrics
from services.ingest.letters import DeadLetters
from services.ingest.outgoing import Outgoing

log = structlog.get_logger(__name__)

MOST_SEEN: Final = 20_000
TAIL_S: Final = 0.5
CLOCK_S: Final = 0.1
JITTER: Final = 0.1


class NewsDesk:
    """Publishes news.headline.<source>. A source that fails says so in one line and is tried again; it ends nothing."""

    def __init__(self, chassis: Chassis, outgoing: Outgoing) -> None:
        self._chassis = chassis
        self._settings = chassis.settings.news
        topics = Topics(self._settings.symbols)
        self._letters = DeadLetters(outgoing)
        self._sources = [
            _Source(chassis, source, self._settings, topics, self._letters, outgoing)
            for source in self._settings.sources
        ]
        self._session: aiohttp.ClientSession | None = None
        self._tasks: list[asyncio.Task[Any]] = []

    async def start(self) -> None:
        """Begin to read every source."""
        if not self._sources:
            return
        if any(source.kind == "rss" for source in self._sources):
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        self._chassis.on_pause.append(self._set_paused)
        self._tasks = [self._chassis.spawn(self._renew(), "news-letters")]
        self._tasks += [
            self._chassis.spawn(source.run(self._session), f"news-{source.name}") for source in self._sources
        ]

    async def aclose(self) -> None:
        """Stop reading."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2)
        if self._session:
            await self._session.close()

    def info(self) -> dict[str, Any]:
        """Per source: headlines published and refused, and why the last look failed ("" when it did not)."""
        return {source.name: source.info() for source in self._sources}

    def _set_paused(self, paused: bool) -> None:
        for source in self._sources:
            source.set_paused(paused)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self._letters.renew()


class _Source:
    """One source: reads it, drops what was seen, publishes the rest."""

    def __init__(
        self,
        chassis: Chassis,
        settings: NewsSourceSettings,
        news: NewsSettings,
        topics: Topics,
        letters: DeadLetters,
        outgoing: Outgoing,
    ) -> None:
        self.name, self.kind = settings.name, settings.kind
        self._chassis, self._settings, self._news = chassis, settings, news
        self._topics, self._letters, self._out = topics, letters, outgoing
        self._subject = f"news.headline.{token(self.name)}"
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._trouble = ""
        self._published = self._refused = 0
        self._running = asyncio.Event()
        self.set_paused(chassis.paused.is_set())

    def info(self) -> dict[str, Any]:
        return {"published": self._published, "refused": self._refused, "trouble": self._trouble}

    async def run(self, session: aiohttp.ClientSession | None) -> None:
        """Read for ever."""
        await self._remember()
        if self.kind == "rss" and session is not None:
            await self._poll(FeedPoller(self._settings.url, session, self._news.max_bytes))
        elif self.kind == "jsonl" and self._settings.path is not None:
            await self._follow(LineTail(self._settings.path))
        else:
            await self._replay()

    async def _remember(self) -> None:
        """What the stream still holds was published before this start."""
        while True:
            try:
                async for received in self._chassis.bus.read([self._subject]):
                    if isinstance(received.event, Headline):
                        self._mark(received.event.id)
                return
            except BusError as err:
                self._fails(f"the stream cannot be read: {err}")
                await asyncio.sleep(1.0)

    # rss -------------------------------------------------------------------------------------------------------------

    async def _poll(self, poller: FeedPoller) -> None:
        # Seeded by the name: sources do not ask at the same moment, and a start asks as the one before did.
        spread = random.Random(self.name)
        refused = ""
        while True:
            await self._running.wait()
            document: bytes | None = b""
            try:
                document = await poller.poll()
                if document is not None:
                    # A large feed takes longer to read than a bar may wait.
                    entries, problems = await asyncio.to_thread(parse_feed, document)
                    self._take(entries, time.time_ns(), problems)
                    refused = ""
                # Unchanged is no better than it was.
                if refused:
                    self._fails(refused)
                else:
                    self._works()
            except Refused as err:
                refused = str(err)
                self._refuse(document or b"", refused, time.time_ns())
                self._fails(refused)
            except FeedUnavailable as err:
                self._fails(str(err))
            await asyncio.sleep(self._settings.every_s * (1.0 + JITTER * spread.uniform(-1.0, 1.0)))

    # jsonl -----------------------------------------------------------------------------------------------------------

    async def _follow(self, tail: LineTail) -> None:
        while True:
            await self._running.wait()
            lines: Sequence[bytes] = ()
            try:
                lines, problems = tail.read()
                entries = []
                for line in lines:
                    try:
                        entries.append(parse_line(line))
                    except Refused as err:
                        problems.append((line, str(err)))
                self._take(entries, time.time_ns(), problems)
                self._works()
            except OSError as err:
                self._fails(f"{self._settings.path}: {err.strerror or err}")
            await asyncio.sleep(0 if lines else TAIL_S)

    # replay ----------------------------------------------------------------------------------------------------------

    async def _replay(self) -> None:
        path = self._settings.path
        assert path is not None
        venue = self._settings.clock or self._chassis.settings.data.venues[0].name
        try:
            entries, problems = await asyncio.to_thread(load_replay, path)
        except Refused as err:
            self._fails(str(err))
            return
        except OSError as err:
            self._fails(f"{path}: {err.strerror or err}")
            return
        self._take([], time.time_ns(), problems)
        at = 0
        while at < len(entries):
            await self._running.wait()
            now, due = self._chassis.clocks.now(venue), at
            while due < len(entries) and (entries[due].published or 0) <= now:
                due += 1
            if due > at:
                self._take(entries[at:due], now, ())
                at = due
            await asyncio.sleep(CLOCK_S)
        log.info("all headlines played", source=self.name, published=self._published)

    # common ----------------------------------------------------------------------------------------------------------

    def set_paused(self, paused: bool) -> None:
        """Read nothing until told otherwise; what comes meanwhile is read afterwards."""
        (self._running.clear if paused else self._running.set)()

    def _take(self, entries: Iterable[Entry], now: Nanos, problems: Iterable[tuple[bytes, str]]) -> None:
        """Publish what is new, oldest first; put aside what cannot be used."""
        for raw, reason in problems:
            self._refuse(raw, reason, now)
        fresh = []
        for entry in entries:
            try:
                event = headline(self.name, entry, now, self._topics.of)
            except Refused as err:
                self._refuse(entry.raw, str(err), now)
                continue
            if event.ts_event < now - self._news.max_age_s * SECOND or not self._mark(event.id):
                continue
            fresh.append(event)
        for event in sorted(fresh, key=lambda event: (event.ts_event, event.id)):
            self._out.put(restamped(event, time.time_ns()))
            self._published += 1
            metrics.HEADLINES.labels(self.name).inc()

    def _refuse(self, raw: bytes, reason: str, now: Nanos) -> None:
        """Once for each thing that is wrong, however often the source repeats it."""
        if self._mark(hashlib.sha256(reason.encode() + b"\x1f" + raw).hexdigest()):
            self._refused += 1
            metrics.HEADLINES_REFUSED.labels(self.name).inc()
            log.warning("headline refused", source=self.name, reason=reason)
            self._letters.put(self._subject, raw, reason, now)

    def _mark(self, key: str) -> bool:
        """True the first time."""
        if key in self._seen:
            self._seen.move_to_end(key)
            return False
        self._seen[key] = None
        if len(self._seen) > MOST_SEEN:
            self._seen.popitem(last=False)
        return True

    def _fails(self, reason: str) -> None:
        if reason != self._trouble:
            log.warning("no news", source=self.name, reason=reason)
        self._trouble = reason

    def _works(self) -> None:
        if self._trouble:
            log.info("news again", source=self.name)
        self._trouble = ""
