"""The trained regime agent: a Gaussian hidden Markov model filtered bar by bar, and a small net that corrects it."""

from __future__ import annotations

import math
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from libs.core.agents import hmm_kernels as kernels
from libs.core.agents.artifact import Artifact, Manifest
from libs.core.agents.model import LOADERS, Floats, MakeSession, Said, Seen, said, scaled
from libs.core.agents.tanh_net import NetWalker, TanhNet

AGENT: Final = "regime"
KIND: Final = "hmm"
PART: Final = "states"
NAMES: Final = "states"
"""In the manifest's params: what the states are called, in their order."""

MAX_DISTANCE: Final = 8.0
"""A return this many deviations from every state is none of them: novelty 1."""

LEAST: Final = 1e-4
"""Probabilities below count as this much where a net looks at their logarithms."""


class States(msgspec.Struct, frozen=True, kw_only=True):
    """All numbers of the model.

    Attributes:
        mean, variance: of each state, of log returns. transition: from, to, row by row.
        net: from log filtered probabilities and scaled features to what is added to them; None = the filter speaks.
    """

    mean: tuple[float, ...]
    variance: tuple[float, ...]
    transition: tuple[tuple[float, ...], ...]
    net: TanhNet | None = None


def settled(transition: Floats) -> Floats:
    """(K,) share of time in each state of a chain that has run for long."""
    k = len(transition)
    a = np.vstack([transition.T - np.eye(k), np.ones(k)])
    shares: Floats = np.clip(np.linalg.lstsq(a, np.concatenate([np.zeros(k), [1.0]]), rcond=None)[0], 0.0, 1.0)
    shares /= shares.sum()
    return shares


def net_inputs(posterior: Floats, flat: Floats) -> Floats:
    """(n, K + features) what the net looks at; a feature without a value counts as its mean."""
    both: Floats = np.column_stack([np.log(np.clip(posterior, LEAST, 1.0)), np.nan_to_num(flat, nan=0.0)])
    return both


def corrected(posterior: Floats, change: Floats) -> Floats:
    """(n, K) probabilities in proportion to posterior exp(change)."""
    logs = np.log(np.clip(posterior, LEAST, 1.0)) + change
    weights: Floats = np.exp(logs - logs.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


class RegimeModel:
    """Carries the filtered probabilities, O(1) a bar."""

    def __init__(self, artifact: Artifact) -> None:
        """Raises ValueError or KeyError when the part is not what this model wants."""
        self.manifest: Manifest = artifact.manifest
        try:
            states = msgspec.msgpack.decode(artifact.parts[PART], type=States)
        except msgspec.MsgspecError as err:
            raise ValueError(f"its states cannot be read: {err}") from None
        self._mean, self._variance = np.array(states.mean), np.array(states.variance)
        self._transition = np.array(states.transition)
        k = self.state_size = len(self._mean)
        width = len(self.manifest.features)
        if (
            not k
            or self._transition.shape != (k, k)
            or self._variance.shape != (k,)
            or not (self._variance > 0.0).all()
        ):
            raise ValueError("states of another shape")
        if (len(self.manifest.center), len(self.manifest.scale)) != (width, width):
            raise ValueError("the manifest's scaling does not fit its features")
        self._net = NetWalker(states.net, k + width, k) if states.net else None
        self._settled = settled(self._transition)
        self._scratch = np.empty((2, k))

    def start(self, state: Floats, seen: Seen) -> None:
        """Filter the returns that there are."""
        state[:] = self._settled
        kernels.steps(
            np.ascontiguousarray(seen.returns[0]),
            state,
            self._mean,
            self._variance,
            self._transition,
            np.empty((seen.returns.shape[1], self.state_size)),
        )

    def say(self, states: Floats, seen: Seen) -> Said:
        """Probabilities of the regimes in which the newest bar of each of n series was."""
        returns = seen.returns[:, -1]
        for i in range(len(states)):
            kernels.step(states[i], returns[i], self._mean, self._variance, self._transition, self._scratch)
        return self._say(states, returns, seen.rows[:, -1] if self.manifest.features else np.empty((len(states), 0)))

    def history(self, rows: Floats, returns: Floats, bars: Floats, time: NDArray[np.int64]) -> Said:
        """The same for every bar of one series."""
        out = np.empty((len(returns), self.state_size))
        kernels.steps(
            np.ascontiguousarray(returns), self._settled.copy(), self._mean, self._variance, self._transition, out
        )
        return self._say(out, returns, rows)

    def _say(self, posterior: Floats, returns: Floats, rows: Floats) -> Said:
        said_states = posterior.copy()
        if self._net is not None:
            flat = scaled(rows, self.manifest) if rows.shape[1] else rows
            said_states = corrected(posterior, self._net(net_inputs(posterior, flat)))
        apart = np.abs(returns[:, np.newaxis] - self._mean) / np.sqrt(self._variance)
        nearest = np.where(np.isnan(returns), 0.0, apart.min(axis=1))
        return said(states=said_states, novelty=nearest / MAX_DISTANCE)


def memory_of(transition: Floats, left: float = 1e-12) -> int:
    """Bars after which a chain of this transition keeps only the share `left` of where it began, seeing nothing."""
    sizes = np.sort(np.abs(np.linalg.eigvals(transition)))
    second = float(sizes[-2]) if len(sizes) > 1 else 0.0
    return math.ceil(math.log(left) / math.log(second)) if 0.0 < second < 1.0 else 1


def _load(artifact: Artifact, make_session: MakeSession) -> RegimeModel:
    return RegimeModel(artifact)


LOADERS[f"{AGENT}.{KIND}"] = _load
