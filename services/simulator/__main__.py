"""Starts the simulator from CV_SIM_* variables: `python -m services.simulator`."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any, NoReturn

import uvloop
from pydantic import ValidationError

from services.simulator.app import PRIVATE_FACTS, SimulatorFailed, serve
from services.simulator.binance.feed import DataError
from services.simulator.faults.plan import PlanError
from services.simulator.settings import ENVIRONMENT_PREFIX, SimulatorOptions
from services.simulator.state import SimulatorStateError


def main() -> NoReturn:
    """Run until SIGTERM; exit 0 after it, 2 for wrong options, 1 when the simulator cannot run."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        options = SimulatorOptions.from_environment(os.environ)
    except ValidationError as error:
        first = error.errors()[0]
        name = ENVIRONMENT_PREFIX + "_".join(map(str, first["loc"])).upper()
        _end(f"simulator: {name}: {first['msg']}, got {first['input']!r}", 2)
    except OSError as error:
        _end(f"simulator: {error.filename}: {error.strerror}", 2)
    try:
        uvloop.run(serve(options, _announce))
    except PlanError as error:
        _end(f"simulator: {error}", 2)
    except (SimulatorStateError, SimulatorFailed, DataError) as error:
        _end(f"simulator: {error}", 1)
    except OSError as error:
        _end(f"simulator: {error.strerror or error}{f': {error.filename}' if error.filename else ''}", 1)
    sys.exit(0)


def _announce(facts: dict[str, Any]) -> None:
    public = {name: value for name, value in facts.items() if name not in PRIVATE_FACTS}
    logging.getLogger("simulator").info("ready %s", public)


def _end(line: str, code: int) -> NoReturn:
    sys.stderr.write(line + "\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
