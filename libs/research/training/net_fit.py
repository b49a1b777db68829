"""Fitting a net of one hidden layer to any smooth loss, by L-BFGS over all rows: the same seed, the same net."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from libs.core.agents.tanh_net import TanhNet
from libs.research.training.dataset import Floats

Loss = Callable[[Floats], tuple[float, Floats]]
"""From outputs (n, k) to the mean loss and its derivative by each of them."""

START: Final = 0.5
"""Deviation of the first hidden weights, times the root of the number of inputs."""


def fit_net(
    x: Floats,
    loss: Loss,
    outputs: int,
    *,
    width: int,
    l2: float,
    seed: int,
    steps: int,
    tell: Callable[[int, float], None] = lambda step, value: None,
) -> TanhNet:
    """The net of least mean loss plus `l2` times its squared weights, biases left free; it starts at outputs of 0.

    `tell` is given each step and its loss.
    """
    from scipy.optimize import minimize

    inputs = x.shape[1]
    sizes = (inputs * width, width, width * outputs, outputs)
    ends = np.cumsum(sizes)
    rng = np.random.default_rng(seed)
    theta = np.zeros(int(ends[-1]))
    theta[: ends[0]] = START / np.sqrt(inputs) * rng.standard_normal(ends[0])
    shrunk = np.ones(len(theta))
    shrunk[ends[0] : ends[1]] = shrunk[ends[2] :] = 0.0

    def parts(values: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        hidden, bias, out, end = np.split(values, ends[:-1])
        return hidden.reshape(inputs, width), bias, out.reshape(width, outputs), end

    def objective(values: Floats) -> tuple[float, Floats]:
        hidden, bias, out, end = parts(values)
        inner = np.tanh(x @ hidden + bias)
        value, d_out = loss(inner @ out + end)
        d_inner = (d_out @ out.T) * (1.0 - inner * inner)
        slope = np.concatenate(
            [(x.T @ d_inner).ravel(), d_inner.sum(axis=0), (inner.T @ d_out).ravel(), d_out.sum(axis=0)]
        )
        weights = shrunk * values
        return value + l2 * float(weights @ weights), slope + 2.0 * l2 * weights

    count = 0

    def told(intermediate_result: object) -> None:
        nonlocal count
        count += 1
        tell(count, float(getattr(intermediate_result, "fun", np.nan)))

    found = minimize(objective, theta, jac=True, method="L-BFGS-B", callback=told, options={"maxiter": steps})
    return TanhNet.of(*parts(found.x))
