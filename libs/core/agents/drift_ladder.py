"""What follows when a model drifts: half its weight, then silence, then a call for a new one, then it goes.

Each alarm is one step, at most one per `drift_pause` bars. Inputs that moved alone never lead beyond the first step and
a calibration that was lost never beyond the second: only losses can cost a model its place.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import msgspec

from libs.core.agents.council_config import CouncilConfig
from libs.core.agents.drift import Adwin, PageHinkley
from libs.core.types import NoteKind

SHRINK, SHADOW, RETRAIN, RETIRE = 1, 2, 3, 4
KINDS: Final = {
    SHRINK: NoteKind.SHRUNK,
    SHADOW: NoteKind.SHADOWED,
    RETRAIN: NoteKind.RETRAIN,
    RETIRE: NoteKind.RETIRED,
}
STAYS_Z: Final = 3.0
"""A recent mean loss so many standard errors above the reference is still drift; both means are estimates."""
LOST: Final = 2.0
"""A calibrator is out of force from max_ece on; from so many times that on it is drift."""


class Step(NamedTuple):
    """One step of the ladder, or the way back."""

    kind: NoteKind
    statistic: float
    threshold: float
    detail: str


class Alarm(NamedTuple):
    """What a detector said. `most`: the highest step that it can lead to."""

    statistic: float
    threshold: float
    detail: str
    most: int


class Ladder(msgspec.Struct, array_like=True):
    """Where one model stands on the ladder. The reference of its loss is the manifest's, or its own first bars."""

    level: int = 0
    since_step: int = 0
    quiet: int = 0
    bars: int = 0
    mean: float = 0.0
    squares: float = 0.0
    deviation: float = 0.0
    recent: float = 0.0
    recent_weight: float = 0.0
    adwin: Adwin = msgspec.field(default_factory=Adwin)
    page: PageHinkley = msgspec.field(default_factory=PageHinkley)

    def refer(self, mean: float, deviation: float) -> None:
        """Measure losses against this mean and deviation instead of the first bars'."""
        self.mean, self.deviation = mean, deviation

    @property
    def factor(self) -> float:
        """What the model's vote is multiplied by."""
        return 1.0 if self.level == 0 else 0.5

    @property
    def silenced(self) -> bool:
        """Whether it forecasts in shadow only."""
        return self.level >= SHADOW

    def take(self, loss: float, miscalibrated: float, moved: float | None, config: CouncilConfig) -> Step | None:
        """One bar: the loss (NaN = none), the unexplained calibration error, the stability index when there is one."""
        alarm = self._inputs(moved, config)
        if math.isfinite(loss):
            alarm = self._loss(loss, config) or alarm
        lost = LOST * config.max_ece
        if alarm is None and miscalibrated > lost:
            alarm = Alarm(miscalibrated, lost, "calibration error beyond chance", SHADOW)
        self.since_step += 1
        if alarm is None:
            self.quiet += 1
            return self._recovered(config)
        self.quiet = 0
        if self.level >= alarm.most or (self.level and self.since_step < config.drift_pause):
            return None
        self.level += 1
        self.since_step = 0
        return Step(KINDS[self.level], alarm.statistic, alarm.threshold, alarm.detail)

    def _recovered(self, config: CouncilConfig) -> Step | None:
        if not self.level or self.quiet < config.drift_recover:
            return None
        self.level = self.since_step = 0
        return Step(NoteKind.RECOVERED, float(self.quiet), float(config.drift_recover), "bars without an alarm")

    def _inputs(self, moved: float | None, config: CouncilConfig) -> Alarm | None:
        if moved is None or moved <= config.psi_limit:
            return None
        return Alarm(moved, config.psi_limit, "median stability index of the inputs", SHRINK)

    def _loss(self, loss: float, config: CouncilConfig) -> Alarm | None:
        if self.deviation <= 0.0:
            self._learn_reference(loss, config)
            return None
        value = (loss - self.mean) / self.deviation
        decay = 1.0 - 1.0 / config.drift_pause
        self.recent = decay * self.recent + value
        self.recent_weight = decay * self.recent_weight + 1.0
        change, statistic = self.adwin.take(value), self.page.take(value)
        if change > 0.0:
            return Alarm(change, 0.0, "loss rose by so many deviations (ADWIN)", RETIRE)
        if statistic > 0.0:
            return Alarm(statistic, self.page.threshold, "excess of loss (Page-Hinkley)", RETIRE)
        known = self.bars or 10 * config.drift_memory
        limit = STAYS_Z * math.sqrt(0.5 / config.drift_pause + 1.0 / known)
        stays = self.recent / self.recent_weight
        if self.level and self.since_step >= config.drift_pause and stays > limit:
            return Alarm(stays, limit, "loss stays so many deviations above its reference", RETIRE)
        return None

    def _learn_reference(self, loss: float, config: CouncilConfig) -> None:
        self.bars += 1
        step = loss - self.mean
        self.mean += step / self.bars
        self.squares += step * (loss - self.mean)
        if self.bars >= config.drift_memory:
            self.deviation = max(math.sqrt(self.squares / self.bars), 1e-9)
