"""The ledger knows of every run, whatever became of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from libs.research.training.ledger import Ledger, abandoned, read

KILLED = """
import os, signal, sys
from pathlib import Path
from libs.research.training.ledger import Ledger
with Ledger([Path(sys.argv[1])]).trial(what="train", agent="trend"):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def events(path: Path) -> list[str]:
    return [line["event"] for line in read(path)]


def test_a_run_has_a_line_as_it_begins_and_one_with_its_figures_as_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger([path])
    with ledger.trial(what="train", agent="boosting") as trial:
        assert events(path) == ["begun"]
        trial.found(metrics={"ece": 0.01})

    begun, finished = read(path)
    assert (begun["agent"], finished["event"], finished["metrics"]) == ("boosting", "finished", {"ece": 0.01})
    assert begun["id"] == finished["id"]
    assert ledger.trials == 1


def test_a_run_that_fails_is_kept_with_its_reason_and_still_fails(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with pytest.raises(ValueError, match="one class"), Ledger([path]).trial(what="train"):
        raise ValueError("one class")

    assert read(path)[-1]["why"] == "one class"


def test_a_run_that_was_killed_is_written_down_as_abandoned_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert events(path) == ["begun"]

    ledger = Ledger([path])

    assert events(path) == ["begun", "abandoned"]
    assert ledger.trials == 1
    assert [file.name for file in tmp_path.iterdir()] == ["ledger.jsonl"]


def test_a_run_that_still_lives_is_not_abandoned(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger([path]).trial(what="train"):
        assert abandoned(path) == []
        Ledger([path])

    assert events(path) == ["begun", "finished"]


def test_a_line_that_a_crash_cut_short_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger([path]).trial(what="train"):
        pass
    with path.open("a") as file:
        file.write('{"event":"begun","id":"cut')

    with Ledger([path]).trial(what="train"):
        pass

    assert events(path) == ["begun", "finished", "begun", "finished"]


def test_every_line_goes_to_the_folder_and_to_the_house(tmp_path: Path) -> None:
    folder, house = tmp_path / "models" / "ledger.jsonl", tmp_path / "house" / "ledger.jsonl"
    ledger = Ledger([folder, house])
    with ledger.trial(what="exam", data_hash="d"):
        pass

    assert [json.loads(line) for line in folder.read_text().splitlines()] == read(house)
    assert (ledger.exams_of("d"), ledger.exams_of("e"), ledger.trials) == (1, 0, 0)
