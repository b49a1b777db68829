"""Boosted trees and forests as flat arrays, walked by one kernel: the same answer as the library that grew them."""

from __future__ import annotations

import math
from typing import Final, Literal

import msgspec
import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

Link = Literal["identity", "sigmoid"]
NO_CHILD: Final = -1


class Forest(msgspec.Struct, frozen=True, kw_only=True):
    """Trees of one head, packed as little-endian arrays, a slot per node.

    Attributes:
        roots: int32, first node of each tree. feature: int32, -1 in a leaf. threshold: float64, go left at or below it.
        left, right: int32 nodes. nan_left: uint8, a missing value goes left. value: float64 of a leaf.
        base: added to the sum of the leaves; factor: the sum is multiplied by it before. link: what follows.
        single: values are rounded to single precision before they are compared, as some libraries do.
    """

    roots: bytes
    feature: bytes
    threshold: bytes
    left: bytes
    right: bytes
    nan_left: bytes
    value: bytes
    base: float = 0.0
    factor: float = 1.0
    link: Link = "identity"
    single: bool = False


class ForestWalker:
    """A forest ready to be asked."""

    def __init__(self, forest: Forest, width: int) -> None:
        """`width`: features in a row.

        Raises:
            ValueError: the arrays do not fit each other, point outside the forest or row, or hold what is no number.
        """
        self._roots = np.frombuffer(forest.roots, dtype="<i4").astype(np.int32)
        self._feature = np.frombuffer(forest.feature, dtype="<i4").astype(np.int32)
        self._threshold = np.frombuffer(forest.threshold, dtype="<f8").astype(np.float64)
        self._left = np.frombuffer(forest.left, dtype="<i4").astype(np.int32)
        self._right = np.frombuffer(forest.right, dtype="<i4").astype(np.int32)
        self._nan_left = np.frombuffer(forest.nan_left, dtype="u1").astype(np.uint8)
        self._value = np.frombuffer(forest.value, dtype="<f8").astype(np.float64)
        self._base, self._factor = forest.base, forest.factor
        self._sigmoid, self._single = forest.link == "sigmoid", forest.single
        n = len(self._feature)
        arrays = (self._threshold, self._left, self._right, self._nan_left, self._value)
        inner = self._feature >= 0
        numbers = np.arange(n)
        if (
            any(len(array) != n for array in arrays)
            or np.any((self._roots < 0) | (self._roots >= n))
            or np.any(self._feature >= width)
            or np.any(self._left[inner] <= numbers[inner])
            or np.any(self._right[inner] <= numbers[inner])
            or np.any(self._left[inner] >= n)
            or np.any(self._right[inner] >= n)
            or np.any(np.isnan(self._threshold[inner]))
            or not np.all(np.isfinite(self._value))
            or not math.isfinite(self._base + self._factor)
        ):
            raise ValueError("the arrays of a forest do not fit each other, or hold what is no number")

    def __call__(self, rows: Floats) -> Floats:
        """(n,) answers to rows (n, width)."""
        answers = np.empty(len(rows))
        walk(
            np.ascontiguousarray(rows),
            self._roots,
            self._feature,
            self._threshold,
            self._left,
            self._right,
            self._nan_left,
            self._value,
            self._base,
            self._factor,
            self._sigmoid,
            self._single,
            answers,
        )
        return answers


@njit(cache=True)
def walk(
    rows: Floats,
    roots: Ints,
    feature: Ints,
    threshold: Floats,
    left: Ints,
    right: Ints,
    nan_left: NDArray[np.uint8],
    value: Floats,
    base: float,
    factor: float,
    sigmoid: bool,
    single: bool,
    answers: Floats,
) -> None:
    """Sum of the leaves that each row falls into, times `factor`, plus `base`, through the link."""
    for i in range(rows.shape[0]):
        total = 0.0
        for root in roots:
            node = root
            while feature[node] >= 0:
                x = rows[i, feature[node]]
                if single:
                    x = float(np.float32(x))
                to_left = nan_left[node] == 1 if math.isnan(x) else x <= threshold[node]
                node = left[node] if to_left else right[node]
            total += value[node]
        score = total * factor + base
        answers[i] = 1.0 / (1.0 + math.exp(-score)) if sigmoid else score


class Grown:
    """Collects trees node by node; children come after their parent."""

    def __init__(self) -> None:
        self._roots: list[int] = []
        self._nodes: list[list[float]] = []

    def tree(self) -> None:
        """What is added next is the root of a new tree."""
        self._roots.append(len(self._nodes))

    def split(self, feature: int, threshold: float, nan_left: bool) -> int:
        """An inner node; returns its number for `join`."""
        self._nodes.append([feature, threshold, NO_CHILD, NO_CHILD, float(nan_left), 0.0])
        return len(self._nodes) - 1

    def leaf(self, value: float) -> int:
        """A leaf; returns its number."""
        self._nodes.append([-1, 0.0, NO_CHILD, NO_CHILD, 0.0, value])
        return len(self._nodes) - 1

    def join(self, parent: int, left: int, right: int) -> None:
        """Name the children of a split."""
        self._nodes[parent][2], self._nodes[parent][3] = left, right

    def forest(
        self, *, base: float = 0.0, factor: float = 1.0, link: Link = "identity", single: bool = False
    ) -> Forest:
        """All trees so far."""
        table = np.array(self._nodes, dtype=np.float64).reshape(-1, 6)
        return Forest(
            roots=np.array(self._roots, dtype="<i4").tobytes(),
            feature=table[:, 0].astype("<i4").tobytes(),
            threshold=table[:, 1].astype("<f8").tobytes(),
            left=table[:, 2].astype("<i4").tobytes(),
            right=table[:, 3].astype("<i4").tobytes(),
            nan_left=table[:, 4].astype("u1").tobytes(),
            value=table[:, 5].astype("<f8").tobytes(),
            base=base,
            factor=factor,
            link=link,
            single=single,
        )
