"""Trains the pattern agent: a convolutional net over charts that names patterns and says where the next bar goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from libs.core.agents.artifact import Artifact
from libs.core.agents.charts import LOOK, charts, upside_down
from libs.core.agents.model import Floats, Said, load_model, said
from libs.core.agents.pattern_model import AGENT, GRAPH, INPUT, KINDS, shapes
from libs.research.training import loop
from libs.research.training.base import Progress, TrainOptions, silent
from libs.research.training.dataset import DataProblem, Dataset, Ints
from libs.research.training.folds import Fold
from libs.research.training.manifests import Scaling, described, finished
from libs.research.training.nets import TrainedSession, to_onnx
from libs.research.training.nets_charts import ChartNet
from libs.research.training.pattern_labels import CLASSES, labels_of
from libs.research.training.teaching import MIN_ROWS, parted, sampling_of, taught_weights

DEFAULTS: Final[dict[str, Any]] = {
    "type": "cnn",
    "width": 16,
    "dropout": 0.3,
    "learning_rate": 0.001,
    "weight_decay": 0.05,
    "batch": 64,
    "epochs": 100,
    "patience": 10,
    "clip": 1.0,
    "class_weight": 20.0,
    "rows": 0,
    "every": 1,
}
"""width: planes of the first layer. class_weight: of the mean loss of a class beside that of the direction
while fitting; both weigh the same when it is decided when to stop. rows: newest
training rows that are used, 0 = all; every: each epoch sees one in so many of them."""

PRESETS: Final[dict[str, dict[str, Any]]] = {
    "quick": {"width": 8, "learning_rate": 0.003, "epochs": 6, "patience": 2, "rows": 8_000},
    "default": {"width": 12, "learning_rate": 0.002, "epochs": 10, "patience": 4, "rows": 40_000, "every": 4},
    "full": {},
}

Batch = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""Charts, direction, its weight, classes, and the weight of the classes."""


class PatternTrainer:
    """Fits both heads at once."""

    agent = AGENT

    def fit(self, data: Dataset, fold: Fold, options: TrainOptions, progress: Progress = silent) -> Artifact:
        """See `base.Trainer`.

        Raises:
            DataProblem: too few rows, one class only, an unknown type, a checkpoint that cannot be written.
        """
        params = settings_of(options)
        train = fold.train[-int(params["rows"]) :]
        train = train[train >= LOOK - 1]
        if len(train) < MIN_ROWS:
            raise DataProblem(
                f"{data.symbol}: {len(train):,} labelled bars are too few to fit a net; it needs {MIN_ROWS:,}"
            )
        shape = shapes(data.ohlcv, train)
        scaling = Scaling.of(shape)
        far = np.sqrt((scaling.apply(shape) ** 2).mean(axis=1))
        named: dict[str, Any] = {
            "classes": list(CLASSES),
            "shape_center": scaling.center.tolist(),
            "shape_scale": scaling.scale.tolist(),
            "novel": 2.0 * float(np.quantile(far, 0.999)),
        }
        sampling = sampling_of(fold, train)
        if int(params["every"]) > 1:
            sampling += f"; each epoch sees one in {params['every']}"
        manifest = described(
            data,
            fold,
            options,
            agent=AGENT,
            kind=str(params["type"]),
            samples=len(train),
            sampling=sampling,
            params={**params, **named},
            bars=LOOK,
            memory=LOOK,
        )
        labels = labels_of(data.ohlcv)
        net, fitted = _fitted(data, train, labels, params, options, progress)
        parts = {GRAPH: to_onnx(net, (3, 64, 64), INPUT, ("logits", "classes"))}
        progress(f"{AGENT} {manifest.kind}", 0.92, "calibrating")
        heard = _heard(Artifact(manifest=manifest, parts=parts), data, fold)
        found = {"epochs": float(fitted.epochs), "best_epoch": float(fitted.epoch), "validation_loss": fitted.loss}
        found |= _recognised(heard.classes, labels, fold.calibrate)
        return finished(msgspec.structs.replace(manifest, metrics=found), parts, data, fold, heard.p)


def settings_of(options: TrainOptions) -> dict[str, Any]:
    """Defaults, then the preset, then what was asked for. Raises DataProblem for a type that there is not."""
    asked = {name: value for name, value in options.params.items() if name in DEFAULTS}
    params = {**DEFAULTS, **PRESETS[options.preset], **asked}
    if params["type"] not in KINDS:
        raise DataProblem(f"no pattern model {params['type']!r}; there are {', '.join(KINDS)}")
    return params


