"""`conclave simulate`: the exchange simulator alone, with its URLs, tokens and keys on the screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from console.context import CommandError, fail
from console.dashboard import make_console
from services.simulator.app import SimulatorFailed, serve
from services.simulator.binance.feed import DataError
from services.simulator.faults.plan import PlanError
from services.simulator.settings import SimulatorOptions
from services.simulator.state import SimulatorStateError


async def run_simulator(
    deriv_port: int,
    binance_port: int,
    data: Path | None,
    speed: float,
    seed: int | None,
    token: str | None,
    key: str | None,
    secret: str | None,
    state: Path | None,
    faults: Path | None,
) -> None:
    """Run until Ctrl-C or SIGTERM; a plan of faults that cannot be used ends it with exit code 2."""
    given: dict[str, Any] = {
        "deriv_port": deriv_port,
        "binance_port": binance_port,
        "data": data,
        "speed": speed,
        "token": token,
        "key": key,
        "secret": secret,
        "state_dir": state,
        "faults": faults,
    }
    if seed is not None:
        given["seed"] = seed
    try:
        options = SimulatorOptions(**given)
    except ValidationError as err:
        first = err.errors()[0]
        raise CommandError(f"--{str(first['loc'][0]).replace('_', '-')}: {first['msg']}") from None
    console = make_console()

    def show(facts: dict[str, Any]) -> None:
        for name, value in facts.items():
            console.print(f"{name:>18}  {value}")
        console.print("[dim]Ctrl-C ends it[/dim]")

    try:
        await serve(options, on_ready=show)
    except PlanError as err:
        fail(str(err), 2)
    except (SimulatorStateError, SimulatorFailed, DataError) as err:
        raise CommandError(str(err)) from None
