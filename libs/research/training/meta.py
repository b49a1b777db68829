"""Trains the meta-agent: weights of the agents' log odds, from what each said on bars that it was not fitted on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from libs.core.agents.artifact import Artifact
from libs.core.agents.meta_model import AGENT, KIND, PART, StackModel, Weights, inputs_of
from libs.core.agents.model import Model, calibrated, log_odds
from libs.research.training.base import TrainOptions
from libs.research.training.dataset import DataProblem, Dataset, Floats, Ints, Mask
from libs.research.training.folds import Fold
from libs.research.training.manifests import described, finished, unseen

RIDGE: Final = 12.5
"""Pull of each weight to an equal share, in squares against the summed log loss: a normal prior of deviation 0.2."""

FITTED_SHARE: Final = 0.6
"""Of the calibration slice; the rest calibrates the stack itself."""

MIN_ROWS: Final = 100


def stack(data: Dataset, fold: Fold, heard: Mapping[str, Floats], options: TrainOptions) -> Artifact:
    """A stack of the agents of one fold, learnt on its calibration slice; unsigned.

    `heard`: by agent, what `said_unseen` gives.

    Raises:
        DataProblem: fewer than two of them forecast a direction, or they were heard on too few bars together.
    """
    agents = tuple(sorted(agent for agent, p in heard.items() if len(p) and agent != AGENT))
    if len(agents) < 2:
        raise DataProblem(f"{data.symbol}: a stack needs two agents with a direction, here is {len(agents)}")
    votes = table(inputs_of(agents), heard, len(data))
    together = fold.calibrate[np.isfinite(votes[fold.calibrate]).all(axis=1)]
    if len(together) < 2 * MIN_ROWS:
        raise DataProblem(
            f"{data.symbol}: {len(together)} bars on which all agents were heard are too few to weigh them"
        )
    cut = int(FITTED_SHARE * len(together))
    weights = fitted(votes[together[:cut]], data.y3[together[:cut]])
    manifest = described(
        data,
        fold,
        options,
        agent=AGENT,
        kind=KIND,
        samples=cut,
        sampling="the calibration slice, as each agent forecast it before it was fitted on it",
        params={"ridge": RIDGE, "agents": agents},
    )
    manifest = msgspec.structs.replace(manifest, features=inputs_of(agents))
    parts = {PART: msgspec.msgpack.encode(weights)}
    p = StackModel(Artifact(manifest=manifest, parts=parts)).history(votes, data.returns, data.ohlcv, data.y3).p
    calibrating = Fold(train=fold.train, calibrate=together[cut:], test=fold.test)
    return finished(manifest, parts, data, calibrating, p)


def said_unseen(data: Dataset, artifact: Artifact) -> Floats:
    """(T, 3) calibrated probabilities of the bars that the model forecast before it saw them, NaN elsewhere.

    Empty if it has no direction.
    """
    found = unseen(data, artifact)
    if found is None:
        return np.empty((0, 3))
    rows, raw = found
    p = np.full((len(data), 3), np.nan)
    p[rows] = calibrated(raw, artifact.manifest)
    return p


def joint(artifact: Artifact, model: Model, heard: Mapping[str, Floats], n: int) -> Floats:
    """(n, 3) calibrated forecast of a stack from its agents' calibrated ones, (n, 3) each; NaN where nobody speaks."""
    nothing = np.empty(0)
    rows = table(artifact.manifest.features, heard, n)
    raw = model.history(rows, nothing, np.empty((0, 5)), np.empty(0, dtype=np.int64)).p
    known = np.isfinite(raw).all(axis=1)
    p = np.full((n, 3), np.nan)
    p[known] = calibrated(raw[known], artifact.manifest)
    return p


def table(inputs: Sequence[str], heard: Mapping[str, Floats], n: int) -> Floats:
    """(n, len(inputs)) what a stack reads, from (n, 3) probabilities by agent; NaN for an agent that is not there."""
    rows = np.full((n, len(inputs)), np.nan)
    column = {"p_down": 0, "p_neutral": 1, "p_up": 2}
    for i, name in enumerate(inputs):
        agent, _, what = name.partition(".")
        if agent in heard and len(heard[agent]):
            rows[:, i] = heard[agent][:, column[what]]
    return rows


def fitted(votes: Floats, y: Ints) -> Weights:
    """Weights that minimise the log loss of both questions, pulled towards equal shares.

    `votes`: (n, 3 agents) without NaN. Stacking with weights that are not negative: Breiman 1996.
    """
    agents = votes.shape[1] // 3
    whether, where = log_odds(votes.reshape(-1, 3))
    moved = y != 1
    return Weights(
        _weights(whether.reshape(-1, agents), y == 1),
        _weights(where.reshape(-1, agents)[moved], y[moved] == 2),
    )


def _weights(odds: Floats, hit: Mask) -> tuple[float, ...]:
    from scipy.optimize import minimize
    from scipy.special import expit

    equal = np.full(odds.shape[1], 1.0 / odds.shape[1])
    happened = hit.astype(float)

    def loss(w: Floats) -> tuple[float, Floats]:
        log = odds @ w
        pull = w - equal
        value = float((np.logaddexp(0.0, log) - happened * log).sum() + RIDGE * pull @ pull)
        return value, odds.T @ (expit(log) - happened) + 2.0 * RIDGE * pull

    found = minimize(loss, equal, jac=True, method="L-BFGS-B", bounds=[(0.0, 3.0)] * len(equal)).x
    return tuple(map(float, found if found.sum() > 1e-6 else equal))
