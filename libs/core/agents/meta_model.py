"""The stacked model of the meta-agent: the agents' calibrated log odds, each with a learnt weight."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from libs.core.agents.artifact import Artifact, Manifest
from libs.core.agents.model import LOADERS, Floats, MakeSession, Model, Said, Seen, log_odds, of_log_odds, said

AGENT: Final = "meta"
KIND: Final = "stack"
PART: Final = "weights"
CLASSES: Final = ("p_down", "p_neutral", "p_up")


class Weights(msgspec.Struct, frozen=True):
    """One weight per agent, none negative, for whether the price moves and for where to."""

    whether: tuple[float, ...]
    where: tuple[float, ...]


def inputs_of(agents: tuple[str, ...]) -> tuple[str, ...]:
    """Names of what the stack of these agents reads: "<agent>.p_down", "<agent>.p_neutral", "<agent>.p_up"."""
    return tuple(f"{agent}.{name}" for agent in agents for name in CLASSES)


class StackModel:
    """Stateless. Its rows are what the agents say, calibrated, before their gates; NaN where one says nothing.

    The joint log odds are the weighted sums of the agents'. Where some are silent, the others' weights grow in
    proportion, so that a vote missing makes nobody less sure.
    """

    state_size: int = 0

    def __init__(self, artifact: Artifact) -> None:
        """Raises ValueError or KeyError when the part is not what this model wants."""
        self.manifest: Manifest = artifact.manifest
        names = self.manifest.features
        self.agents = tuple(dict.fromkeys(name.partition(".")[0] for name in names))
        if not names or names != inputs_of(self.agents):
            raise ValueError("a stack reads p_down, p_neutral and p_up of each of its agents")
        try:
            weights = msgspec.msgpack.decode(artifact.parts[PART], type=Weights)
        except msgspec.MsgspecError as err:
            raise ValueError(f"its weights cannot be read: {err}") from None
        self._whether, self._where = np.asarray(weights.whether), np.asarray(weights.where)
        for w in (self._whether, self._where):
            if w.shape != (len(self.agents),) or not np.isfinite(w).all() or w.min() < 0.0 or not w.sum() > 0.0:
                raise ValueError("one finite weight per agent is wanted, none negative and not all zero")

    def start(self, state: Floats, seen: Seen) -> None:
        """Nothing is carried."""

    def say(self, states: Floats, seen: Seen) -> Said:
        """The joint probabilities of the bar after each of n."""
        return said(p=self._joint(seen.rows[:, -1]))

    def history(self, rows: Floats, returns: Floats, bars: Floats, time: NDArray[np.int64]) -> Said:
        """The same for every bar of one series."""
        return said(p=self._joint(rows))

    def _joint(self, rows: Floats) -> Floats:
        p = np.full((len(rows), 3), np.nan)
        votes = rows.reshape(len(rows), len(self.agents), 3)
        known: NDArray[np.bool_] = np.asarray(np.isfinite(votes).all(axis=2))
        heard: NDArray[np.bool_] = np.asarray(known.any(axis=1))
        whether, where = log_odds(np.where(known[..., np.newaxis], votes, 1.0 / 3.0)[heard].reshape(-1, 3))
        shape = (-1, len(self.agents))
        p[heard] = of_log_odds(
            pooled(whether.reshape(shape), known[heard], self._whether),
            pooled(where.reshape(shape), known[heard], self._where),
        )
        return p


def pooled(odds: Floats, known: NDArray[np.bool_], weights: Floats) -> Floats:
    """(n,) weighted sums of (n, agents) log odds over those that are known, of which each row has at least one."""
    share = np.where(known, weights, 0.0)
    total = share.sum(axis=1, keepdims=True)
    # Those that speak may all weigh nothing: then they count alike.
    share = np.where(total > 1e-9, share, known)
    sums: Floats = (share * odds).sum(axis=1) * weights.sum() / share.sum(axis=1)
    return sums


def _load(artifact: Artifact, make_session: MakeSession) -> Model:
    return StackModel(artifact)


LOADERS[f"{AGENT}.{KIND}"] = _load
