"""The hour at which ingest brings the history up to date, by APScheduler; drained before the scheduler ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from libs.common.chassis import Chassis, FatalError

if TYPE_CHECKING:
    from services.ingest.updates import Updated

Work = Callable[[], Awaitable["Sequence[Updated]"]]


class HistorySchedule:
    """Runs `data.history` at `data.history_at`, never twice at once."""

    def __init__(self, chassis: Chassis, work: Work | None = None, trigger: Any = None) -> None:
        """`work`, `trigger`: what is done and when, where it is not what the configuration says."""
        self._chassis = chassis
        self._work = work or self._update
        self._trigger = trigger
        self._scheduler: Any = None
        self._running: asyncio.Task[Sequence[Updated]] | None = None
        self._idle = asyncio.Event()
        self.results: dict[str, str] = {}
        self.runs = 0

    def start(self) -> None:
        """Begin, where there is anything to do. Raises FatalError: no such schedule, or the library is missing."""
        data = self._chassis.settings.data
        if not data.history or not data.history_at:
            return
        try:
            from apscheduler.schedulers.asyncio import AsyncIOScheduler
            from apscheduler.triggers.cron import CronTrigger

            trigger = self._trigger or CronTrigger.from_crontab(data.history_at, timezone="UTC")
        except ImportError as err:
            raise FatalError(f"data.history_at needs a library that is missing ({err}); make setup") from None
        except ValueError as err:
            raise FatalError(f"data.history_at: {data.history_at!r} is no crontab line: {err}") from None
        logging.getLogger("apscheduler").setLevel(logging.WARNING)
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._scheduler.add_job(self.run_once, trigger, coalesce=True, max_instances=1, misfire_grace_time=3600)
        self._scheduler.start()

    async def _update(self) -> Sequence[Updated]:
        from services.ingest.updates import update_all  # what holds tables and the store, only where it is used

        return await update_all(self._chassis.settings, self._chassis.var)

    async def run_once(self) -> None:
        """Bring everything up to date now; what fails is logged and shown in /info."""
        self._running = asyncio.ensure_future(self._work())
        self._idle.clear()
        try:
            # The job must end quietly however the work does: the scheduler shouts about anything else.
            await asyncio.wait({self._running})
            if self._running.cancelled():
                return
            if (error := self._running.exception()) is not None:
                self._chassis.log.error("history_update_failed", error=f"{type(error).__name__}: {error}")
                return
            for row in self._running.result():
                self.results[row.name] = row.problem or f"{row.rows} rows, {row.new} new"
                log = self._chassis.log.warning if row.problem else self._chassis.log.info
                log("history_updated", what=row.name, rows=row.rows, new=row.new, problem=row.problem)
            self.runs += 1
        finally:
            self._running = None
            self._idle.set()

    async def aclose(self) -> None:
        """End what runs (it goes on from there the next time), then the scheduler."""
        if self._scheduler is None:
            return
        self._scheduler.pause()
        if self._running is not None:
            self._running.cancel()
            await self._idle.wait()
        self._scheduler.shutdown(wait=False)
        self._scheduler = None

    def info(self) -> dict[str, str]:
        """What became of each entry."""
        return dict(self.results)
