"""The trend agent's nets over a window of feature vectors: each window goes through an ONNX graph from nothing."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from libs.core.agents.artifact import Artifact, Manifest
from libs.core.agents.model import LOADERS, Floats, MakeSession, Said, Seen, said, scaled

AGENT: Final = "trend"
KINDS: Final = ("lstm", "transformer", "tcn")
GRAPH: Final = "graph"
INPUT: Final = "rows"

MOST_MISSING: Final = 0.2
"""With a larger share of the window's values missing it says nothing."""


class TrendModel:
    """Stateless: (rows, features) of the newest bars to the direction of the next.

    The graph takes float32 `rows` (n, rows, features), scaled, a missing value as 0, and gives three logits each.
    """

    state_size = 0

    def __init__(self, artifact: Artifact, make_session: MakeSession) -> None:
        """Raises ValueError or KeyError when the parts are not what this model wants."""
        self.manifest: Manifest = artifact.manifest
        self._novel = novel_of(self.manifest)
        self._session = make_session(artifact.parts[GRAPH])

    def start(self, state: Floats, seen: Seen) -> None:
        """Nothing is carried."""

    def say(self, states: Floats, seen: Seen) -> Said:
        """Probabilities of the bar after each of n."""
        return self._say(scaled(seen.rows[:, -self.manifest.rows :], self.manifest))

    def history(self, rows: Floats, returns: Floats, bars: Floats, time: NDArray[np.int64]) -> Said:
        """The same for every bar of one series."""
        before = np.full((self.manifest.rows - 1, rows.shape[1]), np.nan)
        flat = scaled(np.concatenate([before, rows]), self.manifest)
        return self._say(sliding_window_view(flat, self.manifest.rows, axis=0).transpose(0, 2, 1))

    def _say(self, windows: Floats) -> Said:
        p = np.full((len(windows), 3), np.nan)
        for i, window in enumerate(windows):
            missing = np.isnan(window)
            if missing[0].all() or missing.mean() > MOST_MISSING:
                continue
            filled = np.where(missing, 0.0, window).astype(np.float32)[np.newaxis]
            # One window a run: on one thread a batch of these graphs is no faster, and no kernel that is chosen by
            # the batch's size can make a forecast depend on who else was asked about.
            p[i] = softmax(self._session.run({INPUT: filled})[0].astype(np.float64))[0]
        return said(p=p, novelty=novelty(windows[:, -1], self._novel))


def novel_of(manifest: Manifest) -> float:
    """Root mean square of scaled features that counts as 1. Raises ValueError when the scaling does not fit."""
    width = len(manifest.features)
    if not width or len(manifest.center) != width or len(manifest.scale) != width:
        raise ValueError("the manifest's scaling does not fit its features")
    novel = float(manifest.params.get("novel", 0.0))
    if not novel > 0.0:
        raise ValueError("the manifest does not say what is novel")
    return novel


def novelty(newest: Floats, novel: float) -> Floats:
    """(n,) distance of scaled rows (n, features) from the centre, a missing value at the centre."""
    filled = np.nan_to_num(newest)
    distance: Floats = np.sqrt((filled * filled).mean(axis=1)) / novel
    return distance


def softmax(logits: Floats) -> Floats:
    """Probabilities of (n, k) logits."""
    weights: Floats = np.exp(logits - logits.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def _load(artifact: Artifact, make_session: MakeSession) -> TrendModel:
    return TrendModel(artifact, make_session)


for _kind in KINDS:
    LOADERS[f"{AGENT}.{_kind}"] = _load
