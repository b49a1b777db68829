"""An exam reads only what lies after the training, believes only what is signed, and counts every bar."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from training_world import dataset, fast_plan, series

from libs.common.onnx import make_session
from libs.common.signing import ModelVerifier, make_signer
from libs.core.agents.artifact import ArtifactRefused, pack, unpack
from libs.core.features.sets import CORE20
from libs.research.training import exam, run
from libs.research.training.dataset import DataProblem
from libs.research.training.exam import Voice, examine, load_models
from libs.research.training.exam_council import pooled
from libs.research.training.exam_figures import figures_of
from libs.research.training.exam_scores import climatology, figures
from libs.research.training.ledger import Ledger
from libs.research.training.scores import brier

ECHO = 0.5


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A house with a model of a series with an edge."""
    var = tmp_path_factory.mktemp("house")
    ledger = Ledger([var / "ledger.jsonl"])
    run.train(dataset(echo=ECHO), fast_plan(), var / "models", sign=make_signer(var), ledger=ledger)
    return var


def seats(var: Path) -> dict[str, exam.Seated]:
    return load_models(var / "models", ModelVerifier.of(var), make_session)


def test_a_planted_edge_is_found_on_the_held_out_bars(house: Path) -> None:
    data, models = dataset(echo=ECHO), seats(house)
    council, own = examine(models, data)
    found = figures_of(council, own)

    trained_to = models["boosting"].manifest.trained_to
    assert council.time.min() >= trained_to
    assert len(council) == np.count_nonzero((data.bars.open_time >= trained_to) & (data.y3 >= 0))
    assert found["council"]["brier_skill_2c"] > 0.005
    assert found["council"]["dm_t_2c"] > 3.0
    assert found["council"]["brier_skill"] > 0.0
    alone = {key: value for key, value in found["agents"]["boosting"].items() if key != "abstention_rate"}
    assert {key: found["council"][key] for key in alone} == pytest.approx(alone)


def test_noise_gives_no_skill(tmp_path: Path) -> None:
    data = dataset(seed=8)
    run.train(data, fast_plan(), tmp_path / "models", sign=make_signer(tmp_path), ledger=Ledger([tmp_path / "l"]))
    council, own = examine(seats(tmp_path), data)

    found = figures_of(council, own)["council"]
    assert abs(found["dm_t_2c"]) < 3.0
    assert found["brier_skill_2c"] < 0.01


def test_nothing_that_comes_later_changes_what_was_said(house: Path) -> None:
    whole, part = dataset(echo=ECHO), series(5_000, echo=ECHO)
    cut = 4_700
    names = ("open_time", "open", "high", "low", "close", "volume")
    shorter = replace(
        part,
        bars=type(part.bars)(**{name: getattr(part.bars, name)[:cut] for name in names}),
        flagged=part.flagged[:cut],
    )
    first, _ = examine(seats(house), shorter.dataset())
    all_of_it, _ = examine(seats(house), whole)

    # A matrix product may round its last bit by the number of rows that it is given at once.
    assert np.allclose(first.voices["boosting"].p, all_of_it.voices["boosting"].p[: len(first)], rtol=0.0, atol=1e-12)


def test_too_few_bars_after_the_training_are_told(house: Path) -> None:
    data = dataset(echo=ECHO)
    seat = seats(house)["boosting"]
    late = msgspec.structs.replace(seat.manifest, trained_to=data.end_of(len(data) - 30))
    told = exam.Seated(msgspec.structs.replace(seat.artifact, manifest=late), seat.model)

    with pytest.raises(DataProblem, match="28 bars lie after the training range"):
        examine({"boosting": told}, data)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda blob, var: blob[: len(blob) // 2], "not a model artifact"),
        (lambda blob, var: b"PK" + blob, "not a model artifact"),
        (lambda blob, var: pack(msgspec.structs.replace(unpack(blob), signature=b"", key_id="")), "is not signed"),
        (lambda blob, var: pack(make_signer(var / "other")(unpack(blob))), "is foreign"),
    ],
)
def test_a_damaged_unsigned_or_foreign_model_is_refused_in_one_line(
    house: Path, tmp_path: Path, spoil: object, said: str
) -> None:
    assert callable(spoil)
    blob = (house / "models" / "boosting.model").read_bytes()
    (tmp_path / "boosting.model").write_bytes(spoil(blob, tmp_path))

    with pytest.raises(ArtifactRefused, match=said) as refusal:
        load_models(tmp_path, ModelVerifier.of(house), make_session)
    assert "\n" not in str(refusal.value)


def test_a_model_of_other_features_or_other_bars_is_refused(house: Path) -> None:
    models = seats(house)
    with pytest.raises(ArtifactRefused, match=r"reads the feature set .* train it again"):
        examine(models, series(5_000, echo=ECHO).dataset(CORE20))
    with pytest.raises(ArtifactRefused, match="trained on bars of 1h, these are of 5m"):
        examine(models, replace(dataset(echo=ECHO), interval_s=300))


def test_a_folder_without_models_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArtifactRefused, match="holds no models"):
        load_models(tmp_path, lambda artifact: None, make_session)


def test_every_bar_counts_and_silence_is_the_climatology(house: Path) -> None:
    judged, _ = examine(seats(house), dataset(echo=ECHO))
    n = len(judged)
    voice = judged.voices["boosting"]
    half = np.arange(n) < n // 2
    silent = Voice(np.where(half[:, None], voice.p, np.nan), half)

    found = figures(silent, judged)

    loss = np.where(half, brier(voice.p, judged.y3), brier(judged.climatology, judged.y3)).mean()
    assert found["n"] == n
    assert found["brier_skill"] == pytest.approx(1.0 - loss / brier(judged.climatology, judged.y3).mean())
    assert found["abstention_rate"] == pytest.approx(1.0 - (n // 2) / n)
    nothing = figures(climatology(judged), judged)
    assert (nothing["brier_skill"], nothing["brier_skill_2c"]) == (0.0, 0.0)


def test_a_pool_of_equals_says_the_same_and_order_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    p = rng.dirichlet(np.ones(3), (3, 200))
    a, b, c = (Voice(each, rng.random(200) < 0.8) for each in p)

    alone = pooled({"a": a}, 200)
    both = pooled({"a": a, "same": a}, 200)
    assert np.allclose(alone.p, a.p)
    assert np.allclose(both.p, a.p)
    first, second = pooled({"a": a, "b": b, "c": c}, 200), pooled({"c": c, "a": a, "b": b}, 200)
    assert np.allclose(first.p, second.p)
    assert np.array_equal(first.speaks, second.speaks)
    assert np.allclose(first.p.sum(axis=1), 1.0)
    assert not first.speaks[~(a.speaks | b.speaks | c.speaks)].any()


def test_agents_that_contradict_each_other_keep_the_council_still() -> None:
    up, down = np.tile([0.05, 0.15, 0.8], (4, 1)), np.tile([0.8, 0.15, 0.05], (4, 1))
    ready = np.ones(4, dtype=bool)

    assert pooled({"a": Voice(up, ready), "b": Voice(up, ready)}, 4).speaks.all()
    assert not pooled({"a": Voice(up, ready), "b": Voice(down, ready)}, 4).speaks.any()
    assert not pooled({}, 4).speaks.any()
