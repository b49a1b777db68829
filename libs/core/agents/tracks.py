"""How an agent's forecasts have come true of late: rolling losses, skill and calibration error.

Everything fades: bar k ago counts (1 - 1 / window)^k. What was gated is scored like what was said, so that an agent
that was silenced can earn its voice back.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import msgspec

from libs.core.agents.council_config import CouncilConfig

BINS: Final = 15
NEUTRAL: Final = 0.43
"""Half width of the neutral class in EWMA deviations, as in training."""
CHANCE: Final = 2.0
"""A calibration error up to twice what chance alone is expected to make is not held against anybody."""
FEWEST: Final = 30
"""Bars that moved before a mean of their gains has a bound worth anything."""
FLOOR: Final = 1e-6
"""No probability counts for less: one bar costs 13.8 nats at most."""

Probabilities = tuple[float, float, float]


class Outcome(NamedTuple):
    """What a forecast bar brought. `sigma`: EWMA deviation known when it was forecast."""

    log_return: float
    sigma: float

    @property
    def known(self) -> bool:
        """Whether anything can be judged by it: no hole before it, and a scale to judge by."""
        return math.isfinite(self.log_return) and math.isfinite(self.sigma) and self.sigma > 0.0

    @property
    def label(self) -> int:
        """0 down, 1 neutral, 2 up."""
        edge = NEUTRAL * self.sigma
        return 2 if self.log_return > edge else 0 if self.log_return < -edge else 1


class Reference(NamedTuple):
    """What a forecast is measured against: class shares, and the share of up among moves."""

    shares: Probabilities
    up: float


class Track(msgspec.Struct, array_like=True):
    """The record of one agent, or of one model, on one series.

    Sums are of fading weights; `side_*` are of bars that moved: the gain there is the log-loss of the reference's
    share of up less that of the forecast's, both given that the bar moves. Trading lives on that, while skill in three
    classes is mostly skill in the size of the move.
    """

    scored: int = 0
    weight: float = 0.0
    loss: float = 0.0
    reference_loss: float = 0.0
    brier: float = 0.0
    reference_brier: float = 0.0
    sides: float = 0.0
    side_squares: float = 0.0
    side_gain: float = 0.0
    side_gain2: float = 0.0
    bin_weight: list[float] = msgspec.field(default_factory=lambda: [0.0] * BINS)
    bin_confidence: list[float] = msgspec.field(default_factory=lambda: [0.0] * BINS)
    bin_right: list[float] = msgspec.field(default_factory=lambda: [0.0] * BINS)
    bin_squares: float = 0.0
    pending: Probabilities | None = None
    pending_sigma: float = 0.0

    def seed(self, gain: float, deviation: float, bars: float, window: int) -> None:
        """Begin with a record of another time: mean and deviation of the gain per bar that moved, on so many bars."""
        kept = min(bars, float(window))
        self.sides = self.side_squares = kept
        self.side_gain = kept * gain
        self.side_gain2 = kept * (deviation * deviation + gain * gain)

    def expect(self, p: Probabilities | None, sigma: float = 0.0) -> None:
        """Note what is forecast for the next bar; sigma 0 = none."""
        self.pending, self.pending_sigma = p, sigma

    def settle(self, outcome: Outcome, reference: Reference, config: CouncilConfig) -> float:
        """Judge what was expected; its loss (log-loss, or Gaussian without probabilities), NaN when there is none."""
        p, sigma = self.pending, self.pending_sigma
        self.pending, self.pending_sigma = None, 0.0
        if not outcome.known or (p is None and not sigma > 0.0):
            return math.nan
        self.scored += 1
        if p is None:
            return gaussian_loss(outcome.log_return, sigma) - gaussian_loss(outcome.log_return, outcome.sigma)
        loss = self._classes(p, outcome.label, reference, 1.0 - 1.0 / config.window_bars)
        self._calibration(p, outcome.label, 1.0 - 1.0 / config.calibration_bars)
        if outcome.log_return != 0.0:
            self._side(p, outcome.log_return > 0.0, reference.up, 1.0 - 1.0 / config.window_bars)
        return loss

    def _classes(self, p: Probabilities, label: int, reference: Reference, decay: float) -> float:
        loss = -math.log(max(p[label], FLOOR))
        self.weight = decay * self.weight + 1.0
        self.loss = decay * self.loss + loss
        self.reference_loss = decay * self.reference_loss - math.log(max(reference.shares[label], FLOOR))
        self.brier = decay * self.brier + brier(p, label)
        self.reference_brier = decay * self.reference_brier + brier(reference.shares, label)
        return loss

    def _side(self, p: Probabilities, rose: bool, reference_up: float, decay: float) -> None:
        total = p[0] + p[2]
        share = p[2] / total if total > 0.0 else 0.5
        ours, theirs = (share, reference_up) if rose else (1.0 - share, 1.0 - reference_up)
        gain = math.log(max(ours, FLOOR)) - math.log(max(theirs, FLOOR))
        self.sides = decay * self.sides + 1.0
        self.side_squares = decay * decay * self.side_squares + 1.0
        self.side_gain = decay * self.side_gain + gain
        self.side_gain2 = decay * self.side_gain2 + gain * gain

    def _calibration(self, p: Probabilities, label: int, decay: float) -> None:
        top = max(range(3), key=lambda k: p[k])
        bin_ = min(int(p[top] * BINS), BINS - 1)
        for i in range(BINS):
            self.bin_weight[i] *= decay
            self.bin_confidence[i] *= decay
            self.bin_right[i] *= decay
        self.bin_squares = decay * decay * self.bin_squares + 1.0
        self.bin_weight[bin_] += 1.0
        self.bin_confidence[bin_] += p[top]
        self.bin_right[bin_] += float(top == label)

    @property
    def mean_loss(self) -> float:
        """Rolling log-loss in nats, NaN before anything was scored."""
        return self.loss / self.weight if self.weight > 0.0 else math.nan

    @property
    def brier_skill(self) -> float:
        """1 - Brier / Brier of the reference over the window; 0 before anything was scored."""
        return 1.0 - self.brier / self.reference_brier if self.reference_brier > 0.0 else 0.0

    @property
    def ece(self) -> float | None:
        """Rolling calibration error of the likeliest class, equal-width bins; None before anything was scored."""
        total = sum(self.bin_weight)
        if total <= 0.0:
            return None
        gap = 0.0
        for right, confidence in zip(self.bin_right, self.bin_confidence, strict=True):
            gap += abs(right - confidence)
        return gap / total

    @property
    def ece_by_chance(self) -> float:
        """The calibration error to be expected of a perfectly calibrated forecaster on as many bars."""
        total = sum(self.bin_weight)
        if total <= 0.0:
            return 1.0
        # A fading window of total weight W carries the information of W^2 / (sum of squared weights) bars.
        bars_per_weight = total / self.bin_squares
        expected = 0.0
        for weight, confidence in zip(self.bin_weight, self.bin_confidence, strict=True):
            if weight > 1e-9:
                c = min(max(confidence / weight, 0.0), 1.0)
                expected += weight * math.sqrt(2.0 / math.pi * c * (1.0 - c) / max(weight * bars_per_weight, 1.0))
        return expected / total

    def miscalibration(self) -> float:
        """What of the rolling calibration error chance does not explain; 0 or more."""
        ece = self.ece
        return 0.0 if ece is None else max(0.0, ece - CHANCE * self.ece_by_chance)

    def edge(self, z: float) -> float:
        """Lower bound of the rolling gain in nats per bar that moved: mean less z standard errors.

        -infinity while fewer than FEWEST bars tell. The standard error goes by the effective number of bars,
        (sum of weights)^2 / sum of squared weights.
        """
        effective = self.sides * self.sides / self.side_squares if self.side_squares > 0.0 else 0.0
        if effective < FEWEST:
            return -math.inf
        mean = self.side_gain / self.sides
        variance = max(self.side_gain2 / self.sides - mean * mean, 1e-12)
        return mean - z * math.sqrt(variance / effective)


def brier(p: Probabilities, label: int) -> float:
    """Summed squared distance of the probabilities from what happened."""
    return sum((share - (1.0 if k == label else 0.0)) ** 2 for k, share in enumerate(p))


def gaussian_loss(value: float, sigma: float) -> float:
    """-ln of a centred normal density at `value`, less its constant."""
    return math.log(sigma) + 0.5 * (value / sigma) ** 2
