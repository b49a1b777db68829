"""The risk service as a process on a real bus: killed, drained, refused to start."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from libs.common.bus import NatsBus
from libs.common.embedded.ports import free_port
from libs.common.keys import Verifier, make_keys
from libs.core.types import (
    SECOND,
    AccountState,
    Action,
    FeedHealth,
    Instrument,
    InstrumentKind,
    Mode,
    Permit,
    Side,
    Signal,
    Ticks,
    Trade,
    VenueClock,
    Verdict,
)

ROOT = Path(__file__).parents[3]
NOW = 1_723_161_600 * SECOND
TOKEN = "a token of this test"
CONFIG = """
data: {venues: [{name: deriv, symbols: [{symbol: R_100}]}]}
trading: {accounts: [{id: deriv-paper, venue: deriv, currency: USD}]}
platform: {var: VAR}
"""


class Service:
    """python -m services.risk."""

    def __init__(self, folder: Path, nats_url: str) -> None:
        self.var = folder / "var"
        config = folder / "config.yaml"
        config.write_text(CONFIG.replace("VAR", str(self.var)))
        self.url = f"http://127.0.0.1:{free_port()}"
        self.env = {
            **os.environ,
            "CONFIG_PATH": str(config),
            "NATS_URL": nats_url,
            "HTTP_PORT": self.url.rsplit(":", 1)[1],
            "CONCLAVE_ADMIN_TOKEN": TOKEN,
        }
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        argv = [sys.executable, "-m", "services.risk"]
        self.process = subprocess.Popen(
            argv, cwd=ROOT, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def end(self, number: int | None = None) -> tuple[int, str]:
        assert self.process is not None
        if number is not None:
            self.process.send_signal(number)
        _, said = self.process.communicate(timeout=15)
        return self.process.returncode, said

    def call(self, path: str, body: dict[str, Any] | None = None, token: str = TOKEN) -> tuple[int, str]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers), timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as err:
            with err:
                return err.code, err.read().decode()
        except OSError as err:
            return 0, str(err)

    def resident_mb(self) -> float:
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


@pytest.fixture
def service(tmp_path: Path, nats_server: Any) -> Iterator[Service]:
    made = Service(tmp_path, nats_server.url)
    make_keys(made.var / "keys")
    yield made
    if made.process is not None and made.process.poll() is None:
        made.end(signal.SIGKILL)


def wish(name: str, at: int) -> Signal:
    return Signal(
        id=name,
        ts_event=at,
        strategy="ema_trend",
        params_hash="p",
        venue="deriv",
        symbol="R_100",
        interval_s=1,
        bar_time=at - SECOND,
        side=Side.BUY,
        action=Action.ENTER,
        price=100.0,
        atr=0.5,
        reason="up",
    )


async def market(bus: NatsBus, at: int) -> None:
    steps = {"price_step": D("0.01"), "qty_step": D("0.01"), "min_qty": D(1), "max_qty": D(2000)}
    await bus.publish(
        Instrument(
            id="i",
            ts_event=0,
            venue="deriv",
            symbol="R_100",
            canonical="R_100",
            name="Volatility 100",
            kind=InstrumentKind.MULTIPLIER,
            base="R_100",
            quote="USD",
            decimals=2,
            multiplier=40,
            **steps,
        )
    )
    items = (Trade(at, 100.0, 0.0, 0, at // SECOND),)
    await bus.publish(VenueClock(id=f"c{at}", ts_event=at, venue="deriv", ts_machine=0, extrapolate=False))
    await bus.publish(FeedHealth(id=f"h{at}", ts_event=at, venue="deriv", symbol="R_100", score=1.0))
    await bus.publish(Ticks(id=f"t{at}", ts_event=at, venue="deriv", symbol="R_100", items=items))


async def account(bus: NatsBus) -> None:
    await bus.publish_durable(
        AccountState(
            id="a",
            ts_event=NOW,
            account="deriv-paper",
            venue="deriv",
            mode=Mode.PAPER,
            currency="USD",
            balance=D(10_000),
            equity=D(10_000),
            peak_equity=D(10_000),
            day=NOW // (86_400 * SECOND),
            day_start_equity=D(10_000),
        )
    )


async def read(bus: NatsBus, pattern: str) -> list[Any]:
    return [received.event async for received in bus.read([pattern])]


async def ready(service: Service, bus: NatsBus, at: int) -> None:
    """Wait until risk is ready while the venue's clock goes on, as it does while ingest lives."""
    for step in range(400):
        await market(bus, at + step)
        status, said = await asyncio.to_thread(service.call, "/readyz")
        if status == 200:
            return
        assert service.process is not None
        assert service.process.poll() is None, service.end()
        await asyncio.sleep(0.05)
    raise AssertionError(said)


async def test_killed_with_a_permit_open_it_comes_back_knowing_it(service: Service, nats_server, until) -> None:
    bus = await NatsBus.connect(nats_server.url, "others")
    await account(bus)
    service.start()
    await ready(service, bus, NOW)
    await bus.publish(wish("s1", NOW))
    answers: list[Any] = []

    async def take(received: Any) -> None:
        answers.append(received.event)

    await bus.subscribe(["risk.verdict.>", "permit.>"], take, 0)
    await until(lambda: len(answers) == 2, "permit and verdict")
    permit = next(event for event in answers if isinstance(event, Permit))
    assert Verifier(service.var / "keys" / "public").refusal(permit) is None
    assert permit.verdict in answers
    # Light: neither numpy nor numba belongs in here.
    assert service.resident_mb() < 110
    status, _ = await asyncio.to_thread(service.call, "/admin/halt", {"reason": "test"}, "wrong")
    assert status == 401
    status, said = await asyncio.to_thread(service.call, "/admin/halt", {"reason": "test", "scope": "R_100"})
    assert (status, json.loads(said)["in_force"]) == (200, True)
    code, _ = service.end(signal.SIGKILL)
    assert code == -signal.SIGKILL
    later = NOW + SECOND
    await bus.publish(wish("s2", later))
    service.start()
    await ready(service, bus, later)
    await bus.publish(wish("s3", later))
    await until(lambda: len(answers) == 4, "both are answered")
    assert [v.signal_id for v in answers if isinstance(v, Verdict)] == ["s1", "s2", "s3"]
    assert set(answers[-1].reasons) == {"halted", "open_order", "cooldown"}
    assert len(await read(bus, "permit.>")) == 1
    status, said = await asyncio.to_thread(service.call, "/metrics")
    assert "conclave_risk_rejections_total" in said
    code, said = service.end(signal.SIGTERM)
    assert (code, said) == (0, "")
    await bus.close()


@pytest.mark.parametrize(("damage", "advice"), [("missing", "run the set-up step"), ("open", "chmod 600")])
def test_without_a_usable_key_one_line_says_what_to_do(service: Service, damage: str, advice: str) -> None:
    key = service.var / "keys" / "risk.key"
    key.unlink() if damage == "missing" else key.chmod(0o644)
    service.start()
    code, said = service.end()
    assert code == 1
    assert advice in said
    assert said.count("\n") == 1
