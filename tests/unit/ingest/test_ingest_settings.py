"""Where ingest connects to, and what it says when it cannot know."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from libs.common.chassis import FatalError
from libs.common.settings import Settings
from libs.common.settings.data import QualitySettings
from libs.core.bars import GRADES
from libs.core.types import MILLISECOND, WEEK_S
from services.ingest.settings import IngestSettings, connect, endpoints_of
from services.ingest.venue import kv_key

ROOT = Path(__file__).parents[3]


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


def test_bars_of_prints_and_calendars_come_from_the_configuration(tmp_path: Path) -> None:
    rows = [{"symbol": "frxEURUSD"}, {"symbol": "R_100", "calendar": "us_stocks"}, {"symbol": "1HZ100V"}]
    config = settings(tmp_path, symbols=rows)
    data = config.data.model_copy(update={"bar_intervals": ("1s", "100t", "1w", "20t")})
    own = IngestSettings.of(config.model_copy(update={"data": data}))
    assert (own.intervals_s, own.tick_counts) == ((1, 5, WEEK_S), (20, 100))
    names = [own.calendar("deriv", row["symbol"]).name for row in rows]
    assert names == ["forex", "us_stocks", "always"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bar_intervals": ["7s"]}, "must divide a day"),
        ({"bar_intervals": ["2w"]}, "or be 1w"),
        ({"bar_intervals": ["1t", "1s"]}, "two prints or more"),
        ({"bar_intervals": ["100t"]}, "needs a length of time"),
        ({"quality": {"weights": {"gaps": 0.5}}}, "'gaps' is no check with a weight; there are: gap,"),
        ({"quality": {"weights": {"gap": 1.5}}}, "less than or equal to 1"),
        ({"quality": {"tolerated": {"late": 0}}}, "greater than or equal to 1"),
        ({"quality": {"outlier_mads": 1}}, "greater than or equal to 3"),
    ],
)
def test_what_cannot_be_built_or_weighed_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    raw = settings(tmp_path).model_dump()
    raw["data"] |= change
    with pytest.raises(ValidationError, match=re.escape(said)):
        Settings.model_validate(raw)


def test_a_strategy_does_not_run_on_bars_of_prints(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="is no interval"):
        settings(tmp_path, symbols=[{"symbol": "X", "trade_intervals": ["100t"]}])


def test_example_and_page_tell_the_grades_that_the_code_has() -> None:
    quality = yaml.safe_load((ROOT / "config.example.yaml").read_text())["data"]["quality"]
    grades = {check.value: tuple(grade) for check, grade in GRADES.items()}
    assert {name: (quality["weights"][name], quality["tolerated"][name]) for name in quality["weights"]} == grades
    defaults = QualitySettings().model_dump(exclude={"weights", "tolerated"})
    assert {name: quality[name] for name in defaults} == defaults
    rows = re.findall(r"^\| `(\w+)` \| .* \| ([\d.]+) \| (\d+) \|$", (ROOT / "docs/data.md").read_text(), re.MULTILINE)
    assert {name: (float(weight), int(most)) for name, weight, most in rows} == grades
