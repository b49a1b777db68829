"""`conclave models`: who serves what and since when, models side by side, and who takes whose place."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

from console.context import CommandError, running_bus
from console.control import post_admin
from console.dashboard import make_console
from console.views import table, utc
from libs.common import runtime
from libs.common.embedded.stack import http_json
from libs.common.models import (
    AgentRoles,
    ArtifactStore,
    ArtifactStoreError,
    Held,
    RoleKey,
    RoleProblem,
    Roles,
    open_store,
)
from libs.common.models.roles import appointed, promoted, rolled_back
from libs.common.secrets import read_secret
from libs.common.settings import load_settings
from libs.common.signing import ModelVerifier
from libs.core.agents.artifact import Artifact, ArtifactRefused, unpack
from libs.core.types import interval_seconds, interval_token

ACTOR = "cli"
FIGURES = (
    "calibration_log_loss",
    "calibration_brier_skill",
    "calibration_brier_skill_2c",
    "calibration_ece",
    "calibration_rows",
)


@dataclass(frozen=True)
class Desk:
    """What a command works with: roles and artifacts of the running stack, and where its state lies."""

    roles: Roles
    store: ArtifactStore
    var: Path


@asynccontextmanager
async def _desk() -> AsyncIterator[Desk]:
    """Open the running stack's; its problems become one line for people."""
    async with running_bus() as (bus, var):
        config = runtime.read_stack(var).get("config")
        model = load_settings(config).model
        try:
            store = open_store(model.store, bus, lambda name: read_secret(name, var), model.store_region)
            try:
                yield Desk(Roles(bus), store, var)
            finally:
                await store.aclose()
        except (ArtifactStoreError, RoleProblem, ArtifactRefused) as err:
            raise CommandError(str(err)) from None


async def run_list(as_json: bool) -> None:
    """Every agent and series with its models, their roles, and the running statistic of challengers."""
    async with _desk() as desk:
        found = sorted((await desk.roles.all()).items())
        wealth = await asyncio.to_thread(running_wealth, desk.var)
    if as_json:
        rows = [{**key._asdict(), **msgspec.to_builtins(roles), "wealth": _of(wealth, key)} for key, roles in found]
        sys.stdout.write(json.dumps(rows) + "\n")
        return
    if not any(_roles(roles) for _, roles in found):
        make_console().print("no model has a role yet; the train service makes them, or `conclave models import FILE`")
        return
    shown = table("models", "agent", "series", "role", "model", "since", "wealth")
    for key, roles in found:
        for role, held in _roles(roles):
            bet = _of(wealth, key).get(held.model_id)
            style = {"champion": "green", "challenger": "cyan"}.get(role, "dim")
            shown.add_row(
                key.agent,
                f"{key.venue} {key.symbol} {interval_token(key.interval_s)}",
                Text(role, style=style),
                held.model_id,
                utc(held.since),
                f"{bet:.2f}" if bet is not None else "",
            )
    make_console().print(shown)
    if any(roles.challengers for _, roles in found):
        make_console().print("[dim]wealth: what a bet on the challenger against the champion has become of 1[/dim]")


async def run_show(model: str, as_json: bool) -> None:
    """All that is known of one model."""
    async with _desk() as desk:
        key, role, held = await _find(desk, model)
        artifact = await _artifact(desk, held)
    manifest = artifact.manifest
    facts = {"model_id": held.model_id, "sha256": held.sha256, "role": role, "signed_by": artifact.key_id}
    facts |= msgspec.to_builtins(manifest)
    if as_json:
        sys.stdout.write(json.dumps(facts) + "\n")
        return
    shown = Table(show_header=False, box=None, title=held.model_id, title_justify="left")
    shown.add_column(style="bold", no_wrap=True)
    shown.add_column()
    for name, value in _for_people(key, role, held, artifact).items():
        shown.add_row(name, value)
    make_console().print(shown)


