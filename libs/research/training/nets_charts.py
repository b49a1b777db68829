"""Nets for torch over charts: a plain stack of convolutions and a small residual net, each with two heads."""

from __future__ import annotations

import itertools
from typing import Final

import torch
from torch import Tensor, nn

from libs.core.agents.charts import PLANES

NEAR: Final = 8
"""Columns of the newest four candles, which a net sees a second time, dot by dot: most candlesticks are made of them,
and they are an eighth of the chart."""


class ChartNet(nn.Module):
    """(n, 3, 64, 64) to three direction logits and one logit a class."""

    def __init__(self, classes: int, width: int, dropout: float, residual: bool) -> None:
        super().__init__()
        sizes = (PLANES, width, 2 * width, 2 * width, 4 * width)
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.ReLU()]
            if residual:
                layers.append(_Residual(after))
        self.far = nn.Sequential(*layers, nn.Flatten())
        self.near = nn.Sequential(
            nn.Conv2d(PLANES, 2 * width, (7, NEAR), padding=(3, 0)), nn.ReLU(),
            nn.Conv2d(2 * width, 4 * width, (7, 1), stride=(2, 1)), nn.ReLU(),
            nn.Conv2d(4 * width, 4 * width, (7, 1), stride=(2, 1)), nn.ReLU(),
        )  # fmt: skip
        self.join = nn.Sequential(nn.Linear(64 * width + 8 * width, 128), nn.ReLU())
        self.direction = nn.Sequential(nn.Dropout(dropout), nn.Linear(128, 3))
        self.classes = nn.Linear(128, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        near = self.near(x[:, :, :, -NEAR:])
        seen = self.join(torch.cat([self.far(x), near.amax(dim=(2, 3)), near.mean(dim=(2, 3))], dim=1))
        return self.direction(seen), self.classes(seen)


class _Residual(nn.Module):
    """He et al. 2016, without batch statistics: a chart is judged by itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.one = nn.Conv2d(width, width, 3, padding=1)
        self.two = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = (x + self.two(self.one(x).relu())).relu()
        return y
