"""The newest rows of a growing series in one contiguous block, so that a window is a view and never a copy."""

from __future__ import annotations

import numpy as np

from libs.core.agents.base import Floats

SLACK = 64
"""Rows between two moves of the block to its start."""


class Tape:
    """The newest `capacity` rows of `width` float64; NaN where nothing has been written yet."""

    def __init__(self, capacity: int, width: int) -> None:
        self._capacity = capacity
        self._rows: Floats = np.full((capacity + SLACK, width), np.nan)
        self._end = capacity

    def push(self, row: Floats | float) -> None:
        """Append one row; the oldest falls out."""
        if self._end == len(self._rows):
            self._rows[: self._capacity] = self._rows[self._end - self._capacity :]
            self._end = self._capacity
        self._rows[self._end] = row
        self._end += 1

    def fill(self, rows: Floats) -> None:
        """Forget all and hold these rows (n, width), the newest `capacity` of them."""
        kept = rows[-self._capacity :] if len(rows) else rows
        self._rows[:] = np.nan
        self._rows[self._capacity - len(kept) : self._capacity] = kept
        self._end = self._capacity

    def newest(self, count: int) -> Floats:
        """View of the newest `count` <= capacity rows, oldest first; the next `push` may change it."""
        return self._rows[self._end - count : self._end]