async def run_compare(agent: str, symbol: str, interval: str, as_json: bool) -> None:
    """The models of one agent on one series side by side: what was measured when they were made, and what runs now."""
    async with _desk() as desk:
        key = await _series(desk, agent, symbol, interval)
        rows = _roles(await desk.roles.get(key))
        artifacts = [await _artifact(desk, held) for _, held in rows]
        wealth = _of(await asyncio.to_thread(running_wealth, desk.var), key)
    if as_json:
        facts = [
            {
                "role": role,
                "model_id": held.model_id,
                "metrics": made.manifest.metrics,
                "wealth": wealth.get(held.model_id),
            }
            for (role, held), made in zip(rows, artifacts, strict=True)
        ]
        sys.stdout.write(json.dumps(facts) + "\n")
        return
    shown = table(f"models of {key}", "", *(f"{role} {held.model_id.rpartition(':')[2][:8]}" for role, held in rows))
    shown.add_row("model", *(held.model_id.partition(":")[0] for _, held in rows))
    shown.add_row("trained until", *(utc(made.manifest.trained_to) for made in artifacts))
    shown.add_row("bars fitted", *(f"{made.manifest.samples:,}" for made in artifacts))
    shown.add_row("trials so far", *(f"{made.manifest.trials:,}" for made in artifacts))
    for name in (name for name in FIGURES if any(name in made.manifest.metrics for made in artifacts)):
        values = [made.manifest.metrics.get(name) for made in artifacts]
        shown.add_row(name.replace("_", " "), *("" if v is None else f"{v:.5g}" for v in values))
    shown.add_row("wealth against the champion", *(_number(wealth.get(held.model_id)) for _, held in rows))
    make_console().print(shown)


async def run_promote(model: str, reason: str) -> None:
    """Make a challenger (or the previous model) champion, whatever the test says."""
    async with _desk() as desk:
        key, role, held = await _find(desk, model)
        if role == "champion":
            raise CommandError(f"{held.model_id} is champion of {key} already")
        new = msgspec.structs.replace(held, since=time.time_ns(), reason=reason, actor=ACTOR)
        await desk.roles.change(key, lambda roles: promoted(roles, new))
    make_console().print(f"{held.model_id} speaks for {key} from the next bar on; `conclave models rollback` undoes it")


async def run_rollback(agent: str, symbol: str, interval: str, reason: str) -> None:
    """Return to the previous champion."""
    async with _desk() as desk:
        key = await _series(desk, agent, symbol, interval)
        roles = await desk.roles.change(key, lambda roles: rolled_back(roles, time.time_ns(), reason, ACTOR))
    assert roles.champion is not None
    make_console().print(f"{roles.champion.model_id} speaks for {key} from the next bar on")


async def run_import(file: Path, as_json: bool) -> None:
    """Put a model from a file into the store; champion where there is none, else challenger."""
    try:
        blob = file.read_bytes()
    except OSError as err:
        raise CommandError(f"{file}: {err.strerror}") from None
    try:
        artifact = unpack(blob)
    except ArtifactRefused as err:
        raise CommandError(f"{file}: {err}") from None
    manifest = artifact.manifest
    key = RoleKey(manifest.agent, manifest.venue, manifest.symbol, manifest.interval_s)
    async with _desk() as desk:
        ModelVerifier.of(desk.var)(artifact)
        held = Held(
            sha256=await desk.store.put(blob),
            model_id=manifest.model_id,
            since=time.time_ns(),
            reason=f"imported from {file.name}",
            actor=ACTOR,
        )
        roles = await desk.roles.change(key, lambda roles: appointed(roles, held))
    role = next(role for role, other in _roles(roles) if other.sha256 == held.sha256)
    if as_json:
        sys.stdout.write(json.dumps({"model_id": held.model_id, "sha256": held.sha256, "role": role}) + "\n")
        return
    make_console().print(f"{held.model_id} is {role} of {key}")


async def run_train(agent: str, symbol: str, interval: str, reason: str) -> None:
    """Ask the train service for a run."""
    from urllib.parse import urlencode

    from console.context import running_var

    query = urlencode({"agent": agent, "symbol": symbol, "interval": interval, "reason": reason})
    answer = await asyncio.to_thread(post_admin, running_var(), "train", f"train?{query}", {})
    if answer.get("status") != "asked":
        raise CommandError(str(answer.get("reason", "train refused")))
    make_console().print(f"asked for {answer['models']} models; `conclave models list` shows them when they are made")


