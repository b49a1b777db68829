"""Fitting GARCH(1,1) and its variants, with standard errors; the likelihoods live in the core."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from libs.core.agents.garch_family import COUNT, PARAMETERS, Garch, likelihood, variances
from libs.core.features import garch_likelihood as normal
from libs.research.training.dataset import DataProblem, Floats

Kind = Literal["normal", "t", "gjr", "gjr-t"]
KINDS: Final = ("normal", "t", "gjr", "gjr-t")
Errors = Literal["hessian", "opg", "information", "robust"]

MOST_PERSISTENT: Final = 0.99999
FEWEST: Final = 100
TOLERANCE: Final = 1e-24
"""Fall of the loss per return at which the normal fit stops: as near as float64 comes."""


@dataclass(frozen=True, slots=True)
class GarchFit:
    """A maximum of the likelihood. `next_variance`: of the bar after the last return."""

    kind: Kind
    garch: Garch
    log_likelihood: float
    next_variance: float

    @property
    def free(self) -> tuple[str, ...]:
        """Names of the parameters that were fitted."""
        left_out = {"gamma"} if "gjr" not in self.kind else set()
        if not self.kind.endswith("t"):
            left_out.add("nu")
        return tuple(name for name in PARAMETERS if name not in left_out)


def fit_garch(returns: Floats, kind: Kind = "normal") -> GarchFit:
    """Maximum likelihood on consecutive returns, presample inside the likelihood.

    Normal errors: Fisher scoring of the core. The others: SLSQP with the analytic gradient, from that fit on.

    Raises:
        DataProblem: too few returns, or they do not move.
    """
    r = np.ascontiguousarray(returns[np.isfinite(returns)])
    slots = np.zeros(normal.FIT_SLOTS)
    if len(r) < FEWEST or not normal.fit(r, 0, len(r), slots, TOLERANCE if kind == "normal" else 1e-9):
        raise DataProblem(f"{len(r)} returns are too few to fit a GARCH on, or they do not move")
    mu, omega, alpha, beta = map(float, slots[:4])
    if kind == "normal":
        return GarchFit(kind, Garch(mu, omega, alpha, 0.0, beta), -float(slots[normal.LOSS]), float(slots[normal.NEXT]))
    return _fit_variant(r, Garch(mu, omega, alpha, 0.0, beta, 8.0 if kind.endswith("t") else math.inf), kind)


def _fit_variant(r: Floats, start: Garch, kind: Kind) -> GarchFit:
    from scipy.optimize import minimize

    scale = float(r.std())
    x = r / scale
    unit = np.array([scale, scale**2, 1.0, 1.0, 1.0, 1.0])
    chosen = np.array([PARAMETERS.index(name) for name in GarchFit(kind, start, 0.0, 0.0).free])
    theta, gradient, none = np.asarray(start) / unit, np.empty(COUNT), np.empty((0, COUNT))
    bounds = {
        "mu": (-1.0, 1.0),
        "omega": (normal.LEAST_OMEGA, 10.0),
        "alpha": (0.0, 1.0),
        "gamma": (-1.0, 1.0),
        "beta": (0.0, 1.0),
        "nu": (2.05, 500.0),
    }
    low, high = (np.array([bounds[PARAMETERS[i]][side] for i in chosen]) for side in (0, 1))

    def full(free: Floats) -> Floats:
        whole: Floats = theta.copy()
        whole[chosen] = np.clip(free, low, high)
        return whole

    def loss(free: Floats) -> tuple[float, Floats]:
        value = likelihood(x, full(free), gradient, none)
        if not math.isfinite(value):
            return 1e10, np.zeros(len(chosen))
        return -value / len(x), -gradient[chosen] / len(x)

    def rows(*weights: tuple[str, float]) -> Floats:
        row: Floats = np.zeros(COUNT)
        for name, weight in weights:
            row[PARAMETERS.index(name)] = weight
        taken: Floats = row[chosen]
        return taken

    fading, falling = rows(("alpha", -1.0), ("gamma", -0.5), ("beta", -1.0)), rows(("alpha", 1.0), ("gamma", 1.0))
    limits = [
        {"type": "ineq", "fun": lambda free: MOST_PERSISTENT + free @ fading, "jac": lambda free: fading},
        {"type": "ineq", "fun": lambda free: free @ falling, "jac": lambda free: falling},
    ]
    found = minimize(
        loss,
        theta[chosen],
        jac=True,
        method="SLSQP",
        bounds=list(zip(low, high, strict=True)),
        constraints=limits,
        options={"maxiter": 300, "ftol": 1e-13},
    )
    best = full(found.x)
    value = float(likelihood(x, best, gradient, none)) - len(x) * math.log(scale)
    garch = Garch(*map(float, best * unit))
    return GarchFit(kind, garch, value, _after(r, garch))


def _after(r: Floats, garch: Garch) -> float:
    before = float(((r - garch.mu) ** 2).mean())
    return float(variances(r, np.asarray(garch), garch.omega + garch.persistence * before)[-1])


def standard_errors(fit: GarchFit, returns: Floats) -> dict[Errors, dict[str, float]]:
    """Standard errors of the fitted parameters of a normal GARCH(1,1), by four estimates of their covariance.

    hessian: second derivatives of the likelihood; opg: outer product of the scores; information: expected second
    derivatives; robust: information^-1 opg information^-1 (Bollerslev and Wooldridge 1992).

    Raises:
        ValueError: the fit is one of another kind.
    """
    if fit.kind != "normal":
        raise ValueError(f"standard errors of a {fit.kind} fit are not known; of a normal one they are")
    r = np.ascontiguousarray(returns)
    names = fit.free
    chosen = [PARAMETERS.index(name) for name in names]
    theta, gradient = np.asarray(fit.garch), np.empty(COUNT)
    scores = np.empty((len(r), COUNT))
    likelihood(r, theta, gradient, scores)
    opg = scores[:, chosen].T @ scores[:, chosen]
    slots = np.zeros(normal.FIT_SLOTS)
    garch = fit.garch
    normal.score(r, 0, len(r), garch.mu, garch.omega, garch.alpha, garch.beta, slots)
    information = slots[normal.INFORMATION : normal.INFORMATION + 16].reshape(4, 4).copy()
    information[0, 1:] = information[1:, 0] = 0.0  # what symmetric errors make of it in expectation
    inverse = np.linalg.inv(information)
    covariances: dict[Errors, Any] = {
        "hessian": np.linalg.inv(-_second_derivatives(r, theta, chosen)),
        "opg": np.linalg.inv(opg),
        "information": inverse,
        "robust": inverse @ opg @ inverse,
    }
    return {
        kind: dict(zip(names, map(float, np.sqrt(np.diag(covariance))), strict=True))
        for kind, covariance in covariances.items()
    }


def _second_derivatives(r: Floats, theta: Floats, chosen: list[int]) -> Floats:
    """Of the log likelihood, by central differences of its analytic gradient."""
    none = np.empty((0, COUNT))
    result = np.empty((len(chosen), len(chosen)))
    for k, i in enumerate(chosen):
        size = 1e-5 * max(abs(theta[i]), 1e-3)
        sides = []
        for sign in (1.0, -1.0):
            moved, gradient = theta.copy(), np.empty(COUNT)
            moved[i] += sign * size
            likelihood(r, moved, gradient, none)
            sides.append(gradient[chosen])
        result[k] = (sides[0] - sides[1]) / (2.0 * size)
    symmetric: Floats = 0.5 * (result + result.T)
    return symmetric
