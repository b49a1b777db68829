"""Trains the trend agent: an LSTM, a transformer or a TCN over windows, or an LSTM that carries its state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import msgspec
import numpy as np

from libs.core.agents.artifact import Artifact, Manifest
from libs.core.agents.model import Floats, load_model
from libs.core.agents.trend_carried_model import KIND as CARRIED
from libs.core.agents.trend_carried_model import PART, Matrix, Recurrent
from libs.core.agents.trend_model import AGENT, GRAPH, INPUT, KINDS
from libs.research.training import loop
from libs.research.training.base import Progress, TrainOptions, silent
from libs.research.training.boosting import max_memory
from libs.research.training.dataset import NO_LABEL, DataProblem, Dataset, Ints, triple_barrier_labels
from libs.research.training.folds import Fold
from libs.research.training.manifests import Scaling, described, finished
from libs.research.training.nets import LastStep, LstmNet, SequenceNet, TcnNet, TrainedSession, TransformerNet, to_onnx
from libs.research.training.select import strongest, usable_features
from libs.research.training.sequences import Sequences
from libs.research.training.teaching import MIN_ROWS, parted, sampling_of

TYPES: Final = (*KINDS, CARRIED)

DEFAULTS: Final[dict[str, Any]] = {
    "type": "lstm",
    "target": "next",
    "horizon": 12,
    "barrier": 1.0,
    "features": 50,
    "window": 100,
    "hidden": 128,
    "layers": 2,
    "dropout": 0.2,
    "learning_rate": 0.001,
    "weight_decay": 0.01,
    "batch": 64,
    "epochs": 100,
    "patience": 10,
    "clip": 1.0,
    "rows": 0,
}
"""target: next (bar) or barrier, whose width is in EWMA deviations and whose end comes after `horizon` bars. window:
bars that a net looks at. batch: sequences a step; of each one the second half of its bars is learnt from. rows: newest
training rows that are used, 0 = all."""

PRESETS: Final[dict[str, dict[str, Any]]] = {
    "quick": {
        "type": CARRIED, "features": 24, "window": 128, "hidden": 32, "layers": 1,
        "batch": 16, "epochs": 12, "patience": 3, "rows": 15_000,
    },
    "default": {"epochs": 20, "patience": 4, "rows": 40_000},
    "full": {},
}  # fmt: skip


SMALLER: Final[dict[str, dict[str, Any]]] = {"transformer": {"hidden": 64}, "tcn": {"hidden": 64}}
"""Of these types, where nothing else is asked for."""


class TrendTrainer:
    """Fits one net on three classes."""

    agent = AGENT

    def fit(self, data: Dataset, fold: Fold, options: TrainOptions, progress: Progress = silent) -> Artifact:
        """See `base.Trainer`.

        Raises:
            DataProblem: too few rows, one class only, an unknown type or target, a checkpoint that cannot be written.
        """
        params = settings_of(options)
        if params["target"] == "barrier":
            data, fold = with_barriers(data, fold, int(params["horizon"]), float(params["barrier"]))
        train = fold.train[-int(params["rows"]) :]
        if len(train) < MIN_ROWS:
            raise DataProblem(
                f"{data.symbol}: {len(train):,} labelled bars are too few to fit a net; it needs {MIN_ROWS:,}"
            )
        names = strongest(data, train, usable_features(data, train), int(params["features"]))
        x = data.columns(names)
        scaling = Scaling.of(x[train])
        flat = scaling.apply(x)
        spread = np.sqrt((flat[train] ** 2).mean(axis=1))
        used = params if params["type"] != CARRIED else {**params, "layers": 1}
        manifest = described(
            data,
            fold,
            options,
            agent=AGENT,
            kind=str(params["type"]),
            features=names,
            scaling=scaling,
            samples=len(train),
            sampling=sampling_of(fold, train),
            params={**used, "novel": 2.0 * float(np.quantile(spread, 0.999))},
            rows=1 if params["type"] == CARRIED else int(params["window"]),
            memory=max_memory(names) + int(params["window"]),
        )
        net, fitted = _fitted(data, train, flat, params, options, progress)
        parts = _parts(net, str(params["type"]), int(params["window"]), len(names))
        found = {"epochs": float(fitted.epochs), "best_epoch": float(fitted.epoch), "validation_log_loss": fitted.loss}
        manifest = msgspec.structs.replace(manifest, metrics=found)
        progress(f"{AGENT} {manifest.kind}", 0.95, "calibrating")
        p = _heard(Artifact(manifest=manifest, parts=parts), data, fold, x)
        return finished(manifest, parts, data, fold, p)


def settings_of(options: TrainOptions) -> dict[str, Any]:
    """Defaults, then the preset, then what was asked for.

    Raises:
        DataProblem: a type or target that there is not.
    """
    asked = {name: value for name, value in options.params.items() if name in DEFAULTS}
    preset = {**DEFAULTS, **PRESETS[options.preset]}
    params = {**preset, **SMALLER.get(str(asked.get("type", preset["type"])), {}), **asked}
    if params["type"] not in TYPES:
        raise DataProblem(f"no trend model {params['type']!r}; there are {', '.join(TYPES)}")
    if params["target"] not in ("next", "barrier"):
        raise DataProblem(f"no trend target {params['target']!r}; there are next and barrier")
    if int(params["window"]) < 2 or int(params["window"]) % 2:
        raise DataProblem(f"a trend window of {params['window']} bars; it must be even and at least 2")
    return params


def with_barriers(data: Dataset, fold: Fold, horizon: int, width: float) -> tuple[Dataset, Fold]:
    """The same with labels of the triple barrier, and rows left out whose label now reaches into the next part."""
    labels, ends = triple_barrier_labels(data.bars, data.sigma, horizon, width, width)
    labels = np.where(data.usable, labels, NO_LABEL)
    y2 = np.where(labels == 1, NO_LABEL, labels // 2)
    usable = data.usable & (labels != NO_LABEL)

    def kept(rows: Ints, following: Ints) -> Ints:
        within: Ints = rows[usable[rows] & (ends[rows] < (following[0] if len(following) else len(data)))]
        return within

    changed = replace(data, y3=labels, y2=y2, usable=usable, span_end=ends)
    return changed, Fold(kept(fold.train, fold.calibrate), kept(fold.calibrate, fold.test), fold.test)


def _fitted(
    data: Dataset, train: Ints, flat: Floats, params: dict[str, Any], options: TrainOptions, progress: Progress
) -> tuple[SequenceNet, loop.Fitted]:
    rows, judged = parted(data, train)
    window = int(params["window"])
    kind = str(params["type"])
    learnt = Sequences.of(data, flat, rows, window)
    checked = Sequences.of(data, flat, judged, window)
    net = loop.seeded(lambda: _net(kind, flat.shape[1], params), options.seed).to(loop.device())

    def tell(share: float, line: str) -> None:
        progress(f"{AGENT} {kind}", 0.9 * share, line)

    fitted = loop.fit(
        net,
        lambda rng: learnt.batches(int(params["batch"]), rng),
        lambda batch: learnt.loss(net, batch),
        lambda: checked.batches(256),
        lambda batch: checked.loss(net, batch),
        loop.settings_of(params, options),
        {"data": data.hash_of(slice(0, int(train[-1]) + 2)), "rows": len(train), **params},
        tell,
    )
    return net.cpu(), fitted


def _net(kind: str, width: int, params: dict[str, Any]) -> SequenceNet:
    hidden, dropout, layers = int(params["hidden"]), float(params["dropout"]), int(params["layers"])
    if kind == "transformer":
        return TransformerNet(width, int(params["window"]), hidden, layers, dropout)
    if kind == "tcn":
        return TcnNet(width, hidden, dropout)
    return LstmNet(width, hidden, 1 if kind == CARRIED else layers, dropout)


def _parts(net: SequenceNet, kind: str, window: int, width: int) -> dict[str, bytes]:
    if kind != CARRIED:
        return {GRAPH: to_onnx(LastStep(net), (window, width), INPUT, ("logits",))}
    weights = {name: value.detach().numpy() for name, value in net.state_dict().items()}
    cell = np.concatenate([weights["lstm.weight_ih_l0"], weights["lstm.weight_hh_l0"]], axis=1).T
    bias = weights["lstm.bias_ih_l0"] + weights["lstm.bias_hh_l0"]
    numbers = sorted({int(name.split(".")[1]) for name in weights if name.startswith("head.")})
    head = tuple((Matrix.of(weights[f"head.{i}.weight"].T), Matrix.of(weights[f"head.{i}.bias"])) for i in numbers)
    part = Recurrent(cell=(Matrix.of(cell), Matrix.of(bias)), head=head, half=window // 2)
    return {PART: msgspec.msgpack.encode(part)}


def _heard(artifact: Artifact, data: Dataset, fold: Fold, x: Floats) -> Floats:
    """(T, 3) of what will serve, at the calibration rows."""
    manifest: Manifest = artifact.manifest
    p = np.full((len(data), 3), np.nan)
    if len(fold.calibrate):
        first = max(0, int(fold.calibrate[0]) - 2 * int(manifest.params["window"]))
        part = slice(first, int(fold.calibrate[-1]) + 1)
        model = load_model(artifact, TrainedSession)
        p[part] = model.history(x[part], data.returns[part], data.ohlcv[part], data.bars.open_time[part]).p
    return p
