"""Risk's wiring: what it knows is rebuilt first, then market, ledger and commands come in, and signals last."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
from fastapi import APIRouter

from libs.common.bus import Subscription
from libs.common.chassis import Chassis, FatalError
from libs.common.keys import PRIVATE_NAME, KeyProblem, Signer, keys_folder
from libs.common.stage_runner import StageRunner
from libs.core.stages.risk import RiskStage
from libs.core.types import SECOND
from services.risk import metrics, state
from services.risk.handlers import Handlers, Seal, observer
from services.risk.routes import make_routes
from services.risk.settings import encoded, known_scopes, risk_config
from services.risk.timers import free_expired_permits

MARKET = ("md.tick.>", "md.bar.>", "md.health.>", "md.clock.>", "md.instrument.>")
LEDGER = ("order.>", "fill.>", "position.>", "account.>")
MARKET_LOOK_BACK_NS = 2 * SECOND
SAVE_EVERY_S = 10.0
SAVE_TIMEOUT_S = 3.0
GAUGES_EVERY_S = 1.0


class RiskApp:
    """The service as the chassis runs it."""

    def __init__(self, chassis: Chassis) -> None:
        self._chassis, self._bus = chassis, chassis.bus
        self._config = risk_config(chassis.settings)
        self._stage = RiskStage(self._config)
        self._handlers: Handlers | None = None
        self._runner: StageRunner | None = None
        self._key_id = ""
        self._venues = tuple(dict.fromkeys(account.venue for account in self._config.accounts))
        self._subscriptions: list[Subscription] = []
        self._folded = 0
        self._routes = make_routes(
            self._stage, lambda: self._handlers, known_scopes(chassis.settings), chassis.clocks.now
        )

    async def start(self) -> None:
        """Take up keys and state, then listen; the kill switch is known before the first signal is taken.

        Raises:
            FatalError: the signing key is missing, damaged or readable by others.
        """
        try:
            signer = Signer.load(keys_folder(self._chassis.var) / PRIVATE_NAME)
        except KeyProblem as err:
            raise FatalError(str(err)) from None
        self._key_id = signer.key_id
        runner = StageRunner(self._stage, self._bus, on_output=Seal(signer), observe=observer(self._stage))
        handlers = Handlers(self._bus, runner, self._chassis.clocks)
        rebuilt = await state.rebuild(self._bus, self._config)
        if rebuilt.problem:
            self._chassis.log.warning("saved state not taken up, read from the ledger", reason=rebuilt.problem)
        self._folded, handlers.reached = rebuilt.folded, rebuilt.reached
        await runner.start(encoded(self._config), rebuilt.stage.snapshot())
        for verdict in rebuilt.unsaid:
            await self._bus.publish(verdict)
        self._runner, self._handlers = runner, handlers
        self._chassis.on_pause.append(lambda paused: (runner.pause if paused else runner.resume)())
        await self._listen(handlers, resumed=rebuilt.resumed)
        hold_s = 2 * self._config.permit_ttl_s
        freeing = free_expired_permits(runner, self._chassis.clocks, self._venues, hold_s)
        self._chassis.spawn(freeing, "risk-permits")
        self._chassis.spawn(self._save_regularly(), "risk-save")
        self._chassis.spawn(self._show_gauges(), "risk-gauges")
        halted, reduce_only = self._stage.halts()
        self._chassis.log.info(
            "state rebuilt", resumed=rebuilt.resumed, folded=rebuilt.folded, halted=halted, reduce_only=reduce_only
        )

    async def _listen(self, handlers: Handlers, *, resumed: bool) -> None:
        now, reached = time.time_ns(), handlers.reached
        signals = reached.start("DECISIONS") if resumed else 0
        for filters, handler, start in (
            (list(MARKET), handlers.on_market, now - MARKET_LOOK_BACK_NS),
            (list(LEDGER), handlers.on_ledger, reached.start("ORDERS")),
            (list(state.COMMANDS), handlers.on_command, 0),
            (["signal.>"], handlers.on_signal, signals or now - state.FIRST_LOOK_BACK_NS),
        ):
            self._subscriptions.append(await self._bus.subscribe(filters, handler, start))

    def not_ready(self) -> list[str]:
        """What is still being waited for."""
        reasons = [f"waiting for the clock of {v}" for v in self._venues if not self._chassis.clocks.now(v)]
        return reasons + [f"waiting for the state of account {name}" for name in self._stage.unknown_accounts()]

    async def drain(self) -> None:
        """Stop reading, keep the state, hand the journal over."""
        for subscription in self._subscriptions:
            await subscription.close()
        if self._runner is not None:
            await self._runner.close()
            await self._save()

    def routes(self) -> APIRouter | None:
        """Halt, reduce-only, re-arm, limits and state."""
        return self._routes

    def info(self) -> dict[str, Any]:
        """Key, limits and configuration in force."""
        return {
            "key_id": self._key_id,
            "limits_hash": self._stage.limits_hash,
            "folded_at_start": self._folded,
            "stage": msgspec.to_builtins(self._config),
        }

    async def _save_regularly(self) -> None:
        while True:
            await asyncio.sleep(SAVE_EVERY_S)
            await self._save()

    async def _save(self) -> None:
        assert self._handlers is not None
        saved = state.Saved(self._handlers.reached, self._stage.snapshot())
        try:
            await asyncio.wait_for(state.save(self._bus, saved), SAVE_TIMEOUT_S)
        except Exception as err:  # whatever the bus cannot do now, the next save can: risk does not stop for it
            self._chassis.log.warning("state not saved", reason=str(err) or type(err).__name__)

    async def _show_gauges(self) -> None:
        metrics.DRAWDOWN_LIMIT.set(float(self._config.limits.drawdown_halt_at))
        while True:
            await asyncio.sleep(GAUGES_EVERY_S)
            for account in self._stage.accounts():
                metrics.show_account(account)
            halted, reduce_only = self._stage.halts()
            metrics.HALTS.labels("halt").set(len(halted))
            metrics.HALTS.labels("reduce_only").set(len(reduce_only))
