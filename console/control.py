"""`conclave halt`, `reduce-only`, `rearm`, `stop`: commands to a running stack, each asked for and recorded."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import typer

from console.context import CommandError, running_bus, running_var
from console.dashboard import make_console
from console.views import ledger
from libs.common import runtime
from libs.common.embedded.stack import Stack
from libs.core.types import Control, ControlKind, stable_id

ROUTES = {"halt": "halt", "reduce_only": "reduce-only", "rearm": "rearm"}
WORDS = {"halt": "halt trading", "reduce_only": "allow only reducing orders", "rearm": "re-arm trading"}
FLATTEN_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 40.0


async def run_control(kind: str, scope: str, reason: str, yes: bool, *, flatten: bool = False) -> None:
    """Ask, then tell the risk service; its Control event is the audit row."""
    var = running_var()
    what = WORDS[kind] + (" and close positions" if flatten else "")
    if not yes and not typer.confirm(f"{what} in {'everything' if scope == '*' else scope}?"):
        raise CommandError("nothing was changed")
    body: dict[str, Any] = {"scope": scope, "reason": reason}
    if kind == "halt":
        body["flatten"] = flatten
    await asyncio.to_thread(post_admin, var, "risk", ROUTES[kind], body)
    make_console().print(f"done: {what} ({scope}); recorded with the reason {reason!r}")


async def run_stop(flatten: bool, reason: str, yes: bool) -> None:
    """Flatten if asked, then end the supervisor, which drains everything."""
    if runtime.is_elsewhere():
        raise CommandError("this stack runs in containers: `conclave halt --flatten`, then `docker compose stop`")
    var = running_var()
    pid = int(runtime.read_stack(var)["pid"])
    console = make_console()
    if not yes and not typer.confirm("close every position and stop the stack?" if flatten else "stop the stack?"):
        raise CommandError("nothing was changed")
    if flatten:
        await asyncio.to_thread(
            post_admin, var, "risk", ROUTES["halt"], {"scope": "*", "reason": reason, "flatten": True}
        )
        await _wait_flat()
        console.print("every position is closed; trading stays halted until `conclave rearm`")
    await _leave_audit_row(reason, flatten)
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    # The lock falls with the last process; the supervisor's id may live on until its parent has looked.
    while Stack.is_locked(var):
        if time.monotonic() > deadline:
            raise CommandError(f"the stack (pid {pid}) still drains; look at {var / 'log' / 'supervisor.log'}")
        await asyncio.sleep(0.1)
    console.print("the stack has drained and ended")


async def _leave_audit_row(reason: str, flatten: bool) -> None:
    now = time.time_ns()
    stopped = Control(
        id=stable_id("control", "stop", now),
        ts_event=now,
        ts_init=now,
        kind=ControlKind.STOP,
        reason=f"{reason} (flattened first)" if flatten else reason,
        actor="cli",
    )
    async with running_bus() as (bus, _):
        await bus.publish_durable(stopped)


async def _wait_flat() -> None:
    deadline = time.monotonic() + FLATTEN_TIMEOUT_S
    while True:
        async with running_bus() as (bus, _):
            held = [p for p in (await ledger(bus, "position.>", "position_id")).values() if p.is_open]
        if not held:
            return
        if time.monotonic() > deadline:
            open_now = ", ".join(f"{p.symbol} {p.quantity.normalize():f}" for p in held)
            raise CommandError(f"still open: {open_now}; the stack keeps running, halted")
        await asyncio.sleep(0.3)


def post_admin(var: Path, service: str, route: str, body: dict[str, Any]) -> dict[str, Any]:
    """POST to an admin route of a running service.

    Raises:
        CommandError: the service is not there, or refuses.
    """
    url = runtime.read_services(var).get(service, {}).get("http")
    if not url:
        raise CommandError(f"the {service} service does not run; see `conclave status`")
    token = runtime.admin_token(var) or ""
    request = urllib.request.Request(
        f"{url}/admin/{route}",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found
    except urllib.error.HTTPError as err:
        raise CommandError(f"{service} refused: {err.code} {err.read().decode(errors='replace')[:300]}") from None
    except OSError as err:
        raise CommandError(f"{service} does not answer at {url}: {err}") from None
