"""A search keeps to the training part, goes on where it was, and is on record; MLflow shows what was written."""

from __future__ import annotations

import math
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest
from training_world import FAST, dataset

from libs.common.onnx import make_session
from libs.core.agents.artifact import Manifest
from libs.research.training import search as room
from libs.research.training.base import TrainOptions
from libs.research.training.dataset import DataProblem
from libs.research.training.folds import final_split
from libs.research.training.ledger import read
from libs.research.training.search import Wish, inner_folds, params_of, search, storage_url
from libs.research.training.tracking import Tracker

OPTIONS = TrainOptions(preset="quick", threads=1, params=FAST)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A space of one setting, so that a try takes a moment."""
    monkeypatch.setitem(room.SPACES, "boosting", lambda trial: {"rounds": trial.suggest_int("rounds", 2, 20)})


def searched(folder: Path, tries: int, **more: Any) -> dict[str, Any]:
    wish = Wish(tries, f"sqlite:///{folder / 'study.sqlite'}")
    files = (folder / "ledger.jsonl",)
    given = {"make_session": make_session, "ledger_files": files, **more}
    return search("boosting", dataset(echo=0.5), OPTIONS, wish, **given)


def test_a_search_ends_with_its_best_settings_and_every_try_is_on_record(tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []
    found = searched(tmp_path, 3, progress=lambda what, share, line: told.append((share, line)))

    lines = read(tmp_path / "ledger.jsonl")
    begun = [line for line in lines if line["event"] == "begun"]
    losses = {
        line["params"]["rounds"]: end["log_loss"]
        for line in begun
        for end in lines
        if end["id"] == line["id"] and end["event"] == "finished" and len(end["log_loss"]) == room.STEPS
    }
    assert len(begun) == 3
    assert {line["what"] for line in begun} == {"search"}
    assert found["rounds"] == min(losses, key=lambda rounds: sum(losses[rounds]))
    assert found["min_rows"] == FAST["min_rows"]
    assert told[-1][0] == 1.0
    assert "log loss" in told[-1][1]


def test_a_search_that_was_stopped_goes_on_and_a_finished_one_tries_nothing(tmp_path: Path) -> None:
    searched(tmp_path, 1)
    searched(tmp_path, 2)
    again = searched(tmp_path, 2)

    assert sum(line["event"] == "begun" for line in read(tmp_path / "ledger.jsonl")) == 2
    assert again == searched(tmp_path, 2)


def test_a_search_never_sees_the_calibration_slice_or_the_held_out_bars() -> None:
    data = dataset()
    whole = final_split(data)
    for fold in inner_folds(data):
        assert set(fold.test) <= set(whole.train)
        assert data.span_end[fold.test].max() < whole.calibrate.min()
        assert data.span_end[fold.train].max() + room.EMBARGO < fold.calibrate.min()
        assert data.span_end[fold.calibrate].max() + room.EMBARGO < fold.test.min()


def test_what_was_found_is_written_as_params_are_read() -> None:
    import yaml

    assert yaml.safe_load(params_of({"boosting": {"rounds": 3}})) == {"boosting": {"rounds": 3}}


def test_an_agent_without_a_space_and_a_data_base_that_is_not_there_are_told(tmp_path: Path) -> None:
    def asked(agent: str, storage: str) -> None:
        files = (tmp_path / "l",)
        search(agent, dataset(), OPTIONS, Wish(1, storage), make_session=make_session, ledger_files=files)

    with pytest.raises(DataProblem, match="no settings of regime are searched; --trials knows boosting"):
        asked("regime", "sqlite://")
    with pytest.raises(DataProblem, match="data base sqlite:////no/such/place/s cannot be used"):
        asked("boosting", "sqlite:////no/such/place/s")


def test_postgresql_is_spoken_to_with_the_driver_that_comes_along() -> None:
    assert storage_url("postgresql://u@h/d") == "postgresql+pg8000://u@h/d"
    assert storage_url("sqlite:///f") == "sqlite:///f"


def a_manifest() -> Manifest:
    return Manifest(
        agent="boosting",
        kind="lightgbm",
        venue="binance",
        symbol="BTCUSDT",
        interval_s=3_600,
        set_hash="s",
        trained_from=1,
        trained_to=2,
        data_hash="d",
        samples=77,
        params={"leaves": 7, "preset": "quick"},
        metrics={"calibration_ece": 0.01, "unknown": math.nan},
        folds=({"from": 1, "brier_skill": 0.02}, {"from": 2, "brier_skill": 0.03}),
    )


def test_a_model_becomes_a_run_with_settings_and_figures(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.sqlite"
    manifest = a_manifest()
    run = Tracker(f"sqlite:///{file}").model(manifest)
    Tracker(f"sqlite:///{file}").model(msgspec.structs.replace(manifest, seed=3))

    with sqlite3.connect(file) as base:
        settings = dict(base.execute("select key, value from params where run_uuid = ?", [run]).fetchall())
        figures = base.execute("select key, step, value from metrics where run_uuid = ?", [run]).fetchall()
        experiments = [name for (name,) in base.execute("select name from experiments")]
        count = base.execute("select count(*) from runs where status = 'FINISHED'").fetchone()[0]
    base.close()
    assert (settings["leaves"], settings["samples"], settings["preset"]) == ("7", "77", "quick")
    assert sorted(figures) == [
        ("calibration_ece", 0, 0.01),
        ("fold_brier_skill", 0, 0.02),
        ("fold_brier_skill", 1, 0.03),
    ]
    assert experiments.count("BTCUSDT 1h") == 1
    assert count == 2


def test_an_address_that_is_none_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no data base, and no folder")
    for uri in ("./mlruns", f"sqlite:///{tmp_path}/file/f"):
        with pytest.raises(DataProblem, match="--track") as problem:
            Tracker(uri)
        assert "\n" not in str(problem.value)
