"""Every container is killed while the stack trades: it comes back by itself, trading goes on, no order is doubled.

Minutes long and with images of its own: `make test-containers` runs it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from decimal import Decimal

import pytest
from containers_compose import ROOT, ComposeFailed, ComposeStack, docker, until
from containers_docker import docker_problem, has_image

sys.path.append(str(ROOT / "tests" / "chaos"))

from chaos_truth import orders_that_differ

from libs.common.bus import NatsBus
from libs.common.settings import load_settings
from libs.core.types import Event, Fill

pytestmark = [
    pytest.mark.skipif(os.environ.get("CONTAINERS") != "1", reason="minutes long: run `make test-containers`"),
    pytest.mark.timeout(1800),
]

KILLED = ("simulator", "ingest", "features", "predict", "risk", "execute", "nats", "timescaledb", "prometheus")
PUBLIC_IMAGES = ("nats:2-alpine", "timescale/timescaledb:2.19.3-pg17-oss", "prom/prometheus:v2.53.3")
TRADES_WITHIN_S = 180.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeStack]:
    """A compose stack on simulated markets, healthy."""
    if problem := docker_problem():
        pytest.skip(problem)
    if missing := [name for name in PUBLIC_IMAGES if not has_image(name)]:
        pytest.skip(f"images are not here: {', '.join(missing)}")
    folder = tmp_path_factory.mktemp("compose")
    folder.chmod(0o755)
    made = ComposeStack(folder, f"conclave-test-{os.getpid()}", os.environ.get("CONTAINERS_TAG", "test"))
    try:
        if "CONTAINERS_TAG" not in os.environ:
            try:
                made.build()
            except ComposeFailed as err:
                pytest.skip(f"the images cannot be built: {str(err).splitlines()[-1]}")
        made.up()
        yield made
    finally:
        made.down()


def test_every_container_is_bounded_and_without_privileges(stack: ComposeStack) -> None:
    for service in stack.services():
        host = stack.inspect(service)["HostConfig"]
        assert host["Memory"], service
        assert host["NanoCpus"], service
        assert host["RestartPolicy"]["Name"] == "unless-stopped", service
        assert host["LogConfig"]["Config"]["max-size"], service
        assert host["CapDrop"] == ["ALL"], service
        assert "no-new-privileges:true" in host["SecurityOpt"], service
        assert host["ReadonlyRootfs"] or service == "timescaledb", service
        user = stack.inspect(service)["Config"]["User"]
        assert user not in ("", "0", "root") or service in ("nats", "timescaledb"), service


async def test_it_trades_and_says_each_fill_in_one_line(stack: ComposeStack) -> None:
    said: tuple[dict[str, object], ...] = ()

    def has_filled() -> bool:
        nonlocal said
        said = tuple(line for line in map(_parsed, stack.logs("execute")) if line.get("event") == "fill")
        return len(said) >= 2

    await until(has_filled, "a line for each of two fills", TRADES_WITHIN_S)
    bus = await stack.bus()
    told = {fill.id for fill in await _ledger(bus) if isinstance(fill, Fill)}
    await bus.close()
    assert all(line["level"] == "info" for line in said)
    assert len(said) <= len(told)


def _parsed(line: str) -> dict[str, object]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@pytest.mark.parametrize("service", KILLED)
async def test_a_killed_process_comes_back_by_itself(stack: ComposeStack, service: str) -> None:
    before = stack.inspect(service)["State"]
    assert stack.health(service) == "healthy", service
    os.kill(before["Pid"], signal.SIGKILL)

    def is_another() -> bool:
        state = stack.inspect(service)["State"]
        return state["Status"] == "running" and state["StartedAt"] != before["StartedAt"]

    await until(is_another, f"{service} runs again", 30)
    await _all_is_well(stack, service)


@pytest.mark.parametrize("service", KILLED)
async def test_a_container_killed_by_hand_comes_back_when_asked_for(stack: ComposeStack, service: str) -> None:
    stack.must("kill", service)
    await until(lambda: stack.inspect(service)["State"]["Status"] == "exited", f"{service} is down", 30)
    stack.must("up", "-d", "--no-build", service)
    await _all_is_well(stack, service)


async def _all_is_well(stack: ComposeStack, killed: str) -> None:
    def sick() -> list[str]:
        return [name for name in KILLED if stack.health(name) != "healthy"]

    await until(lambda: not sick(), f"everything is healthy after {killed} was killed")
    bus = await stack.bus()
    try:
        await _goes_on(bus, "feat.1s.deriv.PLANTED", killed)
        await _goes_on(bus, "applied.execute", killed)
    finally:
        await bus.close()


async def _goes_on(bus: NatsBus, subject: str, killed: str) -> None:
    now = time.time_ns()
    deadline = time.monotonic() + 60
    while (last := await bus.last(subject)) is None or last.stream_ns < now:
        assert time.monotonic() < deadline, f"nothing new on {subject} after {killed} was killed"
        await asyncio.sleep(0.25)


async def test_after_everything_was_killed_trading_goes_on_and_no_order_is_doubled(stack: ComposeStack) -> None:
    bus = await stack.bus()
    try:
        before = await _fills(bus)
        deadline = time.monotonic() + TRADES_WITHIN_S
        while await _fills(bus) < before + 2:
            assert time.monotonic() < deadline, "no trade after everything was killed"
            await asyncio.sleep(1)
        stack.must("stop", "execute", "risk")
        events = await _ledger(bus)
    finally:
        await bus.close()
    accounts = load_settings(stack.folder / "config.yaml").trading.accounts
    assert not orders_that_differ(events, {account.id: Decimal(account.capital) for account in accounts})


async def _fills(bus: NatsBus) -> int:
    return sum(isinstance(event, Fill) for event in await _ledger(bus))


async def _ledger(bus: NatsBus) -> list[Event]:
    return [received.event async for received in bus.read(["permit.>", "order.>", "fill.>", "position.>", "account.>"])]


def test_the_images_leave_no_secret_and_no_compiler_behind(stack: ComposeStack) -> None:
    for service in ("ingest", "features", "predict", "risk", "execute", "simulator"):
        image = f"conclave/{service}:{stack.tag}"
        look = "command -v gcc cc make; ls /app/tests /app/.git /app/.env /app/var 2>/dev/null; id -u"
        assert docker("run", "--rm", "--entrypoint", "sh", image, "-c", look).split() == ["10001"], service
        labels = json.loads(docker("image", "inspect", image))[0]["Config"]["Labels"]
        assert labels["org.opencontainers.image.title"].endswith(service)
