"""The whole embedded stack: what runs, in which order it starts, when it is ready, how it drains."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import secrets
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import structlog

from libs.common import runtime
from libs.common.embedded.nats import nats_spec
from libs.common.embedded.ports import answers, free_port, is_free
from libs.common.embedded.postgres import EmbeddedPostgres
from libs.common.embedded.process import Child, ProcessSpec, StackError
from libs.common.keys import make_keys
from libs.common.secrets import write_private
from libs.common.settings import Settings

log = structlog.get_logger(__name__)

SERVICES = runtime.SERVICES
AT_ONCE = tuple(name for name in SERVICES if name not in runtime.LATER)
START_S = 30.0
DISK_MB = 300
LATER_NICE = 10
"""What trains begins behind everything that trades; the fitting itself goes further back."""


@dataclass(frozen=True)
class StackOptions:
    """What to start besides the configuration.

    Attributes:
        config: the configuration file the services read. var: where state lies.
        simulator: environment of the simulator process, None = no simulator.
        root: the folder from which `python -m services.x` works.
    """

    config: Path
    var: Path
    root: Path
    simulator: dict[str, str] | None = None
    confirm_live: bool = False
    ports: dict[str, int] = field(default_factory=dict)


class Stack:
    """Start with `start`, end with `stop`; in between everything that dies is started again."""

    def __init__(self, settings: Settings, options: StackOptions) -> None:
        self.settings, self.options = settings, options
        self.var = options.var.resolve()
        self.logs = self.var / "log"
        self.children: dict[str, Child] = {}
        self.ready_at: dict[str, float] = {}
        self.lost_readiness: dict[str, list[str]] = {}
        self.not_ready_now: set[str] = set()
        self.nats_url = ""
        self._lock: IO[str] | None = None

    # start -----------------------------------------------------------------------------------------------------------

    async def start(self, say: Callable[[str], None] = lambda _: None) -> None:
        """Start everything and return once every service has been ready.

        Raises:
            StackError: something is missing, taken, full or unwritable, or does not become ready; nothing is left.
        """
        self._take_lock()
        try:
            self._check_disk()
            say("starting NATS, PostgreSQL" + (" and the simulator" if self.options.simulator is not None else ""))
            await _together(self._start_nats(), self._start_postgres(), self._start_simulator())
            make_keys(self.var / "keys")
            self._write_facts()
            say("starting the services: " + ", ".join(AT_ONCE))
            for name in AT_ONCE:
                await self._start_child(self._service_spec(name))
            await self._wait_ready(say)
            for name in runtime.LATER:
                await self._start_child(self._service_spec(name))
        except BaseException:
            await self.stop()
            raise

    def _take_lock(self) -> None:
        folder = runtime.run_dir(self.var)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = (folder / "lock").open("a+")
        except OSError as err:
            raise StackError(f"{folder} cannot be written: {err.strerror}; set platform.var or CONCLAVE_VAR") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            self._lock = None
            raise StackError(f"a stack already runs in {self.var}; stop it first (conclave stop)") from None
        for name in (*SERVICES, runtime.STACK_FILE.removesuffix(".json")):
            (folder / f"{name}.json").unlink(missing_ok=True)
        for name in (*SERVICES, "simulator"):
            runtime.forget_target(self.var, name)

    @staticmethod
    def is_locked(var: Path) -> bool:
        """Whether a stack runs in `var`, or has yet to drain."""
        with (runtime.run_dir(var) / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return True
        return False

    @classmethod
    def check_unlocked(cls, var: Path) -> None:
        """Raises StackError when a stack runs in `var`."""
        if cls.is_locked(var):
            raise StackError(f"a stack already runs in {var}; stop it first (conclave stop)")

    def _check_disk(self) -> None:
        stats = os.statvfs(self.var)
        free_mb = stats.f_bavail * stats.f_frsize // 1024**2
        if free_mb < DISK_MB:
            raise StackError(f"only {free_mb} MB free in {self.var}; the stack wants {DISK_MB} MB at least")

    def _port(self, name: str) -> int:
        configured = self.options.ports.get(name) or self.settings.platform.http_ports.get(name, 0)
        if configured and not is_free(configured):
            raise StackError(f"port {configured} for {name} is taken; free it or change platform.http_ports.{name}")
        return configured or free_port()

    async def _start_nats(self) -> None:
        if url := os.environ.get("NATS_URL") or self.settings.platform.nats_url:
            self.nats_url = url
            return
        user, password, port = "conclave", secrets.token_hex(12), self._port("nats")
        self.nats_url = f"nats://{user}:{password}@127.0.0.1:{port}"
        await self._start_child(nats_spec(self.var / "nats", port, user, password))
        await self._wait_port("nats", port)

    async def _start_postgres(self) -> None:
        self.database_url = os.environ.get("DATABASE_URL") or self.settings.platform.database_url
        if self.database_url:
            return
        port = self._port("postgres")
        server = EmbeddedPostgres(self.var / "postgres", port, secrets.token_hex(12))
        self.database_url = server.url
        await self._start_child(await asyncio.to_thread(server.spec))
        await self._wait_port("postgres", port)

    async def _start_simulator(self) -> None:
        if self.options.simulator is None:
            return
        folder = runtime.run_dir(self.var) / "simulator"
        (folder / "simulator.json").unlink(missing_ok=True)
        env = {f"CV_SIM_{name}_PORT": str(self._port(f"simulator_{name.lower()}")) for name in _SIMULATOR_PORTS}
        env |= {"CV_SIM_STATE_DIR": str(folder), **self.options.simulator}
        await self._start_child(ProcessSpec("simulator", (sys.executable, "-m", "services.simulator"), env=env))
        await self._wait("simulator", lambda: (folder / "simulator.json").exists())
        runtime.write_target(self.var, "simulator", str(runtime.read_simulator(self.var)["http_url"]))

    def _service_spec(self, name: str) -> ProcessSpec:
        env = {
            "CONFIG_PATH": str(self.options.config.resolve()),
            "CONCLAVE_VAR": str(self.var),
            "NATS_URL": self.nats_url,
            "DATABASE_URL": self.database_url,
            "HTTP_PORT": str(self._port(name)),
        }
        if self.options.confirm_live:
            env["CONCLAVE_CONFIRM_LIVE"] = "1"
        nice = LATER_NICE if name in runtime.LATER else 0
        return ProcessSpec(name, (sys.executable, "-m", f"services.{name}"), env=env, nice=nice)

    async def _start_child(self, spec: ProcessSpec) -> None:
        child = Child(spec, self.logs, self.options.root)
        self.children[spec.name] = child
        try:
            await child.start()
        except OSError as err:
            raise StackError(f"{spec.name} cannot be started: {err}") from None

    def _write_facts(self) -> None:
        token_file = self.var / "secrets" / runtime.TOKEN_NAME
        if runtime.admin_token(self.var) is None:
            write_private(token_file, secrets.token_urlsafe(24))
        runtime.write_stack(
            self.var,
            {
                "pid": os.getpid(),
                "started_ns": time.time_ns(),
                "nats_url": self.nats_url,
                "database_url": self.database_url,
                "config": str(self.options.config.resolve()),
                "mode": self.settings.trading.mode,
                "endpoints": {venue.name: venue.endpoint for venue in self.settings.data.venues},
            },
        )

    # readiness -------------------------------------------------------------------------------------------------------

    async def _wait_port(self, name: str, port: int) -> None:
        await self._wait(name, lambda: answers(port))

    async def _wait(self, name: str, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_S
        while not await asyncio.to_thread(done):
            child = self.children[name]
            if child.restarts >= 2 or time.monotonic() > deadline:
                words = child.last_words() or "it said nothing"
                raise StackError(f"{name} does not start: {words}")
            await asyncio.sleep(0.05)

    async def _wait_ready(self, say: Callable[[str], None]) -> None:
        deadline = time.monotonic() + self.settings.platform.ready_timeout_s
        waiting = set(AT_ONCE)
        while waiting:
            states = await self.readiness(waiting)
            for name in sorted(waiting):
                child, reasons = self.children[name], states[name]
                if not reasons:
                    waiting.discard(name)
                    self.ready_at[name] = time.time()
                    say(f"{name} is ready")
                elif child.restarts >= 3 or child.last_exit == 2:
                    raise StackError(f"{name} does not start: {child.last_words() or 'it said nothing'}")
            if waiting and time.monotonic() > deadline:
                why = "; ".join(f"{name}: {', '.join(states[name])}" for name in sorted(waiting))
                raise StackError(f"not ready after {self.settings.platform.ready_timeout_s:g} s: {why}")
            await asyncio.sleep(0.1)

    async def readiness(self, names: Iterable[str] = SERVICES) -> dict[str, list[str]]:
        """Service to the reasons why it is not ready; an empty list means ready."""
        names = list(names)
        answers_ = await asyncio.gather(*(asyncio.to_thread(self._ready_reasons, name) for name in names))
        return dict(zip(names, answers_, strict=True))

    def _ready_reasons(self, name: str) -> list[str]:
        url = runtime.read_services(self.var).get(name, {}).get("http")
        return ready_reasons(url) if url else ["starting"]

    async def watch_readiness(self, every_s: float = 1.0) -> None:
        """Note every service that does not stay ready, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            states = await self.readiness(name for name in SERVICES if name in self.children)
            for name in states:
                if not states[name]:
                    self.ready_at.setdefault(name, time.time())
            self.not_ready_now = {name for name, reasons in states.items() if reasons}
            for name in self.not_ready_now:
                # What starts later has not lost what it never had, unless it cannot be started at all.
                if name in self.ready_at or self.children[name].restarts >= 3:
                    self.lost_readiness[name] = states[name]

    # stop ------------------------------------------------------------------------------------------------------------

    async def stop_services(self) -> dict[str, int | None]:
        """Drain the services, upstream first, so that what is on its way still arrives; exit codes by name."""
        codes = {}
        for name in SERVICES:
            if name in self.children:
                codes[name] = await self.children.pop(name).stop()
        return codes

    async def stop(self) -> None:
        """Drain and end everything; nothing is left running."""
        await self.stop_services()
        for name in ("simulator", "postgres", "nats"):
            if name in self.children:
                await self.children.pop(name).stop()
        runtime.forget_target(self.var, "simulator")
        (runtime.run_dir(self.var) / runtime.STACK_FILE).unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None


async def _together(*starts: Coroutine[Any, Any, None]) -> None:
    """Wait for all; when one fails none of the others goes on starting behind its back."""
    tasks = [asyncio.create_task(start) for start in starts]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


_SIMULATOR_PORTS = ("DERIV", "BINANCE", "HTTP")


def http_json(url: str, timeout_s: float = 2.0) -> tuple[int, dict[str, Any]]:
    """GET a JSON object; status 0 when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as err:
        try:
            return err.code, json.loads(err.read())
        except ValueError:
            return err.code, {}
    except (OSError, ValueError):
        return 0, {}


def ready_reasons(url: str) -> list[str]:
    """Why the service at `url` is not ready; [] when it is."""
    status, body = http_json(f"{url}/readyz")
    if status == 200:
        return []
    return list(body.get("reasons", ["no answer"])) if status else ["no answer"]
