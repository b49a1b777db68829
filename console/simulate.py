"""`conclave simulate`: the exchange simulator alone, with its URLs, tokens and keys on the screen."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from console.context import CommandError, fail
from console.dashboard import make_console
from services.simulator.app import SimulatorFailed, serve
from services.simulator.binance.feed import DataError
from services.simulator.faults.plan import PlanError
from services.simulator.settings import SimulatorOptions
from services.simulator.state import SimulatorStateError


async def run_simulator(given: dict[str, Any]) -> None:
    """Run until Ctrl-C or SIGTERM; a plan of faults that cannot be used ends it with exit code 2.

    `given`: fields of SimulatorOptions; None = its default.
    """
    try:
        options = SimulatorOptions(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as err:
        first = err.errors()[0]
        raise CommandError(f"--{str(first['loc'][0]).replace('_', '-')}: {first['msg']}") from None
    console = make_console()

    def show(facts: dict[str, Any]) -> None:
        for name, value in facts.items():
            # A PEM has lines of its own; copied as it stands it must come out whole.
            console.print(f"{name:>22}  " + str(value).strip().replace("\n", f"\n{'':24}"), soft_wrap=True)
        console.print("[dim]Ctrl-C ends it[/dim]")

    try:
        await serve(options, on_ready=show)
    except PlanError as err:
        fail(str(err), 2)
    except (SimulatorStateError, SimulatorFailed, DataError) as err:
        raise CommandError(str(err)) from None
