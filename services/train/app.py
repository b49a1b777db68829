"""Train's wiring: what has no model yet, what drifted, what the hour or a person asks for becomes a training run."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Final

from fastapi import APIRouter

from libs.common.bus import BusError, Subscription
from libs.common.chassis import Chassis, FatalError
from libs.common.keys import KeyProblem
from libs.common.models import ArtifactStoreError, RoleKey, RoleProblem, Roles, open_store
from libs.common.signing import ModelVerifier, make_signer
from libs.core.types import DAY_S, SECOND, interval_seconds, interval_token
from services.train.notes import NoteKeeper
from services.train.runs import Runs, missing
from services.train.settings import trained_keys

LOOK_BACK_NS: Final = DAY_S * SECOND
"""Notes that came while the service was away are followed for so long."""

RETRY_S: Final = 2.0


class TrainApp:
    """The service as the chassis runs it.

    Raises:
        FatalError: the store of models or the signing key cannot be used.
    """

    def __init__(self, chassis: Chassis) -> None:
        self._chassis, self._bus, settings = chassis, chassis.bus, chassis.settings
        model = settings.model
        try:
            make_signer(chassis.var)
            self._store = open_store(model.store, self._bus, chassis.secret, model.store_region)
        except (ArtifactStoreError, KeyProblem) as err:
            raise FatalError(str(err)) from None
        self._keys = trained_keys(settings)
        self._runs = Runs(self._bus, settings, self._store, ModelVerifier.of(chassis.var))
        ask = self._ask_configured if settings.training.on_drift else None
        self._notes = NoteKeeper(self._bus, ask, time.time_ns())
        self._subscriptions: list[Subscription] = []
        self._work: asyncio.Task[Any] | None = None
        self._scheduler: Any = None

    async def start(self) -> None:
        """Follow what predict says of models, begin with what has none, and wait for what is asked."""
        since = time.time_ns() - LOOK_BACK_NS
        self._subscriptions.append(await self._bus.subscribe(["model.>"], self._notes.take, since))
        self._start_schedule()
        self._work = self._chassis.spawn(self._runs.run(), "training")
        if self._chassis.settings.training.at_start:
            self._chassis.spawn(self._ask_missing(), "first-models")

    def not_ready(self) -> list[str]:
        """It is ready once it runs: that a model cannot be made is told, and the last good ones serve on."""
        return []

    async def drain(self) -> None:
        """Stop; a run under way is ended, what it made is kept."""
        for subscription in self._subscriptions:
            await subscription.close()
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait({self._work}, timeout=5)
        await self._store.aclose()

    def routes(self) -> APIRouter:
        """POST /admin/train: a run of what is configured, all of it or one agent, symbol, bar length."""
        router = APIRouter()

        @router.post("/train")
        async def train(agent: str = "", symbol: str = "", interval: str = "", reason: str = "asked") -> dict[str, Any]:
            try:
                seconds = interval_seconds(interval) if interval else 0
            except ValueError as err:
                return {"status": "refused", "reason": str(err)}
            keys = [
                key
                for key in self._keys
                if agent in ("", key.agent) and symbol in ("", key.symbol) and seconds in (0, key.interval_s)
            ]
            if not keys:
                return {"status": "refused", "reason": "training.agents and data.venues have no such agent or series"}
            self._runs.ask(keys, reason)
            return {"status": "asked", "models": len(keys)}

        return router

    def info(self) -> dict[str, Any]:
        """The run under way, what was made, and why what was not made could not be."""
        now = self._runs.now
        return {
            "made": self._runs.made,
            "problems": self._runs.problems,
            "run": None
            if now is None
            else {
                "state": now.state.value,
                "what": f"{now.agent} {now.symbol} {interval_token(now.interval_s) if now.interval_s else ''}".strip(),
                "done": now.done,
                "total": now.total,
                "left_s": now.left_s,
                "line": now.line,
            },
        }

    def _ask_configured(self, keys: Any, reason: str) -> int:
        """Only what is configured is trained again: an imported model of another series is not ours to replace."""
        return self._runs.ask([key for key in keys if key in set(self._keys)], reason)

    async def _ask_missing(self) -> None:
        while True:
            try:
                keys: list[RoleKey] = missing(self._keys, await Roles(self._bus).all())
            except (BusError, RoleProblem) as err:
                self._chassis.log.warning("roles not read", reason=str(err))
                await asyncio.sleep(RETRY_S)
                continue
            self._runs.ask(keys, "no champion yet")
            return

    def _start_schedule(self) -> None:
        line = self._chassis.settings.training.schedule
        if not line:
            return
        try:
            from apscheduler.schedulers.asyncio import AsyncIOScheduler
            from apscheduler.triggers.cron import CronTrigger

            trigger = CronTrigger.from_crontab(line, timezone="UTC")
        except ImportError as err:
            raise FatalError(f"training.schedule needs a library that is missing ({err}); make setup") from None
        except ValueError as err:
            raise FatalError(f"training.schedule: {line!r} is no crontab line: {err}") from None
        logging.getLogger("apscheduler").setLevel(logging.WARNING)
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._scheduler.add_job(self._ask_all, trigger, coalesce=True, max_instances=1, misfire_grace_time=3600)
        self._scheduler.start()

    async def _ask_all(self) -> None:
        self._runs.ask(self._keys, "schedule")
