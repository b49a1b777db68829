"""The configuration: one frozen, validated model per section, loaded once at start."""

from libs.common.settings.data import DataSettings, SymbolSettings, VenueSettings
from libs.common.settings.errors import ConfigError
from libs.common.settings.learning import FeaturesSettings, ModelSettings, TrainingSettings
from libs.common.settings.load import load_settings
from libs.common.settings.model import (
    AccountSettings,
    PaperSettings,
    PlatformSettings,
    RiskSettings,
    Settings,
    StrategySettings,
    TradingSettings,
)

__all__ = [
    "AccountSettings",
    "ConfigError",
    "DataSettings",
    "FeaturesSettings",
    "ModelSettings",
    "PaperSettings",
    "PlatformSettings",
    "RiskSettings",
    "Settings",
    "StrategySettings",
    "SymbolSettings",
    "TradingSettings",
    "TrainingSettings",
    "VenueSettings",
    "load_settings",
]
