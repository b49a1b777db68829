"""Headlines scored by a process of its own that may crash, hang or lie: each gets an answer, once, in order."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from libs.common.bus import NatsBus, Received
from libs.common.bus.memory import MemoryBroker, MemoryBus
from libs.common.settings.learning import SentimentSettings
from libs.core.types import SECOND, Headline, Scored, decode, stable_id
from services.predict.headlines import HeadlineDesk

NOW = 1_700_000_000 * SECOND
FAKE = Path(__file__).with_name("sentiment_fake_worker.py")
Until = Callable[[Callable[[], object], str], Awaitable[None]]


def headline(title: str, number: int = 0) -> Headline:
    return Headline(
        id=stable_id("h", title, number), ts_event=NOW + number, source="desk", source_id=title, title=title,
        symbols=("BTC",),
    )  # fmt: skip


class House:
    """A desk on a bus, with a worker that can be told to misbehave."""

    def __init__(self, marks: Path) -> None:
        self.marks = marks
        self.broker = MemoryBroker()
        self.bus = MemoryBus(self.broker)
        self.desk = self.make()

    def make(self) -> HeadlineDesk:
        command = [sys.executable, "-S", str(FAKE), str(self.marks)]
        return HeadlineDesk(self.bus, SentimentSettings(), command=command, hang_s=0.3)

    async def publish(self, *titles: str) -> None:
        for number, title in enumerate(titles):
            await self.bus.publish(headline(title, number))

    @property
    def scores(self) -> list[Scored]:
        stream = self.broker.messages["MARKET"]
        return [decode(payload) for subject, payload, *_ in stream if subject.startswith("news.score.")]

    @property
    def starts(self) -> int:
        return int((self.marks / "starts").read_text())


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    await house.desk.start(0)
    yield house
    await house.desk.close()
    await house.bus.close()


async def test_each_headline_is_scored_once_in_order_and_says_what_it_follows_from(house: House, until: Until) -> None:
    await house.publish("one", "two")
    await until(lambda: len(house.scores) == 2, "two scores")
    first = house.scores[0]
    assert [score.headline for score in house.scores] == [headline("one", 0).id, headline("two", 1).id]
    assert (first.score, first.p_up, first.model_id, first.symbols) == (0.5, 0.6, "fake.1", ("BTC",))
    assert (first.cause, first.ts_event) == ((first.headline,), NOW)
    assert house.starts == 1


@pytest.mark.parametrize("trouble", ["crash once", "hang once", "nonsense once", "nan once"])
async def test_after_one_mishap_the_headline_is_tried_again_by_a_new_worker(
    house: House, until: Until, trouble: str
) -> None:
    await house.publish(trouble, "next")
    await until(lambda: len(house.scores) == 2, "both headlines have an answer")
    assert house.scores[1].score == 0.5
    if "nan" not in trouble:
        assert house.scores[0].score == 0.5
        assert house.starts == 2


@pytest.mark.parametrize(
    ("trouble", "why"),
    [
        ("crash", "the worker ended"),
        ("hang", "silent for 0.3 s"),
        ("nonsense", "the worker's answer cannot be read"),
        ("nan", "the worker's answer has no score"),
    ],
)
async def test_a_headline_on_which_it_fails_twice_is_told_as_not_scored_and_the_next_is_read(
    house: House, until: Until, trouble: str, why: str
) -> None:
    await house.publish(trouble, "next")
    await until(lambda: len(house.scores) == 2, "both headlines have an answer")
    failed, good = house.scores
    assert (failed.score, failed.p_up, failed.model_id) == (None, None, "")
    assert failed.detail == f"could not be scored: {why}"
    assert good.score == 0.5


async def test_while_no_worker_starts_headlines_wait(house: House, until: Until) -> None:
    await until(lambda: house.desk.info()["model"] == "fake.1", "a worker")
    (house.marks / "no_start").touch()
    await house.publish("crash once")
    await until(lambda: house.starts >= 3, "the worker was tried again")
    assert house.scores == []
    assert house.desk.info()["model"] == ""
    (house.marks / "no_start").unlink()
    await until(lambda: len(house.scores) == 1, "the score")
    assert house.scores[0].score == 0.5


async def test_after_a_restart_only_what_nobody_scored_is_read(house: House, until: Until) -> None:
    await house.publish("one")
    await until(lambda: len(house.scores) == 1, "a score")
    await house.desk.close()
    await house.publish("one", "two")
    house.desk = house.make()
    await house.desk.start(0)
    await until(lambda: len(house.scores) == 2, "the second score")
    await asyncio.sleep(0)
    assert [score.headline for score in house.scores] == [headline("one", 0).id, headline("two", 1).id]


async def test_the_shipped_worker_reads_headlines_and_says_which_model_it_has(tmp_path: Path, until: Until) -> None:
    bus = MemoryBus()
    desk = HeadlineDesk(bus, SentimentSettings(model=tmp_path / "nothing"))
    await desk.start(0)
    await bus.publish(headline("Shares rise 5 % after profit beats estimates"))
    stream = bus.broker.messages["MARKET"]
    await until(lambda: any(subject == "news.score.desk" for subject, *_ in stream), "a score")
    scored = decode(stream[-1][1])
    model = desk.info()["model"]
    await desk.close()
    assert scored.model_id == model
    assert model.startswith("lexicon.1:")
    assert scored.score > 0.5
    assert 0 < scored.latency_us < 500_000


async def test_no_worker_outlives_its_desk(house: House, until: Until) -> None:
    await until(lambda: house.desk.info()["model"] == "fake.1", "a worker")
    worker = house.desk._worker
    assert worker is not None
    await house.desk.close()
    with pytest.raises(ProcessLookupError):
        os.kill(worker.pid, 0)


async def test_over_the_real_bus_a_score_is_captured_beside_its_headline(nats_server: Any, until: Until) -> None:
    ingest, predict = [await NatsBus.connect(nats_server.url, name) for name in ("ingest", "predict")]
    heard: list[Headline | Scored] = []

    async def hear(received: Received) -> None:
        heard.append(received.event)

    await ingest.publish(headline("Bitcoin falls 5%"))
    desk = HeadlineDesk(predict, SentimentSettings())
    await desk.start(0)
    await predict.subscribe(["news.>"], hear, 0)
    await until(lambda: len(heard) == 2, "the headline and its score")
    await desk.close()
    for bus in (ingest, predict):
        await bus.close()
    first, second = heard
    assert isinstance(first, Headline)
    assert isinstance(second, Scored)
    assert (second.headline, second.symbols) == (first.id, ("BTC",))
    assert second.score is not None
    assert second.score < 0
