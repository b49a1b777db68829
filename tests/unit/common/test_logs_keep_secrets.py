"""Logs tell what went wrong without the values that were at hand: among them are passwords."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from libs.common.logs import configure_logs, set_level


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Path]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    configure_logs("probe", "info", tmp_path)
    yield tmp_path / "probe.log"
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_what_libraries_send_to_venues_is_not_logged_at_any_level(logs: Path) -> None:
    set_level("debug")
    for library in ("websockets.client", "picows", "aiohttp.client", "urllib3.connectionpool", "ccxt"):
        logging.getLogger(library).debug('> TEXT {"authorize": "hunter2"}')
    logging.getLogger("ours").debug("told")
    assert [json.loads(line)["event"] for line in logs.read_text().splitlines()] == ["told"]


def test_a_logged_exception_names_its_place_and_no_local_value(logs: Path) -> None:
    def connect(dsn: str) -> None:
        raise ConnectionRefusedError(f"nobody listens ({len(dsn)})")

    try:
        connect("postgresql://conclave:hunter2@localhost/x")
    except OSError:
        structlog.get_logger("probe").exception("ours")
        logging.getLogger("library").warning("theirs", exc_info=True)
    text = logs.read_text()
    assert "hunter2" not in text
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["event"] for line in lines] == ["ours", "theirs"]
    for line in lines:
        raised = line["exception"][0]
        assert raised["exc_type"] == "ConnectionRefusedError"
        assert raised["frames"][-1]["name"] == "connect"
