"""Where ingest connects to, and what it says when it cannot know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from libs.common.chassis import FatalError
from libs.common.settings import Settings
from libs.core.types import MILLISECOND
from services.ingest.settings import IngestSettings, connect, endpoints_of
from services.ingest.venue import kv_key


def settings(var: Path, name: str = "deriv", **venue: Any) -> Settings:
    row = {"name": name, "symbols": [{"symbol": "X", "trade_intervals": ["2s", "5s"]}], **venue}
    account = {"id": "a", "venue": name, "currency": "USD"}
    return Settings.model_validate(
        {
            "data": {"venues": [row], "bar_intervals": ["1m", "5s"]},
            "trading": {"accounts": [account]},
            "platform": {"var": str(var)},
        }
    )


def test_bars_are_built_for_every_interval_that_strategies_run_on(tmp_path: Path) -> None:
    own = IngestSettings.of(settings(tmp_path))
    assert own.intervals_s == (2, 5, 60)
    assert own.bar_timer == 250 * MILLISECOND


def test_a_simulator_that_does_not_run_is_said_in_one_line_and_never_replaced_by_the_venue(tmp_path: Path) -> None:
    config = settings(tmp_path)
    with pytest.raises(FatalError) as caught:
        endpoints_of(config, config.data.venues[0])
    assert "conclave simulate" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("endpoint", ["live", "testnet"])
def test_the_venues_own_addresses_need_not_be_configured(tmp_path: Path, endpoint: str) -> None:
    config = settings(tmp_path, "binance", api="spot", endpoint=endpoint)
    assert endpoints_of(config, config.data.venues[0]) == {}
    assert connect(config, config.data.venues[0]).name == "binance"


def test_configured_addresses_win(tmp_path: Path) -> None:
    config = settings(tmp_path, "binance", api="spot", urls={"rest": "http://h:1", "ws": "ws://h:1"})
    assert endpoints_of(config, config.data.venues[0]) == {"rest": "http://h:1", "ws": "ws://h:1"}
    assert connect(config, config.data.venues[0]).name == "binance"


def test_a_wrong_address_is_one_line(tmp_path: Path) -> None:
    config = settings(tmp_path, urls={"wss": "ws://h:1"})
    with pytest.raises(FatalError, match=r"^deriv: "):
        connect(config, config.data.venues[0])


@pytest.mark.parametrize(
    ("symbol", "key"), [("BTCUSDT", "binance.BTCUSDT"), ("EUR/USD", "binance.EUR=2FUSD"), ("é.x", "binance.=C3=A9=2Ex")]
)
def test_instrument_keys_hold_only_what_a_bucket_allows(symbol: str, key: str) -> None:
    assert kv_key("binance", symbol) == key
    assert kv_key("ccxt:binance", symbol) == key.replace("binance", "ccxt=3Abinance")
