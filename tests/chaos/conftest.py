"""A folder of state that the database's own user can reach, and the helpers of this folder importable."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

if str(Path(__file__).parent) not in sys.path:
    sys.path.append(str(Path(__file__).parent))

_failed = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember that a test failed, for its fixtures."""
    report = yield
    item.stash[_failed] = item.stash.get(_failed, False) or report.failed
    return report


@pytest.fixture
def var(request: pytest.FixtureRequest) -> Iterator[Path]:
    """An empty folder, kept when the test fails: its logs and records say why.

    Not pytest's own, which are closed to the user as whom PostgreSQL runs when the tests run as root.
    """
    folder = Path(tempfile.mkdtemp(prefix="conclave-chaos-"))
    folder.chmod(0o755)
    yield folder
    if request.node.stash.get(_failed, False):
        sys.stderr.write(f"what is left of the stack: {folder}\n")
    else:
        shutil.rmtree(folder, ignore_errors=True)
