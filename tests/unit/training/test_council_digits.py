"""The digits agent: of fair digits no model can be made, a biased generator is found."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from training_world import dataset

from libs.core.agents.artifact import Artifact, ArtifactRefused, pack, unpack
from libs.core.agents.digits_model import INPUTS, PART, Shares
from libs.core.agents.model import load_model
from libs.research.training.base import TrainOptions
from libs.research.training.dataset import DataProblem, Dataset
from libs.research.training.digits import DigitsTrainer, log_evidence
from libs.research.training.folds import final_split

FAIR = (0.1,) * 10
BIASED = (0.13, 0.08, *(0.79 / 8,) * 8)
PRINTS = 250
"""Per bar; a window of 1,000 spans four bars."""


def no_session(graph: bytes) -> None:
    raise AssertionError("digits have no graph")


def printed(seed: int, shares: tuple[float, ...]) -> Dataset:
    """Bars whose prints end in digits drawn with these shares."""
    data = dataset(4_000)
    drawn = np.random.default_rng(seed).multinomial(PRINTS, shares, len(data))
    windows = np.cumsum(drawn, axis=0)
    windows[4:] -= windows[:-4].copy()
    x = data.x.copy()
    x[:, [data.names.index(name) for name in INPUTS]] = windows / 1000.0
    return replace(data, x=x)


def fit(data: Dataset) -> Artifact:
    # 3,600 s a bar and 250 prints in it.
    options = TrainOptions(params={"seconds_per_print": data.interval_s / PRINTS})
    return DigitsTrainer().fit(data, final_split(data), options)


def test_fair_digits_give_no_model_whatever_the_seed() -> None:
    for seed in range(40):
        with pytest.raises(DataProblem, match="may well be fair"):
            fit(printed(seed, FAIR))


def test_a_biased_generator_is_found_and_its_digits_forecast() -> None:
    data = printed(1, BIASED)
    model = load_model(unpack(pack(fit(data))), no_session)  # type: ignore[arg-type]
    rows = data.columns(INPUTS)
    classes = model.history(rows, np.empty(0), np.empty((0, 5)), np.empty(0, dtype=np.int64)).classes
    test = final_split(data).test
    assert np.allclose(classes[test].sum(axis=1), 1.0)
    assert np.abs(classes[test] - np.array(BIASED)).max() < 0.01
    assert (classes[test].argmax(axis=1) == 0).all()


def test_peeking_after_every_hundred_prints_does_not_make_fair_digits_unfair() -> None:
    rng = np.random.default_rng(2)
    for _ in range(30):
        counts = np.cumsum(rng.multinomial(100, FAIR, 200), axis=0)
        assert max(log_evidence(row.astype(float)) for row in counts) < np.log(1e4)


def test_the_bayes_factor_of_no_prints_is_one_and_of_one_digit_only_is_huge() -> None:
    assert log_evidence(np.zeros(10)) == pytest.approx(0.0, abs=1e-9)
    assert log_evidence(np.array([200.0, *(0.0,) * 9])) > 300.0


def test_a_bias_that_did_not_last_gives_no_model() -> None:
    early, late = printed(3, BIASED), printed(3, tuple(reversed(BIASED)))
    x = early.x.copy()
    begin = int(final_split(early).train.max()) + 10
    x[begin:] = late.x[begin:]
    with pytest.raises(DataProblem, match="did not last"):
        fit(replace(early, x=x))


def test_bars_without_prints_are_refused_in_one_line() -> None:
    with pytest.raises(DataProblem, match="digits need prints"):
        fit(dataset(4_000))


@pytest.mark.parametrize(
    "bad",
    [Shares((0.1,) * 9, 1.0), Shares((0.2,) * 10, 1.0), Shares((0.0, 0.2, *(0.1,) * 8), 1.0), Shares(FAIR, -1.0)],
)
def test_a_damaged_model_is_refused(bad: Shares) -> None:
    good = fit(printed(1, BIASED))
    spoiled = msgspec.structs.replace(good, parts={PART: msgspec.msgpack.encode(bad)})
    with pytest.raises(ArtifactRefused):
        load_model(spoiled, no_session)  # type: ignore[arg-type]
