"""What the configuration may say of history and polled sources."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from libs.common.settings import Settings
from libs.common.settings.sources import HistorySettings, moment

NOW = datetime(2024, 8, 5, 12, tzinfo=UTC)
ROW = {"source": "yahoo", "symbol": "SPY", "interval": "1d"}


def settings_with(**data: Any) -> Settings:
    venue = {"name": "binance", "symbols": [{"symbol": "BTCUSDT"}]}
    account = {"id": "a", "venue": "binance", "currency": "USDT"}
    return Settings.model_validate({"data": {"venues": [venue], **data}, "trading": {"accounts": [account]}})


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2024-08-01", datetime(2024, 8, 1, tzinfo=UTC)),
        ("2024-08-01T06:30", datetime(2024, 8, 1, 6, 30, tzinfo=UTC)),
        ("2024-08-01T06:30+02:00", datetime(2024, 8, 1, 4, 30, tzinfo=UTC)),
        ("12h", datetime(2024, 8, 5, tzinfo=UTC)),
        ("30d", datetime(2024, 7, 6, 12, tzinfo=UTC)),
        ("1w", datetime(2024, 7, 29, 12, tzinfo=UTC)),
    ],
)
def test_moments_in_all_their_spellings(text: str, meant: datetime) -> None:
    assert moment(text, NOW) == meant


@pytest.mark.parametrize("text", ["soon", "30", "30x", "2024-13-01", ""])
def test_what_is_no_moment_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="is no time; write 2024-08-05"):
        moment(text, NOW)
    with pytest.raises(ValidationError, match="is no time"):
        HistorySettings.model_validate({**ROW, "start": text})


def test_a_date_of_yaml_is_a_start() -> None:
    assert HistorySettings.model_validate({**ROW, "start": date(2024, 8, 5)}).start == "2024-08-05"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"history_at": "hourly"}, "is no crontab line"),
        ({"history": [{**ROW, "endpoint": "testnet"}]}, "simulator"),
        ({"history": [{**ROW, "sybol": "SPY"}]}, "sybol"),
        ({"pollers": [{**ROW, "every_s": 0}]}, "every_s"),
        ({"pollers": [{"source": "binance", "symbol": "BTCUSDT"}]}, "is a stream of data.venues already"),
    ],
)
def test_what_cannot_be_meant_is_refused(data: Any, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        settings_with(**data)


def test_another_symbol_of_a_streamed_venue_may_be_polled() -> None:
    settings = settings_with(
        pollers=[{"source": "binance", "symbol": "ETHUSDT"}], history_at="5 * * * *", history=[ROW]
    )
    assert settings.data.pollers[0].interval == "1m"
