"""Boosted trees, forests, a small net and a linear model behind one class: direction of the next bar in two heads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from libs.core.agents.artifact import Artifact, Manifest
from libs.core.agents.model import LOADERS, Floats, MakeSession, Model, Said, Seen, said, scaled
from libs.core.agents.trees import Forest, ForestWalker

AGENT: Final = "boosting"
KINDS: Final = ("lightgbm", "xgboost", "catboost", "gradient_boosting", "forest", "mlp")
PART: Final = "heads"


class Linear(msgspec.Struct, frozen=True, tag="linear"):
    """Logistic regression on scaled features, NaN taken as the mean."""

    weights: tuple[float, ...]
    bias: float


class Net(msgspec.Struct, frozen=True, tag="net"):
    """A net with rectified hidden layers and a logistic end: per layer the weights, row by row, and the biases."""

    layers: tuple[tuple[tuple[tuple[float, ...], ...], tuple[float, ...]], ...]


class Trees(msgspec.Struct, frozen=True, tag="trees"):
    """Trees on raw features, NaN as they learnt it."""

    forest: Forest


class Member(msgspec.Struct, frozen=True):
    """One model of a head and its share in the head's mean."""

    model: Linear | Net | Trees
    weight: float


class Heads(msgspec.Struct, frozen=True):
    """P(the next bar is neutral), and P(up) if it is a move. `novel`: root mean square of scaled features that is 1."""

    neutral: tuple[Member, ...]
    up: tuple[Member, ...]
    novel: float


Answer = Callable[[Floats, Floats], Floats]


class BoostingModel:
    """Stateless: it looks at the newest feature vector alone."""

    state_size: int = 0

    def __init__(self, artifact: Artifact) -> None:
        """Raises ValueError or KeyError when the part is not what this model wants."""
        self.manifest: Manifest = artifact.manifest
        width = len(self.manifest.features)
        if len(self.manifest.center) != width or len(self.manifest.scale) != width or not width:
            raise ValueError("the manifest's scaling does not fit its features")
        try:
            heads = msgspec.msgpack.decode(artifact.parts[PART], type=Heads)
        except msgspec.MsgspecError as err:
            raise ValueError(f"its heads cannot be read: {err}") from None
        if not heads.novel > 0.0:
            raise ValueError("its scale of novelty is not above zero")
        self._novel = max(heads.novel, 1e-9)
        self._neutral = _mean([_answer(member, width) for member in heads.neutral])
        self._up = _mean([_answer(member, width) for member in heads.up])

    def start(self, state: Floats, seen: Seen) -> None:
        """Nothing is carried."""

    def say(self, states: Floats, seen: Seen) -> Said:
        """Probabilities of the bar after each of n."""
        return self._say(seen.rows[:, -1])

    def history(self, rows: Floats, returns: Floats, bars: Floats, time: NDArray[np.int64]) -> Said:
        """The same for every bar of one series."""
        return self._say(rows)

    def _say(self, rows: Floats) -> Said:
        flat = scaled(rows, self.manifest)
        missing = np.isnan(flat)
        flat = np.where(missing, 0.0, flat)
        neutral, up = self._neutral(rows, flat), self._up(rows, flat)
        p = direction_of(neutral, up)
        p[missing.all(axis=1)] = np.nan
        return said(p=p, novelty=np.sqrt((flat * flat).mean(axis=1)) / self._novel)


def direction_of(neutral: Floats, up: Floats) -> Floats:
    """(n, 3) down, neutral, up from the two heads."""
    return np.column_stack([(1.0 - neutral) * (1.0 - up), neutral, (1.0 - neutral) * up])


def _mean(answers: Sequence[tuple[Answer, float]]) -> Answer:
    total = sum(weight for _, weight in answers)
    if not total > 0.0:
        raise ValueError("a head without members")

    def mean(rows: Floats, flat: Floats) -> Floats:
        result = np.zeros(len(rows))
        for answer, weight in answers:
            result += weight / total * answer(rows, flat)
        return result

    return mean


def _answer(member: Member, width: int) -> tuple[Answer, float]:
    match member.model:
        case Trees(forest=forest):
            walker = ForestWalker(forest, width)
            return (lambda rows, flat: walker(rows)), member.weight
        case Linear(weights=weights, bias=bias):
            vector = np.asarray(weights)
            if len(vector) != width or not np.isfinite(vector).all():
                raise ValueError("a linear member of another width, or with weights that are no numbers")
            return (lambda rows, flat: sigmoid(flat @ vector + bias)), member.weight
        case Net(layers=layers):
            return _net([(np.asarray(w), np.asarray(b)) for w, b in layers], width), member.weight


def _net(layers: list[tuple[Floats, Floats]], width: int) -> Answer:
    if not layers or layers[0][0].shape[0] != width or layers[-1][0].shape[1] != 1:
        raise ValueError("a net of another width")

    def answer(rows: Floats, flat: Floats) -> Floats:
        hidden = flat
        for weights, bias in layers[:-1]:
            hidden = np.maximum(hidden @ weights + bias, 0.0)
        weights, bias = layers[-1]
        return sigmoid((hidden @ weights + bias)[:, 0])

    return answer


def sigmoid(z: Floats) -> Floats:
    """1 / (1 + exp(-z)), without overflow."""
    result: Floats = 1.0 / (1.0 + np.exp(-np.clip(z, -500.0, 500.0)))
    return result


Kind = Literal["lightgbm", "xgboost", "catboost", "gradient_boosting", "forest", "mlp"]


def _load(artifact: Artifact, make_session: MakeSession) -> Model:
    return BoostingModel(artifact)


for _kind in KINDS:
    LOADERS[f"{AGENT}.{_kind}"] = _load
