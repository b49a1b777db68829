"""One trained model at work on one series: what it is shown, what it says, which gates that passes, how it fares."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
import numpy as np

from libs.core.agents.artifact import ArtifactRefused
from libs.core.agents.base import Floats, Hold
from libs.core.agents.council_config import CouncilConfig
from libs.core.agents.drift import Stability
from libs.core.agents.drift_ladder import Ladder, Step
from libs.core.agents.model import Model, Said, Seen, calibrated
from libs.core.agents.packed import abstention
from libs.core.agents.referee import Duel
from libs.core.agents.tracks import Outcome, Probabilities, Reference, Track
from libs.core.agents.window import Tape
from libs.core.features import FeatureSet
from libs.core.types import SECOND, Abstention, Features

META: Final = "meta"
_CLASSES: Final = ("p_down", "p_neutral", "p_up")


@dataclass(slots=True)
class Tapes:
    """The newest closed bars of one series. `times`: open times in seconds; `seen`: bars ever written."""

    rows: Tape
    returns: Tape
    bars: Tape
    times: Tape
    row_bars: int
    most: int
    seen: int = 0

    def push(self, newest: Features, log_return: float, row: Floats) -> None:
        """Append a closed bar."""
        self.rows.push(row)
        self.returns.push(log_return)
        self.bars.push(np.array([newest.open, newest.high, newest.low, newest.close, newest.volume]))
        self.times.push(newest.bar_time // SECOND)
        self.seen += 1

    def look(self, rows: int, returns: int, bars: int, columns: Any) -> Seen:
        """The newest so many of each, for one series."""
        return Seen(
            rows=self.rows.newest(rows)[np.newaxis][:, :, columns],
            returns=self.returns.newest(returns)[:, 0][np.newaxis],
            bars=self.bars.newest(bars)[np.newaxis],
            time=(self.times.newest(1)[:, 0] * SECOND).astype(np.int64),
        )

    def whole(self, columns: Any) -> Seen:
        """All that there is."""
        bars = min(self.seen, self.most)
        return self.look(min(self.seen, self.row_bars), bars, bars, columns)


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a model says of one series after calibration; None, 0 or () where it says nothing of that kind."""

    p: Probabilities | None = None
    sigma: float = 0.0
    span: float = 0.0
    states: tuple[float, ...] = ()
    classes: tuple[float, ...] = ()
    novelty: float = 0.0

    @property
    def empty(self) -> bool:
        return self.p is None and not self.sigma and not self.states and not self.classes


SILENT: Final = Opinion()


class SavedSeat(msgspec.Struct, frozen=True, array_like=True):
    """A seat as bytes hold it."""

    sha256: str
    state: bytes
    track: Track
    ladder: Ladder
    duel: Duel
    stability: bytes


