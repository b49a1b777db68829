"""Whether prints are missing: what the numbers of a venue's prints say about the one that has just come."""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import Final

from libs.core.types import SECOND, Nanos

GRID_MEMORY: Final = 32
GRID_TRUST: Final = 0.9
"""A grid is believed when this share of the last GRID_MEMORY steps was the same; irregular feeds never earn it."""

RENUMBERED_AFTER: Final[Nanos] = 60 * SECOND
"""An older number on a print this much newer than the last one means that the venue began to number anew."""


class Numbering(StrEnum):
    """How a venue numbers its prints."""

    CONSECUTIVE = "consecutive"  # 1, 2, 3: a jump proves loss (Binance trade ids)
    GRID = "grid"  # the second of the print, in regular steps: a longer step suggests loss (Deriv indices)
    NONE = "none"


class Order(StrEnum):
    """What a number says."""

    NEXT = "next"
    DUPLICATE = "duplicate"
    HOLE = "hole"
    RENUMBERED = "renumbered"


class SequenceWatch:
    """Follows the sequence of one symbol's prints.

    Attributes:
        last: newest number taken, 0 before the first.
        expected: the number that proves nothing was lost, 0 while none does.
    """

    __slots__ = ("_numbering", "_steps", "expected", "last", "stamp")

    def __init__(self, numbering: Numbering) -> None:
        self._numbering = numbering
        self._steps: deque[int] = deque(maxlen=GRID_MEMORY)
        self.begin(0, 0)

    def begin(self, seq: int, stamp: Nanos) -> None:
        """Take up after print `seq` of time `stamp` (0 = nothing is known)."""
        self.last, self.stamp = seq, stamp
        self.expected = seq + self._step() if seq else 0

    def judge(self, seq: int, stamp: Nanos) -> Order:
        """What print `seq` of time `stamp` says, without taking it. Numbers of 0 are always next."""
        if not seq or not self.last or seq == self.expected:
            return Order.NEXT
        if seq <= self.last:
            return Order.RENUMBERED if stamp - self.stamp > RENUMBERED_AFTER else Order.DUPLICATE
        return Order.HOLE if self.expected and seq > self.expected else Order.NEXT

    def take(self, seq: int, stamp: Nanos) -> None:
        """The print has been taken."""
        if not seq:
            return
        if self._numbering is Numbering.GRID and self.last:
            self._steps.append(seq - self.last)
        self.last, self.stamp = seq, stamp
        step = self._step()
        self.expected = seq + step if step else 0

    @property
    def proves_loss(self) -> bool:
        """Whether a missing number is a lost print; a grid only suggests it."""
        return self._numbering is Numbering.CONSECUTIVE

    def misses(self, seq: int, last: int) -> bool:
        """Whether prints between number `last` and number `seq` are missing, as far as numbers can tell."""
        step = self._step()
        return bool(step and seq and last) and seq > last + step

    def _step(self) -> int:
        if self._numbering is Numbering.CONSECUTIVE:
            return 1
        steps = self._steps
        if len(steps) < GRID_MEMORY:
            return 0
        usual = sorted(steps)[GRID_MEMORY // 2]
        return usual if steps.count(usual) >= GRID_TRUST * GRID_MEMORY else 0
