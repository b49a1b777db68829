"""The command line as people call it, a stub of Binance that can be made to wait, and a store of each test's own."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from aiohttp import web
from typer.testing import CliRunner

from console.app import app
from libs.common.embedded.ports import answers, free_port
from libs.common.embedded.postgres import EmbeddedPostgres

ROOT = Path(__file__).parents[3]
T0_MS = 1_722_816_000_000  # 2024-08-05 00:00 UTC
MINUTE_MS = 60_000


class StubBinance:
    """Klines of every minute up to `now_ms`. Once `pages` have been told, the next waits until `go`."""

    def __init__(self) -> None:
        self.now_ms = T0_MS + 30 * 86_400_000
        self.first_ms = 0
        self.asked: list[dict[str, str]] = []
        self.pages = 1 << 30
        self.go = asyncio.Event()
        served = web.Application()
        served.add_routes([web.get("/api/v3/klines", self._klines), web.get("/api/v3/time", self._time)])
        self._runner = web.AppRunner(served, access_log=None, shutdown_timeout=0.1)

    async def start(self) -> str:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"rest=http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        self.go.set()
        await self._runner.cleanup()

    async def _time(self, request: web.Request) -> web.Response:
        return web.json_response({"serverTime": self.now_ms})

    async def _klines(self, request: web.Request) -> web.Response:
        self.asked.append(dict(request.query))
        if len(self.asked) > self.pages:
            await self.go.wait()
        first, last = int(request.query["startTime"]), min(int(request.query["endTime"]), self.now_ms)
        first = max(first, self.first_ms)
        opens = range(first - first % -MINUTE_MS, last + 1, MINUTE_MS)[:1000]
        return web.json_response([self._row(at) for at in opens])

    def _row(self, at: int) -> list[Any]:
        price = round(100 + at // MINUTE_MS % 89 / 800, 4)
        return [
            at,
            f"{price}",
            f"{price + 0.05}",
            f"{price - 0.05}",
            f"{price + 0.02}",
            "3.5",
            at + 59_999,
            "1",
            4,
            "1",
            "1",
            "0",
        ]


@pytest.fixture
async def binance() -> AsyncIterator[tuple[StubBinance, str]]:
    stub = StubBinance()
    yield stub, await stub.start()
    await stub.stop()


class Cli:
    """Runs `conclave` with a folder of state of its own."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        for name in (*(n for n in os.environ if n.endswith("_API_KEY")), "DATABASE_URL", "CONFIG_PATH"):
            patch.delenv(name, raising=False)
        patch.setenv("CONCLAVE_VAR", str(folder / "var"))
        patch.setenv("COLUMNS", "160")
        patch.chdir(folder)

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        """As a process of its own, that can be killed."""
        return await asyncio.create_subprocess_exec(
            *(sys.executable, str(ROOT / "cli.py"), *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, output and errors; in a thread, as the start of a process takes most of its time."""
        result = await asyncio.to_thread(CliRunner().invoke, app, list(arguments))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    folder = Path(tempfile.mkdtemp(prefix="conclave-sources-"))
    folder.chmod(0o755)
    embedded = EmbeddedPostgres(folder, free_port(), "secret")
    spec = embedded.spec()
    with (folder / "log").open("ab") as out:
        process = subprocess.Popen(spec.argv, stdout=out, stderr=out, cwd="/", **spec.popen)  # type: ignore[call-overload]
    deadline = time.monotonic() + 30
    while not answers(embedded.port):
        assert time.monotonic() < deadline, (folder / "log").read_text()
        time.sleep(0.05)
    yield embedded
    process.send_signal(signal.SIGQUIT)
    process.wait(20)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def database(postgres: EmbeddedPostgres) -> str:
    """The URL of a new data base."""
    name = f"t{uuid4().hex}"
    base = f"postgresql://conclave:secret@127.0.0.1:{postgres.port}"
    while True:
        try:
            connection = await asyncpg.connect(f"{base}/postgres")
            break
        except asyncpg.CannotConnectNowError:
            await asyncio.sleep(0.02)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return f"{base}/{name}"
