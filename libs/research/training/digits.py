"""Trains the digits agent: is the last digit of a generator fair? Only if it plainly is not, it can be forecast."""

from __future__ import annotations

import math
from typing import Final

import msgspec
import numpy as np

from libs.core.agents.artifact import Artifact, make_artifact
from libs.core.agents.digits_model import AGENT, INPUTS, KIND, PART, WINDOW, Shares
from libs.research.training.base import Progress, TrainOptions, silent
from libs.research.training.dataset import DataProblem, Dataset, Floats, Ints
from libs.research.training.folds import Fold
from libs.research.training.manifests import described

FALSE_FINDS: Final = 1e-4
"""Chance at most that fair digits pass for unfair ones, however often and whenever one looks."""

CONCENTRATIONS: Final = (10.0, 100.0, 1_000.0, 10_000.0, 100_000.0)
"""Of the priors over unfair generators, from wild ones to those that are nearly fair."""

SLOWEST_S: Final = 2.0
"""Seconds between two prints of the slowest generated index; windows taken by it never share a print."""


class DigitsTrainer:
    """Counts the digits of windows of prints that do not overlap."""

    agent = AGENT

    def fit(self, data: Dataset, fold: Fold, options: TrainOptions, progress: Progress = silent) -> Artifact:
        """See `base.Trainer`. `params`: seconds_per_print, if it is above SLOWEST_S.

        Raises:
            DataProblem: the bars carry no digits, or the digits may well be fair.
        """
        pace = float(options.params.get("seconds_per_print", SLOWEST_S))
        stride = max(1, math.ceil(WINDOW * pace / data.interval_s))
        columns = data.columns(INPUTS)
        fitted, judged = _counts(columns, fold.train[::-1], stride), _counts(columns, fold.calibrate[::-1], stride)
        n = int(fitted.sum())
        if not n or not judged.sum():
            raise DataProblem(f"{data.symbol}: there are no windows of {WINDOW} printed prices; digits need prints")
        found = log_evidence(fitted)
        progress(AGENT, 0.5, f"{n:,} prints, ln Bayes factor {found:.1f}")
        if found < -math.log(FALSE_FINDS):
            raise DataProblem(
                f"{data.symbol}: {n:,} last digits may well be fair (ln Bayes factor {found:.1f} for a bias, "
                f"{-math.log(FALSE_FINDS):.1f} is wanted); there is nothing to forecast"
            )
        base = (fitted + 1.0) / (n + 10.0)
        gain = float(judged @ np.log(10.0 * base) / judged.sum())
        if not gain > 0.0:
            raise DataProblem(f"{data.symbol}: the bias of the last digits did not last; there is nothing to forecast")
        manifest = described(
            data,
            fold,
            options,
            agent=AGENT,
            kind=KIND,
            features=INPUTS,
            samples=n // WINDOW,
            sampling=f"every {stride}th bar, so that no print counts twice",
            params={"seconds_per_print": pace, "classes": tuple(map(str, range(10)))},
            metrics={"log_evidence": found, "calibration_gain": gain, "calibration_prints": float(judged.sum())},
        )
        progress(AGENT, 1.0, f"{1e3 * gain:.2f} millinats a print")
        shares = Shares(tuple(map(float, base)), float(n))
        return make_artifact(manifest, {PART: msgspec.msgpack.encode(shares)})


def _counts(columns: Floats, newest_first: Ints, stride: int) -> Floats:
    """(10,) prints of each digit in windows that end at these rows, at least `stride` bars apart."""
    total, last = np.zeros(10), None
    for row in newest_first.tolist():
        if (last is None or last - row >= stride) and np.isfinite(columns[row]).all():
            total += np.rint(WINDOW * columns[row])
            last = row
    return total


def log_evidence(counts: Floats) -> float:
    """ln of the Bayes factor of an unfair generator against a fair one, the mean over `CONCENTRATIONS`.

    Under a fair generator its expectation is 1 at any time, so it ever exceeds 1 / alpha with probability alpha at
    most (Ville 1939). Dirichlet-multinomial.
    """
    n = float(counts.sum())
    logs = [
        math.lgamma(c) - math.lgamma(c + n) + sum(math.lgamma(c / 10 + k) - math.lgamma(c / 10) for k in counts)
        for c in CONCENTRATIONS
    ]
    top = max(logs)
    return top + math.log(sum(math.exp(log - top) for log in logs) / len(logs)) + n * math.log(10.0)