class Seat:
    """A model, its state on one series, and its record there."""

    def __init__(self, model: Model, sha256: str, features: FeatureSet, config: CouncilConfig) -> None:
        """Raises ArtifactRefused when it reads what this house does not have, or looks further back than it keeps."""
        self.model, self.sha256, self.manifest = model, sha256, model.manifest
        self.model_id = self.manifest.model_id
        self._config = config
        manifest = self.manifest
        if manifest.rows > config.row_bars or max(manifest.returns, manifest.bars) > config.bars:
            raise ArtifactRefused(
                f"it looks back further than {config.row_bars} vectors and {config.bars} bars are kept"
            )
        try:
            # The stacked model reads what others say, not features.
            names = () if manifest.agent == META else manifest.features
            self.columns = np.array([features.index(name) for name in names], dtype=np.intp)
            reference = manifest.params.get("psi")
            self._stability = Stability(manifest.features, reference) if reference else None
        except (KeyError, ValueError) as err:
            raise ArtifactRefused(str(err.args[0])) from None
        self.state: Floats = np.zeros(model.state_size)
        self.track, self.ladder, self.duel = Track(), Ladder(), Duel()
        self.reference = Reference(manifest.climatology, manifest.climatology_2c)
        self.opinion = SILENT
        self.lacks = 0
        self._off: float | None = None
        metrics = manifest.metrics
        if "calibration_side_gain" in metrics:
            known = [
                metrics[name] for name in ("calibration_side_gain", "calibration_side_gain_sd", "calibration_moves")
            ]
            self.track.seed(known[0], known[1], known[2], config.window_bars)
        if metrics.get("calibration_log_loss_sd", 0.0) > 0.0:
            self.ladder.refer(metrics["calibration_log_loss"], metrics["calibration_log_loss_sd"])

    def start(self, tapes: Tapes) -> None:
        """Begin from the bars that there are; what was expected of the next bar is forgotten."""
        self.state = np.zeros(self.model.state_size)
        if tapes.seen:
            self.model.start(self.state, tapes.whole(self.columns))
        self.track.expect(None)
        self.opinion = SILENT

    def try_out(self, tapes: Tapes) -> None:
        """Raises ArtifactRefused when the model cannot answer for the newest bar; the seat stays as it is."""
        try:
            state = np.zeros(self.model.state_size)
            if tapes.seen:
                self.model.start(state, tapes.whole(self.columns))
            self._read(self.model.say(state[np.newaxis], self._seen(tapes, {})))
        except Exception as err:  # whatever a foreign model does wrong, the one that serves goes on
            raise ArtifactRefused(f"it cannot answer: {type(err).__name__}: {err}") from err

    def hear(self, tapes: Tapes, votes: Mapping[str, Opinion] | None = None) -> None:
        """Take the newest bar (the stacked model: what the others think of it) and form an opinion of the next."""
        try:
            self.opinion = self._read(self.model.say(self.state[np.newaxis], self._seen(tapes, votes or {})))
        except (ValueError, RuntimeError, ArithmeticError, IndexError):
            self.opinion = SILENT
        self.lacks = max(self.manifest.rows, self.manifest.returns, self.manifest.bars) - tapes.seen
        if self.lacks > 0:
            self.opinion = SILENT
        self.track.expect(self.opinion.p, self.opinion.sigma)

    def settle(self, outcome: Outcome) -> float:
        """Judge what it said of the bar that closed; the loss, NaN when there is none."""
        self._off = None
        return self.track.settle(outcome, self.reference, self._config)

    def watch(self, loss: float, tapes: Tapes) -> Step | None:
        """Look for drift after a settled bar."""
        moved = None
        if self._stability is not None:
            moved = self._stability.take(tapes.rows.newest(1)[0][self.columns], self._config.psi_bars)
        return self.ladder.take(loss, self._miscalibrated(), moved, self._config)

    @property
    def in_force(self) -> bool:
        """Whether the calibrator is still believed."""
        return self.manifest.calibrator is not None and self._miscalibrated() <= self._config.max_ece

    @property
    def trust(self) -> float:
        """What its vote is multiplied by: 1, less for every bit of calibration error, half of that under drift."""
        return trust(self._miscalibrated(), self._config) * self.ladder.factor

    def fields(self, hold: Hold | None, warm: bool, usual: float) -> dict[str, Any]:
        """The fields of its forecast after the gates, in their order. `usual`: EWMA deviation of the series."""
        fields = self._gated(hold, warm) or self._spoken(self.opinion, usual)
        if self.manifest.calibrator is not None:
            fields |= {"calibrator": self.manifest.calibrator.id, "in_force": self.in_force}
        if self.track.scored >= self._config.min_scored:
            fields["ece"] = self.track.ece
        return fields

    def snapshot(self) -> SavedSeat:
        """All but the model itself."""
        stability = self._stability.snapshot() if self._stability else b""
        state = self.state.astype("<f8").tobytes()
        return SavedSeat(self.sha256, state, self.track, self.ladder, self.duel, stability)

    def restore(self, saved: SavedSeat) -> None:
        """Take up a snapshot. Raises ValueError when it is of another model."""
        if len(saved.state) != 8 * self.model.state_size:
            raise ValueError(f"a state that is not one of model {self.model_id}")
        self.state = np.frombuffer(saved.state, dtype="<f8").astype(np.float64)
        self.track, self.ladder, self.duel, self._off = saved.track, saved.ladder, saved.duel, None
        if self._stability is not None:
            self._stability.restore(saved.stability)

    def _seen(self, tapes: Tapes, votes: Mapping[str, Opinion]) -> Seen:
        manifest = self.manifest
        seen = tapes.look(manifest.rows, manifest.returns, manifest.bars, self.columns)
        if manifest.agent != META:
            return seen
        row = np.array([vote_value(name, votes) for name in manifest.features])
        return replace(seen, rows=row.reshape(1, 1, -1))

    def _miscalibrated(self) -> float:
        # Asked several times a bar, and the record changes once.
        if self._off is None:
            judged = self.track.scored >= self._config.min_scored
            self._off = self.track.miscalibration() if judged else 0.0
        return self._off

    def _read(self, said: Said) -> Opinion:
        p = None
        if said.p.size:
            if said.p.shape != (1, 3):
                raise ValueError(f"probabilities of shape {said.p.shape}")
            if np.isfinite(said.p).all():
                if said.p.min() < 0.0 or abs(said.p.sum() - 1.0) > 1e-6:
                    raise ValueError("probabilities that do not sum to 1")
                down, neutral, up = calibrated(said.p, self.manifest)[0].tolist()
                p = (down, neutral, up)
        novelty = _scalar(said.novelty)
        return Opinion(
            p, _positive(said.sigma), _positive(said.span), _row(said.states), _row(said.classes), novelty
        )  # fmt: skip

    def _gated(self, hold: Hold | None, warm: bool) -> dict[str, Any] | None:
        opinion = self.opinion
        if hold is not None:
            return abstention(hold.reason, hold.detail)
        if self.lacks > 0:
            return abstention(Abstention.WARMING_UP, f"{self.lacks} bars are missing in the model's window")
        if opinion.empty:
            reason = Abstention.MISSING_INPUT if warm else Abstention.WARMING_UP
            return abstention(reason, "an input of the model has no value")
        if opinion.novelty >= 1.0:
            return abstention(Abstention.OUT_OF_DISTRIBUTION, f"novelty {opinion.novelty:.2f}, 1 allowed")
        if self.ladder.silenced:
            return abstention(Abstention.DRIFT, "its losses drifted; it forecasts in shadow")
        if opinion.p is not None:
            edge = self.track.edge(self._config.edge_z)
            if not edge > 0.0:
                return abstention(Abstention.NO_EDGE, f"lower bound of the gain {edge * 1e3:.2f} millinats a move")
        return None

    def _spoken(self, opinion: Opinion, usual: float) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if opinion.classes:
            best = int(np.argmax(opinion.classes))
            names = self.manifest.params.get("classes") or ()
            name = names[best] if best < len(names) else f"class {best}"
            fields |= {"detail": f"{name} {opinion.classes[best]:.2f}", "confidence": _share(opinion.classes[best])}
        if opinion.sigma:
            scale = usual if usual > 0.0 else opinion.sigma
            nearness = 1.0 - abs(opinion.sigma - scale) / (opinion.sigma + scale)
            fields |= {"sigma": opinion.sigma, "confidence": nearness}
        if opinion.span:
            fields["span"] = opinion.span
        if opinion.states:
            state = int(np.argmax(opinion.states))
            fields |= {"state": state, "p_state": opinion.states, "confidence": _share(opinion.states[state])}
        if opinion.p is not None:
            down, neutral, up = opinion.p
            moving = down + up
            confidence = max(down, up) / moving if moving > 0.0 else 0.5
            fields |= {"p_down": down, "p_neutral": neutral, "p_up": up, "confidence": confidence}
        width = self.manifest.conformal[1] if len(self.manifest.conformal) > 1 else 0.0
        scale = opinion.sigma or usual
        if width > 0.0 and scale > 0.0 and math.isfinite(width * scale):
            fields |= {"low": -width * scale, "high": width * scale}
        return fields


