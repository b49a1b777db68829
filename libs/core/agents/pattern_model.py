"""The pattern agent's net: a chart of the newest bars to named patterns in it and the direction of the next bar."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from libs.core.agents.artifact import Artifact, Manifest
from libs.core.agents.charts import LOOK, charts
from libs.core.agents.model import LOADERS, Floats, MakeSession, Said, Seen, said
from libs.core.agents.trend_model import softmax

AGENT: Final = "pattern"
KINDS: Final = ("cnn", "resnet")
GRAPH: Final = "graph"
INPUT: Final = "charts"
CHUNK: Final = 256


class PatternModel:
    """Stateless. The graph takes float32 `charts` (n, 3, 64, 64) and gives three logits and one a class."""

    state_size = 0

    def __init__(self, artifact: Artifact, make_session: MakeSession) -> None:
        """Raises ValueError or KeyError when the parts are not what this model wants."""
        self.manifest: Manifest = artifact.manifest
        if self.manifest.bars != LOOK:
            raise ValueError(f"it looks at {self.manifest.bars} bars, a chart is of {LOOK}")
        self._classes = len(self.manifest.params["classes"])
        self._shape = (
            np.asarray(self.manifest.params["shape_center"]),
            np.asarray(self.manifest.params["shape_scale"]),
        )
        self._novel = max(float(self.manifest.params["novel"]), 1e-9)
        self._session = make_session(artifact.parts[GRAPH])

    def start(self, state: Floats, seen: Seen) -> None:
        """Nothing is carried."""

    def say(self, states: Floats, seen: Seen) -> Said:
        """Probabilities of the bar after each of n, and of the patterns that end with the newest."""
        heard = [self._say(bars, np.array([LOOK - 1])) for bars in seen.bars[:, -LOOK:]]
        return said(
            p=np.concatenate([each.p for each in heard]),
            classes=np.concatenate([each.classes for each in heard]),
            novelty=np.concatenate([each.novelty for each in heard]),
        )

    def history(self, rows: Floats, returns: Floats, bars: Floats, time: NDArray[np.int64]) -> Said:
        """The same for every bar of one series."""
        return self._say(bars, np.arange(len(bars)))

    def _say(self, bars: Floats, ends: NDArray[np.int64]) -> Said:
        p = np.full((len(ends), 3), np.nan)
        classes = np.full((len(ends), self._classes), np.nan)
        for begin in range(0, len(ends), CHUNK):
            images, drawn = charts(bars, ends[begin : begin + CHUNK])
            for i in np.flatnonzero(drawn):
                # One chart a run, so that no kernel that is chosen by a batch's size tells history and serving apart.
                logits, scores = self._session.run({INPUT: images[i : i + 1]})
                p[begin + i] = softmax(logits.astype(np.float64))[0]
                classes[begin + i] = 1.0 / (1.0 + np.exp(-np.clip(scores[0].astype(np.float64), -500.0, 500.0)))
        center, scale = self._shape
        z = np.nan_to_num((shapes(bars, ends) - center) / scale)
        return said(p=p, classes=classes, novelty=np.sqrt((z * z).mean(axis=1)) / self._novel)


def shapes(bars: Floats, ends: NDArray[np.int64]) -> Floats:
    """(n, 2) what scaling takes out of a chart: ln of its height in mean bars, and of its peak volume in mean volumes.

    NaN where a chart's bars are not all there, or nothing moved or was traded in them.
    """
    result = np.full((len(ends), 2), np.nan)
    full = ends >= LOOK - 1
    if not full.any():
        return result
    windows = np.lib.stride_tricks.sliding_window_view(bars, LOOK, axis=0)[ends[full] - LOOK + 1]
    high, low, volume = windows[:, 1], windows[:, 2], windows[:, 4]
    with np.errstate(divide="ignore", invalid="ignore"):
        height = (high.max(axis=1) - low.min(axis=1)) / (high - low).mean(axis=1)
        found = np.log(np.column_stack([height, volume.max(axis=1) / volume.mean(axis=1)]))
    result[full] = np.where(np.isfinite(found), found, np.nan)
    return result


def _load(artifact: Artifact, make_session: MakeSession) -> PatternModel:
    return PatternModel(artifact, make_session)


for _kind in KINDS:
    LOADERS[f"{AGENT}.{_kind}"] = _load
