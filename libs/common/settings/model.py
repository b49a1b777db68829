"""Every setting with its unit, default and range; `config.example.yaml` documents the same names."""

from __future__ import annotations

import difflib
import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from libs.common.settings.sources import HistorySettings, PollerSettings, Schedule
from libs.core.bars import graded
from libs.core.bars.sessions import CALENDARS
from libs.core.types import interval_seconds, is_bar_length, ticks_in


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _interval(text: str) -> str:
    if not is_bar_length(interval_seconds(text)):
        raise ValueError(f"{text!r} is no length of a bar; it must divide a day (1s to 12h, 1d) or be 1w")
    return text


def _bar_interval(text: str) -> str:
    return text if ticks_in(text) else _interval(text)


def _calendar(name: str) -> str:
    if name not in ("", *CALENDARS):
        raise ValueError(f"{name!r} is no calendar; there are: {', '.join(CALENDARS)}; empty = the venue's usual one")
    return name


def _check(name: str) -> str:
    graded({name: 0.0}, {})
    return name


APIS: Final[dict[str, tuple[str, ...]]] = {
    "deriv": ("v3", "options"),
    "binance": ("spot",),
    "alpaca": ("stocks",),
    "ccxt": ("spot",),
}
"""Venue to the wire protocols that it speaks, the usual one first."""


