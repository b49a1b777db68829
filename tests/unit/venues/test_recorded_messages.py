"""Both codecs read what the venues were recorded to say."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from libs.core.types import InstrumentKind
from libs.venues.binance.exchange_info import decode_exchange_info, instrument_of
from libs.venues.deriv.codec import CodecError, codec_for
from libs.venues.deriv.instruments import instrument_of as deriv_instrument_of
from libs.venues.deriv.model import Ask, Candle, Tick

PROTOCOLS = Path(__file__).parents[3].parent / "shared" / "protocols"
CODEC = codec_for("v3")


def sample(name: str) -> bytes:
    path = PROTOCOLS / "deriv-samples" / f"{name}.json"
    if not path.exists():
        pytest.skip("the recorded Deriv messages are not on this machine")
    return path.read_bytes()


def test_a_recorded_tick() -> None:
    frame = json.dumps(json.loads(sample("v3_tick_R_100")) | {"msg_type": "tick", "req_id": 3}).encode()
    head = CODEC.head(frame)
    assert head.tick == Tick("R_100", 1685326390, 5921.01, 5920.01, 5922.01)
    assert head.req_id == 3


def test_a_recorded_candle_and_history() -> None:
    assert CODEC.candle_page("R_100", 60, 0, 1, 5).read(sample("v3_candles_R_100")) == [
        Candle(1746777480, 1566.81, 1568.28, 1566.54, 1567.23)
    ]
    page = CODEC.tick_page("R_50", 0, 1, 3).read(sample("v3_history_R_50_2018"))
    assert page == [(1524809066, 272.2381), (1524809068, 272.2038), (1524809070, 272.1995)]


def test_a_recorded_purchase_keeps_its_cents() -> None:
    receipt = CODEC.buy("x" * 32, Decimal(1)).read(sample("v3_buy_CALL_R_100_1t"))
    assert (receipt.contract_id, receipt.transaction_id) == (281353727388, 560806430668)
    assert (receipt.buy_price, receipt.balance_after) == (Decimal(1), Decimal("9285.5"))


def test_a_recorded_contract_that_expired_is_not_sold() -> None:
    contract = CODEC.contract(1, follow=False).read(sample("v3_poc_CALL_R_100_1t_expired_not_sold"))
    assert contract is not None
    assert contract.is_expired
    assert not contract.is_sold
    assert (contract.entry_spot, contract.exit_spot) == (Decimal("1511.36"), Decimal("1511.81"))


def test_a_recorded_portfolio() -> None:
    (holding,) = CODEC.holdings().read(sample("v3_portfolio_R_25"))
    assert (holding.symbol, holding.contract_type, holding.buy_price) == ("R_25", "CALL", Decimal(1))


def test_recorded_symbols_have_exact_steps() -> None:
    listings = {row.symbol: row for row in CODEC.listings().read(sample("v3_active_symbols_part_2023"))}
    instrument = deriv_instrument_of(listings["1HZ100V"], None, "USD", 0)
    assert (instrument.price_step, instrument.decimals) == (Decimal("0.01"), 2)
    assert instrument.kind is InstrumentKind.QUOTE_ONLY
    assert not listings["WLDAUD"].is_open


def test_recorded_contracts_without_multipliers() -> None:
    offer = CODEC.offer("frxAUDJPY").read(sample("v3_contracts_for_frxAUDJPY_part"))
    assert "CALL" in offer.contract_types
    assert offer.multipliers == () or "MULTUP" in offer.contract_types


def test_no_open_contract_is_none() -> None:
    frame = b'{"msg_type":"proposal_open_contract","proposal_open_contract":{}}'
    assert CODEC.contract(1, follow=True).read(frame) is None


@pytest.mark.parametrize("frame", [b"", b"[]", b'{"history":{"prices":[1.0],"times":[]}}', b'{"history":7}'])
def test_an_answer_of_another_shape_is_a_codec_error(frame: bytes) -> None:
    with pytest.raises(CodecError):
        CODEC.tick_page("R_100", 0, 1, 1).read(frame)


def test_amounts_of_money_travel_as_exact_numbers() -> None:
    ask = Ask(contract_type="MULTUP", symbol="R_100", stake=Decimal("10.10"), currency="USD", multiplier=40)
    body = CODEC.proposal(ask).body
    assert body["amount"] == Decimal("10.10")
    assert body["symbol"] == "R_100"


def schema_of(call: str) -> dict[str, Any]:
    path = PROTOCOLS / "deriv-schemas" / "v3" / call / "send.json"
    if not path.exists():
        pytest.skip("the official Deriv schemas are not on this machine")
    schema: dict[str, Any] = json.loads(path.read_text())
    return schema


RISE = Ask(contract_type="CALL", symbol="R_100", stake=Decimal(1), currency="USD", duration=5, duration_unit="t")


@pytest.mark.parametrize(
    ("call", "request_"),
    [
        ("ping", CODEC.ping()),
        ("time", CODEC.time()),
        ("authorize", CODEC.login("a-token")),
        ("active_symbols", CODEC.listings()),
        ("contracts_for", CODEC.offer("R_100")),
        ("ticks", CODEC.ticks("R_100")),
        ("ticks_history", CODEC.tick_page("R_100", 1, 2, 3)),
        ("ticks_history", CODEC.candle_page("R_100", 60, 1, 2, 3)),
        (
            "proposal",
            CODEC.proposal(
                Ask(
                    contract_type="CALL",
                    symbol="R_100",
                    stake=Decimal(1),
                    currency="USD",
                    duration=5,
                    duration_unit="t",
                )
            ),
        ),
        ("buy", CODEC.buy("a" * 36, Decimal("10.5"))),
        ("sell", CODEC.sell(7, Decimal(0))),
        ("proposal_open_contract", CODEC.contract(7, follow=True)),
        ("portfolio", CODEC.holdings()),
        ("statement", CODEC.bookings(1, 0)),
        ("balance", CODEC.balance()),
    ],
)
def test_every_call_is_worded_as_the_official_schema_allows(call: str, request_: Any) -> None:
    wire = json.loads(msgspec.json.Encoder(decimal_format="number").encode(request_.body | {"req_id": 1}))
    jsonschema.validate(wire, schema_of(call))


def test_the_newest_exchange_info_gives_exact_steps() -> None:
    path = PROTOCOLS / "binance-samples" / "rest" / "exchangeInfo.spot.TSLABUSDT.2026-09.trimmed.json"
    if not path.exists():
        pytest.skip("the recorded exchangeInfo is not on this machine")
    info = decode_exchange_info(path.read_bytes())
    instrument = instrument_of(info.symbols[0], info.serverTime)
    assert instrument.kind is InstrumentKind.SPOT
    assert [str(v) for v in (instrument.price_step, instrument.qty_step, instrument.min_qty)] == [
        "0.01",
        "0.001",
        "0.001",
    ]
    assert (str(instrument.max_qty), str(instrument.min_notional)) == ("922327", "5")
    assert instrument.decimals == 2
    assert instrument.is_open
