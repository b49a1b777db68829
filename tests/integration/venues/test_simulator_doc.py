"""docs/simulator.md does what it says: commands and snippets run in their order, its plan loads, its tables hold."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from libs.common.embedded.ports import free_port
from services.simulator.binance.server import JOURNAL_FILE as BINANCE_JOURNAL
from services.simulator.deriv.dispatch import V3
from services.simulator.deriv.options.kept import JOURNAL_FILE as DERIV_JOURNAL
from services.simulator.deriv.symbols import SYMBOLS
from services.simulator.faults.plan import FaultKind, plan_of
from services.simulator.settings import ENVIRONMENT_PREFIX, SimulatorOptions

ROOT = Path(__file__).parents[3]
DOC = (ROOT / "docs" / "simulator.md").read_text()
LONGEST_S = 30.0


class Block(NamedTuple):
    """A fenced block: its language, the word behind it, its text."""

    language: str
    mark: str
    text: str


BLOCKS = [Block(*found) for found in re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", DOC, re.DOTALL | re.MULTILINE)]


class Stranger:
    """Somebody in an empty folder who types what the page says; only the ports are other ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ports = {"9001": str(free_port()), "9002": str(free_port())}
        self._environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        }

    def _command(self, block: Block) -> list[str]:
        text = block.text
        for written, free in self._ports.items():
            text = text.replace(written, free)
        return [sys.executable, "-c", text] if block.language == "python" else ["bash", "-ec", text]

    def start(self, block: Block) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command(block),
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def run(self, block: Block) -> str:
        done = subprocess.run(
            self._command(block),
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
        )
        assert done.returncode == 0, f"{block.text}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}"
        return done.stdout


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[Stranger]:
    person = Stranger(tmp_path)
    (start,) = [block for block in BLOCKS if block.mark == "start"]
    with person.start(start) as running:
        end = time.monotonic() + LONGEST_S
        while not (tmp_path / "sim" / "simulator.json").exists():
            assert running.poll() is None, "the simulator did not start"
            assert time.monotonic() < end, "the simulator is not ready"
            time.sleep(0.05)
        yield person
        running.terminate()


def documented_fields() -> dict[tuple[str, str], set[str]]:
    """Venue and kind to the fields that the page names beside those of every line."""
    told: dict[tuple[str, str], set[str]] = {}
    table = DOC.partition("## The truth record")[2].partition("```")[0]
    for kinds, fields in re.findall(r"^\| (`.+?) \|[^|]*\| (.+?) \|$", table, re.MULTILINE):
        venues = re.findall(r"\((\w+)\)", kinds) or ["Deriv", "Binance"]
        names = set(re.findall(r"`([^`]+)`", fields)[0].split())
        for venue in venues:
            for kind in re.findall(r"`(\w+)`", kinds):
                told[venue.lower(), kind] = names
    return told


@pytest.mark.xdist_group("stack")
def test_the_page_works_from_top_to_bottom(stranger: Stranger) -> None:
    said = [stranger.run(block) for block in BLOCKS if block.language in ("bash", "python") and not block.mark]
    assert any("sold for" in text for text in said)
    assert any("canceled" in text for text in said)
    assert any("-1021" in text for text in said)
    expected = {("deriv", kind) for kind in ("tick", "buy", "sell")}
    expected |= {("binance", k) for k in ("trade", "bar", "order", "fill", "cancel", "transfer", "fault")}
    path, told, seen = stranger.folder / "sim" / "record.jsonl", documented_fields(), set()
    end = time.monotonic() + LONGEST_S
    while not expected <= seen:
        assert time.monotonic() < end, f"never recorded: {expected - seen}"
        time.sleep(0.05)
        for line in map(json.loads, path.read_text().rpartition("\n")[0].splitlines()):
            kind = (line["venue"], line["kind"])
            seen.add(kind)
            assert {"venue", "kind", "symbol", "seq", "ts"} | told[kind] == set(line), line


def test_the_plan_of_the_page_has_one_rule_of_each_kind() -> None:
    (block,) = [block for block in BLOCKS if block.language == "yaml"]
    plan = plan_of(yaml.safe_load(block.text), "the page")
    assert sorted(rule.fault for rule in plan.rules) == sorted(FaultKind)


def test_options_and_files_are_on_the_page() -> None:
    for field in SimulatorOptions.model_fields:
        assert f"`{ENVIRONMENT_PREFIX}{field.upper()}`" in DOC, field
    assert f"(`{DERIV_JOURNAL}`, `{BINANCE_JOURNAL}`)" in DOC


def test_calls_and_symbols_are_as_many_as_it_says() -> None:
    row = re.search(r"^\| calls \| `([^`]+)` \|$", DOC, re.MULTILINE)
    assert row is not None
    assert row[1].split() == sorted({*V3.public, *V3.private})
    assert f"| symbols | {len(SYMBOLS)}:" in DOC


def test_every_block_is_run_by_somebody() -> None:
    assert {(block.language, block.mark) for block in BLOCKS} == {
        ("bash", "start"),
        ("bash", ""),
        ("python", ""),
        ("python", "python-binance"),  # by `make conformance`, where that client is
        ("yaml", ""),
    }
