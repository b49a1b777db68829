"""Predict's wiring: history first, then feature vectors and feed health in, forecasts and signals out."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
from fastapi import APIRouter

from libs.common.bus import BusError, Subscription
from libs.common.chassis import Chassis, FatalError
from libs.common.models import ArtifactStoreError, ModelCache, open_store
from libs.common.models.cache import models_folder
from libs.common.signing import ModelVerifier
from libs.common.stage_runner import StageRunner, Taken
from libs.core.agents import Series
from libs.core.agents import warm_kernels as warm_agents
from libs.core.features import warm_kernels
from libs.core.stages.predict import PredictStage
from libs.core.types import SECOND, Bar, HistoryRequest, ModelSwap, Warmup, interval_token, stable_id, token
from services.predict import metrics, state
from services.predict.handlers import Handlers
from services.predict.headlines import HeadlineDesk
from services.predict.models import ModelWatcher
from services.predict.settings import predict_config

HISTORY_TIMEOUT_S = 10.0
RETRY_S = 0.5
SAVE_EVERY_S = 5.0
SAVE_TIMEOUT_S = 3.0
RESUME_BARS = 600
"""A saved series is taken up when it lags the venue by no more bars than this; else it starts anew from history."""
OVERLAP_NS = 2 * SECOND
"""Reading starts this much before the history was asked for, so that no bar falls between; the stage drops repeats."""


class PredictApp:
    """The service as the chassis runs it."""

    def __init__(self, chassis: Chassis) -> None:
        self._chassis, self._bus = chassis, chassis.bus
        self._config = predict_config(chassis.settings)
        self._artifacts = ModelCache(models_folder(chassis.var), ModelVerifier.of(chassis.var))
        try:
            stage = self._fresh_stage()
        except ValueError as err:
            raise FatalError(f"the stage cannot be built from the configuration: {err}") from None
        self._runner = StageRunner(stage, self._bus, observe=metrics.observe)
        self._handlers = Handlers(self._runner, chassis.clocks)
        model = chassis.settings.model
        try:
            self._store = open_store(model.store, self._bus, chassis.secret, model.store_region)
        except ArtifactStoreError as err:
            raise FatalError(str(err)) from None
        self._models = ModelWatcher(self._bus, self._store, self._artifacts, self._stage.series, self._take_model)
        # Only an agent that listens pays for a worker that reads.
        listens = "sentiment" in self._config.agents
        self._headlines = HeadlineDesk(self._bus, model.sentiment) if listens else None
        self._subscriptions: list[Subscription] = []
        self._warm_bars: dict[Series, int] = {}
        self._waiting: dict[str, str] = {"clocks": "the clocks of the venues"}
        self._began = False
        self._saving = asyncio.Lock()

    async def start(self) -> None:
        """Listen to the venues' clocks and begin to load history; readiness tells how far that is."""
        warm_kernels()
        warm_agents()
        self._chassis.on_pause.append(lambda paused: (self._runner.pause if paused else self._runner.resume)())
        self._subscriptions.append(await self._bus.subscribe(["md.clock.>"], self._handlers.on_clock, None))
        self._chassis.spawn(self._begin(), "predict-begin")

    def not_ready(self) -> list[str]:
        """What is still being waited for."""
        return [f"waiting for {what}" for what in self._waiting.values()]

    async def drain(self) -> None:
        """Stop reading, keep the state, hand the journal over."""
        for subscription in self._subscriptions:
            await subscription.close()
        if self._headlines is not None:
            await self._headlines.close()
        if self._began:
            await self._save()
        await self._runner.close()
        await self._store.aclose()

    def routes(self) -> APIRouter | None:
        """None: predict has no admin routes of its own."""
        return None

    def info(self) -> dict[str, Any]:
        """The series, how much history each had, which models serve, and the configuration in force."""
        return {
            "series": {_name(series): self._warm_bars.get(series, 0) for series in self._stage.series},
            "models": {_name(series): found for series in self._stage.series if (found := self._stage.models(series))},
            "stage": msgspec.to_builtins(self._config),
        }

    @property
    def _stage(self) -> PredictStage:
        stage = self._runner.stage
        assert isinstance(stage, PredictStage)
        return stage

    def _fresh_stage(self) -> PredictStage:
        return PredictStage(self._config, self._artifacts, time.perf_counter_ns)

    async def _begin(self) -> None:
        await self._clocks_known()
        since = time.time_ns() - OVERLAP_NS
        answers = await asyncio.gather(*(self._history(series) for series in self._stage.series))
        history = dict(zip(self._stage.series, answers, strict=True))
        saved = await state.load(self._bus)
        if saved is not None and self._can_resume(saved, history):
            since = saved.reached_ns
        else:
            saved = None
        await self._runner.start(msgspec.json.encode(self._config), saved.stage if saved else None)
        for series, bars in history.items():
            if bars and not self._follows(series, bars):
                await self._warm(series, bars)
        self._began = True
        await self._models.first()
        self._chassis.spawn(self._models.run(), "models")
        filters = ["feat.>", "md.health.>"]
        if self._headlines is not None:
            await self._headlines.start(since)
            filters += ["news.headline.>", "news.score.>"]
        self._subscriptions.append(await self._bus.subscribe(filters, self._handlers.on_input, since))
        self._handlers.reached_ns = self._handlers.reached_ns or since
        self._waiting = {}
        self._chassis.log.info("warm", resumed=saved is not None, bars=sum(self._warm_bars.values()))
        while True:
            await asyncio.sleep(SAVE_EVERY_S)
            await self._save()

    async def _clocks_known(self) -> None:
        venues = sorted({series.venue for series in self._stage.series})
        while unknown := [venue for venue in venues if not self._chassis.clocks.now(venue)]:
            self._waiting = {venue: f"the clock of {venue}" for venue in unknown}
            await asyncio.sleep(RETRY_S / 5)
        self._waiting = {_name(series): f"history of {_name(series)}" for series in self._stage.series}

    async def _history(self, series: Series) -> tuple[Bar, ...]:
        count = self._chassis.settings.data.warmup_bars
        request = HistoryRequest(
            id=stable_id("history", *series, count),
            ts_event=0,
            venue=series.venue,
            symbol=series.symbol,
            interval_s=series.interval_s,
            count=count,
        )
        while True:
            try:
                bars = await self._bus.request(f"req.history.{token(series.venue)}", request, HISTORY_TIMEOUT_S)
            except BusError as err:
                self._waiting[_name(series)] = f"history of {_name(series)}: {err}"
                await asyncio.sleep(RETRY_S)
                continue
            self._waiting[_name(series)] = f"the stage to take the history of {_name(series)}"
            return tuple(bar for bar in bars if isinstance(bar, Bar))

    def _can_resume(self, saved: state.Saved, history: dict[Series, tuple[Bar, ...]]) -> bool:
        """Whether the saved state is this configuration's and no series of it lies ahead of its venue's clock."""
        probe = self._fresh_stage()
        try:
            probe.restore(saved.stage)
        except ValueError as err:
            self._chassis.log.warning("saved state not taken up", reason=str(err))
            return False
        for series in history:
            last = probe.last_bar(series)
            # A recording that is played again, or another one, starts before what was seen: nothing would be new.
            if last is not None and last > self._chassis.clocks.now(series.venue):
                self._chassis.log.warning("saved state not taken up", reason=f"{_name(series)} is ahead of its venue")
                return False
        return True

    def _follows(self, series: Series, bars: tuple[Bar, ...]) -> bool:
        last = self._stage.last_bar(series)
        return last is not None and bars[-1].open_time - last <= RESUME_BARS * series.interval_s * SECOND

    async def _warm(self, series: Series, bars: tuple[Bar, ...]) -> None:
        warmup = Warmup(
            id=stable_id("warmup", *series, bars[0].open_time, bars[-1].open_time),
            cause=(bars[-1].id,),
            ts_event=bars[-1].ts_event,
            venue=series.venue,
            symbol=series.symbol,
            interval_s=series.interval_s,
            bars=bars,
        )
        await self._runner.take_inline(warmup)
        self._warm_bars[series] = len(bars)
        metrics.WARMUP_BARS.labels(series.venue).inc(len(bars))

    async def _take_model(self, swap: ModelSwap) -> Taken:
        """Hand a change of roles to the stage and keep the state: bars read again after a kill meet the same models."""
        taken = await self._runner.take_inline(swap)
        if self._handlers.reached_ns:
            await self._save()
        return taken

    async def _save(self) -> None:
        saved = state.Saved(self._handlers.reached_ns, self._stage.snapshot())
        await self._runner.flush()
        try:
            async with self._saving, asyncio.timeout(SAVE_TIMEOUT_S):
                await state.save(self._bus, saved)
        except Exception as err:  # whatever the bus cannot do now, the next save can: trading does not wait for it
            self._chassis.log.warning("state not saved", reason=str(err) or type(err).__name__)


def _name(series: Series) -> str:
    return f"{series.venue} {series.symbol} {interval_token(series.interval_s)}"
