"""The volatility agent: its kernels against plain definitions, what it learns, and one bar at a time as in one go."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from council_series import HOUR, lively, lively_bars

from libs.core.agents import har_kernels as har
from libs.core.agents.artifact import Artifact, ArtifactRefused, make_artifact
from libs.core.agents.model import Seen, Session, load_model
from libs.core.agents.volatility_model import Formula, VolatilityModel, calendar
from libs.core.types import SECOND
from libs.research.training.base import TrainOptions
from libs.research.training.dataset import DataProblem, Dataset, Floats
from libs.research.training.folds import Fold, final_split
from libs.research.training.garch import fit_garch
from libs.research.training.scores import qlike
from libs.research.training.volatility import VolatilityTrainer
from libs.research.training.volatility_figures import OURS, realised, walk
from libs.research.training.volatility_fit import DEFAULTS, fit_regression, past_of

QUICK = TrainOptions(preset="quick", threads=1)


@pytest.fixture(scope="module")
def fitted() -> tuple[Dataset, Fold, Artifact, Floats]:
    data, variance = lively(4_000)
    fold = final_split(data)
    return data, fold, VolatilityTrainer().fit(data, fold, QUICK), variance


def seen(data: Dataset, begin: int, end: int) -> Seen:
    return Seen(
        rows=np.empty((1, end - begin, 0)),
        returns=data.returns[np.newaxis, begin:end],
        bars=data.ohlcv[np.newaxis, begin:end],
        time=data.bars.open_time[end - 1 : end],
    )


def no_session(blob: bytes) -> Session:
    raise AssertionError("this model has no graph")


def test_held_out_bars_are_forecast_better_than_by_the_ewma(fitted: tuple[Dataset, Fold, Artifact, Floats]) -> None:
    data, fold, artifact, variance = fitted
    heard = load_model(artifact, no_session).history(
        np.empty((len(data), 0)), data.returns, data.ohlcv, data.bars.open_time
    )
    rows = fold.test[fold.test < len(data) - 1]
    truth = variance[rows + 1]
    ours, ewma = (qlike(truth, each[rows] ** 2).mean() for each in (heard.sigma, data.sigma))
    assert ours < 0.6 * ewma
    spans = np.log(data.bars.high / data.bars.low)[rows + 1]
    assert spans.mean() == pytest.approx(heard.span[rows].mean(), rel=0.15)
    assert np.mean((data.returns[rows + 1] / heard.sigma[rows]) ** 2) == pytest.approx(1.0, abs=0.25)
    assert artifact.manifest.metrics["calibration_qlike"] < artifact.manifest.metrics["calibration_qlike_ewma"]
    half, eighty, ninety = artifact.manifest.conformal
    within = np.abs(data.returns[rows + 1]) < eighty * heard.sigma[rows]
    assert half < eighty < ninety
    assert within.mean() == pytest.approx(0.8, abs=0.06)


def test_bar_by_bar_is_what_one_go_says_once_the_memory_is_full(
    fitted: tuple[Dataset, Fold, Artifact, Floats],
) -> None:
    data, _, artifact, _ = fitted
    model = VolatilityModel(artifact)
    whole = model.history(np.empty((len(data), 0)), data.returns, data.ohlcv, data.bars.open_time)
    begin = 1_000
    full = begin + artifact.manifest.memory
    state = np.zeros(model.state_size)
    model.start(state, seen(data, begin, full))
    for t in range(full, full + 60):
        said = model.say(state[np.newaxis], seen(data, t, t + 1))
        np.testing.assert_allclose(said.sigma[0], whole.sigma[t], rtol=1e-9)
        np.testing.assert_allclose(said.span[0], whole.span[t], rtol=1e-9)
        np.testing.assert_allclose(said.novelty[0], whole.novelty[t], rtol=1e-9)


def test_it_says_nothing_before_its_windows_are_full_and_survives_what_is_missing(
    fitted: tuple[Dataset, Fold, Artifact, Floats],
) -> None:
    data, _, artifact, _ = fitted
    model = VolatilityModel(artifact)
    state = np.zeros(model.state_size)
    model.start(state, seen(data, 0, 10))
    assert math.isnan(model.say(state[np.newaxis], seen(data, 10, 11)).sigma[0])
    model.start(state, seen(data, 0, 900))
    gone = replace(seen(data, 900, 901), bars=np.full((1, 1, 5), math.nan), returns=np.full((1, 1), math.nan))
    still = seen(data, 901, 902)
    still.bars[0, 0, :4] = 55.0
    for each in (gone, still):
        said = model.say(state[np.newaxis], each)
        assert np.isfinite(said.sigma[0])
        assert said.sigma[0] > 0.0


def test_the_same_seed_gives_the_same_model_and_later_bars_do_not_change_it(
    fitted: tuple[Dataset, Fold, Artifact, Floats],
) -> None:
    data, fold, artifact, _ = fitted
    changed = data.bars.close.copy()
    changed[fold.test[0] + 2 :] *= 1.5
    high = np.maximum(data.bars.high, changed)
    other = replace(data, bars=msgspec.structs.replace(data.bars, close=changed, high=high))
    again = VolatilityTrainer().fit(other, fold, QUICK)
    assert again.parts == artifact.parts


def test_parts_of_another_shape_are_refused(fitted: tuple[Dataset, Fold, Artifact, Floats]) -> None:
    _, _, artifact, _ = fitted
    manifest = msgspec.structs.replace(artifact.manifest, features=("outside_0",))
    for part in (b"", artifact.parts["regression"]):
        with pytest.raises(ArtifactRefused, match="cannot be loaded"):
            load_model(make_artifact(manifest, {"regression": part}), no_session)


def test_an_unknown_garch_too_few_bars_and_a_missing_feature_are_one_line(
    fitted: tuple[Dataset, Fold, Artifact, Floats],
) -> None:
    data, fold, _, _ = fitted
    for params, words in (({"garch": "figarch"}, "figarch"), ({"implied": "vix"}, "vix")):
        with pytest.raises(DataProblem, match=words):
            VolatilityTrainer().fit(data, fold, replace(QUICK, params=params))
    with pytest.raises(DataProblem, match="too few"):
        VolatilityTrainer().fit(data, Fold(fold.train[:150], fold.calibrate[:60], fold.test), QUICK)


def test_an_implied_volatility_that_knows_the_next_bar_is_listened_to() -> None:
    bars, variance = lively_bars(3_000)
    ohlcv = np.column_stack([bars.open, bars.high, bars.low, bars.close, bars.volume])
    returns = np.concatenate([[math.nan], np.diff(np.log(bars.close))])
    told = np.sqrt(np.append(variance[1:], variance[-1]))[:, np.newaxis]
    told[::7] = math.nan
    losses = []
    for implied in (None, told):
        past = past_of(ohlcv, returns, bars.open_time, HOUR, implied=implied)
        made = fit_regression(past, np.arange(48, 2_400), {**DEFAULTS, "nets": 1, "garch": "normal"}, seed=1)
        formula = Formula(made, len(made.center))
        said = formula(past.columns(made), *calendar(past.time, HOUR))
        losses.append(qlike(variance[2_401:], said.sigma[2_400:-1] ** 2).mean())
    assert losses[1] < 0.75 * losses[0]


def test_columns_are_the_plain_means_of_their_windows() -> None:
    bars, _ = lively_bars(1_800)
    ohlcv = np.column_stack([bars.open, bars.high, bars.low, bars.close, bars.volume])
    returns = np.concatenate([[math.nan], np.diff(np.log(bars.close))])
    garch = fit_garch(returns).garch
    settings = np.array([1e-9, 1.0, 1e-5, *garch[:5], 720.0])
    columns = har.design(ohlcv, returns, np.full(1_800, math.nan), settings)
    variance = har.bar_variances(ohlcv)
    volume = np.log(bars.volume + 1.0)
    assert np.isnan(columns[718]).all()
    for t in (719, 1_000, 1_799):
        means = [variance[t + 1 - w : t + 1].mean() for w in har.WINDOWS]
        np.testing.assert_allclose(columns[t, : har.LEVELS], np.log(np.array(means) + 1e-9), rtol=1e-10)
        named = dict(zip(har.NAMES, columns[t], strict=True))
        short = math.sqrt(variance[t - 23 : t + 1].mean() + 1e-9)
        assert named["return"] == pytest.approx(returns[t] / short)
        assert named["drift"] == pytest.approx(returns[t - 23 : t + 1].sum() / short / math.sqrt(24))
        assert named["volume_1"] == pytest.approx(volume[t] - volume[t - 23 : t + 1].mean())
        assert named["volume_24"] == pytest.approx(volume[t - 23 : t + 1].mean() - volume[t - 167 : t + 1].mean())
        squares = (returns[t - 23 : t + 1] ** 2).mean() + 1e-9
        assert named["close_to_close"] == pytest.approx(math.log(squares / short**2))


def test_range_variances_by_hand() -> None:
    """A constant high / low of 1.02 with an open at the close: 0.5 ln(1.02)^2."""
    flat = np.array([[1.0, 1.02, 1.0, 1.0, 0.0]])
    assert har.bar_variances(flat)[0] == pytest.approx(0.5 * math.log(1.02) ** 2)
    assert math.isnan(har.bar_variances(np.full((1, 5), math.nan))[0])


def test_the_clock_is_that_of_the_bar_that_follows() -> None:
    """1970-01-04 was a Sunday; the bar after its last hour begins on Monday."""
    hour, day = calendar(np.array([3 * 86_400 * SECOND + 23 * HOUR * SECOND]), HOUR)
    assert (hour[0], day[0]) == (0, 0)


def test_in_a_walk_forward_ours_is_ahead_of_garch() -> None:
    bars, _ = lively_bars(12 * 1_500, inside=3)
    past = realised(bars, HOUR, 12 * HOUR)
    assert past.measured[5] == pytest.approx(float(np.sum(np.diff(np.log(bars.close))[59:71] ** 2)))
    table = {name: (loss, t) for name, loss, t in walk(past).table()}
    assert table[OURS][0] < table["GARCH-t"][0]
    assert table[OURS][1] > 2.0
