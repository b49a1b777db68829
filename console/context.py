"""What every command needs: where the state lies, how to reach the running stack, how to fail in one line."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import typer

from libs.common import runtime
from libs.common.bus import BusError, NatsBus
from libs.common.embedded.process import StackError
from libs.common.keys import KeyProblem
from libs.common.secrets import SecretError
from libs.common.settings import ConfigError, Settings, load_settings

ROOT = Path(__file__).resolve().parents[1]
DEMO = "demo"
T = TypeVar("T")


class CommandError(Exception):
    """A command cannot do what was asked; the text is one line for people."""


def fail(line: str, code: int = 1) -> NoReturn:
    """Say one thing on stderr and end."""
    sys.stderr.write(line + "\n")
    raise typer.Exit(code)


def run(coro: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine; known errors become one line and an exit code, 2 for configuration."""
    return run_now(lambda: asyncio.run(coro))


def run_now(work: Callable[[], T]) -> T:
    """The same for work that is done at once."""
    try:
        return work()
    except ConfigError as err:
        fail(str(err), 2)
    except (CommandError, StackError, BusError, SecretError, KeyProblem) as err:
        fail(str(err))
    except OSError as err:  # a port, a folder, a full disk: what the system says, without the way it came
        fail(f"{err.strerror or err}{f': {err.filename}' if err.filename else ''}")
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def settings_or_fail(path: Path | None = None) -> Settings:
    """Load the configuration; problems end the command with exit code 2."""
    try:
        return load_settings(path or default_config())
    except ConfigError as err:
        fail(str(err), 2)


def default_config() -> Path:
    """CONFIG_PATH, else config.yaml here, else the example that comes with the project."""
    if env := os.environ.get("CONFIG_PATH"):
        return Path(env)
    own = Path("config.yaml")
    return own if own.exists() else ROOT / "config.example.yaml"


def base_var() -> Path:
    """The folder of state: CONCLAVE_VAR or `var` of the configuration, relative to the project."""
    if env := os.environ.get("CONCLAVE_VAR"):
        return Path(env)
    var = settings_or_fail().platform.var
    return var if var.is_absolute() else ROOT / var


def running_var() -> Path:
    """The folder of the stack that runs now, `up` before `demo`; of a stack in containers the folder of its operator.

    Raises:
        CommandError: none runs.
    """
    var = base_var()
    if runtime.is_elsewhere():
        return var
    for candidate in (var, var / DEMO):
        facts = runtime.read_stack(candidate)
        if facts and is_alive(int(facts.get("pid", 0))):
            return candidate
    raise CommandError("no stack runs here; start one with `conclave up` or `make demo`")


def is_alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid > 0


@asynccontextmanager
async def running_bus(name: str = "cli") -> AsyncIterator[tuple[NatsBus, Path]]:
    """The bus of the running stack (NATS_URL wins) and its folder of state."""
    var = base_var() if os.environ.get("NATS_URL") else running_var()
    bus = await NatsBus.connect(runtime.nats_url(var, ""), name, timeout_s=5)
    try:
        yield bus, var
    finally:
        await bus.close()
