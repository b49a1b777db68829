"""Three servers on the configuration of production: what the house needs of them, before and after a loss."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from nats.aio.client import Client
from nats.errors import Error as NatsError

from libs.common.bus import BusError, NatsBus
from libs.common.bus.base import KV_BUCKETS
from libs.common.embedded.nats import nats_binary
from libs.common.embedded.ports import free_port
from libs.common.prepare import prepare
from libs.common.provision import provision
from libs.core.types import Control, ControlKind
from libs.core.types.subjects import DURABLE, STREAMS

DEPLOY = Path(__file__).parents[3] / "deploy"
OVERLAY = DEPLOY / "k8s" / "overlays" / "prod"


class Cluster:
    """The servers nats-0, nats-1 and nats-2, each a process with its own copy of the two files."""

    def __init__(self, folder: Path) -> None:
        self.secrets = folder / "secrets"
        provision(self.secrets, own=False)
        self._folder = folder
        self.clients, self.routes, self._monitors = ([free_port() for _ in range(3)] for _ in range(3))
        self._processes = [self._start(number) for number in range(3)]

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        folder = self._folder / f"nats-{number}"
        folder.mkdir()
        moved = {
            "../secrets/passwords.conf": "../secrets/nats/passwords.conf",
            "listen: 0.0.0.0:4222": f"listen: 127.0.0.1:{self.clients[number]}",
            "http: 0.0.0.0:8222": f"http: 127.0.0.1:{self._monitors[number]}",
            "store_dir: /data": f'store_dir: "{folder / "data"}"',
            "listen: 0.0.0.0:6222": f"listen: 127.0.0.1:{self.routes[number]}",
        }
        for path in (DEPLOY / "nats" / "nats.conf", OVERLAY / "cluster.conf"):
            text = path.read_text(encoding="utf-8")
            for old, new in moved.items():
                text = text.replace(old, new)
            assert "0.0.0.0" not in text, f"{path} listens where this test does not expect it"
            (folder / path.name).write_text(text, encoding="utf-8")
        with (folder / "log").open("wb") as log:
            return subprocess.Popen(
                [str(nats_binary()), "-c", str(folder / "cluster.conf")],
                env=os.environ | self._environment(number),
                stdout=log,
                stderr=log,
            )

    def _environment(self, number: int) -> dict[str, str]:
        """What the kubelet makes of the pod's `env`."""
        stateful_set = next(iter(yaml.safe_load_all((OVERLAY / "nats.yaml").read_text(encoding="utf-8"))))
        given = {
            "POD_NAME": f"nats-{number}",
            "CLUSTER_PASSWORD": (self.secrets / "nats" / "CLUSTER_PASSWORD").read_text(encoding="utf-8"),
        }
        for row in stateful_set["spec"]["template"]["spec"]["containers"][0]["env"]:
            if "value" in row:
                value = row["value"].replace("$(CLUSTER_PASSWORD)", given["CLUSTER_PASSWORD"])
                for peer, port in enumerate(self.routes):
                    value = value.replace(f"nats-{peer}.nats-peers:6222", f"127.0.0.1:{port}")
                given[row["name"]] = value
        return given

    def url(self, user: str, number: int) -> str:
        password = (self.secrets / user / "NATS_PASSWORD").read_text(encoding="utf-8")
        return f"nats://{user}:{password}@127.0.0.1:{self.clients[number]}"

    def is_ready(self, number: int) -> bool:
        """As the readiness probe asks."""
        try:
            url = f"http://127.0.0.1:{self._monitors[number]}/healthz?js-server-only=true"
            return bool(urllib.request.urlopen(url, timeout=2).status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def wait(self) -> None:
        deadline = time.monotonic() + 30
        while not all(self.is_ready(number) for number in range(3)):
            for number, process in enumerate(self._processes):
                assert process.poll() is None, (self._folder / f"nats-{number}" / "log").read_text()
            assert time.monotonic() < deadline, "the cluster finds no leader"
            time.sleep(0.05)

    def kill(self, number: int) -> None:
        self._processes[number].kill()
        self._processes[number].wait()

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    servers = Cluster(tmp_path)
    try:
        servers.wait()
        yield servers
    finally:
        servers.stop()


def halt(number: int) -> Control:
    return Control(
        id=f"halt-{number}", ts_event=number, ts_init=number, kind=ControlKind.HALT, scope="*", reason="test", actor="t"
    )


async def test_durable_streams_are_held_three_times_and_survive_a_server(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = Client()
    await operator.connect(cluster.url("operator", 1), inbox_prefix="_INBOX.operator", allow_reconnect=False)
    await _answers(operator)
    monkeypatch.setenv("NATS_URL", cluster.url("operator", 0))
    monkeypatch.setenv("NATS_REPLICAS", "3")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    await prepare(tmp_path / "var")

    js = operator.jetstream(timeout=10)
    wanted = {name: 3 if name in DURABLE else 1 for name in STREAMS} | {f"KV_{name}": 3 for name in KV_BUCKETS}
    held = {name: (await js.stream_info(name)).config.num_replicas for name in wanted}
    assert held == wanted
    # A server that told of others would send clients to them, where they have no password to show.
    assert [server.geturl() for server in operator.discovered_servers] == []
    await operator.close()

    bus = await NatsBus.connect(cluster.url("execute", 0), "execute")
    await bus.publish_durable(halt(1))
    assert await bus.kv_update("leases", "account-a", b"mine", 0) == 1
    cluster.kill(2)
    async with asyncio.timeout(30):
        await bus.publish_durable(halt(2))
        # The lease of an account goes on as well, perhaps under a new leader of its bucket.
        assert await _renewed(bus) == b"mine still"
    await bus.close()


async def _answers(client: Client) -> None:
    """A leader just elected lets requests fall; the Job that prepares the bus starts again then, after 10 s."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(NatsError, TimeoutError):
                await client.jetstream(timeout=0.5).account_info()
                return


async def _renewed(bus: NatsBus) -> bytes:
    """Renew the lease until it holds; an update whose answer was lost looks like a stranger's."""
    while True:
        try:
            await bus.kv_update("leases", "account-a", b"mine still", 1)
            if (entry := await bus.kv_entry("leases", "account-a")) is not None:
                return entry[0]
        except BusError:
            await asyncio.sleep(0.1)


def test_a_server_without_the_password_of_the_cluster_stays_outside(cluster: Cluster, tmp_path: Path) -> None:
    log = tmp_path / "stranger.log"
    place, route = f"nats://127.0.0.1:{free_port()}", f"nats://server:guessed@127.0.0.1:{cluster.routes[0]}"
    words = f"-a 127.0.0.1 -p {free_port()} -n stranger --cluster_name conclave --cluster {place} --routes {route}"
    with log.open("wb") as out:
        stranger = subprocess.Popen([str(nats_binary()), *words.split()], stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 20
        while "uthorization" not in log.read_text():
            assert stranger.poll() is None
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
    finally:
        stranger.kill()
        stranger.wait()
