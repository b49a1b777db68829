"""A net of one hidden layer: small enough for plain numpy, both in serving and in training."""

from __future__ import annotations

from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class TanhNet(msgspec.Struct, frozen=True):
    """tanh(x hidden + hidden_bias) out + out_bias; weights row by row."""

    hidden: tuple[tuple[float, ...], ...]
    hidden_bias: tuple[float, ...]
    out: tuple[tuple[float, ...], ...]
    out_bias: tuple[float, ...]

    @classmethod
    def of(cls, hidden: Floats, hidden_bias: Floats, out: Floats, out_bias: Floats) -> Self:
        """From arrays (inputs, width), (width,), (width, outputs), (outputs,)."""
        return cls(
            tuple(tuple(map(float, row)) for row in hidden),
            tuple(map(float, hidden_bias)),
            tuple(tuple(map(float, row)) for row in out),
            tuple(map(float, out_bias)),
        )


class NetWalker:
    """A net ready to run."""

    def __init__(self, net: TanhNet, inputs: int, outputs: int) -> None:
        """Raises ValueError when the net is not one from `inputs` to `outputs` numbers."""
        self._hidden, self._hidden_bias = np.array(net.hidden), np.array(net.hidden_bias)
        self._out, self._out_bias = np.array(net.out), np.array(net.out_bias)
        width = len(net.hidden_bias)
        shapes = (self._hidden.shape, self._out.shape, self._out_bias.shape)
        if shapes != ((inputs, width), (width, outputs), (outputs,)):
            raise ValueError(f"a net of another shape: {shapes}")

    def __call__(self, x: Floats) -> Floats:
        """(n, outputs) of (n, inputs)."""
        answer: Floats = np.tanh(x @ self._hidden + self._hidden_bias) @ self._out + self._out_bias
        return answer
