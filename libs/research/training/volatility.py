"""Trains the volatility agent: a GARCH, a log-HAR with hours and days, and nets that correct it."""

from __future__ import annotations

import math

import msgspec
import numpy as np

from libs.core.agents import har_kernels as har
from libs.core.agents.artifact import Artifact, make_artifact
from libs.core.agents.volatility_model import AGENT, KIND, PART, Regression, VolatilityModel
from libs.research.training.base import Progress, TrainOptions, silent
from libs.research.training.calibrate import conformal_widths
from libs.research.training.dataset import DataProblem, Dataset, Floats, Ints
from libs.research.training.folds import Fold
from libs.research.training.manifests import described
from libs.research.training.scores import qlike
from libs.research.training.volatility_fit import DEFAULTS, Past, fit_regression, past_of

MOST_ROWS = {"quick": 15_000, "default": 30_000, "full": 200_000}
NETS = {"quick": 1, "default": 3, "full": 8}
NET_STEPS = {"quick": 30, "default": 60, "full": 60}
FORGOTTEN = 1e-11
"""Share of its start that is left in a GARCH variance once it counts as forgotten."""


class VolatilityTrainer:
    """Fits next-bar sigma and span on bars alone, or with an implied volatility that the set carries."""

    agent = AGENT

    def fit(self, data: Dataset, fold: Fold, options: TrainOptions, progress: Progress = silent) -> Artifact:
        """See `base.Trainer`. Figures and interval widths are those of the fit without the calibration slice; what is
        handed out is fitted anew with it.

        Raises:
            DataProblem: too few rows, or a price that does not move.
        """
        params = {**DEFAULTS, "nets": NETS[options.preset], "net_steps": NET_STEPS[options.preset]}
        params |= {name: value for name, value in options.params.items() if name in params}
        features = (str(params["implied"]),) if params["implied"] else ()
        if missing := [name for name in features if name not in data.names]:
            raise DataProblem(f"no feature {missing[0]!r} that could hold an implied volatility")
        past = past_of(data.ohlcv, data.returns, data.bars.open_time, data.interval_s, implied=data.columns(features))
        train = fold.train[-MOST_ROWS[options.preset] :]

        def fitted(rows: Ints, half: int) -> Regression:
            def tell(share: float, line: str) -> None:
                progress(f"{AGENT} {KIND}", 0.5 * (half + share), line)

            return fit_regression(past, rows, params, seed=options.seed, tell=tell)

        judged = fitted(train, 0)
        both = np.concatenate([train, fold.calibrate])[-MOST_ROWS[options.preset] :]
        final = fitted(both, 1)
        manifest = described(
            data,
            fold,
            options,
            agent=AGENT,
            kind=KIND,
            features=features,
            samples=len(both),
            sampling="all" if len(train) == len(fold.train) else f"newest {len(both)} rows",
            params=params,
            bars=1,
            returns=1,
            memory=max_memory(final),
        )
        said = VolatilityModel(make_artifact(manifest, {PART: msgspec.msgpack.encode(judged)})).history(
            data.columns(features), data.returns, data.ohlcv, data.bars.open_time
        )
        metrics, widths = _figures(data, past, fold.calibrate, said.sigma, said.span)
        named = msgspec.structs.replace(manifest, metrics=metrics, conformal=widths)
        return make_artifact(named, {PART: msgspec.msgpack.encode(final)})


def max_memory(regression: Regression) -> int:
    """Bars after which it does not matter where a run began: the longest window, or what GARCH still remembers."""
    beta = regression.settings[har.THETA + 4]
    fading = math.ceil(math.log(FORGOTTEN) / math.log(beta)) if 0.0 < beta < 1.0 else 0
    return max(har.LONGEST, fading)


def _figures(
    data: Dataset, past: Past, rows: Ints, sigma: Floats, span: Floats
) -> tuple[dict[str, float], tuple[float, ...]]:
    """On the calibration slice: QLIKE of range variances brought to the level of squared returns, and of the EWMA."""
    rows = rows[np.isfinite(sigma[rows]) & (past.next_variance[rows] > 0.0) & (data.sigma[rows] > 0.0)]
    if not len(rows):
        return {}, ()
    target = past.next_variance[rows]
    target = target * float((data.next_return[rows] ** 2).sum() / target.sum())
    metrics = {
        "calibration_qlike": float(qlike(target, sigma[rows] ** 2).mean()),
        "calibration_qlike_ewma": float(qlike(target, data.sigma[rows] ** 2).mean()),
        "calibration_span_error": float(np.mean(np.abs(past.next_span[rows] / span[rows] - 1.0))),
        "calibration_rows": float(len(rows)),
    }
    return metrics, conformal_widths(np.abs(data.next_return[rows]) / sigma[rows])
