"""The train service: what has no model gets one, what has one gets a challenger, and nothing half-made is ever seen."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest
from train_house import KEY, House, serve_history, settings, walk

from libs.common.bus import MemoryBroker, MemoryBus, NatsBus
from libs.common.models import BusStore, Held, ModelCache, Roles
from libs.common.models.roles import appointed
from libs.common.signing import ModelVerifier
from libs.core.types import ModelNote, NoteKind, Training, TrainingState
from services.train.history import write_bars
from services.train.job import Failed, Job, Made, Task, Working
from services.train.process import run_job


async def eventually(condition: Callable[[], Awaitable[object]], what: str, within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not await condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        await asyncio.sleep(0.05)


async def test_the_first_model_is_champion_the_next_one_a_challenger(nats_server, tmp_path: Path) -> None:
    bus = await NatsBus.connect(nats_server.url, "train")
    await serve_history(bus, walk())
    told: list[Training] = []

    async def watch(received) -> None:
        if isinstance(received.event, Training):
            told.append(received.event)

    await bus.subscribe(["model.>"], watch, None)
    async with House(bus, settings(tmp_path)) as house:
        await eventually(lambda: _ended(house), "the end of the run")
        first = (await house.roles()).champion
    async with House(bus, settings(tmp_path, seed=18, at_start=False)) as house:
        house.app._runs.ask([KEY], "asked")
        await eventually(lambda: _ended(house), "the end of the run")
        roles = await house.roles()
    assert roles.champion == first
    assert first is not None
    assert first.actor == "train"
    assert {h.sha256 for h in roles.challengers} & {first.sha256} == set()
    store = BusStore(bus)
    assert sorted(await store.list()) == sorted([first.sha256, roles.challengers[0].sha256])
    cache = ModelCache(tmp_path / "models", ModelVerifier.of(tmp_path))
    artifact = await cache.fetch(store, first.sha256)
    assert artifact.manifest.model_id == first.model_id
    assert cache.model(first.sha256).manifest == artifact.manifest
    await eventually(lambda: _number(told, TrainingState.DONE, 2), "two runs told to their end")
    assert {t.total for t in told} == {1}
    await bus.close()


async def test_what_cannot_be_learnt_is_said_and_nothing_is_appointed(tmp_path: Path) -> None:
    bus = MemoryBus()
    await serve_history(bus, walk(100))
    async with House(bus, settings(tmp_path)) as house:
        await eventually(lambda: _ended(house), "the end of the run")
        run = house.app.info()["run"]
        assert run["state"] == "failed"
        assert "100 bars are too few" in run["line"]
        assert (await house.roles()).champion is None
    assert not list((tmp_path / "train").glob("*/*"))


async def _number(told: list[Training], state: TrainingState, count: int) -> bool:
    return [t.state for t in told if t.state is not TrainingState.RUNNING] == [state] * count


async def _ended(house: House) -> object:
    run = house.app.info()["run"]
    return run is not None and run["state"] != "running"


async def test_without_history_the_run_ends_in_a_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.train.history.RETRY_S", 0.0)
    bus = MemoryBus()
    async with House(bus, settings(tmp_path)) as house:
        await eventually(lambda: _ended(house), "the end of the run")
        assert "nobody serves req.history.deriv" in house.app.info()["run"]["line"]


async def test_a_killed_trainer_is_started_again_and_one_killed_again_and_again_is_given_up(tmp_path: Path) -> None:
    job = _job(tmp_path)
    kills, made = 0, []
    async for said in run_job(job, tmp_path):
        if isinstance(said, Working) and kills < 1:
            kills += _kill_children()
        made += [said] if isinstance(said, Made | Failed) else []
    assert kills == 1
    assert [type(said) for said in made] == [Made]

    failed = []
    async for said in run_job(job, tmp_path):
        if isinstance(said, Working):
            _kill_children()
        failed += [said] if isinstance(said, Made | Failed) else []
    assert len(failed) == 1
    assert isinstance(failed[0], Failed)
    assert "killed 3 times" in failed[0].problem


def _kill_children() -> int:
    fits = [p for p in psutil.Process().children() if "services.train.fit" in " ".join(p.cmdline())]
    for process in fits:
        assert process.nice() == 19
        os.kill(process.pid, signal.SIGKILL)
    return len(fits)


def _job(folder: Path) -> Job:
    write_bars(walk(), folder / "bars.npz")
    task = Task(
        venue="deriv",
        symbol="WALK",
        interval_s=1,
        agents=("boosting",),
        bars=str(folder / "bars.npz"),
        out=str(folder / "out"),
    )
    return Job(var=str(folder), feature_set="core20", preset="quick", seed=1, threads=1, tasks=(task,))


async def test_roles_follow_what_predict_says_of_models(tmp_path: Path) -> None:
    broker = MemoryBroker()
    bus = MemoryBus(broker)
    roles = Roles(bus)
    for name in ("old", "new"):
        held = Held(sha256=name * 16, model_id=f"boosting.test:{name}", since=1)
        await roles.change(KEY, lambda before, held=held: appointed(before, held))
    await bus.publish(_note(NoteKind.PROMOTED, "boosting.test:new", 1))
    async with House(bus, settings(tmp_path, at_start=False)) as house:
        await eventually(lambda: _is_champion(house, "boosting.test:new"), "the promotion that came before the start")
        assert (await house.roles()).previous == Held(sha256="old" * 16, model_id="boosting.test:old", since=1)
        await bus.publish(_note(NoteKind.RETIRED, "boosting.test:new", 2))
        await eventually(lambda: _is_champion(house, ""), "the retirement")
        await bus.publish(_note(NoteKind.PROMOTED, "boosting.test:unknown", 3))
        await bus.publish(_note(NoteKind.RETRAIN, "boosting.test:new", 4))
        await eventually(lambda: _ended(house), "a run because of drift")
    assert (await Roles(bus).get(KEY)).champion is None


async def _is_champion(house: House, model_id: str) -> bool:
    champion = (await house.roles()).champion
    return (champion.model_id if champion else "") == model_id


def _note(kind: NoteKind, model_id: str, number: int) -> ModelNote:
    return ModelNote(
        id=f"note-{number}",
        ts_event=number,
        kind=kind,
        agent=KEY.agent,
        venue=KEY.venue,
        symbol=KEY.symbol,
        interval_s=KEY.interval_s,
        model_id=model_id,
    )


async def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 5 << 20

    monkeypatch.setattr("services.train.runs.shutil.disk_usage", lambda _: Usage)
    bus = MemoryBus()
    await serve_history(bus, walk())
    async with House(bus, settings(tmp_path)) as house:
        await eventually(lambda: _ended(house), "the end of the run")
        assert "only 5 MB free" in house.app.info()["run"]["line"]
