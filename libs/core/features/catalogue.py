"""What a feature and a set of features are, and the sets by name; imports no numba, so anyone may read it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from libs.core.types import stable_id

CUMULATIVE: Final = -1
"""Memory of a feature that sums since the first bar: only its differences can be compared."""


class Feature(msgspec.Struct, frozen=True, kw_only=True):
    """One feature: an output of a kernel at some parameters.

    Attributes:
        name: how it is known everywhere.
        version: +1 whenever its kernel gives other values for the same bars.
        kernel, values, output: which kernel, at which parameters, which of its outputs.
        params: the numbers in its definition, in a canonical text.
        warmup: leading bars without a value, so that `warmup` is the index of the first value.
        memory: bars after which a run that started later gives the same value within 1e-9; CUMULATIVE = never.
        unit: what a value measures. low, high: bounds that it never leaves.
        needs: inputs beside bars without which it is NaN.
    """

    name: str
    version: int = 1
    kernel: str
    values: tuple[float, ...] = ()
    output: int = 0
    params: str
    warmup: int
    memory: int
    unit: str
    low: float = -math.inf
    high: float = math.inf
    needs: tuple[str, ...] = ()


class FeatureSet(msgspec.Struct, frozen=True, kw_only=True):
    """A named list of features in the order in which their values travel.

    `entries` is what it was made of, see `libs.core.features.sets`; it rebuilds the set in another process.
    """

    name: str
    features: tuple[Feature, ...]
    entries: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features)

    @property
    def hash(self) -> str:
        """Identity of the list: names, versions and parameters in order."""
        return stable_id("feature-set", *(f"{f.name}|{f.version}|{f.params}" for f in self.features))

    @property
    def warmup(self) -> int:
        """Index of the first bar at which every feature that bars alone give has a value."""
        return max((feature.warmup for feature in self.features if not feature.needs), default=0)

    @property
    def memory(self) -> int:
        """Bars after which the past before them is forgotten, features that sum for ever left out."""
        return max((feature.memory for feature in self.features), default=0)

    @property
    def needs(self) -> frozenset[str]:
        """Inputs beside bars that some feature reads."""
        return frozenset(need for feature in self.features for need in feature.needs)

    def __len__(self) -> int:
        return len(self.features)

    def index(self, name: str) -> int:
        """Position of a feature's value.

        Raises:
            KeyError: the set has no such feature; the text lists those it has.
        """
        try:
            return self.names.index(name)
        except ValueError:
            raise KeyError(f"feature set {self.name} has no {name!r}; it has {', '.join(self.names)}") from None


def feature_set(name: str, entries: Sequence[str] = (), files: Sequence[str] = ()) -> FeatureSet:
    """The set of that name; loads the kernels.

    `entries` make it, in any process the same way, where it is not one of the catalogue's own; `files` declare
    features of one's own that it may name.

    Raises:
        ValueError: there is none, or it cannot be made; the text says what is wrong or lists those there are.
    """
    from libs.core.features.sets import define, load, named

    for file in files:
        load(file)
    return define(name, entries) if entries else named(name)
