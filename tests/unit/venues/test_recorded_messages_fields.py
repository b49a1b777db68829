"""Nothing that we use of a recorded message is lost on its way in: each sample field by field against its own JSON."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest

from libs.venues.binance import codec, trade_codec
from libs.venues.binance.exchange_info import decode_exchange_info
from libs.venues.deriv.codec import Request, codec_for
from libs.venues.deriv.limits import Bucket
from libs.venues.deriv.model import Ask

SHARED = Path(__file__).parents[3].parent / "shared"
DERIV = SHARED / "protocols" / "deriv-samples"
BINANCE = SHARED / "protocols" / "binance-samples"
SESSIONS = SHARED / "data" / "binance-ws"
LINES = 4_000
"""Of each recorded session; the rest says the same."""

EVERY = 40
"""Of the two full lists of symbols each so-manieth is compared."""


def read(path: Path) -> bytes:
    if not path.exists():
        pytest.skip("the recorded messages are not on this machine")
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def at(value: Any, path: str) -> Any:
    """`a.0.b` of JSON, or of what was made of it."""
    for part in path.split(".") if path else ():
        by_key = isinstance(value, dict)
        value = value[int(part)] if part.isdigit() else value[part] if by_key else getattr(value, part)
    return value


def same(kept: Any, told: Any) -> bool:
    """To the last digit; text stands for a number where it was told as text."""
    if isinstance(kept, bool):
        return kept == bool(told)
    if isinstance(kept, (int, float, Decimal)):
        return Decimal(str(kept)) == Decimal(str(told))
    return bool(kept == told)


# --- Deriv: what a sample tells, and where the adapter's own model has it --------------------------------------------

V3, OPTIONS = codec_for("v3"), codec_for("options")
RISE = Ask(contract_type="CALL", symbol="R_100", stake=Decimal(1), currency="USD", duration=5, duration_unit="t")
SITE = V3.site()
assert SITE is not None

CONTRACT = "proposal_open_contract"
BOTH = {
    "contract_id": "contract_id",
    "contract_type": "contract_type",
    "is_sold": "is_sold",
    "is_expired": "is_expired",
    "status": "status",
    "buy_price": "buy_price",
    "purchase_time": "purchase_time",
    "current_spot": "current_spot",
    "current_spot_time": "current_spot_time",
    "buy_transaction_id": "transaction_ids.buy",
    "shortcode": "shortcode",
}
OPEN = BOTH | {"symbol": "underlying_symbol", "commission": "commission", "entry_spot": "entry_spot"}
EXPIRED = BOTH | {"symbol": "underlying", "entry_spot": "entry_spot", "exit_spot": "exit_tick"}
HELD = ("contract_id", "transaction_id", "contract_type", "buy_price", "purchase_time", "shortcode")


def rows(below: str, fields: dict[str, str], count: int) -> dict[str, str]:
    """The same fields of several rows."""
    return {f"{row}.{kept}": f"{below}.{row}.{told}" for row in range(count) for kept, told in fields.items()}


LISTED = {"symbol": "symbol", "name": "display_name", "market": "market", "submarket": "submarket", "pip": "pip"}
LISTED |= {"is_open": "exchange_is_open", "is_suspended": "is_trading_suspended"}

Case = tuple[str, Request[Any], dict[str, str]]
ANSWERS: list[Case] = [
    ("v3_time", V3.time(), {"": "time"}),
    ("v3_active_symbols_part_2023", V3.listings(), rows("active_symbols", LISTED, 3)),
    (
        "v3_buy_CALL_R_100_1t",
        V3.buy("p", Decimal(1)),
        {
            name: f"buy.{name}"
            for name in (
                *("contract_id", "transaction_id", "buy_price", "balance_after", "purchase_time", "shortcode"),
            )
        },
    ),
    (
        "v3_candles_R_100",
        V3.candle_page("R_100", 60, 0, 1, 5),
        rows("candles", {name: name for name in ("epoch", "open", "high", "low", "close")}, 1),
    ),
    (
        "v3_history_R_50_2018",
        V3.tick_page("R_50", 0, 1, 3),
        {f"{row}.{side}": f"history.{key}.{row}" for row in range(3) for side, key in enumerate(("times", "prices"))},
    ),
    (
        "v3_poc_CALL_R_100_1t_expired_not_sold",
        V3.contract(1, follow=False),
        {kept: f"{CONTRACT}.{told}" for kept, told in EXPIRED.items()},
    ),
    (
        "options_v1_poc_MULTUP_1HZ100V_243687440268",
        OPTIONS.contract(1, follow=False),
        {kept: f"{CONTRACT}.{told}" for kept, told in OPEN.items()},
    ),
    (
        "options_v1_proposal_1HZ100V_5t",
        OPTIONS.proposal(RISE),
        {name: f"proposal.{name}" for name in ("id", "ask_price", "spot", "payout")}
        | {"stake.min": "proposal.validation_params.stake.min"},
    ),
    (
        "v3_portfolio_R_25",
        V3.holdings(),
        rows("portfolio.contracts", {name: name for name in HELD} | {"symbol": "symbol"}, 1),
    ),
    (
        "v3_profit_table_rows",
        V3.closed(0),
        rows("profit_table.transactions", {name: name for name in HELD} | {"symbol": "underlying_symbol"}, 2),
    ),
    (
        "v3_website_status_limits_2018",
        SITE,
        {"status": "website_status.site_status"},
    ),
]
HEADS = {
    "v3_tick_R_100": {f"tick.{name}": f"tick.{name}" for name in ("symbol", "epoch", "quote", "bid", "ask")},
    "options_v1_error_symbol_rejected": {
        "msg_type": "msg_type",
        "req_id": "req_id",
        "error.code": "error.code",
        "error.message": "error.message",
    },
}
DERIV_ELSEWHERE = {
    "v3_contracts_for_frxAUDJPY_part": "test_the_contracts_of_a_symbol_are_all_kept",
    "v3_ohlc_stream_R_100": "a stream of candles, to which the adapter does not subscribe",
}


@pytest.mark.parametrize(("name", "request_", "fields"), ANSWERS, ids=[case[0] for case in ANSWERS])
def test_an_answer_of_deriv_is_kept(name: str, request_: Request[Any], fields: dict[str, str]) -> None:
    frame = read(DERIV / f"{name}.json")
    kept, told = request_.read(frame), json.loads(frame)
    lost = {field: (at(kept, field), at(told, path)) for field, path in fields.items()}
    assert {field: pair for field, pair in lost.items() if not same(*pair)} == {}


@pytest.mark.parametrize("name", HEADS)
def test_what_routes_a_frame_of_deriv_is_kept(name: str) -> None:
    frame = read(DERIV / f"{name}.json")
    kept, told = V3.head(frame), json.loads(frame)
    assert all(same(at(kept, field), at(told, path)) for field, path in HEADS[name].items())


def test_the_limits_that_deriv_tells_are_kept() -> None:
    frame = read(DERIV / "v3_website_status_limits_2018.json")
    assert SITE is not None
    kept, told = SITE.read(frame).quotas, json.loads(frame)["website_status"]["api_call_limits"]
    spelt = {Bucket.GENERAL: "max_requestes_general", Bucket.PRICING: "max_requests_pricing"}
    spelt[Bucket.OUTCOME] = "max_requests_outcome"
    assert kept == {bucket: (told[name]["minutely"], told[name]["hourly"]) for bucket, name in spelt.items()}


def test_the_contracts_of_a_symbol_are_all_kept() -> None:
    frame = read(DERIV / "v3_contracts_for_frxAUDJPY_part.json")
    available = json.loads(frame)["contracts_for"]["available"]
    kept = V3.offer("frxAUDJPY").read(frame)
    assert kept.contract_types == {row["contract_type"] for row in available}


def test_every_sample_of_deriv_is_looked_at() -> None:
    if not DERIV.exists():
        pytest.skip("the recorded messages are not on this machine")
    known = {case[0] for case in ANSWERS} | HEADS.keys() | DERIV_ELSEWHERE.keys()
    assert {path.stem for path in DERIV.glob("*.json")} == known


# --- Binance: the structures have the venue's own names, so every field that they have is one that we use -------------


def lost_of(kept: Any, told: Any, path: str = "") -> Iterator[str]:
    """Fields of `kept` that `told` has and that differ, down to the leaves."""
    if isinstance(kept, msgspec.Struct) and isinstance(told, list):  # rows without names
        told = dict(zip(kept.__struct_fields__, told, strict=False))
    if isinstance(kept, msgspec.Struct):
        names = kept.__struct_encode_fields__
        for field, name in zip(kept.__struct_fields__, names, strict=True):
            if name in told:
                yield from lost_of(getattr(kept, field), told[name], f"{path}.{name}")
    elif isinstance(kept, (list, tuple)):
        if len(kept) != len(told):
            yield f"{path}: {len(kept)} of {len(told)}"
        for number, pair in enumerate(zip(kept, told, strict=False)):
            yield from lost_of(*pair, f"{path}.{number}")
    elif not same(kept, told):
        yield f"{path}: {kept} for {told}"


@pytest.mark.parametrize(
    "other", ['{"lastUpdateId":8,"bids":[],"asks":[]}', '{"lastUpdateId":7,"bids":[["1","2"]],"asks":[]}']
)
def test_a_loss_is_found(other: str) -> None:
    kept = codec.snapshot.decode(b'{"lastUpdateId":7,"bids":[],"asks":[]}')
    assert list(lost_of(kept, json.loads(other))) != []
    row = codec.kline_rows.decode(b'[[0,"1","2","1","2","3",59999,"4",5,"6"]]')
    assert list(lost_of(row, [[0, "1", "2", "1", "2", "3", 59999, "4", 5, "6.00000001"]])) == [
        ".0.buy_volume: 6.0 for 6.00000001"
    ]


def required(structure: type[msgspec.Struct]) -> set[str]:
    """What no message of this kind may lack."""
    return {field.encode_name for field in msgspec.structs.fields(structure) if field.required}


Decode = Callable[[bytes], Any]
NAUTILUS = "fixtures-nautilus"
REST: dict[str, Decode] = {
    f"{NAUTILUS}/http-rs/account_trades_response.json": trade_codec.trade_rows.decode,
    f"{NAUTILUS}/http-rs/avg_price_response.json": codec.average_price.decode,
    f"{NAUTILUS}/http-rs/depth_response.json": codec.snapshot.decode,
    f"{NAUTILUS}/http-rs/klines_response.json": codec.kline_rows.decode,
    f"{NAUTILUS}/http-rs/open_orders_response.json": trade_codec.order_rows.decode,
    f"{NAUTILUS}/http-rs/trades_response.json": codec.past_trades.decode,
    f"{NAUTILUS}/http/http_spot_market_klines.json": codec.kline_rows.decode,
    f"{NAUTILUS}/http/http_spot_market_trades.json": codec.past_trades.decode,
    f"{NAUTILUS}/http/http_spot_market_exchange_info.json": decode_exchange_info,
    "rest/depth-limit1000.LRCBTC.2021-10-12.json": codec.snapshot.decode,
    "rest/depth-limit1000.NKNUSDT.2021-10-12.json": codec.snapshot.decode,
    "rest/exchangeInfo.spot.TSLABUSDT.2026-09.trimmed.json": decode_exchange_info,
    "rest/exchangeInfo.us.BTCUSD.2026-09-04.json": decode_exchange_info,
}
FULL = (
    "rest/exchangeInfo.binance-me-host.full-2183-symbols.json.gz",
    "rest/exchangeInfo.spot.2021-10-12.full-1695-symbols.json.gz",
)
EVENTS: dict[str, Decode] = {
    f"{NAUTILUS}/user-data/balance_update.json": trade_codec.balance_update.decode,
    f"{NAUTILUS}/user-data/execution_report_canceled.json": trade_codec.execution.decode,
    f"{NAUTILUS}/user-data/execution_report_new.json": trade_codec.execution.decode,
    f"{NAUTILUS}/user-data/execution_report_trade.json": trade_codec.execution.decode,
    f"{NAUTILUS}/ws/ws_spot_trade.json": codec.trade.decode,
    **{
        f"{NAUTILUS}/ws/ws_spot_execution_report_{name}.json": trade_codec.execution.decode
        for name in (
            "calculated",
            "custom_client_id",
            "expired",
            "new_limit_if_touched_price_match",
            "new_stop_limit_price_match",
            "rejected",
            "trade_l_zero",
            "trade_l_zero_expired",
            "trade_l_zero_partial",
        )
    },
}
NOT_USED = {
    f"{NAUTILUS}/http-rs/cancel_open_orders_response.json": "orders are cancelled one by one",
    f"{NAUTILUS}/http-rs/ping_response.json": "says nothing",
    f"{NAUTILUS}/http-rs/ticker_24hr_response.json": "a call that the adapter does not make",
    f"{NAUTILUS}/http/http_spot_market_agg_trades.json": "a call that the adapter does not make",
    f"{NAUTILUS}/http/http_spot_market_book_ticker.json": "a call that the adapter does not make",
    f"{NAUTILUS}/http/http_spot_market_ticker_price.json": "test_a_price_of_one_symbol_is_a_row_of_those_of_many",
    f"{NAUTILUS}/user-data/account_position.json": "balances are asked for",
    f"{NAUTILUS}/user-data/list_status_wrapped.json": "the adapter places no lists",
    f"{NAUTILUS}/ws/ws_spot_agg_trade.json": "a stream that the adapter does not listen to",
    f"{NAUTILUS}/ws/ws_spot_ticker_24hr.json": "a stream that the adapter does not listen to",
}
STREAMS: dict[str, tuple[type[msgspec.Struct], Decode]] = {
    "trade": (codec.TradeEvent, codec.trade.decode),
    "bookTicker": (codec.BookTicker, codec.book_ticker.decode),
    "depth": (codec.DepthUpdate, codec.depth.decode),
    "kline_1m": (codec.KlineEvent, codec.kline.decode),
}
RECORDED = [
    SESSIONS / "binance_spot_btcusdt_20240808.jsonl.gz",
    SESSIONS / "binance_spot_ethusdt_20240808.jsonl.gz",
    BINANCE / "ws" / "combined.NKNUSDT+LRCBTC.2021-10-12.txt",
]


@pytest.mark.parametrize("name", REST)
def test_an_answer_of_binance_is_kept(name: str) -> None:
    body = read(BINANCE / name)
    assert list(lost_of(REST[name](body), json.loads(body))) == []


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_of_binance_is_kept(name: str) -> None:
    told: Any = json.loads(read(BINANCE / name))
    told = told.get("data", told)
    assert list(lost_of(EVENTS[name](json.dumps(told).encode()), told)) == []


@pytest.mark.parametrize("name", FULL)
def test_the_filters_of_all_symbols_are_kept(name: str) -> None:
    body = read(BINANCE / name)
    kept, told = decode_exchange_info(body), json.loads(body)
    assert len(kept.symbols) == len(told["symbols"])
    compared = zip(kept.symbols[::EVERY], told["symbols"][::EVERY], strict=True)
    assert [lost for pair in compared for lost in lost_of(*pair)] == []


def test_a_price_of_one_symbol_is_a_row_of_those_of_many() -> None:
    row = read(BINANCE / NAUTILUS / "http" / "http_spot_market_ticker_price.json")
    assert list(lost_of(codec.symbol_prices.decode(b"[" + row + b"]"), [json.loads(row)])) == []


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name)
def test_the_streams_of_a_recorded_session_are_kept(path: Path) -> None:
    if not path.exists():
        pytest.skip("the recorded messages are not on this machine")
    seen: dict[str, int] = {}
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
        for line in islice(lines, LINES):
            payload = line.partition(b" ")[2]
            told = json.loads(payload)
            kind = told.get("stream", "@").split("@")[1]
            if kind not in STREAMS:
                continue  # the snapshot within, and streams that the adapter does not listen to
            structure, decode = STREAMS[kind]
            assert required(structure) <= told["data"].keys()
            frame = codec.frame.decode(payload)
            assert frame.stream == told["stream"]
            assert list(lost_of(decode(bytes(frame.data)), told["data"])) == []
            seen[kind] = seen.get(kind, 0) + 1
    assert {"bookTicker", "depth"} <= seen.keys()
    assert sum(seen.values()) > 100
    assert "trade" in seen or "kline_1m" in seen


def test_every_sample_of_binance_is_looked_at() -> None:
    if not BINANCE.exists():
        pytest.skip("the recorded messages are not on this machine")
    known = {*REST, *EVENTS, *NOT_USED, *FULL, *(str(path.relative_to(BINANCE)) for path in RECORDED[2:])}
    there = {str(path.relative_to(BINANCE)) for path in BINANCE.rglob("*") if path.is_file()}
    # Kraken's go through ccxt (test_ccxt_kraken.py); futures are kept for contrast.
    there = {name for name in there if not name.startswith("kraken/") and "usdm-futures" not in name}
    assert there - {"README.md"} == known