def vote_value(name: str, votes: Mapping[str, Opinion]) -> float:
    """Input of a stacked model by its name, "<agent>.<p_down, p_neutral, p_up, sigma, span, state0, ...>"; NaN = none.

    Agents are read before their gates, as in training.
    """
    agent, _, what = name.partition(".")
    opinion = votes.get(agent, SILENT)
    if what in _CLASSES:
        return opinion.p[_CLASSES.index(what)] if opinion.p is not None else math.nan
    if what.startswith("state") and what[5:].isdigit():
        return opinion.states[int(what[5:])] if int(what[5:]) < len(opinion.states) else math.nan
    known = {"sigma": opinion.sigma, "span": opinion.span}.get(what, 0.0)
    return known if known > 0.0 else math.nan


def trust(miscalibration: float, config: CouncilConfig) -> float:
    """1 for a calibrated forecaster; a half at a calibration error of max_ece beyond chance, a fifth at twice that."""
    return 1.0 / (1.0 + (miscalibration / max(config.max_ece, 1e-6)) ** 2)


def _share(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def _scalar(values: Floats) -> float:
    value = float(values[0]) if values.size else 0.0
    return value if math.isfinite(value) else 0.0


def _positive(values: Floats) -> float:
    return max(_scalar(values), 0.0)


def _row(values: Floats) -> tuple[float, ...]:
    if not values.size or not np.isfinite(values[0]).all():
        return ()
    return tuple(float(value) for value in values[0])