@dataclass(frozen=True, slots=True)
class _Charts:
    """Rows to teach as batches of charts, drawn when they are needed."""

    bars: Floats
    y: Ints
    weight: NDArray[np.float32]
    labels: NDArray[np.float32]
    rows: Ints
    class_weight: float

    def batches(self, size: int, rng: np.random.Generator | None = None, every: int = 1) -> Iterator[Batch]:
        """All rows once in order, or, given random numbers, one in `every`, half of them upside down."""
        rows = self.rows if rng is None else rng.permutation(self.rows)[: -(-len(self.rows) // every)]
        for i in range(0, len(rows), size):
            at = rows[i : i + size]
            images, drawn = charts(self.bars, at)
            y, named = self.y[at], drawn.astype(np.float32)
            if rng is not None:
                # What rises in one chart falls in its mirror image; their patterns have other names.
                turned = rng.random(len(at)) < 0.5
                images[turned], y = upside_down(images[turned]), np.where(turned, 2 - y, y)
                named = np.where(turned, 0.0, named).astype(np.float32)
            columns = (images, y, self.weight[at] * drawn, self.labels[at], named)
            one, two, three, four, five = (torch.from_numpy(column).to(loop.device()) for column in columns)
            yield one, two, three, four, five

    def loss(self, net: nn.Module, batch: Batch) -> tuple[Tensor, float]:
        """Cross entropy of the direction and, beside it, of the classes, as `loop.Loss`."""
        images, y, weight, labels, named = batch
        logits, classes = net(images)
        direction = nn.functional.cross_entropy(logits, y, reduction="none") * weight
        patterns = nn.functional.binary_cross_entropy_with_logits(classes, labels, reduction="none").mean(dim=1) * named
        return direction.sum() + self.class_weight * patterns.sum(), float(weight.sum())


def _fitted(
    data: Dataset, train: Ints, labels: Floats, params: dict[str, Any], options: TrainOptions, progress: Progress
) -> tuple[nn.Module, loop.Fitted]:
    rows, judged = parted(data, train)
    kind = str(params["type"])
    taught = np.nan_to_num(labels).astype(np.float32)

    def part(of: Ints, class_weight: float) -> _Charts:
        return _Charts(data.ohlcv, np.maximum(data.y3, 0), taught_weights(data, of), taught, of, class_weight)

    learnt, checked = part(rows, float(params["class_weight"])), part(judged, 1.0)

    def make() -> nn.Module:
        return ChartNet(len(CLASSES), int(params["width"]), float(params["dropout"]), kind == "resnet")

    net = loop.seeded(make, options.seed).to(loop.device())

    def tell(share: float, line: str) -> None:
        progress(f"{AGENT} {kind}", 0.9 * share, line)

    fitted = loop.fit(
        net,
        lambda rng: learnt.batches(int(params["batch"]), rng, int(params["every"])),
        lambda batch: learnt.loss(net, batch),
        lambda: checked.batches(256),
        lambda batch: checked.loss(net, batch),
        loop.settings_of(params, options),
        {"data": data.hash_of(slice(0, int(train[-1]) + 2)), "rows": len(train), **params},
        tell,
    )
    return net.cpu(), fitted


def _heard(artifact: Artifact, data: Dataset, fold: Fold) -> Said:
    """What will serve, at the calibration rows; NaN elsewhere."""
    p, classes = np.full((len(data), 3), np.nan), np.full((len(data), len(CLASSES)), np.nan)
    if len(fold.calibrate):
        first = max(0, int(fold.calibrate[0]) - LOOK + 1)
        part = slice(first, int(fold.calibrate[-1]) + 1)
        model = load_model(artifact, TrainedSession)
        heard = model.history(data.x[part], data.returns[part], data.ohlcv[part], data.bars.open_time[part])
        p[part], classes[part] = heard.p, heard.classes
    return said(p=p, classes=classes)


def _recognised(scores: Floats, labels: Floats, rows: Ints) -> dict[str, float]:
    """How well each class that occurs among these rows is told from the rest: area under the ROC curve."""
    from sklearn.metrics import roc_auc_score

    rows = rows[np.isfinite(scores[rows]).all(axis=1) & np.isfinite(labels[rows]).all(axis=1)]
    found = {}
    for i, name in enumerate(CLASSES):
        happened = labels[rows, i]
        if 0.0 < happened.sum() < len(rows):
            found[f"auc_{name}"] = float(roc_auc_score(happened, scores[rows, i]))
    return found
