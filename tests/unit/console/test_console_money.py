"""What is simulated never reads as live, what may be live never as anything else, and a demo goes nowhere else."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from console.demo import demo_config, refuse_other_venues
from console.money import endpoints_of, marked, mode_title, money
from console.summary import print_summary, summarise
from libs.common.embedded.process import StackError
from libs.common.settings import load_settings
from libs.core.types import AccountState, Action, Fill, Instrument, InstrumentKind, Mode, Side, encode
from libs.research.session import Message

EXAMPLE = Path(__file__).parents[3] / "config.example.yaml"
ENDPOINTS = {"binance": "simulator", "alpaca": "testnet", "deriv": "live"}


@pytest.mark.parametrize(
    ("mode", "venue", "said"),
    [
        (Mode.PAPER, "deriv", "paper"),
        (Mode.LIVE, "binance", "simulated money"),
        (Mode.LIVE, "alpaca", "play money"),
        (Mode.LIVE, "deriv", "live"),
        (Mode.LIVE, "unheard of", "live"),
    ],
)
def test_money_is_named_by_mode_and_endpoint_and_the_unknown_is_live(mode: Mode, venue: str, said: str) -> None:
    assert money(mode, venue, ENDPOINTS) == said
    assert marked("a", mode, venue, ENDPOINTS) == ("a" if mode is Mode.PAPER else f"a ({said})")


def test_a_demo_at_the_venues_names_accounts_and_itself_as_simulated(tmp_path: Path) -> None:
    settings = load_settings(demo_config(EXAMPLE, tmp_path, None, "venue"))
    assert settings.trading.mode == "live"
    assert not settings.spends_real_money
    assert [account.id for account in settings.trading.accounts] == ["deriv-simulated", "binance-simulated"]
    assert mode_title(settings) == "simulated money"
    assert set(endpoints_of(settings).values()) == {"simulator"}
    refuse_other_venues(settings)


@pytest.mark.parametrize("endpoint", ["live", "testnet"])
def test_a_demo_refuses_whatever_is_not_the_simulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("VENUE_ENDPOINT", endpoint)
    settings = load_settings(demo_config(EXAMPLE, tmp_path, None, "venue"))
    with pytest.raises(StackError, match=f"not at {endpoint}; unset VENUE_ENDPOINT"):
        refuse_other_venues(settings)


def fill(name: str, symbol: str, price: str, quantity: str, **known: object) -> Message:
    event = Fill(
        id=name,
        ts_event=1,
        intent_id=name,
        trade_id=name,
        mode=Mode.LIVE,
        venue="binance",
        account="a",
        symbol=symbol,
        strategy="s",
        side=Side.BUY,
        action=Action.ENTER,
        price=Decimal(price),
        quantity=Decimal(quantity),
        currency="USDT",
        position_id=name,
        reason="enter",
        **known,
    )
    return Message("fill.binance.a", "e", 1, 1, encode(event))


def planted(symbol: str) -> Message:
    event = Instrument(
        id=symbol,
        ts_event=1,
        venue="binance",
        symbol=symbol,
        canonical=symbol,
        name=symbol,
        kind=InstrumentKind.SPOT,
        base="PLANTED",
        quote="USDT",
        decimals=2,
        price_step=Decimal("0.01"),
        qty_step=Decimal("0.001"),
        min_qty=Decimal("0.001"),
        max_qty=Decimal(9000),
        planted=True,
    )
    return Message(f"md.instrument.binance.{symbol}", "e", 1, 1, encode(event))


def account() -> Message:
    event = AccountState(
        id="s",
        ts_event=1,
        account="a",
        venue="binance",
        mode=Mode.LIVE,
        currency="USDT",
        balance=Decimal(10),
        equity=Decimal(10),
        peak_equity=Decimal(10),
        day=1,
        day_start_equity=Decimal(10),
        trades_today=1,
    )
    return Message("account.binance.a", "e", 1, 1, encode(event))


def test_remains_that_cannot_be_sold_are_no_execution_in_the_summary() -> None:
    told = [
        planted("PLANTEDUSDT"),
        planted("OTHER"),
        account(),
        fill("1", "PLANTEDUSDT", "100", "9.99", fee=Decimal("0.99"), fee_asset="PLANTED", fee_quantity=Decimal("0.01")),
        fill("2", "PLANTEDUSDT", "0", "0.00002"),
        fill("3", "OTHER", "0", "0.5"),
    ]
    summary = summarise(told, ENDPOINTS)
    assert len(summary.fills) == 1
    assert summary.planted_unfilled == {("binance", "OTHER")}
    out = io.StringIO()
    print_summary(summary, Console(file=out, width=200))
    said = out.getvalue()
    assert "PLANTEDUSDT 1\n" in "\n".join(line.rstrip() for line in said.splitlines()) + "\n"
    assert "too little to be sold: PLANTEDUSDT 0.00002, OTHER 0.5" in said
    assert "P&L, a (simulated money)" in said
    assert "after fees of 0.99, 0.01 PLANTED of them in kind" in said
