"""From the configuration to the stage's config, and what live trading asks for before it starts."""

from __future__ import annotations

import json
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from libs.common.chassis import FatalError
from libs.common.settings import AccountSettings, Settings, load_settings
from libs.core.types import Mode
from services.execute.settings import CONFIRM, execute_config, live_tradings

DERIV = (AccountSettings(id="d", venue="deriv", currency="USD"),)


def settings(endpoint: str = "simulator", **trading: Any) -> Settings:
    """The example configuration, changed."""
    read = load_settings(Path(__file__).parents[3] / "config.example.yaml")
    venues = tuple(venue.model_copy(update={"endpoint": endpoint}) for venue in read.data.venues)
    return read.model_copy(
        update={
            "data": read.data.model_copy(update={"venues": venues}),
            "trading": read.trading.model_copy(update=trading),
        }
    )


def simulator_in(var: Path) -> None:
    """What a running simulator says of itself."""
    folder = var / "run" / "simulator"
    folder.mkdir(parents=True)
    (folder / "simulator.json").write_text(json.dumps({"deriv_url": "ws://127.0.0.1:1", "token": "t"}))


def test_the_example_configuration_gives_two_paper_accounts() -> None:
    config = execute_config(settings(), {})
    assert config.mode is Mode.PAPER
    assert [(a.id, a.currency, a.capital) for a in config.accounts] == [
        ("deriv-paper", "USD", D(10_000)),
        ("binance-paper", "USDT", D(10_000)),
    ]
    assert config.costs.fee_bps["binance"] == D(10)
    assert config.costs.latency_ms == 150


def test_live_cash_comes_from_the_venue() -> None:
    config = execute_config(settings(mode="live", accounts=DERIV), {"d": D("12.5")})
    assert config.accounts[0].capital == D("12.5")


def test_exploring_stops_before_real_money() -> None:
    assert execute_config(settings(mode="live", accounts=DERIV), {}).accept_exploring
    assert execute_config(settings("live"), {}).accept_exploring
    assert not execute_config(settings("live", mode="live", accounts=DERIV), {}).accept_exploring


def test_paper_needs_no_order_adapter(tmp_path: Path) -> None:
    assert live_tradings(settings(), tmp_path) == {}


def test_live_without_confirmation_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CONFIRM, raising=False)
    with pytest.raises(FatalError, match="start with --confirm"):
        live_tradings(settings(mode="live", accounts=DERIV), tmp_path)


def test_live_without_a_simulator_or_a_token_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONFIRM, "1")
    monkeypatch.delenv("DERIV_TOKEN", raising=False)
    with pytest.raises(FatalError, match="no simulator is running"):
        live_tradings(settings(mode="live", accounts=DERIV), tmp_path)
    with pytest.raises(FatalError, match="set DERIV_TOKEN"):
        live_tradings(settings("live", mode="live", accounts=DERIV), tmp_path)


def test_the_simulators_own_token_serves_the_simulator_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONFIRM, "1")
    monkeypatch.delenv("DERIV_TOKEN", raising=False)
    simulator_in(tmp_path)
    assert list(live_tradings(settings(mode="live", accounts=DERIV), tmp_path)) == ["d"]
    with pytest.raises(FatalError, match="DERIV_TOKEN"):
        live_tradings(settings("live", mode="live", accounts=DERIV), tmp_path)


def test_real_addresses_cannot_pass_for_a_simulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONFIRM, "1")
    monkeypatch.setenv("DERIV_TOKEN", "t")
    plain = settings(mode="live", accounts=DERIV)
    venue = plain.data.venues[0].model_copy(update={"urls": {"ws": "wss://ws.derivws.com/websockets/v3"}})
    disguised = plain.model_copy(update={"data": plain.data.model_copy(update={"venues": (venue,)})})
    with pytest.raises(FatalError, match="set endpoint: live"):
        live_tradings(disguised, tmp_path)
