"""`conclave demo` and `conclave up`: run the embedded stack, show it, and at the end say what happened."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from rich.console import Console
from rich.live import Live

from console.board import FILTERS, Board
from console.context import DEMO, ROOT, base_var, default_config
from console.dashboard import dashboard, make_console, plain_line
from console.datasets import Dataset, inspect
from console.money import SIMULATED, endpoints_of, mode_title
from console.recorder import SESSIONS, keep_models, record_session
from console.summary import Summary, print_summary, summarise
from libs.common.bus import NatsBus
from libs.common.embedded.process import StackError
from libs.common.embedded.stack import AT_ONCE, SERVICES, Stack, StackOptions
from libs.common.logs import configure_logs
from libs.common.models.cache import models_folder
from libs.common.settings import Settings, load_settings
from libs.research.session import read_session

REFRESH_S = 0.5
PLAIN_EVERY_S = 5.0
DRAIN_AFTER_END_S = 2.0
QUICK_BARS = 5000
"""History that the demo's first council learns from."""
QUICK_PARAMS: dict[str, dict[str, Any]] = {"pattern": {"epochs": 2}}
"""Charts take longest to learn from; the demo has a minute for all."""


Orders = Literal["venue", "paper"]
"""Who fills the orders: the simulated venues, asked over their own protocols, or our paper model of them."""


@dataclass(frozen=True)
class DemoOptions:
    """Arguments of `demo`. `minutes` None = until Ctrl-C or the end of the recording."""

    minutes: float | None = None
    data: Path | None = None
    speed: float = 1.0
    seed: int | None = None
    config: Path | None = None
    orders: Orders = "paper"


First = Callable[[Stack, NatsBus, asyncio.Event], Awaitable[bool]]
"""Does something with a stack that is ready, before anything is shown; returns whether to go on."""


@dataclass
class Outcome:
    """What a run was: its summary, where it is recorded, and what was wrong."""

    summary: Summary
    session: Path
    problems: list[str]
    note: str = ""


def quiet_logs(var: Path) -> None:
    """The supervisor's own log goes to its file; the screen belongs to the dashboard."""
    import logging

    configure_logs("supervisor", "info", var / "log")
    root = logging.getLogger()
    for handler in list(root.handlers):
        if type(handler) is logging.StreamHandler:
            root.removeHandler(handler)


def demo_config(base: Path, var: Path, dataset: Dataset | None, orders: Orders = "paper") -> Path:
    """Write the configuration of this demo: the simulator, who fills, and with a data set only what it holds."""
    raw: dict[str, Any] = yaml.safe_load(base.read_text(encoding="utf-8"))
    raw.setdefault("platform", {})["var"] = str(var)
    for venue in raw["data"]["venues"]:
        venue.update(endpoint="simulator", urls={})
    training = raw.setdefault("training", {})
    training.update(preset="quick", bars=QUICK_BARS, at_start=True, schedule="", params=QUICK_PARAMS)
    raw.setdefault("model", {})["store"] = "bus"
    trading = raw.setdefault("trading", {})
    trading["mode"] = "live" if orders == "venue" else "paper"
    if dataset is not None:
        dataset.narrow(raw)
    if orders == "venue":  # the ledger keeps only the name: it says whose money this is wherever it is read
        for account in trading.get("accounts", []):
            account["id"] = account["id"].removesuffix("-paper") + "-simulated"
    path = var / "config.yaml"
    path.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    return path


def fresh_folder(var: Path) -> None:
    """A demo begins from nothing: its own folder is emptied, never that of `up`."""
    if (var / "run" / "lock").exists():
        Stack.check_unlocked(var)
    shutil.rmtree(var, ignore_errors=True)
    make_folder(var)


def make_folder(var: Path) -> None:
    """Make the folder of state. Raises StackError when it cannot be written."""
    try:
        var.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=var):
            return
    except OSError as err:
        raise StackError(f"{var} cannot be written: {err.strerror}; set platform.var or CONCLAVE_VAR") from None


async def run_demo(options: DemoOptions) -> int:
    """The demo from start to summary; the exit code."""
    console = make_console()
    base = options.config or default_config()
    load_settings(base)
    dataset = await asyncio.to_thread(inspect, options.data) if options.data else None
    for line in dataset.notes if dataset else ():
        console.print(line)
    var = base_var() / DEMO
    fresh_folder(var)
    config = demo_config(base, var, dataset, options.orders)
    settings = load_settings(config)
    refuse_other_venues(settings)
    simulator = {"CV_SIM_SPEED": str(options.speed)}
    if options.data:
        simulator["CV_SIM_DATA"] = str(options.data.resolve())
    if options.seed is not None:
        simulator["CV_SIM_SEED"] = str(options.seed)
    stack_options = StackOptions(
        config,
        var,
        ROOT,
        simulator,
        confirm_live=options.orders == "venue",
        ports=settings.platform.http_ports,
    )
    stack = Stack(settings, stack_options)
    title, ends = _title(options), dataset is not None
    console.print(title)
    outcome = await run_stack(stack, console, options.minutes, var, title=title, ends=ends)
    console.print()
    print_summary(outcome.summary, console)
    console.print(f"session {outcome.session}   (conclave replay last; conclave explain ORDER_ID)")
    if outcome.note:
        console.print(outcome.note)
    problems = outcome.problems + _missing(outcome.summary, planted_required=dataset is None)
    for problem in problems:
        console.print(f"[red]not as it should be:[/red] {problem}")
    return 1 if problems else 0


def refuse_other_venues(settings: Settings) -> None:
    """A demo deals with the simulator alone; VENUE_ENDPOINT in the environment would lead it elsewhere.

    Raises:
        StackError: a venue is not the simulator.
    """
    for venue in settings.data.venues:
        if venue.endpoint != "simulator":
            raise StackError(f"a demo trades at the simulator only, not at {venue.endpoint}; unset VENUE_ENDPOINT")


