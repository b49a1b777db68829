"""What a trained model can do: from windows to numbers, without side effects; agents make forecasts of the numbers."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from libs.core.agents.artifact import Artifact, ArtifactRefused, Manifest

Floats = NDArray[np.float64]


class Session(Protocol):
    """An ONNX graph ready to run; injected, so that the core needs no runtime."""

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """The outputs in the graph's order."""


MakeSession = Callable[[bytes], Session]


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest closed bar of n series with what came before it, oldest first; NaN where there is nothing.

    Attributes:
        rows: (n, Manifest.rows, len(Manifest.features)) feature values, not scaled.
        returns: (n, Manifest.returns) log returns.
        bars: (n, Manifest.bars, 5) open, high, low, close, volume.
        time: (n,) open time of the newest bar, ns UTC.
    """

    rows: Floats
    returns: Floats
    bars: Floats
    time: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Said:
    """What a model says about the bar after each of n; an empty array where it has no opinion of that kind.

    Attributes:
        p: (n, 3) probabilities of down, neutral, up, before calibration.
        sigma: (n,) standard deviation of the next log return; span: (n,) expected high - low, as a log range.
        states: (n, k) filtered probabilities of regimes.
        classes: (n, k) scores of named classes (patterns, digits).
        novelty: (n,) how unlike the training data the input is; from 1 on it is out of distribution.
    """

    p: Floats
    sigma: Floats
    span: Floats
    states: Floats
    classes: Floats
    novelty: Floats


NONE: Final[Floats] = np.empty((0,))


def said(
    *,
    p: Floats = NONE,
    sigma: Floats = NONE,
    span: Floats = NONE,
    states: Floats = NONE,
    classes: Floats = NONE,
    novelty: Floats = NONE,
) -> Said:
    """What is given; the rest is empty."""
    return Said(p, sigma, span, states, classes, novelty)


class Model(Protocol):
    """A model made from an artifact.

    A stateless one has state_size 0. One that carries state (a filter, a recurrent net) keeps it in a row of float64
    that its owner holds and saves; `start` and then `say` bar by bar must equal `history` within 1e-9 after the memory
    that the manifest declares.
    """

    @property
    def manifest(self) -> Manifest: ...

    @property
    def state_size(self) -> int: ...

    def start(self, state: Floats, seen: Seen) -> None:
        """Fill `state` (state_size,) from one series' history that ends with the bar before the next `say`.

        `seen` holds one series and as many rows, returns and bars as its owner has.
        """

    def say(self, states: Floats, seen: Seen) -> Said:
        """Take the newest bar of n series into their states (n, state_size) and say what comes next."""

    def history(self, rows: Floats, returns: Floats, bars: Floats, time: NDArray[np.int64]) -> Said:
        """The same for each of T consecutive bars of one series: rows (T, features), returns (T,), bars (T, 5).

        NaN where the window was not full yet.
        """


AGENTS: Final = ("trend", "volatility", "pattern", "regime", "boosting", "digits", "meta")
"""Agents with trained models; modules <agent>..._model, imported when they are first needed, know their kinds."""

Loader = Callable[[Artifact, MakeSession], Model]
LOADERS: Final[dict[str, Loader]] = {}
"""Agent and kind ("trend.lstm") to what makes a model of its artifact; agents' modules put themselves in."""


def load_model(artifact: Artifact, make_session: MakeSession) -> Model:
    """The model of an artifact.

    Raises:
        ArtifactRefused: no loader for its kind, or the parts are not what the kind wants.
    """
    agent = artifact.manifest.agent
    kind = f"{agent}.{artifact.manifest.kind}"
    if kind not in LOADERS and agent in AGENTS:
        for found in pkgutil.iter_modules(sys.modules["libs.core.agents"].__path__):
            if found.name.startswith(agent) and found.name.endswith("_model"):
                importlib.import_module(f"libs.core.agents.{found.name}")
    if kind not in LOADERS:
        raise ArtifactRefused(f"no code for models of kind {kind!r}; there are {', '.join(sorted(LOADERS)) or 'none'}")
    try:
        return LOADERS[kind](artifact, make_session)
    except (KeyError, ValueError, IndexError, RuntimeError) as err:
        raise ArtifactRefused(f"model {kind} cannot be loaded: {err}") from err


def scaled(rows: Floats, manifest: Manifest) -> Floats:
    """Feature values centred, scaled and clipped as in training; NaN stays NaN."""
    center, scale = np.asarray(manifest.center), np.asarray(manifest.scale)
    clipped: Floats = np.clip((rows - center) / scale, -manifest.clip, manifest.clip)
    return clipped


def calibrated(p: Floats, manifest: Manifest) -> Floats:
    """Probabilities (n, 3) after the manifest's calibrator; as they are when it has none."""
    calibrator = manifest.calibrator
    if calibrator is None:
        return p
    whether, where = log_odds(p)
    return of_log_odds(whether / calibrator.temperature + calibrator.shift, calibrator.side * where)


def log_odds(p: Floats) -> tuple[Floats, Floats]:
    """(n,) log odds of neutral, and of up against down, of (n, 3) probabilities of down, neutral, up."""
    q = np.clip(p, 1e-9, 1.0)
    return np.log(q[:, 1] / (q[:, 0] + q[:, 2])), np.log(q[:, 2] / q[:, 0])


def of_log_odds(whether: Floats, where: Floats) -> Floats:
    """(n, 3) probabilities of such log odds."""
    z = np.column_stack([-np.logaddexp(0.0, where), whether, -np.logaddexp(0.0, -where)])
    z -= z.max(axis=1, keepdims=True)
    weights: Floats = np.exp(z)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights
