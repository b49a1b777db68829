"""Settings of features, agents and training."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from libs.common.settings.sections import OWN_SETS, FeatureSetName, Seconds, Section, Series, VenueName
from libs.common.settings.sources import Schedule


class RetentionSettings(Section):
    """Days for which the store keeps what grows fastest, counted from the day on which it was stored."""

    ticks_days: int = Field(7, ge=1, description="ticks and quotes")
    book_days: int = Field(2, ge=1, description="top of the book, each 100 ms")
    bars_days: int = Field(365, ge=1, description="bars, live and from history")
    features_days: int = Field(2, ge=1, description="feature vectors; one of 250 values takes 3 KB")
    rollups_days: int = Field(3650, ge=1, description="bars rolled up from stored ones, by their own time")


class FeaturesSettings(Section):
    """The feature set that travels, and what is archived."""

    set: str = Field("full", description="core20 (small), full (the whole catalogue) or one of `sets`")
    sets: dict[FeatureSetName, tuple[str, ...]] = Field(
        default_factory=dict, description="sets of one's own: name to entries such as sma(n=50), macd:macd_line"
    )
    files: tuple[Path, ...] = Field((), description="Python files that declare features of one's own")
    leader: dict[VenueName, str] = Field(
        default_factory=dict, description="venue to the symbol whose last bar its other symbols read"
    )
    outside: tuple[Series, ...] = Field((), max_length=4, description="outside series read by every symbol")
    funding: dict[str, Series] = Field(default_factory=dict, description="venue/symbol to its funding rate")
    basis: dict[str, Series] = Field(default_factory=dict, description="venue/symbol to its basis")
    archive: bool = Field(True, description="write ticks, bars and features to the store")
    archive_batch_rows: int = Field(5000, ge=100, le=100_000)
    archive_flush_s: Seconds = 0.5
    retention_days: int = Field(30, ge=1, description="decisions and equity older than this are dropped")
    retention: RetentionSettings = RetentionSettings()
    deriv_ticks_hours: float = Field(
        24, gt=0.25, description="raw Deriv ticks are kept this long (their terms), in the store and in the stream"
    )

    @property
    def entries(self) -> tuple[str, ...]:
        """What the chosen set is made of; () when it is one of the catalogue's own."""
        return self.sets.get(self.set, ())

    @property
    def paths(self) -> tuple[str, ...]:
        """The files with features of one's own, whole paths."""
        return tuple(str(path.absolute()) for path in self.files)

    @model_validator(mode="after")
    def _the_set_is_there(self) -> FeaturesSettings:
        if taken := [name for name in self.sets if name in OWN_SETS]:
            raise ValueError(f"sets: {taken[0]!r} is a set of the catalogue; choose another name")
        if empty := [name for name, entries in self.sets.items() if not entries]:
            raise ValueError(f"sets: {empty[0]!r} is empty")
        known = (*OWN_SETS, *self.sets)
        if self.set not in known:
            raise ValueError(f"set {self.set!r} is not known; there are {', '.join(known)}")
        if missing := [str(path) for path in self.files if not path.is_file()]:
            raise ValueError(f"files: {missing[0]} is no file")
        return self


class SentimentSettings(Section):
    """Headlines to a score, and the score to a forecast."""

    model: Path | None = Field(None, description="folder made by conclave train sentiment; empty = the lexicon")
    half_life_s: Seconds = Field(3600.0, description="data time in which a headline loses half its weight")
    stale_after_s: Seconds = Field(21_600.0, description="data time after which a headline counts no more")
    tilt: float = Field(0.5, ge=0, le=3, description="log odds of up over neutral at a score of 1")
    min_score: float = Field(0.05, ge=0, lt=1, description="a score nearer to zero says nothing (low_confidence)")
    budget_ms: float = Field(500.0, gt=0, description="a headline may take the worker this long before it is late")


class CouncilSettings(Section):
    """How trained models are judged while they serve."""

    combine: Literal["simple", "confidence", "learned"] = Field(
        "learned", description="how votes are joined; learned = the stacked model where one serves, else confidence"
    )
    conflict: Literal["abstain", "best"] = Field("abstain", description="what too much disagreement leads to")
    window_bars: int = Field(5000, ge=200, description="skill counts over about so many newest bars")
    calibration_bars: int = Field(1000, ge=100, description="calibration error counts over about so many newest bars")
    edge_z: float = Field(1.645, ge=0, le=5, description="a model speaks when skill less so many errors is above zero")
    max_ece: float = Field(0.02, gt=0, le=0.2, description="a calibrator is in force up to this error beyond chance")
    challengers: int = Field(3, ge=1, le=5, description="most models in shadow per agent and series")
    false_promotion: float = Field(0.05, gt=0, le=0.5, description="chance of promoting a model that is no better")
    foreign_models: bool = Field(False, description="a model of another symbol or bar length may serve")


class ModelSettings(Section):
    """Agents and the meta-agent."""

    agents: tuple[
        Literal["volatility", "direction", "regime", "trend", "pattern", "boosting", "digits", "sentiment"], ...
    ] = ("volatility", "direction", "regime")
    min_confidence: float = Field(0.55, ge=0.5, le=1, description="the meta-agent speaks from here")
    max_disagreement: float = Field(0.40, ge=0, le=1, description="share of weight outside the majority")
    min_health: float = Field(0.7, ge=0, le=1, description="below this feed score agents abstain")
    sentiment: SentimentSettings = SentimentSettings()
    council: CouncilSettings = CouncilSettings()
    store: str = Field("bus", min_length=1, description="models: bus, a folder, or s3+https://host/bucket/prefix")
    store_region: str = Field("us-east-1", description="region in the signatures, where the store is S3")

    @model_validator(mode="after")
    def _the_store_is_one(self) -> ModelSettings:
        if "://" in self.store and not re.fullmatch(r"s3\+https?://[^/?#]+/[^/?#]+(/[^?#]*)?", self.store):
            raise ValueError("store must be bus, a folder, or s3+https://host/bucket or .../bucket/prefix")
        return self


Trained = Literal["trend", "volatility", "pattern", "regime", "boosting", "meta"]


class TrainingSettings(Section):
    """Fitting: of the online agents on the warm-up history, of the council by the train service."""

    min_bars: int = Field(200, ge=50, description="agents abstain (warming_up) until they have seen this many bars")
    learning_rate: float = Field(0.05, gt=0, le=1, description="step of the online direction model")
    l2: float = Field(1e-3, ge=0, description="ridge of the online direction model")
    agents: tuple[Trained, ...] = Field(
        ("volatility", "regime", "boosting", "trend", "pattern", "meta"),
        description="what is trained, in this order; [] = none",
    )
    params: dict[Trained, dict[str, Any]] = Field(
        default_factory=dict, description="agent to settings of its model that differ from the preset's"
    )
    preset: Literal["quick", "default", "full"] = Field("default", description="seconds, minutes or hours a series")
    at_start: bool = Field(True, description="train what has no champion yet when the service starts")
    schedule: Schedule = Field("", description="crontab line (UTC) by which all are trained again; empty = never")
    on_drift: bool = Field(True, description="train an agent again when the drift ladder asks for it")
    bars: int = Field(20_000, ge=1500, le=500_000, description="newest bars of history that are learnt from")
    threads: int = Field(1, ge=1, le=64, description="processor threads of the fitting process, which is niced")
    seed: int = Field(17, ge=0)
