"""The demo as a newcomer runs it, and a Prometheus beside it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "demo"))
sys.path.append(str(Path(__file__).parents[2] / "unit" / "monitoring"))

from demo_commands import Cli, kill_what_is_left


@pytest.fixture(scope="module")
def cli() -> Iterator[Cli]:
    """Commands that share one CONCLAVE_VAR; not under pytest's folder, which is closed to PostgreSQL's user."""
    folder = Path(tempfile.mkdtemp(prefix="conclave-monitoring-"))
    folder.chmod(0o755)
    yield Cli(folder)
    kill_what_is_left(folder)
    shutil.rmtree(folder, ignore_errors=True)