async def run_up(config: Path | None, mode: str | None, confirm: bool) -> int:
    """The embedded stack on a configuration, until Ctrl-C; its state stays for the next start."""
    console = make_console()
    path = config or default_config()
    settings = load_settings(path)
    var = settings.platform.var if settings.platform.var.is_absolute() else ROOT / settings.platform.var
    make_folder(var)
    if mode and mode != settings.trading.mode:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        raw.setdefault("trading", {})["mode"] = mode
        path = var / "config.run.yaml"
        path.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
        settings = load_settings(path)
    if settings.trading.mode == "live" and not confirm:
        raise StackError("live trading needs --confirm: orders will be real at every venue whose endpoint is live")
    simulator: dict[str, str] | None = (
        {} if any(venue.endpoint == "simulator" for venue in settings.data.venues) else None
    )
    options = StackOptions(path, var, ROOT, simulator, confirm_live=confirm, ports=settings.platform.http_ports)
    title = f"conclave · {mode_title(settings)}"
    outcome = await run_stack(Stack(settings, options), console, None, var, title=title, ends=False, record=False)
    print_summary(outcome.summary, console)
    return 0


async def run_stack(
    stack: Stack,
    console: Console,
    minutes: float | None,
    var: Path,
    *,
    title: str,
    ends: bool,
    record: bool = True,
    first: First | None = None,
) -> Outcome:
    """Start, let `first` look (False: that was all), show until the end, drain, sum up."""
    quiet_logs(var)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    started_ns = time.time_ns()
    begun = time.monotonic()
    async with AsyncExitStack() as cleanup:
        starting = asyncio.create_task(stack.start(lambda line: console.print(f"[dim]{line}[/dim]")))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.wait({starting})
            raise StackError("stopped while starting")
        await starting
        cleanup.push_async_callback(stack.stop)
        bus = await NatsBus.connect(stack.nats_url, "console")
        cleanup.push_async_callback(bus.close)
        board = Board(endpoints_of(stack.settings))
        await bus.subscribe(FILTERS, board.take, started_ns)
        watching = asyncio.create_task(stack.watch_readiness())
        deadline = time.monotonic() + minutes * 60 if minutes else None
        console.print(f"[dim]all services ready after {time.monotonic() - begun:.1f} s[/dim]")
        if first is None or await first(stack, bus, stop):
            await _show(stack, board, console, stop, deadline, ends, title)
        watching.cancel()
        first_fill = f"first fill {board.first_fill_at - begun:.1f} s after the command" if board.first_fill_at else ""
        console.print("[dim]draining[/dim]")
        codes = await stack.stop_services()
        problems = _service_problems(stack, codes)
        ready_at = max(stack.ready_at[name] for name in AT_ONCE)
        facts = {"title": title, "ready_after_s": round(ready_at - started_ns / 1e9, 1)}
        folder = var.parent / SESSIONS if var.name == DEMO else var / SESSIONS
        session = await record_session(bus, folder, started_ns, facts)
        keep_models(models_folder(var), folder)
    _, messages = read_session(session)
    summary = summarise(messages, endpoints_of(stack.settings))
    if not record:
        session.unlink()
    return Outcome(summary, session, problems, first_fill)


async def _show(
    stack: Stack,
    board: Board,
    console: Console,
    stop: asyncio.Event,
    deadline: float | None,
    ends: bool,
    title: str,
) -> None:
    """Draw until time is up, the recording has ended or somebody stops it."""

    def over() -> bool:
        return stop.is_set() or (deadline is not None and time.monotonic() >= deadline)

    async def until_over(draw: Callable[[], None], every_s: float) -> None:
        ended_at: float | None = None
        drawn = 0.0
        while not over():
            if ends and board.ended:
                ended_at = ended_at or time.monotonic()
                if time.monotonic() - ended_at > DRAIN_AFTER_END_S:
                    console.print("[dim]the recording has ended[/dim]")
                    return
            if time.monotonic() - drawn >= every_s:
                draw()
                drawn = time.monotonic()
            await asyncio.sleep(0.1)

    def states() -> dict[str, str]:
        lost = stack.not_ready_now
        return {name: "ready" if name not in lost else "down" for name in SERVICES}

    if console.is_terminal:
        with Live(console=console, screen=False, auto_refresh=False) as live:
            await until_over(lambda: live.update(dashboard(board, states(), title), refresh=True), REFRESH_S)
    else:
        await until_over(lambda: console.print(plain_line(board, states())), PLAIN_EVERY_S)


def _service_problems(stack: Stack, codes: dict[str, int | None]) -> list[str]:
    problems = [f"{name} did not stay ready: {', '.join(why)}" for name, why in stack.lost_readiness.items()]
    problems += [f"{name} did not drain cleanly (exit {code})" for name, code in codes.items() if code != 0]
    return problems


def _missing(summary: Summary, *, planted_required: bool) -> list[str]:
    problems = []
    if summary.unanswered:
        problems.append(f"{len(summary.unanswered)} signals have no recorded verdict")
    if planted_required and not summary.planted:
        problems.append("there is no planted symbol to trade")
    if planted_required and summary.planted_unfilled:
        left = ", ".join(f"{symbol} at {venue}" for venue, symbol in sorted(summary.planted_unfilled))
        problems.append(f"no order on the planted symbol went the whole way: {left}")
    return problems


def _title(options: DemoOptions) -> str:
    source = f"{options.data.name} at {options.speed:g}x" if options.data else "simulated markets"
    filled = f"orders at the simulated venues, {SIMULATED}" if options.orders == "venue" else "paper"
    return f"conclave demo · {filled} · {source}"
