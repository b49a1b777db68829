"""Wiring of the features service: bars to vectors on the fast path, everything to the store beside it."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from fastapi import APIRouter

from libs.common import runtime
from libs.common.chassis import Chassis, FatalError
from libs.common.stage_runner import StageRunner
from libs.common.store import Store, StoreMismatch, StoreRefused
from libs.core.features import warm_kernels
from libs.core.stages.features import FeaturesStage
from services.features import metrics, state
from services.features.archive import Archive
from services.features.handlers import FeaturePath, observe
from services.features.outages import BUS_FAILURES
from services.features.settings import archive_settings, stage_config

SNAPSHOT_S = 30.0
SAVE_TIMEOUT_S = 3.0
FLUSH_S = 4.0
"""Longest that draining waits for the last batch."""


class App:
    """See `libs.common.chassis.App`."""

    def __init__(self, chassis: Chassis) -> None:
        self._chassis = chassis
        self.config = stage_config(chassis.settings)
        try:
            self.stage = FeaturesStage(self.config)
        except ValueError as err:
            raise FatalError(f"features.set {self.config.set!r}: {err}") from None
        self.runner = StageRunner(self.stage, chassis.bus, observe=observe)
        self.path = FeaturePath(
            chassis.bus,
            self.runner,
            self.config,
            self.stage.set.needs,
            chassis.clocks,
            chassis.settings.data.warmup_bars,
        )
        self.archive: Archive | None = None
        self._store: Store | None = None
        self._archiving: asyncio.Task[None] | None = None
        self._started = False
        self._saving = asyncio.Lock()

    async def start(self) -> None:
        """Take up the last snapshot, then warm up and archive in the background.

        Raises:
            FatalError: the archive is on and there is no store to write to.
        """
        warm_kernels()
        self._start_archive()
        snapshot = await state.load(self._chassis.bus, self.config)
        await self.runner.start(msgspec.json.encode(self.config), snapshot)
        self._started = True
        self._chassis.on_pause.append(lambda paused: self.runner.pause() if paused else self.runner.resume())
        self._chassis.spawn(self.path.run(self._store), "feature-path")
        self._chassis.spawn(self._snapshot_regularly(), "snapshots")

    def not_ready(self) -> list[str]:
        """The store's problem, and what is still to be warmed."""
        reasons = [f"store: {self.archive.problem}"] if self.archive and self.archive.problem else []
        reasons += [
            f"warm-up of {v} {symbol} {interval} s: {why}" for (v, symbol, interval), why in self.path.waiting.items()
        ]
        if not reasons and not self.path.live:
            reasons.append("bars: not subscribed yet")
        return reasons

    async def drain(self) -> None:
        """Stop the bars, keep the state, write what is in hand."""
        await self.path.stop()
        if self.archive and self._archiving:
            self.archive.drain()
            await asyncio.wait({self._archiving}, timeout=FLUSH_S)
        if self._started:
            await self._save()
            await self.runner.close()

    def routes(self) -> APIRouter | None:
        return None

    def info(self) -> dict[str, Any]:
        """The feature set and how the archive stands."""
        return {
            "feature_set": {"name": self.stage.set.name, "hash": self.stage.set.hash, "names": self.stage.set.names},
            "archive": {
                "on": self.archive is not None,
                "problem": self.archive.problem if self.archive else "",
                "rows": self.archive.stored if self.archive else 0,
                "lag_messages": self.archive.lag if self.archive else 0,
            },
        }

    def _start_archive(self) -> None:
        platform = self._chassis.settings.platform
        if not self._chassis.settings.features.archive:
            return
        url = runtime.database_url(platform.var, platform.database_url)
        if not url:
            raise FatalError("no store: set DATABASE_URL or platform.database_url, or features.archive: false")
        try:
            self._store = Store(url)
        except StoreRefused as err:
            raise FatalError(str(err)) from None
        self.archive = Archive(self._chassis.bus, self._store, archive_settings(self._chassis.settings))
        self._archiving = self._chassis.spawn(self._run_archive(self.archive), "archive")
        self._chassis.spawn(self.archive.run_retention(), "retention")

    async def _run_archive(self, archive: Archive) -> None:
        try:
            await archive.run()
        except (StoreRefused, StoreMismatch) as err:
            raise FatalError(str(err)) from err

    async def _snapshot_regularly(self) -> None:
        while True:
            await asyncio.sleep(SNAPSHOT_S)
            for (venue, symbol), tape in self.stage.flow.tapes.items():
                metrics.LOCKED.labels(venue, symbol).set(tape.locked)
            await self._save()

    async def _save(self) -> None:
        try:
            async with self._saving, asyncio.timeout(SAVE_TIMEOUT_S):
                await state.save(self._chassis.bus, self.stage)
        except BUS_FAILURES as err:
            self._chassis.log.warning("snapshot not kept", error=str(err) or type(err).__name__)
