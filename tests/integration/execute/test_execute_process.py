"""The execute service as a process on a real bus: killed, bereft of its server, drained, refused to start."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import execute_world as w
import pytest
from execute_service import ROOT, signer_in

from libs.common.bus import NatsBus
from libs.common.embedded.ports import free_port
from libs.core.types import AccountState, Fill, Order, OrderState, Position

TOKEN = "a token of this test"
CONFIG = """
data: {venues: [{name: deriv, symbols: [{symbol: 1HZ100V}]}]}
trading: {mode: MODE, accounts: [{id: deriv-paper, venue: deriv, currency: USD}]}
platform: {var: VAR}
"""


class Service:
    """python -m services.execute."""

    def __init__(self, folder: Path, nats_url: str) -> None:
        self.var, self.config = folder / "var", folder / "config.yaml"
        self.url = f"http://127.0.0.1:{free_port()}"
        self.env = {
            **os.environ,
            "CONFIG_PATH": str(self.config),
            "NATS_URL": nats_url,
            "HTTP_PORT": self.url.rsplit(":", 1)[1],
            "CONCLAVE_ADMIN_TOKEN": TOKEN,
        }
        self.process: subprocess.Popen[str] | None = None

    def start(self, mode: str = "paper") -> None:
        self.config.write_text(CONFIG.replace("VAR", str(self.var)).replace("MODE", mode))
        argv = [sys.executable, "-m", "services.execute"]
        self.process = subprocess.Popen(
            argv, cwd=ROOT, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def end(self, number: int | None = None) -> tuple[int, str]:
        assert self.process is not None
        if number is not None:
            self.process.send_signal(number)
        _, said = self.process.communicate(timeout=15)
        return self.process.returncode, said

    def get(self, path: str, token: str = TOKEN) -> tuple[int, Any]:
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as err:
            with err:
                return err.code, err.read().decode()
        except OSError as err:
            return 0, str(err)


@pytest.fixture
def service(tmp_path: Path, nats_server: Any) -> Iterator[Service]:
    made = Service(tmp_path, nats_server.url)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.end(signal.SIGKILL)


@pytest.fixture
async def house(service: Service, nats_server: Any) -> AsyncIterator[House]:
    bus = await NatsBus.connect(nats_server.url, "test")
    made = House(service, bus)
    await bus.publish(w.V100)
    yield made
    await bus.close()


class House:
    """Ingest and risk of the test."""

    def __init__(self, service: Service, bus: NatsBus) -> None:
        self.service, self.bus = service, bus
        self.signer = signer_in(service.var)
        self.ms = 0.0

    async def ticks_until(self, what: str, condition: Any, price: float = 1000.0) -> None:
        """A second of data time each few milliseconds, until `condition` of the ledger holds."""
        for _ in range(1000):
            try:
                if await condition():
                    return
            except TimeoutError:  # the server is away
                continue
            self.ms += 100
            await self.bus.publish(w.clock(self.ms, "deriv"))
            await self.bus.publish(w.trade(self.ms, price))
            await asyncio.sleep(0.02)
        raise AssertionError(f"never happened: {what}; {self.service.get('/readyz')}")

    async def ready(self) -> bool:
        return (await asyncio.to_thread(self.service.get, "/readyz"))[0] == 200

    async def ledger(self, kind: type[Any]) -> list[Any]:
        found = [r.event async for r in self.bus.read(["order.>", "fill.>", "position.>", "account.>"])]
        return [event for event in found if isinstance(event, kind)]

    def fills(self, count: int) -> Any:
        """Condition: so many fills are in the ledger."""

        async def enough() -> bool:
            return len(await self.ledger(Fill)) >= count

        return enough

    async def permit(self, name: str, **fields: Any) -> None:
        permit = self.signer.sign(w.permit(name, ms=self.ms, ttl_s=3600, **fields))
        await self.bus.publish_durable(permit)


async def test_from_permit_to_position_through_a_kill_a_lost_bus_and_a_drain(house: House, nats_server: Any) -> None:
    service = house.service
    service.start()
    await house.ticks_until("ready", house.ready)
    await house.permit("p1", stop="993")
    await house.ticks_until("the entry fills", house.fills(1))
    await house.permit("p2", stop="993")
    service.end(signal.SIGKILL)
    service.start()
    await house.ticks_until("ready again", house.ready)
    await house.ticks_until("the second entry fills after the kill", house.fills(2))
    nats_server.kill()
    nats_server.start()
    await house.ticks_until("both stops sell after the bus came back", house.fills(4), price=992.0)

    async def closed() -> bool:
        return not any({p.position_id: p.quantity for p in await house.ledger(Position)}.values())

    await house.ticks_until("the ledger says closed", closed, price=992.0)
    fills = await house.ledger(Fill)
    assert len({fill.id for fill in fills}) == len(fills) == 4
    account = (await house.ledger(AccountState))[-1]
    assert account.balance == account.equity == 10_000 + sum(fill.realised for fill in fills)
    metrics = service.get("/metrics")[1]
    assert 'conclave_execute_orders_total{state="filled"}' in metrics
    assert 'conclave_execute_equity{account="deriv-paper",currency="USD"}' in metrics
    assert json.loads(service.get("/admin/orders")[1]) == []
    assert json.loads(service.get("/admin/positions")[1]) == []
    assert service.get("/admin/positions", token="wrong")[0] == 401
    code, said = service.end(signal.SIGTERM)
    assert code == 0, said


async def test_a_forged_permit_is_refused_and_counted(house: House) -> None:
    house.service.start()
    await house.ticks_until("ready", house.ready)
    await house.bus.publish_durable(w.permit("forged", signature=b"x" * 64, key_id="nobody"))

    async def refused() -> bool:
        return [o.state for o in await house.ledger(Order)] == [OrderState.REJECTED]

    await house.ticks_until("the refusal is recorded", refused)
    assert 'conclave_execute_permits_refused_total{reason="foreign"} 1.0' in house.service.get("/metrics")[1]
    assert await house.ledger(Fill) == []


async def test_a_second_executor_waits_and_takes_over_when_the_first_has_drained(
    house: House, tmp_path: Path, nats_server: Any
) -> None:
    house.service.start()
    await house.ticks_until("ready", house.ready)
    (tmp_path / "second").mkdir()
    second = Service(tmp_path / "second", nats_server.url)
    signer_in(second.var)
    second.start()
    try:

        async def waits() -> bool:
            status, body = await asyncio.to_thread(second.get, "/readyz")
            return status == 503 and "lease of account deriv-paper" in body

        await house.ticks_until("the second waits", waits)
        assert house.service.end(signal.SIGTERM)[0] == 0

        async def took_over() -> bool:
            return (await asyncio.to_thread(second.get, "/readyz"))[0] == 200

        await house.ticks_until("the second takes over", took_over)
    finally:
        second.end(signal.SIGKILL)


async def test_live_without_confirmation_ends_with_one_line(house: House) -> None:
    house.service.env.pop("CONCLAVE_CONFIRM_LIVE", None)
    house.service.start("live")
    code, said = house.service.end()
    assert code == 1
    assert said.strip().count("\n") == 0
    assert said.startswith("execute: trading.mode is live")