def _venue(name: str) -> str:
    if name in APIS and name != "ccxt":
        return name
    library, _, exchange = name.partition(":")
    if library == "ccxt" and re.fullmatch(r"[a-z0-9]+", exchange):
        return name
    near = difflib.get_close_matches(name, APIS, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise ValueError(f"must be deriv, binance, alpaca or ccxt:<exchange id>, for example ccxt:kraken{hint}")


Interval = Annotated[str, AfterValidator(_interval)]
BarInterval = Annotated[str, AfterValidator(_bar_interval)]
CalendarName = Annotated[str, AfterValidator(_calendar)]
CheckName = Annotated[str, AfterValidator(_check)]
VenueName = Annotated[str, AfterValidator(_venue)]
Fraction = Annotated[Decimal, Field(gt=0, le=1)]
Seconds = Annotated[float, Field(gt=0)]
FeatureSetName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")]
Series = Annotated[str, Field(pattern=r"^[^/]+/.+$", description="source/series")]

OWN_SETS: Final = ("core20", "full")
"""Feature sets of the catalogue."""


class SymbolSettings(_Section):
    """One symbol: `trade_intervals` are the bars on which strategies run (for example 1s, 5s)."""

    symbol: str = Field(min_length=1)
    trade_intervals: tuple[Interval, ...] = ("1s", "5s")
    calendar: CalendarName = Field(
        "", description="sessions of 1d and 1w bars: always, forex, us_stocks; empty = as usual at the venue"
    )


class VenueSettings(_Section):
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


class QualitySettings(_Section):
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


class DataSettings(_Section):
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


class NewsSourceSettings(_Section):
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


class NewsSettings(_Section):
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


class RetentionSettings(_Section):
    """Days for which the store keeps what grows fastest, counted from the day on which it was stored."""

    ticks_days: int = Field(7, ge=1, description="ticks and quotes")
    book_days: int = Field(2, ge=1, description="top of the book, each 100 ms")
    bars_days: int = Field(365, ge=1, description="bars, live and from history")
    features_days: int = Field(2, ge=1, description="feature vectors; one of 250 values takes 3 KB")
    rollups_days: int = Field(3650, ge=1, description="bars rolled up from stored ones, by their own time")


class FeaturesSettings(_Section):
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


class SentimentSettings(_Section):
    """Headlines to a score, and the score to a forecast."""

    model: Path | None = Field(None, description="folder made by conclave train sentiment; empty = the lexicon")
    half_life_s: Seconds = Field(3600.0, description="data time in which a headline loses half its weight")
    stale_after_s: Seconds = Field(21_600.0, description="data time after which a headline counts no more")
    tilt: float = Field(0.5, ge=0, le=3, description="log odds of up over neutral at a score of 1")
    min_score: float = Field(0.05, ge=0, lt=1, description="a score nearer to zero says nothing (low_confidence)")
    budget_ms: float = Field(500.0, gt=0, description="a headline may take the worker this long before it is late")


class CouncilSettings(_Section):
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


class ModelSettings(_Section):
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


class TrainingSettings(_Section):
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


class StrategySettings(_Section):
    """One strategy. `symbols` empty means all; `params` are checked against the strategy's own schema."""

    name: Literal["ema_trend", "mean_revert"]
    enabled: bool = True
    symbols: tuple[str, ...] = ()
    intervals: tuple[Interval, ...] = ()
    params: dict[str, Any] = Field(default_factory=dict)


class AccountSettings(_Section):
    """One account: all limits hold per account, in its own currency."""

    id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")
    venue: VenueName
    currency: str = Field(pattern=r"^[A-Z]{3,6}$")
    capital: Decimal = Field(Decimal(10_000), gt=0, description="paper capital")
    product: Literal["multiplier", "rise_fall"] = Field("multiplier", description="Deriv, live: what is bought")
    duration: int = Field(5, ge=1, description="rise_fall: length of a contract in duration_unit")
    duration_unit: Literal["t", "s", "m", "h"] = Field("t", description="rise_fall: ticks, seconds, minutes, hours")


class PaperSettings(_Section):
    """The parts of the paper venue's costs, each under its own name."""

    latency_ms: float = Field(150.0, ge=0, description="acceptance to execution, data time")
    slippage_bps: Decimal = Field(Decimal("0.5"), ge=0, description="of the price, against the trader")
    spread_bps: Decimal = Field(Decimal("1"), ge=0, description="full spread assumed where the venue gives no quote")
    fee_bps: dict[str, Decimal] = Field(
        default_factory=lambda: {"binance": Decimal(10), "deriv": Decimal(0)},
        description="taker fee per side and venue; a multiplier's commission comes from the instrument",
    )


class TradingSettings(_Section):
    """Mode, accounts, strategies and the paper venue."""

    mode: Literal["paper", "live"] = "paper"
    accounts: tuple[AccountSettings, ...] = (
        AccountSettings(id="deriv-paper", venue="deriv", currency="USD"),
        AccountSettings(id="binance-paper", venue="binance", currency="USDT"),
    )
    strategies: tuple[StrategySettings, ...] = (
        StrategySettings(name="ema_trend"),
        StrategySettings(name="mean_revert"),
    )
    paper: PaperSettings = PaperSettings()
    permit_ttl_s: Seconds = Field(5.0, description="data time for which a permit is valid")
    equity_every_s: Seconds = Field(5.0, description="data time between two account states without a fill")
    reconcile_every_s: Seconds = Field(60.0, description="live: the ledger is compared with the venue this often")
    reconcile_again_s: Seconds = Field(
        3.0, description="live: a difference counts when it is there a second time this much later"
    )


class RiskSettings(_Section):
    """Limits, per account. Fractions are of equity."""

    risk_per_trade: Fraction = Decimal("0.02")
    max_open_risk: Fraction = Decimal("0.06")
    max_position: Fraction = Decimal("0.10")
    max_exposure: Fraction = Decimal("0.50")
    max_daily_loss: Fraction = Decimal("0.05")
    max_symbol_daily_loss: Fraction = Decimal("0.02")
    max_trades_per_day: int = Field(20, ge=1)
    drawdown_scale_from: Fraction = Field(Decimal("0.10"), description="sizes fall in a straight line from here")
    drawdown_halt_at: Fraction = Field(Decimal("0.15"), description="to zero here, where it halts and flattens")
    stop_fraction: Fraction = Field(Decimal("0.02"), description="fixed stop, fraction of the price")
    atr_stop: Decimal = Field(
        Decimal("2.0"), gt=0, description="stop distance in ATR; the nearer of both stops is used"
    )
    reward_to_risk: Decimal = Field(Decimal("2.0"), gt=0, description="target distance in stop distances")
    cooldown_s: float = Field(10.0, ge=0, description="data time between two entries on one symbol")
    min_health: float = Field(0.5, ge=0, le=1, description="below this feed score no new positions")
    max_price_age_s: Seconds = Field(5.0, description="older prices refuse a signal (bars: their interval is added)")
    max_slippage_bps: Decimal = Field(Decimal(20), ge=0, description="distance of a permit's worst price")
    min_edge_over_cost: Decimal = Field(
        Decimal("1.0"), ge=0, description="the move to the target must be this many times the round-trip cost; 0 = off"
    )

    @model_validator(mode="after")
    def _ordered(self) -> RiskSettings:
        if self.drawdown_scale_from >= self.drawdown_halt_at:
            raise ValueError("drawdown_scale_from must be below drawdown_halt_at")
        return self


class PlatformSettings(_Section):
    """Where the plumbing is. Empty URLs mean: take what the running embedded stack wrote into `var`."""

    var: Path = Path("var")
    nats_url: str = ""
    database_url: str = ""
    http_host: str = "127.0.0.1"
    http_ports: dict[str, int] = Field(default_factory=dict, description="service name to port; absent = a free one")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_file_mb: int = Field(20, ge=1, le=1000)
    log_files: int = Field(3, ge=1, le=50)
    ready_timeout_s: Seconds = 60.0


class Settings(_Section):
    """The whole configuration file."""

    data: DataSettings
    news: NewsSettings = NewsSettings()
    features: FeaturesSettings = FeaturesSettings()
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    trading: TradingSettings = TradingSettings()
    risk: RiskSettings = RiskSettings()
    platform: PlatformSettings = PlatformSettings()

    @property
    def spends_real_money(self) -> bool:
        """Whether orders go to anything but the simulator."""
        endpoints = {venue.name: venue.endpoint for venue in self.data.venues}
        live = self.trading.mode == "live"
        return live and any(endpoints[account.venue] != "simulator" for account in self.trading.accounts)

    @property
    def market_age_s(self) -> float | None:
        """How long the stream of raw prices may keep them, seconds; None where no venue's terms say anything."""
        deriv = any(venue.name.partition(":")[0] == "deriv" for venue in self.data.venues)
        return self.features.deriv_ticks_hours * 3_600 if deriv else None

    @model_validator(mode="after")
    def _features_come_from_symbols(self) -> Settings:
        symbols = {venue.name: {entry.symbol for entry in venue.symbols} for venue in self.data.venues}
        for venue, symbol in self.features.leader.items():
            if venue in symbols and symbol not in symbols[venue]:
                raise ValueError(f"features.leader: data.venues has no {symbol!r} at {venue!r}")
        for section in ("funding", "basis"):
            for key in getattr(self.features, section):
                venue, _, symbol = key.partition("/")
                if venue in symbols and symbol not in symbols[venue]:
                    raise ValueError(f"features.{section}: data.venues has no {symbol!r} at {venue!r}")
        return self

    @model_validator(mode="after")
    def _accounts_have_venues(self) -> Settings:
        venues = {venue.name for venue in self.data.venues}
        for account in self.trading.accounts:
            if account.venue not in venues:
                raise ValueError(
                    f"trading.accounts: account {account.id!r} is at {account.venue!r}, which data.venues lacks"
                )
        return self
