"""Admin routes of risk: the kill switch in people's hands, the limits in force and the state behind a verdict."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable
from typing import Any

import msgspec
from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from libs.core.portfolio.memory import AccountMemory
from libs.core.stages.risk import RiskStage
from libs.core.types import Control, ControlKind, Nanos, stable_id
from services.risk.handlers import Handlers


class Command(BaseModel):
    """Body of reduce-only and re-arm. `scope`: "*", an account, a strategy or a symbol."""

    model_config = ConfigDict(extra="forbid")

    scope: str = "*"
    reason: str = Field(min_length=1, max_length=500)
    actor: str = Field("admin", pattern=r"^[\w.@-]{1,60}$")


class HaltCommand(Command):
    """Body of halt. `flatten` also closes every position in the scope."""

    flatten: bool = False


class SmokeCommand(BaseModel):
    """Body of a connectivity trade. `nonce` names it: asked for again under the same one it is made once."""

    model_config = ConfigDict(extra="forbid")

    venue: str
    symbol: str
    nonce: int = Field(ge=0)


def make_routes(
    stage: RiskStage,
    handlers: Callable[[], Handlers | None],
    scopes: tuple[str, ...],
    now: Callable[[str], Nanos],
) -> APIRouter:
    """The routes; `scopes` are the names that a command may cover, `now` the data clock of a venue."""
    router = APIRouter()

    async def send(kind: ControlKind, body: Command) -> dict[str, Any]:
        stamp = time.time_ns()
        control = Control(
            id=stable_id("control", kind.value, body.scope, body.actor, stamp),
            ts_event=stamp,
            ts_init=stamp,
            kind=kind,
            scope=body.scope,
            reason=body.reason,
            actor=body.actor,
        )
        taking = handlers()
        if taking is None:
            raise HTTPException(503, "risk is starting; ask again in a moment")
        in_force = await taking.command(control)
        return {"id": control.id, "kind": kind.value, "scope": body.scope, "in_force": in_force}

    def check(body: Command) -> None:
        if body.scope not in scopes:
            near = difflib.get_close_matches(body.scope, scopes, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise HTTPException(422, f"unknown scope {body.scope!r}; {hint}allowed: {', '.join(scopes)}")
        if body.actor == stage.name:
            raise HTTPException(422, f"actor {stage.name!r} is the service itself; say who asks")

    @router.post("/halt")
    async def halt(body: HaltCommand) -> dict[str, Any]:
        check(body)
        answer = await send(ControlKind.HALT, body)
        if body.flatten:
            answer["flatten"] = await send(ControlKind.FLATTEN, body)
        return answer

    @router.post("/reduce-only")
    async def reduce_only(body: Command) -> dict[str, Any]:
        check(body)
        return await send(ControlKind.REDUCE_ONLY, body)

    @router.post("/rearm")
    async def rearm(body: Command) -> dict[str, Any]:
        check(body)
        return await send(ControlKind.REARM, body)

    @router.post("/flatten")
    async def flatten(body: Command) -> dict[str, Any]:
        check(body)
        return await send(ControlKind.FLATTEN, body)

    @router.post("/smoke")
    async def smoke(body: SmokeCommand) -> dict[str, Any]:
        taking = handlers()
        signal = stage.connectivity_signal(body.venue, body.symbol, body.nonce)
        if taking is None or signal is None:
            raise HTTPException(503, f"no price of {body.symbol} at {body.venue} yet; ask again in a moment")
        await taking.wish(msgspec.structs.replace(signal, ts_init=time.time_ns()))
        return {"signal_id": signal.id}

    @router.get("/limits")
    async def limits() -> dict[str, Any]:
        return {"hash": stage.limits_hash, "limits": msgspec.to_builtins(stage.config.limits)}

    @router.get("/state")
    async def show_state() -> dict[str, Any]:
        halted, reduce_only_scopes = stage.halts()
        return {
            "halted": halted,
            "reduce_only": reduce_only_scopes,
            "accounts": [_account(memory, now(memory.spec.venue)) for memory in stage.accounts()],
        }

    return router


def _account(memory: AccountMemory, now: Nanos) -> dict[str, Any]:
    """What people ask about an account; amounts as text, in its currency."""
    view = memory.view("", now, (), ())
    facts: dict[str, Any] = {
        "account": memory.spec.id,
        "currency": memory.spec.currency,
        "known": memory.state is not None,
        "drawdown_halted": memory.drawdown_halted,
        "high_water": str(view.peak),
        "exposure": str(view.exposure),
        "open_risk": str(view.open_risk),
        "trades_today": view.trades_today,
        "positions": [msgspec.to_builtins(position) for position in view.positions],
        "on_their_way": [msgspec.to_builtins(pending) for pending in view.pending],
    }
    if memory.state is not None:
        facts["equity"] = str(memory.state.equity)
    return facts
