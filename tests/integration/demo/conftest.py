"""The command line as a newcomer runs it, with a folder of state of its own."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

if str(Path(__file__).parent) not in sys.path:
    sys.path.append(str(Path(__file__).parent))

from demo_commands import Cli, kill_what_is_left

_failed = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember that a test failed, for its fixtures."""
    report = yield
    for node in (item, item.parent):
        if node is not None:
            node.stash[_failed] = node.stash.get(_failed, False) or report.failed
    return report


@pytest.fixture(scope="module")
def cli(request: pytest.FixtureRequest) -> Iterator[Cli]:
    """Commands that share one CONCLAVE_VAR, kept when a test fails: its logs and sessions say why.

    Not under pytest's own folder, which is closed to the user as whom PostgreSQL runs when the tests run as root.
    """
    folder = Path(tempfile.mkdtemp(prefix="conclave-demo-"))
    folder.chmod(0o755)
    yield Cli(folder)
    kill_what_is_left(folder)
    if request.node.stash.get(_failed, False):
        sys.stderr.write(f"what is left of the demos: {folder}\n")
    else:
        shutil.rmtree(folder, ignore_errors=True)
