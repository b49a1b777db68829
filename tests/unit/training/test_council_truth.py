"""Series whose truth is known, in small: a generated index teaches nothing to trade on, an echo does."""

from __future__ import annotations

import numpy as np

from libs.core.agents.model import load_model
from libs.core.features.engine import Bars
from libs.core.features.sets import FULL
from libs.research.training.base import TrainOptions
from libs.research.training.boosting import BoostingTrainer
from libs.research.training.dataset import make_dataset
from libs.research.training.exam import Seated, bring_loaders, judged, voice_of
from libs.research.training.exam_council import pooled
from libs.research.training.exam_scores import figures
from libs.research.training.folds import final_split
from tests.bench.council_series import echo, volatility_index


def no_session(graph: bytes) -> None:
    raise AssertionError("boosting has no graph")


def examined(bars: Bars) -> dict[str, float]:
    """Figures of the council of one agent on the held-out end."""
    bring_loaders()
    data = make_dataset("simulator", "X", 60, bars, FULL)
    fold = final_split(data)
    options = TrainOptions(preset="quick", threads=1)
    artifact = BoostingTrainer().fit(data, fold, options)
    voice = voice_of(Seated(artifact, load_model(artifact, no_session)), data).at(fold.test)  # type: ignore[arg-type]
    exam = judged(data, fold.test, artifact.manifest, {"boosting": voice}, 6)
    return figures(pooled(exam.voices, len(exam)), exam)


def test_on_a_generated_volatility_index_the_council_keeps_silent() -> None:
    found = examined(volatility_index(9_000))
    assert found["abstention_rate"] >= 0.99
    assert found["brier_skill_2c"] < 0.004
    assert found["dm_t_2c"] < 2.0


def test_an_echo_is_found_and_traded() -> None:
    found = examined(echo(12_000, share=0.25))
    assert found["dm_t_2c"] > 3.0
    assert found["brier_skill_2c"] > 0.005
    assert 0.02 < 1.0 - found["abstention_rate"] < 0.9
    assert found["accuracy_2c"] > 0.52


def test_the_generated_series_are_what_they_say() -> None:
    steps = np.diff(np.log(echo(30_000, share=0.1).close))
    assert abs(np.corrcoef(steps[1:], steps[:-1])[0, 1] - 0.1) < 0.02
    index = np.diff(np.log(volatility_index(30_000).close))
    assert abs(np.corrcoef(index[1:], index[:-1])[0, 1]) < 0.02
    assert abs(index.std() / (0.75 * np.sqrt(60 / (365.25 * 86_400))) - 1.0) < 0.05
