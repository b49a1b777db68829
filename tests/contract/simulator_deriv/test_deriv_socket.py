"""The simulator as a process: ports, sockets, malformed frames, kill -9, SIGTERM."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

ROOT = Path(__file__).parents[3]
DEADLINE_SECS = 20.0


class StartFailed(Exception):
    """What the process said on its standard error."""


class Process:
    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "CV_SIM_STATE_DIR": str(folder),
            "CV_SIM_TOKEN": "demo-token",
            **environment,
        }
        self.facts: dict[str, Any] = {}

    async def start(self) -> None:
        (self.folder / "simulator.json").unlink(missing_ok=True)
        self.child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.simulator",
            cwd=ROOT,
            env=self.environment,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(DEADLINE_SECS):
            while not (self.folder / "simulator.json").exists():
                if self.child.returncode is not None:
                    raise StartFailed((await self.errors()).decode())
                await asyncio.sleep(0.02)
        self.facts = json.loads((self.folder / "simulator.json").read_text())

    async def end(self, number: signal.Signals) -> int:
        self.child.send_signal(number)
        async with asyncio.timeout(DEADLINE_SECS):
            return await self.child.wait()

    async def errors(self) -> bytes:
        assert self.child.stderr is not None
        return await self.child.stderr.read()


@asynccontextmanager
async def connected(facts: dict[str, Any]) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{facts['deriv_url']}?app_id=1089", max_msg_size=0) as socket,
    ):
        yield socket


async def ask(socket: aiohttp.ClientWebSocketResponse, **request: Any) -> dict[str, Any]:
    request.setdefault("req_id", 1)
    await socket.send_json(request)
    async with asyncio.timeout(DEADLINE_SECS):
        while True:
            answer: dict[str, Any] = await socket.receive_json()
            if answer.get("req_id") == request["req_id"]:
                return answer


@pytest.fixture
async def simulator(tmp_path: Path) -> AsyncIterator[Process]:
    process = Process(tmp_path)
    await process.start()
    yield process
    if process.child.returncode is None:
        await process.end(signal.SIGKILL)


async def test_socket_answers_text_and_survives_malformed_frames(simulator: Process) -> None:
    async with connected(simulator.facts) as socket:
        await socket.send_bytes(b"\x00\xff")
        await socket.send_str("{{{")
        for _ in range(2):
            assert (await socket.receive_json())["error"]["code"] == "BadRequest"
        assert (await ask(socket, ping=1))["ping"] == "pong"
        assert abs((await ask(socket, time=1))["time"] - time.time()) < 5
        await ask(socket, ticks="1HZ100V", subscribe=1, req_id=2)
        first, second = [(await socket.receive_json())["tick"]["epoch"] for _ in range(2)]
        assert second == first + 1


async def test_handshake_without_app_id_is_refused(simulator: Process) -> None:
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
            await http.ws_connect(simulator.facts["deriv_url"])


async def test_kill_and_restart_continue_the_same_market_and_account(simulator: Process) -> None:
    order = {"contract_type": "MULTUP", "currency": "USD", "symbol": "R_100", "amount": 10, "multiplier": 100}
    async with connected(simulator.facts) as socket:
        await ask(socket, authorize="demo-token")
        bought = (await ask(socket, buy="1", price=10, parameters=order))["buy"]
        before = (await ask(socket, ticks_history="R_100", end="latest", count=50))["history"]
        assert await simulator.end(signal.SIGKILL) == -signal.SIGKILL
    await simulator.start()
    async with connected(simulator.facts) as socket:
        await ask(socket, authorize="demo-token")
        contracts = (await ask(socket, portfolio=1))["portfolio"]["contracts"]
        assert [contract["contract_id"] for contract in contracts] == [bought["contract_id"]]
        assert (await ask(socket, balance=1))["balance"]["balance"] == bought["balance_after"]
        end = str(before["times"][-1])
        assert (await ask(socket, ticks_history="R_100", end=end, count=50))["history"] == before


async def test_sigterm_ends_cleanly_with_a_client_connected(simulator: Process) -> None:
    async with connected(simulator.facts) as socket:
        assert (await ask(socket, ping=1))["ping"] == "pong"
        asked = time.monotonic()
        assert await simulator.end(signal.SIGTERM) == 0
        assert time.monotonic() - asked < 5
        assert await simulator.errors() == b""


async def test_health_port_says_ready_and_counts(simulator: Process) -> None:
    async with aiohttp.ClientSession(simulator.facts["http_url"]) as http:
        assert (await http.get("/healthz")).status == 200
        assert await (await http.get("/readyz")).json() == {"ready": True, "reasons": []}
        assert "conclave_simulator_deriv_connections 0.0" in await (await http.get("/metrics")).text()


@pytest.mark.parametrize(
    ("environment", "code", "words"),
    [
        ({"CV_SIM_SPEED": "fast"}, 2, "CV_SIM_SPEED"),
        ({"CV_SIM_DERIV_PORT": "taken"}, 1, "deriv_port"),
        ({"CV_SIM_SEED": "4"}, 1, "use that seed or another folder"),
    ],
)
async def test_start_that_cannot_be_is_one_line_and_an_exit_code(
    simulator: Process, environment: dict[str, str], code: int, words: str
) -> None:
    if environment.get("CV_SIM_DERIV_PORT"):
        environment = {"CV_SIM_DERIV_PORT": simulator.facts["deriv_url"].split(":")[2].split("/")[0]}
    second = Process(simulator.folder, **environment)
    with pytest.raises(StartFailed, match=words) as failed:
        await second.start()
    assert second.child.returncode == code
    assert str(failed.value).count("\n") == 1
