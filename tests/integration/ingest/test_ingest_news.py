"""Headlines on their way from a web server and from files to the bus, and what happens when the source misbehaves."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from ingest_house import T0, FakeVenue, Running

from libs.common.bus.memory import MemoryBroker
from libs.common.settings.data import NewsSettings
from libs.core.types import SECOND, DeadLetter, Headline
from services.ingest.app import IngestApp


class Site:
    """A web server with one feed; what it was asked can be looked at."""

    def __init__(self) -> None:
        self.body = b""
        self.status = 200
        self.packed = False
        self.asked: list[dict[str, str]] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(dict(request.headers))
        tag = f'"{hash(self.body)}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304)
        headers = {"ETag": tag, **({"Content-Encoding": "gzip"} if self.packed else {})}
        return web.Response(status=self.status, body=self.body, headers=headers)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    app = web.Application()
    app.router.add_get("/feed", site.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0)
    await listener.start()
    site.url = f"http://127.0.0.1:{runner.addresses[0][1]}/feed"
    yield site
    await runner.cleanup()


class Desk(Running):
    """Ingest with sources of news; `every_s` is shortened below what the configuration allows."""

    def __init__(self, broker: MemoryBroker, source: dict[str, Any], **news: Any) -> None:
        self.venue = FakeVenue(listed=("BTCUSDT",))
        super().__init__([self.venue], broker)
        settings = NewsSettings.model_validate({"sources": [{"name": "desk", **source}], **news})
        quick = tuple(row.model_copy(update={"every_s": 0.02}) for row in settings.sources)
        settings = settings.model_copy(update={"sources": quick})
        self.house.settings = self.house.settings.model_copy(update={"news": settings})
        self.app = IngestApp(self.house, lambda _settings, venue: self.venue)  # type: ignore[arg-type]

    @property
    def headlines(self) -> list[Headline]:
        return self.published("news.headline.desk")

    @property
    def letters(self) -> list[DeadLetter]:
        return self.published("dlq.news.headline.desk")

    @property
    def trouble(self) -> str:
        return str(self.app.info()["news"]["desk"]["trouble"])


def feed(*titles: str) -> bytes:
    items = "".join(f"<item><title>{title}</title><guid>{title}</guid></item>" for title in titles)
    return f'<rss version="2.0"><channel><title>t</title>{items}</channel></rss>'.encode()


async def test_a_feed_is_read_once_and_asked_only_for_changes(site: Site) -> None:
    site.body = feed("Bitcoin rallies", "Rates on hold")
    desk = await Desk(MemoryBroker(), {"kind": "rss", "url": site.url}).start()
    await desk.until(lambda: len(site.asked) > 3 and len(desk.headlines) == 2)
    assert "If-None-Match" in site.asked[-1]
    assert {h.title: h.symbols for h in desk.headlines} == {"Bitcoin rallies": ("BTC",), "Rates on hold": ()}
    site.body = feed("Bitcoin rallies", "Rates on hold", "Ether slips")
    await desk.until(lambda: len(desk.headlines) == 3)
    await desk.stop()
    assert [h.title for h in desk.headlines[2:]] == ["Ether slips"]


async def test_what_was_published_before_a_restart_is_not_published_again(site: Site) -> None:
    broker = MemoryBroker()
    site.body = feed("Bitcoin rallies")
    first = await Desk(broker, {"kind": "rss", "url": site.url}).start()
    await first.until(lambda: len(first.headlines) == 1)
    await first.stop()
    broker.ids.clear()  # the server drops repeats for two minutes only
    asked = len(site.asked)
    second = await Desk(broker, {"kind": "rss", "url": site.url}).start()
    await second.until(lambda: len(site.asked) > asked + 2)
    await second.stop()
    assert len(second.headlines) == 1


@pytest.mark.parametrize(
    ("body", "packed", "reason"),
    [
        (b"<html>not found</html>", False, "neither RSS nor Atom"),
        (b"x" * 20_000, False, "the feed is larger than 10,000 bytes"),
        (gzip.compress(b"x" * 5_000_000), True, "the feed is larger than 10,000 bytes"),
        (b'<!DOCTYPE r [<!ENTITY a "b">]>' + feed("&a;"), False, "declares entities"),
    ],
)
async def test_a_feed_that_cannot_be_used_is_one_letter_and_the_next_good_one_is_read(
    site: Site, body: bytes, packed: bool, reason: str
) -> None:
    site.body, site.packed = body, packed
    desk = await Desk(MemoryBroker(), {"kind": "rss", "url": site.url}, max_bytes=10_000).start()
    await desk.until(lambda: len(site.asked) > 3)
    assert reason in desk.trouble
    site.body, site.packed = feed("Bitcoin rallies"), False
    await desk.until(lambda: len(desk.headlines) == 1)
    assert desk.trouble == ""
    await desk.stop()
    assert len(desk.letters) == 1
    assert reason in desk.letters[0].reason


async def test_a_server_that_refuses_is_asked_again(site: Site) -> None:
    site.status = 503
    desk = await Desk(MemoryBroker(), {"kind": "rss", "url": site.url}).start()
    await desk.until(lambda: desk.trouble == "HTTP 503")
    site.body, site.status = feed("Bitcoin rallies"), 200
    await desk.until(lambda: len(desk.headlines) == 1)
    await desk.stop()
    assert desk.letters == []


async def test_nobody_there_is_one_line_and_no_crash() -> None:
    desk = await Desk(MemoryBroker(), {"kind": "rss", "url": "http://127.0.0.1:9/feed"}).start()
    await desk.until(lambda: desk.trouble != "")
    await desk.stop()
    assert "\n" not in desk.trouble


async def test_a_file_that_grows_gives_each_line_once_and_refuses_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "news.jsonl"
    desk = await Desk(MemoryBroker(), {"kind": "jsonl", "path": path}).start()
    await desk.until(lambda: desk.trouble.endswith("No such file or directory"))
    now = time.time_ns()
    rows = [
        {"id": 1, "title": "Ether slips", "time": now},
        {"id": 2, "title": "Tomorrow", "time": now + 86_400 * SECOND},
        {"id": 3, "title": "Last year", "time": now - 365 * 86_400 * SECOND},
        {"id": 1, "title": "Ether slips", "time": now},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "garbage\n")
    await desk.until(lambda: len(desk.letters) == 2)
    await desk.stop()
    assert [(h.source_id, h.ts_event, h.symbols) for h in desk.headlines] == [("1", now, ("ETH",))]
    assert sorted(letter.reason for letter in desk.letters) == ["dated 24.0 h ahead of the clock", "not JSON"]


async def test_a_replay_is_published_at_its_own_times_on_the_data_clock(tmp_path: Path) -> None:
    path = tmp_path / "past.jsonl"
    rows = [{"id": n, "title": f"Bitcoin {n}", "time": T0 + n * 60 * SECOND} for n in (2, 1, 3)]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    desk = await Desk(MemoryBroker(), {"kind": "replay", "path": path, "clock": "binance"}).start()
    desk.venue.tell_clock(T0 + 90 * SECOND)
    await desk.until(lambda: len(desk.headlines) == 1)
    desk.venue.tell_clock(T0 + 180 * SECOND)
    await desk.until(lambda: len(desk.headlines) == 3)
    await desk.stop()
    assert [(h.source_id, h.ts_event) for h in desk.headlines] == [(str(n), T0 + n * 60 * SECOND) for n in (1, 2, 3)]
