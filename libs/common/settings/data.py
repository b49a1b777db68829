"""Settings of market data and news: venues, symbols, bars, the quality of feeds, history, headlines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from libs.common.settings.sections import (
    APIS,
    BarInterval,
    CalendarName,
    CheckName,
    Interval,
    Seconds,
    Section,
    VenueName,
)
from libs.common.settings.sources import HistorySettings, PollerSettings, Schedule
from libs.core.bars import graded
from libs.core.types import ticks_in


class SymbolSettings(Section):
    """One symbol: `trade_intervals` are the bars on which strategies run (for example 1s, 5s)."""

    symbol: str = Field(min_length=1)
    trade_intervals: tuple[Interval, ...] = ("1s", "5s")
    calendar: CalendarName = Field(
        "", description="sessions of 1d and 1w bars: always, forex, us_stocks; empty = as usual at the venue"
    )


class VenueSettings(Section):
    """One venue. `endpoint` simulator (found or started through var/), live (the venue itself) or testnet.

    testnet is the venue's play money: Binance's testnet, Alpaca's paper trading, a demo account at Deriv.
    """

    name: VenueName
    api: str = Field("", description="the venue's wire protocol; empty = its usual one")
    endpoint: Literal["simulator", "live", "testnet"] = "simulator"
    urls: dict[str, str] = Field(default_factory=dict, description="overrides of the endpoint's URLs: ws, rest, ...")
    app_id: str = Field("", coerce_numbers_to_str=True, description="Deriv: your registered application")
    symbols: tuple[SymbolSettings, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _speaks_its_api(self) -> VenueSettings:
        known = APIS[self.name.partition(":")[0]]
        if self.api and self.api not in known:
            raise ValueError(f"api {self.api!r} is not spoken by {self.name}; it has: {', '.join(known)}")
        return self


class QualitySettings(Section):
    """When a check of a feed fails, and what that costs its score (1 minus the weighted checks failed in a minute)."""

    weights: dict[CheckName, Annotated[float, Field(ge=0, le=1)]] = Field(
        default_factory=dict, validate_default=True, description="check to its share of the score; absent = its default"
    )
    tolerated: dict[CheckName, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict,
        validate_default=True,
        description="check to the failures a minute that cost its whole weight; absent = its default",
    )
    outlier_mads: float = Field(10.0, ge=3, le=100, description="deviations (MAD) from the median that make an outlier")
    outlier_window: int = Field(240, ge=16, le=10_000, description="prints that median and MAD are taken of")
    outlier_floor_bp: float = Field(10.0, ge=0, le=1000, description="a nearer print is no outlier, basis points")
    outlier_confirm_s: Seconds = Field(1.0, description="quote or book may confirm a print so much later (data time)")
    continuity_bp: float = Field(100.0, gt=0, description="a bar may open so far from the close before, basis points")
    volume_factor: float = Field(50.0, gt=1, description="times the largest volume of the 120 bars before")
    clock_offset_ms: float = Field(500.0, gt=0, description="venue's clock against this machine's")
    clock_drift_ppm: float = Field(200.0, gt=0, description="how fast they part, millionths")
    reconcile_bp: float = Field(50.0, gt=0, description="two venues may differ so much on one symbol, basis points")
    reconcile_s: Seconds = Field(5.0, description="and more for no longer than this (data time)")

    @field_validator("weights")
    @classmethod
    def _every_weight(cls, given: dict[str, float]) -> dict[str, float]:
        return {check.value: grade.weight for check, grade in graded(given, {}).items()}

    @field_validator("tolerated")
    @classmethod
    def _every_tolerance(cls, given: dict[str, int]) -> dict[str, int]:
        return {check.value: grade.tolerated for check, grade in graded({}, given).items()}


class DataSettings(Section):
    """Market data: venues, bars and health."""

    venues: tuple[VenueSettings, ...] = Field(min_length=1)
    bar_intervals: tuple[BarInterval, ...] = ("1s", "5s", "1m", "5m", "15m", "1h")
    warmup_bars: int = Field(1100, ge=50, le=5000, description="bars of history asked for per symbol and interval")
    bar_timer_ms: int = Field(250, ge=0, le=60_000, description="a bar closes this long after its end without an event")
    tick_batch_ms: float = Field(5.0, ge=0, le=1000, description="ticks travel in batches of this many milliseconds")
    stale_after_s: Seconds = Field(10.0, description="no tick for this long (data time) makes a feed stale")
    instruments_every_s: Seconds = 3600.0
    book_levels: int = Field(10, ge=1, le=50)
    history: tuple[HistorySettings, ...] = ()
    history_at: Schedule = Field(
        "", description="crontab line (UTC) by which ingest updates the history; empty = never"
    )
    pollers: tuple[PollerSettings, ...] = ()
    quality: QualitySettings = QualitySettings()

    @model_validator(mode="after")
    def _has_bars_of_time(self) -> DataSettings:
        if all(map(ticks_in, self.bar_intervals)):
            raise ValueError("bar_intervals needs a length of time, for example 1s, beside the bars of prints")
        return self

    @model_validator(mode="after")
    def _each_venue_once(self) -> DataSettings:
        names = [venue.name for venue in self.venues]
        if len(set(names)) != len(names):
            raise ValueError("each venue may appear once")
        streamed = {(venue.name, row.symbol) for venue in self.venues for row in venue.symbols}
        if both := [row for row in self.pollers if (row.source, row.symbol) in streamed]:
            raise ValueError(f"pollers: {both[0].source} {both[0].symbol} is a stream of data.venues already")
        return self


class NewsSourceSettings(Section):
    """One source of headlines: a feed (rss, Atom too), a file that grows (jsonl), or one played again (replay)."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")
    kind: Literal["rss", "jsonl", "replay"]
    url: str = Field("", pattern=r"^(https?://\S+)?$", description="rss: where the feed is")
    path: Path | None = Field(None, description="jsonl, replay: one headline a line, as JSON")
    every_s: float = Field(300.0, ge=10, description="rss: it is asked this often, give or take a tenth")
    clock: str = Field("", description="replay: the venue whose data clock it follows; empty = the first one")

    @model_validator(mode="after")
    def _has_what_its_kind_reads(self) -> NewsSourceSettings:
        wanted, other = ("url", "path") if self.kind == "rss" else ("path", "url")
        if not getattr(self, wanted) or getattr(self, other):
            raise ValueError(f"a source of kind {self.kind} needs {wanted}, and no {other}")
        return self


class NewsSettings(Section):
    """Headlines: where they come from and which symbols they are about."""

    sources: tuple[NewsSourceSettings, ...] = ()
    symbols: dict[str, tuple[str, ...]] = Field(
        default_factory=lambda: {"BTC": ("bitcoin", "btc"), "ETH": ("ethereum", "ether", "eth")},
        description="asset or symbol to the words by which a headline is about it; whole words, case does not matter",
    )
    max_age_s: Seconds = Field(86_400.0, description="older headlines are left out when a source is first read")
    max_bytes: int = Field(2_000_000, ge=10_000, le=50_000_000, description="a larger feed is refused whole")

    @model_validator(mode="after")
    def _each_source_once(self) -> NewsSettings:
        names = [source.name for source in self.sources]
        if len(set(names)) != len(names):
            raise ValueError("each source needs a name of its own")
        if empty := [key for key, words in self.symbols.items() if not any(word.strip() for word in words)]:
            raise ValueError(f"symbols: {empty[0]} has no words")
        return self
