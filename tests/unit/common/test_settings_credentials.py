"""Which secrets open which venue, where they are found, and where a simulator is reached."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from libs.common.credentials import credentials_for
from libs.common.runtime import venue_urls
from libs.common.secrets import SecretError
from libs.common.settings import VenueSettings

NAMES = [
    *(f"DERIV_{end}" for end in ("TOKEN", "APP_ID", "ACCOUNT_ID")),
    *(f"{who}_{end}" for who in ("BINANCE", "ALPACA", "KRAKEN", "BROKER") for end in ("API_KEY", "SECRET_KEY")),
    "BINANCE_PRIVATE_KEY",
]


@pytest.fixture(autouse=True)
def nobody_gave_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)


def venue(name: str, endpoint: str = "live", **more: Any) -> VenueSettings:
    return VenueSettings.model_validate({"name": name, "endpoint": endpoint, "symbols": [{"symbol": "X"}], **more})


def simulator_in(var: Path) -> None:
    folder = var / "run" / "simulator"
    folder.mkdir(parents=True)
    facts = {
        "deriv_url": "ws://127.0.0.1:1/websockets/v3",
        "binance_rest_url": "http://127.0.0.1:2",
        "binance_ws_url": "ws://127.0.0.1:2",
        "token": "its-token",
        "key": "its-key",
        "secret": "its-secret",
    }
    (folder / "simulator.json").write_text(json.dumps(facts))


@pytest.mark.parametrize(
    ("name", "given", "found"),
    [
        ("deriv", {"DERIV_TOKEN": "t"}, {"token": "t"}),
        (
            "deriv",
            {"DERIV_TOKEN": "t", "DERIV_APP_ID": "a", "DERIV_ACCOUNT_ID": "DOT1"},
            {"token": "t", "app_id": "a", "account_id": "DOT1"},
        ),
        ("deriv", {"BROKER_API_KEY": "b", "BROKER_SECRET_KEY": "s"}, {"token": "b"}),
        ("binance", {"BINANCE_API_KEY": "k", "BINANCE_SECRET_KEY": "s"}, {"key": "k", "secret": "s"}),
        ("binance", {"BINANCE_API_KEY": "k", "BINANCE_PRIVATE_KEY": "p"}, {"key": "k", "private_key": "p"}),
        ("binance", {"BROKER_API_KEY": "k", "BROKER_SECRET_KEY": "s"}, {"key": "k", "secret": "s"}),
        # Half of one pair is never mixed with half of another.
        ("binance", {"BINANCE_API_KEY": "k", "BROKER_SECRET_KEY": "s"}, {"key": "k"}),
        ("alpaca", {"ALPACA_API_KEY": "k", "ALPACA_SECRET_KEY": "s"}, {"key": "k", "secret": "s"}),
        ("ccxt:kraken", {"KRAKEN_API_KEY": "k", "KRAKEN_SECRET_KEY": "s"}, {"key": "k", "secret": "s"}),
        ("ccxt:kraken", {"BINANCE_API_KEY": "k"}, {}),
    ],
)
def test_each_venue_reads_its_own_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, given: dict[str, str], found: dict[str, str]
) -> None:
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    assert credentials_for(venue(name), tmp_path) == found


def test_files_serve_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "BINANCE_API_KEY").write_text("k\n")
    (tmp_path / "pem").write_text("-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n")
    monkeypatch.setenv("BINANCE_PRIVATE_KEY_FILE", str(tmp_path / "pem"))
    found = credentials_for(venue("binance"), tmp_path)
    assert found["key"] == "k"
    assert found["private_key"].splitlines()[1] == "x"
    monkeypatch.setenv("BINANCE_PRIVATE_KEY_FILE", str(tmp_path / "absent"))
    with pytest.raises(SecretError, match="BINANCE_PRIVATE_KEY_FILE"):
        credentials_for(venue("binance"), tmp_path)


def test_the_configured_application_is_used_unless_the_environment_names_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert credentials_for(venue("deriv", app_id=777), tmp_path) == {"app_id": "777"}
    monkeypatch.setenv("DERIV_APP_ID", "888")
    assert credentials_for(venue("deriv", app_id=777), tmp_path) == {"app_id": "888"}


def test_what_opens_a_real_account_is_never_sent_to_the_simulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator_in(tmp_path)
    monkeypatch.setenv("DERIV_TOKEN", "real")
    own = {"token": "its-token", "key": "its-key", "secret": "its-secret"}
    assert credentials_for(venue("binance", "simulator"), tmp_path) == own
    assert credentials_for(venue("deriv", "simulator"), tmp_path) == {**own, "app_id": "1089"}
    assert credentials_for(venue("deriv", "live"), tmp_path)["token"] == "real"


@pytest.mark.parametrize(
    ("name", "api", "urls"),
    [
        ("deriv", "", {"ws": "ws://127.0.0.1:1/websockets/v3"}),
        (
            "deriv",
            "options",
            {"ws": "ws://127.0.0.1:1/trading/v1/options/ws", "rest": "http://127.0.0.1:1/trading/v1/options"},
        ),
        (
            "binance",
            "spot",
            {"rest": "http://127.0.0.1:2", "ws": "ws://127.0.0.1:2", "ws_api": "ws://127.0.0.1:2/ws-api/v3"},
        ),
        ("alpaca", "", {}),
    ],
)
def test_a_running_simulator_is_found(tmp_path: Path, name: str, api: str, urls: dict[str, str]) -> None:
    assert venue_urls(tmp_path, name, "simulator", {}, api) == {}
    simulator_in(tmp_path)
    assert venue_urls(tmp_path, name, "simulator", {}, api) == urls
    assert venue_urls(tmp_path, name, "live", {}, api) == {}
    assert venue_urls(tmp_path, name, "simulator", {"ws": "x"}, api) == urls | {"ws": "x"}
