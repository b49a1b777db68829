"""Training runs: what is wanted is gathered, fitted in one process, kept in the store and given its role."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import structlog

from libs.common.bus import Bus, BusError
from libs.common.models import AgentRoles, ArtifactStore, ArtifactStoreError, Held, RoleKey, RoleProblem, Roles
from libs.common.models.cache import Verify
from libs.common.models.roles import appointed
from libs.common.settings import Settings
from libs.core.agents.artifact import ArtifactRefused, unpack
from libs.core.types import Training, TrainingState, stable_id
from services.train import metrics
from services.train.history import bars_of, write_bars
from services.train.job import Failed, Job, Made, Task, Working
from services.train.process import run_job

log = structlog.get_logger(__name__)

WORK: Final = "train"
TELL_S: Final = 1.0
FREE_MB: Final = 200
KEEP_TRIES: Final = 3
PACES: Final = 10
"""Newest models whose pace tells how long the rest takes."""

Series = tuple[str, str, int]
Wanted = dict[Series, dict[str, str]]
"""Series to agents to the reason why each is trained."""


class Runs:
    """Makes models of what is asked for, one run at a time. `problems`: the newest failure of each agent and series."""

    def __init__(
        self, bus: Bus, settings: Settings, store: ArtifactStore, verify: Verify, actor: str = "train"
    ) -> None:
        self._bus, self._settings, self._store, self._verify = bus, settings, store, verify
        self._actor = actor
        self._roles = Roles(bus)
        self._folder: Path = settings.platform.var / WORK
        self._wanted: Wanted = {}
        self._asked = asyncio.Event()
        self._told_at = 0.0
        self._begin(0)
        self.now: Training | None = None
        self.problems: dict[str, str] = {}
        self.made = 0

    def ask(self, keys: Iterable[RoleKey], reason: str) -> int:
        """Put agents of series on the list; returns how many were not on it yet."""
        new = 0
        for key in keys:
            agents = self._wanted.setdefault((key.venue, key.symbol, key.interval_s), {})
            new += key.agent not in agents
            agents.setdefault(key.agent, reason)
        if new:
            self._asked.set()
        return new

    async def run(self) -> None:
        """Work the list off, for the life of the service."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            wanted, self._wanted = self._wanted, {}
            try:
                await self.make(wanted)
            except (OSError, BusError, ArtifactStoreError, RoleProblem) as err:
                await self._tell_end(TrainingState.FAILED, f"not trained: {_line(err)}")

    async def make(self, wanted: Wanted) -> None:
        """One run. What cannot be made is told, never raised.

        Raises:
            OSError: the disk is full or cannot be written. BusError, ArtifactStoreError, RoleProblem: as they say.
        """
        begun = time.monotonic()
        total = sum(map(len, wanted.values()))
        self._begin(total)
        self._check_disk()
        folder = self._folder / "run"
        metrics.RUNNING.set(1)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tasks = await self._gather(wanted, folder)
            if tasks:
                await self._fit(tasks, wanted, folder)
            await self._tell_end(TrainingState.FAILED if self._failed else TrainingState.DONE, self._why_not())
        finally:
            metrics.RUNNING.set(0)
            metrics.LEFT.set(0)
            metrics.SECONDS.observe(time.monotonic() - begun)
            shutil.rmtree(folder, ignore_errors=True)

    def _begin(self, total: int) -> None:
        self._run = stable_id("training", self._actor, self._bus.epoch, time.time_ns())[:16]
        self._failed: Counter[tuple[str, str]] = Counter()
        self._done, self._total, self._told = 0, total, 0
        self._ends: list[float] = [time.monotonic()]

    def _check_disk(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        free_mb = shutil.disk_usage(self._folder).free >> 20
        if free_mb < FREE_MB:
            raise OSError(28, f"only {free_mb} MB free, training wants {FREE_MB}", str(self._folder))

    async def _gather(self, wanted: Wanted, folder: Path) -> list[Task]:
        tasks = []
        for number, (series, agents) in enumerate(wanted.items()):
            await self._tell(TrainingState.RUNNING, series, next(iter(agents)), 0.0, "history")
            try:
                bars = await bars_of(self._bus, *series, self._settings.training.bars)
            except BusError as err:
                self._fail(series, agents, f"no history: {err}")
                continue
            if not bars:
                self._fail(series, agents, "the venue has no history")
                continue
            path = folder / f"{number}.npz"
            await asyncio.to_thread(write_bars, bars, path)
            tasks.append(
                Task(
                    venue=series[0],
                    symbol=series[1],
                    interval_s=series[2],
                    agents=tuple(agents),
                    bars=str(path),
                    out=str(folder / str(number)),
                )
            )
        return tasks

    async def _fit(self, tasks: Sequence[Task], wanted: Wanted, folder: Path) -> None:
        training, features = self._settings.training, self._settings.features
        job = Job(
            var=str(self._settings.platform.var.absolute()),
            feature_set=features.set,
            feature_entries=features.entries,
            feature_files=features.paths,
            preset=training.preset,
            seed=training.seed,
            threads=training.threads,
            params={agent: dict(given) for agent, given in training.params.items()},
            tasks=tuple(tasks),
        )
        async for said in run_job(job, folder):
            if isinstance(said, Working | Made | Failed):
                task = tasks[said.task]
                series = (task.venue, task.symbol, task.interval_s)
            if isinstance(said, Made | Failed):
                self._ends.append(time.monotonic())
            match said:
                case Working():
                    await self._tell(TrainingState.RUNNING, series, said.agent, self._left(), said.line)
                case Made():
                    try:
                        await self._appoint(RoleKey(said.agent, *series), Path(said.path), wanted[series][said.agent])
                        self._done += 1
                    except (ArtifactRefused, ArtifactStoreError, RoleProblem, BusError, OSError) as err:
                        self._fail(series, [said.agent], _line(err))
                    await self._tell(TrainingState.RUNNING, series, said.agent, self._left(), "", now=True)
                case Failed():
                    self._fail(series, [said.agent], said.problem)

    def _left(self) -> float:
        """Seconds that the rest takes at the usual pace of the newest models: the first ones load what all need."""
        behind = self._done + self._failed.total()
        paces = [after - before for before, after in itertools.pairwise(self._ends)]
        left = (self._total - behind) * statistics.median(paces[-PACES:]) if paces else 0.0
        metrics.LEFT.set(left)
        return round(left, 1)

    async def _appoint(self, key: RoleKey, path: Path, reason: str) -> None:
        blob = await asyncio.to_thread(path.read_bytes)
        artifact = unpack(blob)
        self._verify(artifact)
        sha256 = await self._kept(blob)
        now = time.time_ns()
        held = Held(sha256=sha256, model_id=artifact.manifest.model_id, since=now, reason=reason, actor=self._actor)
        most = self._settings.model.council.challengers
        roles = await self._roles.change(key, lambda roles: appointed(roles, held, most))
        role = "champion" if roles.champion == held else "challenger"
        self.made += 1
        self.problems.pop(str(key), None)
        metrics.MODELS.labels(key.agent, role).inc()
        log.info("model made", model=artifact.manifest.model_id, series=str(key), role=role, reason=reason)

    async def _kept(self, blob: bytes) -> str:
        for left in reversed(range(KEEP_TRIES)):
            try:
                return await self._store.put(blob)
            except ArtifactStoreError:
                if not left:
                    raise
                await asyncio.sleep(1.0)
        raise AssertionError

    def _fail(self, series: Series, agents: Iterable[str], problem: str) -> None:
        for agent in agents:
            key = str(RoleKey(agent, *series))
            self._failed[agent, problem] += 1
            self.problems[key] = problem
            metrics.FAILED.labels(agent).inc()
            log.warning("model not made", series=key, problem=problem)

    def _why_not(self) -> str:
        rows = [
            f"{agent} of {count} series: {problem}" if count > 1 else f"{agent}: {problem}"
            for (agent, problem), count in self._failed.items()
        ]
        return "; ".join(rows)

    async def _tell(
        self, state: TrainingState, series: Series, agent: str, left_s: float, line: str, now: bool = False
    ) -> None:
        if not now and time.monotonic() - self._told_at < TELL_S and self._told:
            return
        self._told_at = time.monotonic()
        await self._publish(state, series, agent, left_s, line)

    async def _tell_end(self, state: TrainingState, line: str) -> None:
        if line:
            log.warning("training ended", line=line)
        await self._publish(state, ("", "", 0), "", 0.0, line)

    async def _publish(self, state: TrainingState, series: Series, agent: str, left_s: float, line: str) -> None:
        self._told += 1
        stamp = time.time_ns()
        self.now = Training(
            id=stable_id("training", self._run, self._told),
            ts_event=stamp,
            ts_init=stamp,
            run=self._run,
            state=state,
            agent=agent,
            venue=series[0],
            symbol=series[1],
            interval_s=series[2],
            done=self._done,
            failed=self._failed.total(),
            total=self._total,
            left_s=left_s,
            line=line[:300],
        )
        await self._bus.publish(self.now)


def _line(err: Exception) -> str:
    if isinstance(err, OSError):
        return f"{err.strerror or err}{f': {err.filename}' if err.filename else ''}"
    return str(err)


def missing(keys: Iterable[RoleKey], roles: dict[RoleKey, AgentRoles]) -> list[RoleKey]:
    """Those that have no champion."""
    return [key for key in keys if roles.get(key, AgentRoles()).champion is None]
