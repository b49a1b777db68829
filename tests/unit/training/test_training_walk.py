"""The walk-forward exam does not know the future, not even when it is written into a feature."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_world import dataset, fast_plan, with_column

from libs.common.onnx import make_session
from libs.research.training.dataset import Dataset
from libs.research.training.exam_council import pooled
from libs.research.training.exam_scores import figures
from libs.research.training.exam_walk import walk
from libs.research.training.folds import walk_forward
from libs.research.training.ledger import Ledger, read
from libs.research.training.report import Facts, make_page

EMBARGO = 60
LEAKY = "rsi_14"


def skill(data: Dataset, work: Path) -> tuple[float, float]:
    """Two-class skill of the walk-forward and its Diebold-Mariano t."""
    walked = walk(data, fast_plan(), work / "walk", make_session=make_session, ledger=Ledger([work / "l"]), blocks=2)
    found = figures(walked.exam.voices["boosting"], walked.exam)
    return found["brier_skill_2c"], found["dm_t_2c"]


def shifted_label(data: Dataset, bars: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The side that follows `bars` after each bar's own label."""
    ahead = np.full(len(data), np.nan)
    ahead[: len(data) - bars] = data.y2[bars:]
    return np.where(ahead >= 0, ahead, np.nan)


def test_a_future_label_beyond_the_purge_window_does_not_move_the_score(tmp_path: Path) -> None:
    data = dataset()
    plain, _ = skill(data, tmp_path / "plain")
    beyond, _ = skill(with_column(data, LEAKY, shifted_label(data, EMBARGO)), tmp_path / "beyond")
    own, own_t = skill(with_column(data, LEAKY, shifted_label(data, 0)), tmp_path / "own")

    assert abs(beyond - plain) < 0.004
    assert own > 0.01, "the check cannot fail: a label in a feature was not noticed"
    assert own_t > 10.0


@settings(max_examples=25, deadline=None)
@given(horizon=st.integers(1, 80), embargo=st.integers(0, 120), blocks=st.integers(1, 6))
def test_what_a_fold_learns_from_was_known_before_what_it_is_judged_on(horizon: int, embargo: int, blocks: int) -> None:
    from dataclasses import replace

    data = dataset()
    long = replace(data, span_end=np.minimum(np.arange(len(data)) + horizon, len(data) - 1))

    for fold in walk_forward(long, blocks=blocks, embargo=embargo):
        assert long.span_end[fold.train].max() < fold.calibrate.min()
        assert long.span_end[fold.calibrate].max() < fold.test.min()
        assert fold.calibrate.max() + embargo < fold.test.min()
        assert fold.train.max() + embargo < fold.calibrate.min()


def test_the_walk_goes_on_where_it_was_killed_and_gives_the_same_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, plan, ledger = dataset(echo=0.35), fast_plan(), Ledger([tmp_path / "l"])
    whole = walk(data, plan, tmp_path / "whole", make_session=make_session, ledger=ledger, blocks=2)

    class Enough(Exception):
        pass

    def stop(what: str, share: float, line: str) -> None:
        if what == "walk-forward":
            raise Enough

    with pytest.raises(Enough):
        walk(data, plan, tmp_path / "cut", make_session=make_session, ledger=ledger, progress=stop, blocks=2)
    before = len(read(tmp_path / "l"))
    rest = walk(data, plan, tmp_path / "cut", make_session=make_session, ledger=ledger, blocks=2)

    assert len(read(tmp_path / "l")) == before + 2, "one block was fitted, the other taken up"
    assert np.array_equal(rest.exam.voices["boosting"].p, whole.exam.voices["boosting"].p)
    assert not (tmp_path / "cut").exists()
    pages = [make_page(w.exam, pooled(w.exam.voices, len(w.exam)), w.beside, Facts("t")) for w in (whole, rest)]
    assert pages[0].html() == pages[1].html()
    _shows_all(pages[0].html(), pages[0].markdown())


def _shows_all(html: str, markdown: str) -> None:
    for words in ("climatology", "fade the last bar", "logistic regression", "log-HAR", "Diebold-Mariano", "QLIKE"):
        assert words in html
        assert words in markdown
    assert html.count("<svg") >= 5
    assert "<script" not in html
    assert 'src="' not in html
    assert "url(http" not in html
    assert "nan" not in markdown
    assert "council's forecast" in markdown
