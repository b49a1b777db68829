"""Trains the regime agent: a hidden Markov model of returns, and a net that tells its states as hindsight would."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import msgspec
import numpy as np

from libs.core.agents.artifact import Artifact, make_artifact
from libs.core.agents.regime_model import AGENT, KIND, LEAST, NAMES, PART, States, corrected, memory_of
from libs.core.agents.regime_model import net_inputs as inputs_of
from libs.core.agents.tanh_net import NetWalker, TanhNet
from libs.core.features.sets import FULL
from libs.research.training.base import Progress, TrainOptions, silent
from libs.research.training.dataset import DataProblem, Dataset, Floats, Ints
from libs.research.training.folds import Fold
from libs.research.training.hmm import Hmm, choose_hmm, fit_hmm, match, names_of
from libs.research.training.manifests import Scaling, described
from libs.research.training.net_fit import fit_net

MOST_ROWS: Final = {"quick": 6_000, "default": 20_000, "full": 60_000}
STARTS: Final = {"quick": 2, "default": 4, "full": 8}
STEPS: Final = {"quick": 100, "default": 300, "full": 500}

MARKET: Final = ("vol_ratio_10_60", "vol_ratio_60_480", "parkinson_20", "rv_10", "rv_60", "drawdown_1000", "squeeze_20")
BOOK: Final = ("spread_bp", "imbalance_5", "intensity")
"""They join where there is a book: without a value they count as their mean."""

DEFAULTS: Final[dict[str, Any]] = {
    "states": 0,
    "most_states": 4,
    "features": (*MARKET, *BOOK),
    "width": 8,
    "net_l2": 20.0,
    "net_steps": 60,
    "like": None,
}
"""states: how many, 0 = by BIC from 2 to most_states. features: what the net looks at beside the filter, () = no net.
net_l2: weight decay over the rows. like: means and deviations of an earlier model's states, to keep their order."""

Tell = Callable[[float, str], None]


class RegimeTrainer:
    """Fits states on returns alone; what hindsight (the smoother) knew of the training bars teaches the net."""

    agent = AGENT

    def fit(self, data: Dataset, fold: Fold, options: TrainOptions, progress: Progress = silent) -> Artifact:
        """See `base.Trainer`. The net is kept only if it comes nearer to hindsight than the filter on the calibration
        slice.

        Raises:
            DataProblem: too few returns, or a price that does not move.
        """
        params = {**DEFAULTS, **{name: value for name, value in options.params.items() if name in DEFAULTS}}

        def tell(share: float, line: str) -> None:
            progress(f"{AGENT} {KIND}", share, line)

        train = fold.train[-MOST_ROWS[options.preset] :]
        if not len(train):
            raise DataProblem(f"{data.symbol}: no labelled bar to learn regimes from")
        past = slice(int(train[0]), int(train[-1]) + 1)
        tell(0.0, "states")
        hmm = _states(data.returns[past], params, options)
        names = tuple(name for name in params["features"] if name in data.names)
        scaling = Scaling.of(data.columns(names)[train])
        judged = _States(hmm, data, names, scaling)
        net = judged.net(train, past, params, options, tell) if params["features"] else None
        near = {kind: judged.apart(each, fold.calibrate) for kind, each in (("filter", None), ("net", net))}
        kept = net if near["net"] < near["filter"] else None
        used = names if kept is not None else ()
        scaling = scaling if used else Scaling(np.empty(0), np.empty(0))
        memory = max([memory_of(hmm.transition), *(f.memory for f in FULL.features if f.name in used)])
        manifest = described(
            data,
            fold,
            options,
            agent=AGENT,
            kind=KIND,
            features=used,
            scaling=scaling,
            samples=len(train),
            sampling="all" if len(train) == len(fold.train) else f"newest {len(train)} rows",
            params={
                **params,
                "features": list(used),
                NAMES: list(names_of(hmm)),
                "mean": [float(each) for each in hmm.mean],
                "deviation": [float(each) for each in np.sqrt(hmm.variance)],
                "like": None,
            },
            returns=1,
            memory=memory,
            metrics={
                "states": float(hmm.states),
                "bic": hmm.bic,
                "calibration_filter_loss": near["filter"],
                "calibration_net_loss": near["net"],
            },
        )
        tell(1.0, ", ".join(names_of(hmm)))
        return make_artifact(manifest, {PART: msgspec.msgpack.encode(judged.packed(kept))})


def _states(returns: Floats, params: dict[str, Any], options: TrainOptions) -> Hmm:
    settings: dict[str, int] = {
        "seed": options.seed,
        "starts": STARTS[options.preset],
        "steps": STEPS[options.preset],
    }
    if params["states"]:
        hmm = fit_hmm(returns, int(params["states"]), **settings)
    else:
        hmm = choose_hmm(returns, int(params["most_states"]), **settings)
    like = params["like"]
    if like and len(like["mean"]) == hmm.states:
        order = match(hmm.mean, hmm.variance, np.asarray(like["mean"]), np.asarray(like["deviation"]) ** 2)
        hmm = hmm.ordered(order.tolist())
    return hmm


class _States:
    """The states of one fit on one data set, on the way to a model."""

    def __init__(self, hmm: Hmm, data: Dataset, names: tuple[str, ...], scaling: Scaling) -> None:
        self._hmm, self._data = hmm, data
        self._posterior = hmm.filter(data.returns)
        self._flat = scaling.apply(data.columns(names)) if names else np.empty((len(data), 0))

    def packed(self, net: TanhNet | None) -> States:
        hmm = self._hmm
        return States(
            mean=tuple(map(float, hmm.mean)),
            variance=tuple(map(float, hmm.variance)),
            transition=tuple(tuple(map(float, row)) for row in hmm.transition),
            net=net,
        )

    def net(self, rows: Ints, past: slice, params: dict[str, Any], options: TrainOptions, tell: Tell) -> TanhNet:
        """Fitted to the smoother's probabilities, which look ahead, but never beyond `past`."""
        hindsight = self._hindsight(past)[rows - past.start]
        x = inputs_of(self._posterior[rows], self._flat[rows])
        base, n = self._posterior[rows], len(rows)

        def loss(out: Floats) -> tuple[float, Floats]:
            q = corrected(base, out)
            return float(_distance(q, hindsight).mean()), (q - hindsight) / n

        def told(step: int, value: float) -> None:
            tell(0.5 + 0.5 * step / params["net_steps"], f"net, loss {value:.4f}")

        return fit_net(
            x,
            loss,
            self._hmm.states,
            width=int(params["width"]),
            l2=params["net_l2"] / n,
            seed=options.seed,
            steps=int(params["net_steps"]),
            tell=told,
        )

    def apart(self, net: TanhNet | None, rows: Ints) -> float:
        """Mean cross entropy with what hindsight over these rows alone knows, in nats; NaN when there are none."""
        if not len(rows):
            return math.nan
        span = slice(int(rows[0]), int(rows[-1]) + 1)
        q = self._posterior[rows]
        if net is not None:
            walker = NetWalker(net, self._hmm.states + self._flat.shape[1], self._hmm.states)
            q = corrected(q, walker(inputs_of(q, self._flat[rows])))
        return float(_distance(q, self._hindsight(span)[rows - span.start]).mean())

    def _hindsight(self, span: slice) -> Floats:
        return self._hmm.smooth(self._data.returns[span])


def _distance(q: Floats, target: Floats) -> Floats:
    """(n,) cross entropy in nats."""
    loss: Floats = -(target * np.log(np.clip(q, LEAST * LEAST, 1.0))).sum(axis=1)
    return loss
