"""`conclave models` against a bus: a person sees who serves, brings a model, changes places and takes it back."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

sys.path.append(str(Path(__file__).parents[2] / "unit" / "models"))
from models_world import blob

from console.app import app
from libs.core.agents.artifact import unpack


class Cli:
    """Commands as a person gives them, with a stack whose bus is `url` and whose state lies in `var`."""

    def __init__(self, var: Path, url: str) -> None:
        self.var = var
        self._env = {"CONCLAVE_VAR": str(var), "NATS_URL": url, "COLUMNS": "160"}

    def __call__(self, *words: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, ["models", *words], env=self._env)
        assert done.exit_code == code, done.output
        return done.output

    def facts(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self("list", "--json"))
        return found

    def file(self, name: str, **kind: Any) -> tuple[Path, str]:
        """A model in a file, and its id."""
        path = self.var / f"{name}.model"
        path.write_bytes(blob(self.var, name, **kind))
        return path, unpack(path.read_bytes()).manifest.model_id


@pytest.fixture
def cli(tmp_path: Path, nats_server) -> Cli:
    return Cli(tmp_path, nats_server.url)


def test_a_model_is_brought_measured_promoted_and_taken_back(cli: Cli) -> None:
    assert "no model has a role yet" in cli("list")
    (one, first), (two, second) = cli.file("one"), cli.file("two")
    assert f"{first} is champion of boosting binance BTCUSDT 1s" in cli("import", str(one))
    assert json.loads(cli("import", str(two), "--json"))["role"] == "challenger"
    assert json.loads(cli("import", str(two), "--json"))["role"] == "challenger", "a repeat changes nothing"
    assert f"{second} speaks" in cli("promote", second.rpartition(":")[2][:8], "--reason", "better")
    (row,) = cli.facts()
    assert (row["champion"]["model_id"], row["previous"]["model_id"]) == (second, first)
    assert row["champion"]["reason"] == "better"
    assert row["challengers"] == []
    assert f"{first} speaks" in cli("rollback", "boosting", "BTCUSDT", "--reason", "worse")
    (row,) = cli.facts()
    assert (row["champion"]["model_id"], row["previous"]["model_id"]) == (first, second)


def test_what_is_known_of_models_is_shown(cli: Cli) -> None:
    for name in ("one", "two"):
        path, model_id = cli.file(name)
        cli("import", str(path))
    shown = cli("show", model_id)
    assert "challenger of boosting binance BTCUSDT 1s" in shown
    assert "1,000 bars" in shown
    assert json.loads(cli("show", model_id, "--json"))["data_hash"] == "two"
    assert "bars fitted" in cli("compare", "boosting", "BTCUSDT")
    assert [row["role"] for row in json.loads(cli("compare", "boosting", "BTCUSDT", "--json"))] == [
        "champion",
        "challenger",
    ]
    assert model_id in cli("list")


def test_mistakes_end_in_one_line(cli: Cli, tmp_path: Path) -> None:
    unsigned, _ = cli.file("unsigned", signed=False)
    foreign = tmp_path / "foreign.model"
    foreign.write_bytes(blob(tmp_path / "elsewhere", "foreign"))
    junk = tmp_path / "junk.model"
    junk.write_bytes(b"junk")
    for words, line in (
        (("import", str(unsigned)), "is not signed"),
        (("import", str(foreign)), "is foreign"),
        (("import", str(junk)), "not a model artifact"),
        (("import", str(tmp_path / "absent")), "No such file"),
        (("show", "nothing"), "no model 'nothing' has a role"),
        (("rollback", "boosting", "BTCUSDT", "--reason", "x"), "no model of boosting on BTCUSDT has a role"),
        (("train", "--reason", "x"), "no stack runs here"),
    ):
        said = cli(*words, code=1)
        assert line in said
        assert len(said.splitlines()) == 1
    path, model_id = cli.file("one")
    cli("import", str(path))
    assert "is champion" in cli("promote", model_id, "--reason", "x", code=1)
    assert "no previous model" in cli("rollback", "boosting", "BTCUSDT", "--reason", "x", code=1)
