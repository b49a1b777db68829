"""What a container stack needs before its services: streams and buckets, and the schema of the store."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from libs.common import runtime
from libs.common.bus import BusError, NatsBus
from libs.common.secrets import SecretError
from libs.common.settings import ConfigError, load_settings
from libs.common.store import Store, StoreError, StoreUnreachable

WAIT_S = 120.0
REPLICAS = "NATS_REPLICAS"
"""How many servers of a cluster hold each durable stream and bucket; one where it is not set."""


async def prepare(var: Path) -> None:
    """Make what is missing in both, waiting up to WAIT_S for either to come up.

    Where CONFIG_PATH names a configuration, raw prices are kept for no longer than it says.

    Raises:
        BusError, StoreError, SecretError, ConfigError: one cannot be used; one line. ValueError: NATS_REPLICAS is not
        1, 3 or 5.
    """
    given = os.environ.get(REPLICAS) or "1"
    if given not in ("1", "3", "5"):
        raise ValueError(f"{REPLICAS} must be 1, 3 or 5, not {given!r}")
    age_s = load_settings().market_age_s if os.environ.get("CONFIG_PATH") else None
    url = runtime.nats_url(var, "")
    bus = await NatsBus.connect(url, "prepare", timeout_s=WAIT_S, replicas=int(given), market_age_s=age_s)
    await bus.close()
    url = runtime.database_url(var, "")
    if not url:
        return
    store = Store(url)
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            await store.open()
            break
        except StoreUnreachable as err:
            if time.monotonic() > deadline:
                raise
            sys.stdout.write(f"prepare: waiting for the store: {err}\n")
            await asyncio.sleep(1.0)
    await store.close()


def main() -> None:
    """Prepare and exit 0; 1 with one line when that cannot be done."""
    try:
        asyncio.run(prepare(Path(os.environ.get("CONCLAVE_VAR", "var"))))
    except (BusError, StoreError, SecretError, ConfigError, ValueError) as err:
        sys.exit(f"prepare: {err}")
    sys.stdout.write("prepare: streams, buckets and schema are there\n")


if __name__ == "__main__":
    main()
