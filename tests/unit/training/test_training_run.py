"""Training writes whole, signed models, goes on where a killed run was, and says what it could not fit."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from training_world import FAST, dataset, fast_plan

from libs.common.signing import ModelVerifier, make_signer
from libs.core.agents.artifact import Artifact, unpack
from libs.research.training import run
from libs.research.training.base import TrainOptions
from libs.research.training.dataset import DataProblem, Dataset
from libs.research.training.folds import final_split
from libs.research.training.ledger import Ledger, read
from libs.research.training.run import Outcome, Plan, Sign, train


def unsigned(artifact: Artifact) -> Artifact:
    return artifact


def trained(data: Dataset, plan: Plan, out: Path, sign: Sign = unsigned) -> list[Outcome]:
    return train(data, plan, out, sign=sign, ledger=Ledger([out / "ledger.jsonl"]))


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_model_is_written_whole_signed_and_with_all_that_is_known_of_it(tmp_path: Path) -> None:
    data = dataset()
    (outcome,) = trained(data, fast_plan(), tmp_path / "out", make_signer(tmp_path))

    assert outcome.path == tmp_path / "out" / "boosting.model"
    artifact = unpack(outcome.path.read_bytes())
    ModelVerifier.of(tmp_path)(artifact)
    manifest = artifact.manifest
    held_out = final_split(data).test
    assert manifest.trained_to <= data.bars.open_time[held_out[0]]
    assert (manifest.symbol, manifest.interval_s, manifest.trials) == ("BTCUSDT", 3_600, 1)
    assert manifest.set_hash == data.set_hash
    assert manifest.calibrator is not None
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["boosting.json", "boosting.model", "ledger.jsonl"]


def test_the_same_seed_gives_the_same_parts_and_another_does_not(tmp_path: Path) -> None:
    data = dataset()
    parts = [
        unpack((trained(data, fast_plan(seed), tmp_path / name)[0].path or Path()).read_bytes()).parts
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]

    assert parts[0] == parts[1]
    assert parts[0] != parts[2]


def test_an_agent_that_cannot_be_fitted_leaves_its_old_model_and_the_others_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, plan = dataset(), fast_plan()
    monkeypatch.setitem(run.TRAINERS, "lost", "no.such.module:Trainer")
    (tmp_path / "lost.model").write_bytes(b"the last good one")

    lost, boosting = trained(data, replace(plan, agents=("lost", "boosting")), tmp_path)

    assert "lost cannot be trained here" in lost.problem
    assert (tmp_path / "lost.model").read_bytes() == b"the last good one"
    assert boosting.manifest is not None
    assert [line["event"] for line in read(tmp_path / "ledger.jsonl")] == ["begun", "failed", "begun", "finished"]


def test_a_killed_run_goes_on_after_the_last_model_that_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, plan = dataset(), replace(fast_plan(), agents=("boosting", "second"))
    monkeypatch.setitem(run.TRAINERS, "second", f"{__name__}:Killed")
    Killed.checkpoint = None
    monkeypatch.setattr(
        run, "trainer_of", lambda agent, real=run.trainer_of: Killed() if agent == "second" else real(agent)
    )
    with pytest.raises(KeyboardInterrupt):
        trained(data, plan, tmp_path)
    first = (tmp_path / "boosting.model").read_bytes()

    boosting, second = trained(data, plan, tmp_path)

    assert boosting.kept
    assert (tmp_path / "boosting.model").read_bytes() == first
    assert second.problem == "goes on from epoch 3"
    assert not (tmp_path / "run.json").exists()
    assert not (tmp_path / "checkpoints").exists()


class Killed:
    """Writes a checkpoint and is killed; the second time it finds it."""

    agent = "second"
    checkpoint: str | None = None

    def fit(self, data: Dataset, fold: object, options: TrainOptions, progress: object = None) -> Artifact:
        saved = Path(options.resume) / "epoch"
        if saved.exists():
            raise DataProblem(f"goes on from epoch {saved.read_text()}")
        saved.write_text("3")
        raise KeyboardInterrupt


def test_a_killed_run_of_other_settings_is_not_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, plan = dataset(), replace(fast_plan(), agents=("boosting", "second"))
    monkeypatch.setattr(
        run, "trainer_of", lambda agent, real=run.trainer_of: Killed() if agent == "second" else real(agent)
    )
    with pytest.raises(KeyboardInterrupt):
        trained(data, plan, tmp_path)

    other = replace(plan, agents=("boosting",), params={"boosting": {**FAST, "rounds": 13}})
    (boosting,) = trained(data, other, tmp_path)

    assert not boosting.kept


def test_a_full_disk_is_told_and_leaves_the_last_good_model(tmp_path: Path) -> None:
    data, out = dataset(), tmp_path / "out"
    trained(data, fast_plan(), out)
    good = (out / "boosting.model").read_bytes()

    with disk_of(8_000), pytest.raises(OSError, match="File too large"):
        trained(data, fast_plan(2), out)

    assert (out / "boosting.model").read_bytes() == good
    assert not [path.name for path in out.iterdir() if path.name.startswith(".boosting")]


def test_an_agent_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(DataProblem, match=r"no agent 'oracle' to train; there are .*boosting"):
        run.trainer_of("oracle")
