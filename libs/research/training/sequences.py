"""Unbroken runs of feature vectors as batches: a net is taught at every bar of the second half of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from libs.core.types import SECOND
from libs.research.training.dataset import Dataset, Floats, Ints
from libs.research.training.loop import device
from libs.research.training.teaching import taught_weights

Batch = tuple[Tensor, Tensor, Tensor]
"""Inputs (n, steps, features), labels (n, steps) and weights (n, steps), 0 where nothing is taught."""


@dataclass(frozen=True, slots=True)
class Sequences:
    """Rows to teach, with what came before them.

    One pass over sequences that overlap by half reads every bar twice, where a window of its own for each bar would
    read it once per bar of the window; and every bar is taught with half a window to a whole one before it, which is
    what a served window, or a lane of a net that carries its state, has.

    Attributes:
        x: (T, features) scaled, without NaN. y: (T,) classes. weight: (T,) 0 for a row that is not taught.
        slot: (T,) bars since 1970. first, last: of the rows that are taught.
    """

    x: Tensor
    y: Tensor
    weight: Tensor
    slot: Ints
    first: int
    last: int
    window: int

    @classmethod
    def of(cls, data: Dataset, flat: Floats, rows: Ints, window: int) -> Sequences:
        """Teach these rows. Raises DataProblem when they do not hold a fall and a rise."""
        weight = taught_weights(data, rows)
        return cls(
            x=torch.from_numpy(flat.astype(np.float32)).to(device()),
            y=torch.from_numpy(np.maximum(data.y3, 0)).to(device()),
            weight=torch.from_numpy(weight).to(device()),
            slot=data.bars.open_time // (data.interval_s * SECOND),
            first=int(rows[0]),
            last=int(rows[-1]),
            window=window,
        )

    def batches(self, size: int, rng: np.random.Generator | None = None) -> Iterator[Batch]:
        """All rows once; shuffled, and cut at other bars every time, when given random numbers."""
        half = self.window // 2
        offset = int(rng.integers(half)) if rng is not None else 0
        starts = np.arange(self.first - half - offset, self.last - half + 1, half)
        starts = starts[(starts >= 0) & (starts + self.window <= len(self.slot))]
        ends = starts + self.window - 1
        starts = starts[self.slot[ends] - self.slot[starts] == self.window - 1]
        if rng is not None:
            rng.shuffle(starts)
        steps = np.arange(self.window)
        for i in range(0, len(starts), size):
            at = torch.from_numpy(starts[i : i + size, np.newaxis] + steps).to(self.x.device)
            weight = self.weight[at]
            weight[:, :half] = 0.0
            yield self.x[at], self.y[at], weight

    def loss(self, net: nn.Module, batch: Batch) -> tuple[Tensor, float]:
        """Cross entropy, as `loop.Loss`."""
        x, y, weight = batch
        each = nn.functional.cross_entropy(net(x).transpose(1, 2), y, reduction="none")
        return (each * weight).sum(), float(weight.sum())
