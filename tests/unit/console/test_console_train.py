"""`conclave train` and `conclave exam` as people call them."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from console.app import app
from libs.research.leak.series import seeded

HOURS = seeded(4, 6_000, 3600, clean=True)
PARAMS = "boosting: {rounds: 10, min_rows: 60}\n"


@pytest.fixture(autouse=True)
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CONCLAVE_VAR", str(tmp_path / "var"))
    return tmp_path


def conclave(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def table(path: Path, first: int = 0, end: int = 6_000) -> Path:
    bars = HOURS.part(first, end).bars
    names = ("open", "high", "low", "close", "volume")
    pl.DataFrame({"ts": bars.open_time // 1_000_000, **{name: getattr(bars, name) for name in names}}).write_parquet(
        path
    )
    return path


def wish(folder: Path, data: Path, *more: object) -> tuple[object, ...]:
    (folder / "params.yaml").write_text(PARAMS)
    given = ("--symbol", "BTCUSDT", "--interval", "1h", "--data", data, "--out", folder / "models")
    return (
        "train",
        *given,
        "--agents",
        "boosting",
        "--preset",
        "quick",
        "--threads",
        1,
        "--params",
        folder / "params.yaml",
        *more,
    )


def one_line(done: Result, said: str, code: int = 1) -> None:
    assert done.exit_code == code, done.output
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_model_is_trained_examined_and_reported_on(house: Path) -> None:
    data = table(house / "b.parquet")
    trained = conclave(*wish(house, data))
    assert trained.exit_code == 0, trained.output
    assert "1 signed models" in trained.stdout

    figures = conclave("exam", "--models", house / "models", "--data", data, "--json")
    assert figures.exit_code == 0, figures.output
    found = json.loads(figures.stdout)
    assert set(found) == {"council", "agents"}
    wanted = {"brier_skill", "ece", "log_loss", "accuracy", "brier_skill_2c", "accuracy_2c", "abstention_rate", "n"}
    assert wanted <= found["council"].keys()
    assert wanted <= found["agents"]["boosting"].keys()
    assert found["council"]["n"] > 1_000
    assert not (house / "var" / "reports").exists()

    people = conclave("exam", "--models", house / "models", "--data", data, "--report", house / "report")
    assert people.exit_code == 0, people.output
    assert "The council's forecast" in people.stdout
    assert "Look number 2" in (house / "report" / "exam.md").read_text()
    assert "</html>" in (house / "report" / "exam.html").read_text()


def test_an_exam_knows_only_what_it_is_given(house: Path) -> None:
    data = table(house / "b.parquet", 0, 4_000)
    assert conclave(*wish(house, data)).exit_code == 0
    early = conclave("exam", "--models", house / "models", "--data", table(house / "e.parquet", 0, 2_500), "--json")
    one_line(early, "0 bars lie after the training range")


def test_a_house_believes_only_its_own_key_or_one_that_it_is_shown(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = table(house / "b.parquet", 0, 4_000)
    assert conclave(*wish(house, data)).exit_code == 0
    keys = house / "var" / "keys" / "train" / "public"
    monkeypatch.setenv("CONCLAVE_VAR", str(house / "elsewhere"))

    one_line(conclave("exam", "--models", house / "models", "--data", data, "--json"), "is foreign")
    shown = conclave("exam", "--models", house / "models", "--data", data, "--json", "--keys", keys)
    assert shown.exit_code == 0, shown.output


def test_what_cannot_be_trained_is_told_in_one_line(house: Path) -> None:
    data = table(house / "b.parquet")
    one_line(conclave("train", "--symbol", "BTCUSDT"), "needs --symbol, --data and --out", 2)
    one_line(conclave(*wish(house, house / "none.parquet")), "does not exist")
    one_line(conclave(*wish(house, table(house / "few.parquet", 0, 900))), "900 bars are too few")
    one_line(conclave(*wish(house, data, "--preset", "huge")), "no preset 'huge'; there are quick, default, full")
    one_line(conclave(*wish(house, data, "--agents", "oracle")), "no agent 'oracle' to train")
    (house / "other.yaml").write_text("trend: {model: tcn}\n")
    one_line(
        conclave(*wish(house, data, "--params", house / "other.yaml")), "settings of 'trend', which is not trained"
    )
    one_line(conclave(*wish(house, data, "--interval", "5m")), "holds bars of 1h, not of 5m")


def test_an_agent_that_cannot_learn_is_named_and_the_exit_code_says_so(house: Path) -> None:
    data = table(house / "b.parquet", 0, 1_700)
    done = conclave(*wish(house, data))

    assert done.exit_code == 1
    assert "boosting: not trained" in done.stdout or "too few" in done.stderr


def test_the_walk_forward_is_reported_before_the_models_are_fitted(house: Path) -> None:
    done = conclave(*wish(house, table(house / "b.parquet", 0, 3_600), "--walk-forward"))

    assert done.exit_code == 0, done.output
    (report,) = (house / "var" / "reports").iterdir()
    assert "Walk-forward exam" in (report / "exam.md").read_text()
    manifest = json.loads((house / "models" / "boosting.json").read_text())
    assert len(manifest["folds"]) == 6
    assert manifest["trials"] == 7


def test_the_sentiment_stack_is_trained_by_its_own_command() -> None:
    done = conclave("train", "sentiment", "--data", "none.csv")
    one_line(done, "none.csv")
