"""`conclave features plot SYMBOL` reads the bars of a stack that has ended: its PostgreSQL is started for a moment."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from console.app import app
from libs.common.embedded.ports import free_port
from libs.common.embedded.postgres import EmbeddedPostgres
from libs.common.store import Store, StoreUnreachable
from libs.research.leak.series import seeded


@pytest.fixture
def var() -> Iterator[Path]:
    """A folder of state with bars in its store, nothing running; PostgreSQL's own user can reach it."""
    folder = Path(tempfile.mkdtemp(prefix="conclave-plot-"))
    folder.chmod(0o755)
    server = EmbeddedPostgres(folder / "postgres", free_port(), "secret")
    spec = server.spec()
    process = subprocess.Popen(spec.argv, stderr=subprocess.DEVNULL, cwd="/", **spec.popen)  # type: ignore[call-overload]
    try:
        deadline = time.monotonic() + 30
        while not asyncio.run(_filled(server.url)):
            assert time.monotonic() < deadline, "PostgreSQL does not serve"
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


async def _filled(url: str) -> bool:
    store = Store(url, connections=1)
    try:
        await store.open()
        bars = seeded(9, 400, 60, clean=True).bars
        columns = {name: getattr(bars, name) for name in ("open_time", "open", "high", "low", "close", "volume")}
        columns |= {"buy_volume": bars.volume / 2, "trades": np.ones(len(bars), dtype=np.int64)}
        await store.write_history_bars("binance", "ETHUSDT", 60, columns)
    except StoreUnreachable:
        return False
    finally:
        await store.close()
    return True


def test_candles_come_from_the_store_of_the_last_stack(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONCLAVE_VAR", str(var))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    done = CliRunner().invoke(app, ["features", "plot", "ETHUSDT", "--bars", "100"])
    assert done.exit_code == 0, done.output
    assert (var / "plots" / "ETHUSDT_1m.png").stat().st_size > 10_000
    assert (var / "plots" / "ETHUSDT_1m.html").is_file()
    assert not _runs(var), "PostgreSQL is still running"


def _runs(var: Path) -> bool:
    try:
        os.kill(int((var / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0]), 0)
    except (OSError, ValueError, IndexError):
        return False
    return True
