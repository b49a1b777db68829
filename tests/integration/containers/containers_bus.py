"""A NATS server with the rights of a container stack, from the wheel or from the public image."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from containers_docker import needs_image
from nats.aio.client import Client
from testcontainers.core.container import DockerContainer

from libs.common.bus import NatsBus
from libs.common.embedded.nats import nats_binary
from libs.common.embedded.ports import answers, free_port
from libs.common.provision import provision

ROOT = Path(__file__).parents[3]
CONFIGURATION = ROOT / "deploy" / "nats" / "nats.conf"
IMAGE = "nats:2-alpine"


class GuardedBus:
    """Where the server answers, and the password of each of its users."""

    def __init__(self, secrets: Path, port: int, host: str = "127.0.0.1") -> None:
        self._secrets, self._place = secrets, f"{host}:{port}"

    def url(self, user: str) -> str:
        """With the user's own login."""
        password = (self._secrets / user / "NATS_PASSWORD").read_text()
        return f"nats://{user}:{password}@{self._place}"


class Voice:
    """A bare client of one user, which notes what the server refuses; no part of the house stands between."""

    def __init__(self, user: str) -> None:
        self.user, self.nc = user, Client()
        self._refusals: list[str] = []
        self._heard = asyncio.Event()
        self._marks = itertools.count()

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, bus: GuardedBus, user: str) -> AsyncIterator[Voice]:
        """Connected as `user`."""
        voice = cls(user)
        await voice.nc.connect(
            bus.url(user), inbox_prefix=f"_INBOX.{user}", error_cb=voice._note, allow_reconnect=False
        )
        try:
            yield voice
        finally:
            await voice.nc.close()

    async def may_publish(self, subject: str) -> bool:
        """Whether the server takes a message of this user on `subject`."""
        await self.nc.publish(subject, b"forged")
        return not await self._was_refused(subject)

    async def may_hear(self, subject: str) -> bool:
        """Whether the server lets this user listen to `subject`."""
        await self.nc.subscribe(subject)
        return not await self._was_refused(subject)

    async def _note(self, err: Exception) -> None:
        self._refusals.append(str(err).lower())
        self._heard.set()

    async def _was_refused(self, subject: str) -> bool:
        """Refusals come in order, so what came before that of a subject that nobody has is complete."""
        mark = f"nobody.{next(self._marks)}"
        await self.nc.publish(mark, b"")
        async with asyncio.timeout(5):
            while not any(f'"{mark}"' in refusal for refusal in self._refusals):
                self._heard.clear()
                await self._heard.wait()
        return any(f'"{subject.lower()}"' in refusal for refusal in self._refusals)


@contextlib.contextmanager
def from_wheel(folder: Path, prepare: bool = True) -> Iterator[GuardedBus]:
    """The embedded server on the configuration of the containers; only places and ports differ.

    `prepare`: its streams are there, as after the preparing job.
    """
    secrets = folder / "secrets"
    provision(secrets, own=False)
    port = free_port()
    text = CONFIGURATION.read_text(encoding="utf-8")
    for old, new in (
        ("../secrets/passwords.conf", "secrets/nats/passwords.conf"),
        ("0.0.0.0:4222", f"127.0.0.1:{port}"),
        ("http: 0.0.0.0:8222", ""),
        ("store_dir: /data", f'store_dir: "{folder / "data"}"'),
    ):
        assert old in text, f"{CONFIGURATION} no longer says {old}"
        text = text.replace(old, new)
    path = folder / "nats.conf"
    path.write_text(text, encoding="utf-8")
    log = folder / "nats.log"
    with log.open("wb") as out:
        process = subprocess.Popen([str(nats_binary()), "-c", str(path)], stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 10
        while not answers(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, "nats-server does not answer"
            time.sleep(0.02)
        bus = GuardedBus(secrets, port)
        yield _prepared(bus) if prepare else bus
    finally:
        process.terminate()
        process.wait(timeout=10)


@contextlib.contextmanager
def from_image(folder: Path) -> Iterator[GuardedBus]:
    """The public image with the very files that compose mounts. Skips where Docker or the image is absent."""
    needs_image(IMAGE)
    provision(folder / "secrets", own=False)
    container = (
        DockerContainer(IMAGE)
        .with_command(["nats-server", "-c", "/etc/nats/nats.conf"])
        .with_volume_mapping(str(CONFIGURATION), "/etc/nats/nats.conf", "ro")
        .with_volume_mapping(str(folder / "secrets" / "nats"), "/etc/secrets", "ro")
        .with_exposed_ports(4222)
        .with_tmpfs_mount("/data")
    )
    with container:
        port = int(container.get_exposed_port(4222))
        host = container.get_container_host_ip()
        yield _prepared(GuardedBus(folder / "secrets", port, host))


def _prepared(bus: GuardedBus) -> GuardedBus:
    async def prepare() -> None:
        await (await NatsBus.connect(bus.url("operator"), "prepare", timeout_s=20)).close()

    asyncio.run(prepare())
    return bus
