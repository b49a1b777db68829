"""The configuration says what is wrong with it: file, key path, what is allowed, what is near."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from libs.common.settings import ConfigError, load_settings

EXAMPLE = Path(__file__).parents[3] / "config.example.yaml"


def written(tmp_path: Path, change: dict[str, object]) -> Path:
    raw = yaml.safe_load(EXAMPLE.read_text())
    for path, value in change.items():
        at = raw
        *parents, last = path.split(".")
        for part in parents:
            at = at[int(part)] if part.isdigit() else at[part]
        at[last] = value
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(raw))
    return file


def test_the_example_is_valid_and_documents_every_setting() -> None:
    settings = load_settings(EXAMPLE)
    raw = yaml.safe_load(EXAMPLE.read_text())
    for section, model in settings:
        assert set(raw[section]) == set(type(model).model_fields), section


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"risk.cooldwn_s": 3}, ["risk.cooldwn_s", "did you mean 'cooldown_s'", "allowed here: risk_per_trade"]),
        ({"data.venues.0.name": "derv"}, ["data.venues[0].name", "did you mean 'deriv'", "ccxt:<exchange id>"]),
        ({"data.venues.0.name": "ccxt"}, ["data.venues[0].name", "for example ccxt:kraken"]),
        ({"data.venues.0.name": "ccxt:Kra ken"}, ["data.venues[0].name", "not 'ccxt:Kra ken'"]),
        ({"data.venues.0.api": "spot"}, ["data.venues[0]", "api 'spot' is not spoken by deriv", "v3, options"]),
        ({"trading.accounts.0.venue": "kraken"}, ["trading.accounts[0].venue", "must be deriv, binance"]),
        ({"trading.paper.latency_ms": -1}, ["trading.paper.latency_ms", "greater than or equal to 0", "not -1"]),
        ({"risk.risk_per_trade": 1.5}, ["risk.risk_per_trade", "less than or equal to 1"]),
        ({"data.bar_intervals": ["7x"]}, ["data.bar_intervals[0]", "'7x' is no interval"]),
        ({"risk.drawdown_scale_from": 0.2}, ["risk", "drawdown_scale_from must be below drawdown_halt_at"]),
        ({"trading.accounts.0.id": ""}, ["trading.accounts[0].id"]),
    ],
)
def test_a_mistake_is_named_with_its_place_and_remedy(
    tmp_path: Path, change: dict[str, object], said: list[str]
) -> None:
    file = written(tmp_path, change)
    with pytest.raises(ConfigError) as caught:
        load_settings(file)
    text = str(caught.value)
    assert str(file) in text
    for part in said:
        assert part in text


def test_an_exchange_behind_ccxt_is_named_by_its_id(tmp_path: Path) -> None:
    change = {"data.venues.1.name": "ccxt:kraken", "trading.accounts.1.venue": "ccxt:kraken"}
    settings = load_settings(written(tmp_path, change))
    assert settings.data.venues[1].name == settings.trading.accounts[1].venue == "ccxt:kraken"


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(written(tmp_path, {"risk.x": 1, "model.y": 2}))
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "empty"), ("- a\n", "not a mapping"), ("a: [1\n", "not valid YAML"), ("a: b: c\n", "line 1, column 5")],
)
def test_what_is_no_configuration_says_so(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_settings(file)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"copy config\.example\.yaml"):
        load_settings(tmp_path / "absent.yaml")


def test_the_environment_moves_the_folder_of_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONCLAVE_VAR", str(tmp_path))
    assert load_settings(EXAMPLE).platform.var == tmp_path
