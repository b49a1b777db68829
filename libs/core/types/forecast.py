"""Feature vectors and the forecasts made from them."""

from __future__ import annotations

import struct
from enum import StrEnum

import msgspec

from libs.core.types.base import Event, Nanos


class Features(Event, tag="features.v1", frozen=True, kw_only=True):
    """One feature vector, known at `ts_event` (the bar's end).

    Attributes:
        set_hash: identity of the named, versioned feature list; a model refuses another.
        values: packed little-endian float64, in the order of the set; NaN while warming up.
        bar fields: the bar that closed, for strategies and stops (quote currency, base units).
        flags: the bar's flags. warm: every feature of the set is past its warm-up.
        ts_recv: machine clock at arrival of the message that closed the bar (0 when a timer did), ns.
    """

    venue: str
    symbol: str
    interval_s: int
    bar_time: Nanos
    set_hash: str
    values: bytes
    open: float
    high: float
    low: float
    close: float
    volume: float
    flags: int = 0
    warm: bool = True
    ts_recv: Nanos = 0

    def unpack(self) -> tuple[float, ...]:
        """The values as floats, in the order of the feature set."""
        return struct.unpack(f"<{len(self.values) // 8}d", self.values)


class Abstention(StrEnum):
    """The closed list of reasons for which an agent says nothing."""

    NO_MODEL = "no_model"
    WARMING_UP = "warming_up"
    STALE = "stale"
    UNHEALTHY_FEED = "unhealthy_feed"
    MISSING_INPUT = "missing_input"
    OUT_OF_DISTRIBUTION = "out_of_distribution"
    LOW_CONFIDENCE = "low_confidence"
    DISAGREEMENT = "disagreement"
    DRIFT = "drift"
    NO_EDGE = "no_edge"


class Vote(msgspec.Struct, frozen=True, kw_only=True):
    """One agent's share in a meta forecast: `weight` sums to 1 over the voters."""

    agent: str
    forecast_id: str
    weight: float
    p_up: float
    p_down: float


class Forecast(Event, tag="forecast.v1", frozen=True, kw_only=True):
    """What an agent says about the next bar, or why it says nothing.

    Attributes:
        abstention: reason, or None when it speaks.
        p_down, p_neutral, p_up: probabilities that sum to 1; None without a direction vote.
        sigma: forecast standard deviation of the next bar's log return; None when not forecast.
        span: forecast range of the next bar, ln(high / low); None when not forecast.
        low, high: the interval that should hold the next log return four times in five (conformal); None without one.
        magnitude: expected size of the next log return, signed by the likelier side; meta-agent only.
        risk: one line of the meta-agent on what could go wrong: regime, volatility against usual, disagreement.
        calibrator: what calibrated the probabilities, "" when nothing did; ece: calibration error over the newest
            scored bars, None before there are enough; in_force: the calibrator is still believed.
        shadow: it comes from a challenger; nobody acts on it.
        state, p_state: regime index and the filtered probabilities of all states; None when not a regime agent.
        confidence: 0 to 1.
        model_id: which model said so; feature_hash: the feature set it read.
        votes, disagreement: meta-agent only.
        latency_us: time spent in predicting, machine microseconds (no part in parity).
    """

    agent: str
    venue: str
    symbol: str
    interval_s: int
    bar_time: Nanos
    model_id: str
    feature_hash: str
    abstention: Abstention | None = None
    detail: str = ""
    p_down: float | None = None
    p_neutral: float | None = None
    p_up: float | None = None
    sigma: float | None = None
    state: int | None = None
    p_state: tuple[float, ...] | None = None
    confidence: float = 0.0
    votes: tuple[Vote, ...] = ()
    disagreement: float | None = None
    span: float | None = None
    low: float | None = None
    high: float | None = None
    magnitude: float | None = None
    risk: str = ""
    calibrator: str = ""
    ece: float | None = None
    in_force: bool = False
    shadow: bool = False
    latency_us: float = 0.0


class Scored(Event, tag="scored.v1", frozen=True, kw_only=True):
    """What a sentiment model made of one headline; `ts_event` is the headline's, its time of publication.

    Attributes:
        headline: id of the Headline. source, symbols: as the headline has them.
        score: -1 (bad news) to 1 (good news); None when it could not be scored, `detail` says why.
        p_down, p_neutral, p_up: class probabilities that sum to 1; None when it could not be scored.
        model_id: which model said so; "" when none did.
        latency_us: time spent in scoring, machine microseconds (no part in parity).
    """

    headline: str
    source: str
    symbols: tuple[str, ...] = ()
    score: float | None = None
    p_down: float | None = None
    p_neutral: float | None = None
    p_up: float | None = None
    model_id: str = ""
    detail: str = ""
    latency_us: float = 0.0


class Role(StrEnum):
    """What a model is to an agent."""

    CHAMPION = "champion"  # it speaks
    CHALLENGER = "challenger"  # it forecasts in shadow and is measured against the champion
    RETIRED = "retired"  # it does neither


class ModelSwap(Event, tag="model_swap.v1", frozen=True, kw_only=True):
    """A model takes a role at an agent, from the next bar of the series on. An input of the predict stage.

    Attributes:
        model_id: by its manifest; sha256: of the artifact's blob, under which the stage finds it.
        reason: why, in words. actor: who (a person, the trainer, the referee).
    """

    agent: str
    venue: str
    symbol: str
    interval_s: int
    role: Role
    model_id: str
    sha256: str
    reason: str = ""
    actor: str = ""


class NoteKind(StrEnum):
    """What is told of a model."""

    SWAPPED = "swapped"
    REFUSED = "refused"  # it does not match: another feature set, series or format, or it cannot be found
    PROMOTED = "promoted"  # a challenger won
    SHRUNK = "shrunk"  # first step of the drift ladder: its weight is halved
    SHADOWED = "shadowed"  # second: it forecasts in shadow only
    RETRAIN = "retrain"  # third: a new model is asked for
    RETIRED = "retired"  # fourth
    RECOVERED = "recovered"


class ModelNote(Event, tag="model_note.v1", frozen=True, kw_only=True):
    """What happened to a model, and the statistic that made it happen.

    `ts_event`: the bar's close from which it holds; of a swap when (machine time) the model got its role.
    """

    kind: NoteKind
    agent: str
    venue: str
    symbol: str
    interval_s: int
    model_id: str
    statistic: float = 0.0
    threshold: float = 0.0
    detail: str = ""


class TrainingState(StrEnum):
    """Where a training run stands."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"  # there is no new model of at least one agent; `line` says why


class Training(Event, tag="training.v1", frozen=True, kw_only=True):
    """How far the trainer is, for whoever watches; nobody acts on it. `ts_event`: machine time, ns UTC.

    Attributes:
        run: the run that it belongs to; agent, venue, symbol, interval_s: what is fitted now, "" and 0 when nothing is.
        done, failed, total: models made, models that could not be, and all that are wanted.
        left_s: estimate for the rest, seconds; 0 = unknown.
        line: the live loss, or what went wrong.
    """

    run: str
    state: TrainingState
    agent: str = ""
    venue: str = ""
    symbol: str = ""
    interval_s: int = 0
    done: int
    failed: int = 0
    total: int
    left_s: float = 0.0
    line: str = ""
