"""Which arms have a passing verdict on record: the newest counts, while it lasts, and rubbish for nothing."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from libs.common.evidence import FOLDER, Arm, EvidenceVerdict, configured_arms, only_arms, passing_arms
from libs.common.settings import ConfigError, Settings

DAY = 86_400 * 10**9
NOW = 20_000 * DAY


def settings(*strategies: dict[str, object]) -> Settings:
    return Settings.model_validate(
        {
            "data": {
                "venues": [
                    {
                        "name": "binance",
                        "api": "spot",
                        "symbols": [
                            {"symbol": "BTCUSDT", "trade_intervals": ["5s", "1m"]},
                            {"symbol": "ETHUSDT", "trade_intervals": ["1m"]},
                        ],
                    }
                ]
            },
            "trading": {
                "accounts": [{"id": "one", "venue": "binance", "currency": "USDT"}],
                "strategies": list(strategies),
            },
        }
    )


def put(var: Path, name: str, arm: Arm, *, passed: bool, made: int = NOW - DAY, expires: int = NOW + DAY) -> None:
    (var / FOLDER).mkdir(exist_ok=True)
    verdict = EvidenceVerdict(arm=arm, passed=passed, reason="test", made=made, expires=expires)
    (var / FOLDER / f"{name}.json").write_bytes(msgspec.json.encode(verdict))


def test_arms_are_every_strategy_on_every_symbol_and_interval_it_covers() -> None:
    arms = configured_arms(
        settings(
            {"name": "ema_trend", "symbols": ["BTCUSDT"]},
            {"name": "mean_revert", "intervals": ["1m"]},
            {"name": "ema_trend", "enabled": False},
        )
    )
    assert [(arm.strategy, arm.symbol, arm.interval) for arm in arms] == [
        ("ema_trend", "BTCUSDT", "5s"),
        ("ema_trend", "BTCUSDT", "1m"),
        ("mean_revert", "BTCUSDT", "1m"),
        ("mean_revert", "ETHUSDT", "1m"),
    ]


def test_other_parameters_are_another_arm() -> None:
    plain = configured_arms(settings({"name": "ema_trend"}))
    tuned = configured_arms(settings({"name": "ema_trend", "params": {"fast": 5}}))
    assert not set(plain) & set(tuned)


def test_a_wrong_parameter_is_named_with_its_path() -> None:
    with pytest.raises(ConfigError, match=r"trading\.strategies\[0\]\.params"):
        configured_arms(settings({"name": "ema_trend", "params": {"fst": 5}}))


def test_nothing_passes_without_a_verdict(tmp_path: Path) -> None:
    assert passing_arms(configured_arms(settings({"name": "ema_trend"})), tmp_path, NOW) == []


def test_the_newest_verdict_counts_while_it_lasts(tmp_path: Path) -> None:
    first, second, third = configured_arms(settings({"name": "ema_trend"}))
    put(tmp_path, "a", first, passed=True, made=NOW - 2 * DAY)
    put(tmp_path, "b", first, passed=False, made=NOW - DAY)
    put(tmp_path, "c", second, passed=True, expires=NOW)
    put(tmp_path, "d", third, passed=True)
    assert passing_arms([first, second, third], tmp_path, NOW) == [third]
    put(tmp_path, "e", first, passed=True, made=NOW - DAY + 1)
    assert passing_arms([first, second, third], tmp_path, NOW) == [first, third]
    put(tmp_path, "f", first, passed=True, made=NOW + 1)
    assert passing_arms([first], tmp_path, NOW) == [], "a verdict of the future proves nothing"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"passed":true}'])
def test_rubbish_proves_nothing(tmp_path: Path, content: bytes) -> None:
    arms = configured_arms(settings({"name": "ema_trend"}))
    put(tmp_path, "good", arms[0], passed=True)
    (tmp_path / FOLDER / "bad.json").write_bytes(content)
    assert passing_arms(arms, tmp_path, NOW) == [arms[0]]


def test_switching_on_some_arms_leaves_exactly_those() -> None:
    whole = settings({"name": "ema_trend"}, {"name": "mean_revert", "params": {}})
    arms = configured_arms(whole)
    chosen = [arms[0], arms[4]]
    assert configured_arms(only_arms(whole, chosen)) == chosen
    assert configured_arms(only_arms(whole, [])) == []