def running_wealth(var: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Series to agent to challenger to the running statistic, as predict says; {} when it does not run."""
    url = runtime.read_services(var).get("predict", {}).get("http")
    _, facts = http_json(f"{url}/info") if url else (0, {})
    models = facts.get("models")
    if not isinstance(models, dict):
        return {}
    return {
        series: {agent: dict(bench.get("challengers") or {}) for agent, bench in agents.items()}
        for series, agents in models.items()
    }


def _of(wealth: dict[str, dict[str, dict[str, float]]], key: RoleKey) -> dict[str, float]:
    return wealth.get(f"{key.venue} {key.symbol} {interval_token(key.interval_s)}", {}).get(key.agent, {})


def _roles(roles: AgentRoles) -> list[tuple[str, Held]]:
    rows = [("champion", roles.champion), *(("challenger", each) for each in roles.challengers)]
    return [(role, held) for role, held in (*rows, ("previous", roles.previous)) if held is not None]


async def _find(desk: Desk, model: str) -> tuple[RoleKey, str, Held]:
    """By id, SHA-256, or how one of them begins. Raises CommandError: none, or several."""
    found = [
        (key, role, held)
        for key, roles in sorted((await desk.roles.all()).items())
        for role, held in _roles(roles)
        if model in (held.model_id, held.sha256)
        or (len(model) >= 4 and any(name.startswith(model) for name in _names(held)))
    ]
    if not found:
        raise CommandError(f"no model {model!r} has a role; `conclave models list` shows those that have")
    if len({held.sha256 for _, _, held in found}) > 1:
        raise CommandError(f"{model!r} fits {len(found)} models; write more of its id")
    return found[0]


def _names(held: Held) -> Iterable[str]:
    return held.model_id, held.model_id.rpartition(":")[2], held.sha256


async def _series(desk: Desk, agent: str, symbol: str, interval: str) -> RoleKey:
    try:
        seconds = interval_seconds(interval) if interval else 0
    except ValueError as err:
        raise CommandError(str(err)) from None
    found = [
        key
        for key in await desk.roles.all()
        if key.agent == agent and key.symbol == symbol and seconds in (0, key.interval_s)
    ]
    if not found:
        raise CommandError(
            f"no model of {agent} on {symbol} {interval}".rstrip() + " has a role; see conclave models list"
        )
    if len(found) > 1:
        lengths = ", ".join(interval_token(key.interval_s) for key in sorted(found))
        raise CommandError(f"{agent} has models of {symbol} on several bar lengths ({lengths}); say which: --interval")
    return found[0]


async def _artifact(desk: Desk, held: Held) -> Artifact:
    blob = await desk.store.get(held.sha256)
    if blob is None:
        raise CommandError(f"{held.model_id} has a role, but the store does not have it any more")
    return unpack(blob)


def _for_people(key: RoleKey, role: str, held: Held, artifact: Artifact) -> dict[str, str]:
    manifest = artifact.manifest
    size = sum(map(len, artifact.parts.values())) / 1024
    shares = " ".join(f"{share:.3f}" for share in manifest.climatology)
    return {
        "role": f"{role} of {key} since {utc(held.since)}: {held.reason} ({held.actor})",
        "artifact": f"{held.sha256}, {size:,.0f} KB, signed by {artifact.key_id or 'nobody'}",
        "trained on": f"{utc(manifest.trained_from)} to {utc(manifest.trained_to)}, {manifest.samples:,} bars "
        f"({manifest.sampling}), data {manifest.data_hash[:16]}",
        "reads": f"{len(manifest.features)} features of set {manifest.set_hash[:16]}, {manifest.rows} vectors, "
        f"{manifest.returns} returns, {manifest.bars} bars; memory {manifest.memory} bars",
        "climatology": f"{shares} (down, neutral, up), up among moves {manifest.climatology_2c:.3f}",
        "calibrator": f"{manifest.calibrator.id}, {manifest.calibrator.rows:,} bars" if manifest.calibrator else "none",
        "metrics": ", ".join(f"{name} {value:.5g}" for name, value in manifest.metrics.items()) or "none",
        "walk-forward": f"{len(manifest.folds)} blocks" if manifest.folds else "not made for this model",
        "settings": ", ".join(f"{name} {value}" for name, value in manifest.params.items() if not _long(value)),
        "made": f"{utc(manifest.created)}, seed {manifest.seed}, code {manifest.code}, trial {manifest.trials}",
    }


def _long(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list | tuple) and len(value) > 6)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
