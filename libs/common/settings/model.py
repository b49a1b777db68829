"""Every setting with its unit, default and range; `config.example.yaml` documents the same names."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from libs.common.settings.data import (
    DataSettings,
    NewsSettings,
)
from libs.common.settings.learning import (
    FeaturesSettings,
    ModelSettings,
    TrainingSettings,
)
from libs.common.settings.sections import Fraction, Interval, Seconds, Section, VenueName


class StrategySettings(Section):
    """One strategy. `symbols` empty means all; `params` are checked against the strategy's own schema."""

    name: Literal["ema_trend", "mean_revert"]
    enabled: bool = True
    symbols: tuple[str, ...] = ()
    intervals: tuple[Interval, ...] = ()
    params: dict[str, Any] = Field(default_factory=dict)


class AccountSettings(Section):
    """One account: all limits hold per account, in its own currency."""

    id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")
    venue: VenueName
    currency: str = Field(pattern=r"^[A-Z]{3,6}$")
    capital: Decimal = Field(Decimal(10_000), gt=0, description="paper capital")
    product: Literal["multiplier", "rise_fall"] = Field("multiplier", description="Deriv, live: what is bought")
    duration: int = Field(5, ge=1, description="rise_fall: length of a contract in duration_unit")
    duration_unit: Literal["t", "s", "m", "h"] = Field("t", description="rise_fall: ticks, seconds, minutes, hours")


class PaperSettings(Section):
    """The parts of the paper venue's costs, each under its own name."""

    latency_ms: float = Field(150.0, ge=0, description="acceptance to execution, data time")
    slippage_bps: Decimal = Field(Decimal("0.5"), ge=0, description="of the price, against the trader")
    spread_bps: Decimal = Field(Decimal("1"), ge=0, description="full spread assumed where the venue gives no quote")
    fee_bps: dict[str, Decimal] = Field(
        default_factory=lambda: {"binance": Decimal(10), "deriv": Decimal(0)},
        description="taker fee per side and venue; a multiplier's commission comes from the instrument",
    )


class TradingSettings(Section):
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


class RiskSettings(Section):
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


class PlatformSettings(Section):
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


class Settings(Section):
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
