"""What one series keeps beside the models: usual class shares, records of those who learn online, and the joint one."""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec

from libs.core.agents.council_config import CouncilConfig
from libs.core.agents.council_seat import META, trust
from libs.core.agents.tracks import Outcome, Probabilities, Reference, Track
from libs.core.types import Forecast

MISSES: Final = 0.2
"""The interval should hold four returns in five."""
PACE: Final = 0.02
NORMAL_WIDTH: Final = 1.2816
"""Deviations that hold four in five of a normal distribution."""
PRIOR: Final = 30.0
"""Bars of even class shares that the usual shares begin with."""


class Room(msgspec.Struct, array_like=True):
    """Records of one series.

    sigma: EWMA deviation known at the newest bar. width: deviations that hold four returns in five: each miss widens
    it and each hit narrows it, so that the share of misses tends to MISSES whatever the distribution (Gibbs and
    Candès 2021, "Adaptive conformal inference under distribution shift", on the logarithm of the width).
    """

    sigma: float = math.nan
    shares: list[float] = msgspec.field(default_factory=lambda: [PRIOR / 3.0] * 3)
    ups: float = PRIOR / 2.0
    moves: float = PRIOR
    width: float = NORMAL_WIDTH
    scale: float = 0.0
    tracks: dict[str, Track] = msgspec.field(default_factory=dict)

    def settle(self, outcome: Outcome, config: CouncilConfig) -> None:
        """Judge what was said of the bar that closed, then let it count."""
        for track in self.tracks.values():
            track.settle(outcome, self.reference, config)
        if not outcome.known:
            self.scale = 0.0
            return
        if self.scale > 0.0:
            missed = abs(outcome.log_return) > self.width * self.scale
            self.width *= math.exp(PACE * ((1.0 if missed else 0.0) - MISSES))
            self.scale = 0.0
        decay = 1.0 - 1.0 / config.window_bars
        label = outcome.label
        self.shares = [decay * share + (1.0 if k == label else 0.0) for k, share in enumerate(self.shares)]
        if outcome.log_return != 0.0:
            self.ups = decay * self.ups + (1.0 if outcome.log_return > 0.0 else 0.0)
            self.moves = decay * self.moves + 1.0

    @property
    def reference(self) -> Reference:
        """Class shares of late."""
        total = sum(self.shares)
        down, neutral, up = (share / total for share in self.shares)
        return Reference((down, neutral, up), self.ups / self.moves)

    def expect(self, name: str, forecast: Forecast) -> None:
        """Note what an agent said of the next bar; only directions are kept book of."""
        if forecast.p_down is not None and forecast.p_neutral is not None and forecast.p_up is not None:
            track = self.tracks.setdefault(name, Track())
            track.expect((forecast.p_down, forecast.p_neutral, forecast.p_up))

    def expect_joint(self, p: Probabilities | None, scale: float) -> None:
        """Note the joint forecast, said or not, and the deviation that its interval was made of."""
        self.scale = scale
        if p is not None:
            self.tracks.setdefault(META, Track()).expect(p)

    def trust(self, name: str, config: CouncilConfig) -> float:
        """What the vote of an agent without a trained model is multiplied by."""
        track = self.tracks.get(name)
        if track is None or track.scored < config.min_scored:
            return 1.0
        return trust(track.miscalibration(), config)

    def edge(self, name: str, config: CouncilConfig) -> float:
        """Lower bound of the gain of what an online agent said; infinite while too few bars tell.

        Until then the agent's own gate holds.
        """
        track = self.tracks.get(name)
        edge = track.edge(config.edge_z) if track is not None else -math.inf
        return edge if math.isfinite(edge) else math.inf

    def record(self, config: CouncilConfig) -> dict[str, Any]:
        """What the joint forecast carries of its own record."""
        track = self.tracks.get(META)
        return {"ece": track.ece} if track is not None and track.scored >= config.min_scored else {}
