"""The ccxt object that an adapter works with: where it calls, what it spends, and which numbers it hands on."""

from __future__ import annotations

import math
import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import ccxt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.core.types import Action, Mode, Order, OrderState, ReportKind, Side
from libs.venues.budget import Priority
from libs.venues.ccxt.exchange import Call, make_exchange
from libs.venues.ccxt.feed import levels_of, trade_of
from libs.venues.ccxt.markets import instrument_of, market_of
from libs.venues.ccxt.outcome import answer_to
from libs.venues.ccxt.reports import Teller, row_of
from libs.venues.checked import Absurd
from libs.venues.credentials import Credentials
from libs.venues.errors import VenueError, VenueRefused, VenueUnavailable, VenueUnresolved
from libs.venues.registry import make_market_data, make_trading

D = Decimal
KEYS = Credentials(key="thekeythekey", secret="thesecretthesecret")
AT_HOME = {"rest": "http://127.0.0.1:1", "ws": "ws://127.0.0.1:2", "ws_api": "ws://127.0.0.1:3/ws-api/v3"}
AMOUNTS = st.decimals(min_value="1e-12", max_value=10**9, places=12, allow_nan=False, allow_infinity=False)


@pytest.fixture
async def exchange() -> AsyncIterator[Any]:
    made = make_exchange("binance", AT_HOME, KEYS, sandbox=False, exact=True)
    yield made
    await made.close()


def addresses(place: Any) -> list[str]:
    if isinstance(place, dict):
        return [found for value in place.values() for found in addresses(value)]
    return [place] if isinstance(place, str) else []


@pytest.mark.parametrize("name", ["binance", "kraken", "bybit", "okx", "coinbase", "bitget"])
@pytest.mark.parametrize("urls", [AT_HOME, {"rest": "http://127.0.0.1:1"}])
def test_no_address_of_the_real_exchange_is_left_when_it_is_moved(name: str, urls: dict[str, str]) -> None:
    made = make_exchange(name, urls, KEYS, sandbox=False, exact=True)
    hosts = {urlsplit(url).hostname for url in addresses(made.urls["api"])}
    assert hosts == {"127.0.0.1"}


def test_each_kind_of_address_goes_where_it_belongs(exchange: Any) -> None:
    api = exchange.urls["api"]
    assert api["private"] == "http://127.0.0.1:1/api/v3"
    assert api["ws"]["spot"] == "ws://127.0.0.1:2/ws"
    assert api["ws"]["ws-api"]["spot"] == "ws://127.0.0.1:3/ws-api/v3"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: make_market_data("ccxt:nosuchplace"), "unknown to ccxt"),
        (lambda: make_market_data("ccxt:kraken", endpoint="testnet"), "no test network"),
        (lambda: make_market_data("ccxt:kraken", endpoint="simulator", endpoints={"ws": "ws://x"}), "needs an address"),
    ],
)
def test_what_cannot_be_made_is_said_in_one_line(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says) as failed:
        make()
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize("make", [make_market_data, make_trading])
def test_without_the_library_one_line_says_so(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "ccxt" or name.startswith("libs.venues.ccxt")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ccxt", None)
    with pytest.raises(ValueError, match="library that is missing") as failed:
        make("ccxt:kraken", credentials=KEYS)
    assert "\n" not in str(failed.value)


# --- numbers -------------------------------------------------------------------------------------------------------


@given(AMOUNTS, AMOUNTS)
def test_numbers_of_the_exchange_reach_the_report_to_the_last_digit(price: Decimal, quantity: Decimal) -> None:
    made = make_exchange("kraken", AT_HOME, KEYS, sandbox=False, exact=True)
    body = f'{{"p": {price:f}, "q": "{quantity:f}"}}'
    told = made.parse_json(body)
    trade = made.safe_trade({"id": "7", "price": made.safe_string(told, "p"), "amount": made.safe_string(told, "q")})
    raw = {"id": "1", "status": "closed", "filled": trade["amount"], "timestamp": 1_700_000_000_000}
    order = an_order(quantity)
    ack, fill = Teller("ccxt:kraken", order, row_of(raw)).all([trade])
    assert ack.kind is ReportKind.ACKNOWLEDGED
    assert (fill.price, fill.quantity) == (price, quantity)


def test_not_a_number_is_no_json() -> None:
    made = make_exchange("kraken", AT_HOME, KEYS, sandbox=False, exact=True)
    assert made.parse_json('{"p": NaN}') is None
    assert made.parse_json('{"p": Infinity}') is None


FIELDS = ["id", "status", "filled", "trades", "clientOrderId", "symbol", "timestamp", "price", "amount", "fee", "side"]
ROWS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(FIELDS),
            inner,
            max_size=8,
        ),
    ),
    max_leaves=12,
)


@given(ROWS)
def test_any_shape_of_a_row_is_read_or_absurd(row: Any) -> None:
    try:
        checked = row_of(row)
        Teller("ccxt:x", an_order(D(1)), checked).all(checked.trades)
    except Absurd:
        pass
    try:
        trade = trade_of(row)
        assert 0 < trade.price < math.inf
        assert 0 <= trade.size < math.inf
    except Absurd:
        pass


@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=25))
def test_levels_are_finite_or_absurd(rows: list[tuple[float, float]]) -> None:
    try:
        levels = levels_of(rows)
    except Absurd:
        return
    assert len(levels) <= 20
    assert all(0 < price < math.inf and 0 <= size < math.inf for price, size in levels)


def test_executions_that_do_not_make_the_order_are_absurd() -> None:
    row = row_of({"id": "1", "status": "closed", "filled": "2"})
    with pytest.raises(Absurd, match="make no executed quantity"):
        Teller("ccxt:x", an_order(D(2)), row).all([{"id": "7", "price": "1", "amount": "1"}])


def test_fees_in_two_assets_are_absurd_and_none_is_none() -> None:
    row = row_of({"id": "1", "status": "closed", "filled": "1"})
    trade: dict[str, Any] = {"id": "7", "price": "3", "amount": "1"}
    fees = [{"cost": "1", "currency": "A"}, {"cost": "1", "currency": "B"}]
    with pytest.raises(Absurd, match="several assets"):
        Teller("ccxt:x", an_order(D(1)), row).all([{**trade, "fees": fees}])
    fill = Teller("ccxt:x", an_order(D(1)), row).all([{**trade, "fee": {"cost": None, "currency": None}}])[1]
    assert (fill.fee, fill.fee_asset) == (0, "")


# --- markets -------------------------------------------------------------------------------------------------------


def listing(exchange: Any, **changes: Any) -> Any:
    market = {
        "id": "BTCUSDT",
        "symbol": "BTC/USDT",
        "base": "BTC",
        "quote": "USDT",
        "spot": True,
        "active": True,
        "precision": {"price": "0.01", "amount": "0.00001"},
        "limits": {"amount": {"min": "0.00001", "max": None}, "cost": {"min": "5"}},
    }
    return instrument_of(exchange, "BTCUSDT", market | changes, 1)


def test_steps_by_each_way_of_counting_digits(exchange: Any) -> None:
    assert listing(exchange).price_step == D("0.01")
    exchange.precisionMode = ccxt.DECIMAL_PLACES
    assert listing(exchange, precision={"price": 3, "amount": 0}).price_step == D("0.001")
    exchange.precisionMode = ccxt.SIGNIFICANT_DIGITS
    assert listing(exchange, precision={"price": 5, "amount": 5}).kind == "quote_only"


@pytest.mark.parametrize(
    "bad", [{"precision": {"price": 0.01, "amount": "1"}}, {"base": None}, {"limits": {"amount": 7}}, {"symbol": ""}]
)
def test_a_listing_that_cannot_be_read_is_said(exchange: Any, bad: dict[str, Any]) -> None:
    with pytest.raises(VenueUnavailable, match="cannot be read"):
        listing(exchange, **bad)


def test_only_spot_markets_are_found(exchange: Any) -> None:
    exchange.markets = {"BTC/USDT:USDT": {"id": "BTCUSDT", "spot": False}}
    exchange.markets_by_id = {"BTCUSDT": [{"id": "BTCUSDT", "spot": False}]}
    for name in ("BTCUSDT", "BTC/USDT:USDT", "BTC/USDT"):
        with pytest.raises(VenueRefused, match=name):
            market_of(exchange, name)


# --- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("err", "sent", "becomes"),
    [
        (ccxt.InsufficientFunds("no"), True, VenueRefused),
        (ccxt.InvalidOrder("no"), False, VenueRefused),
        (ccxt.PermissionDenied("no"), True, VenueRefused),
        (ccxt.DuplicateOrderId("there"), True, VenueUnresolved),
        (ccxt.InvalidOrder("Duplicate order sent."), True, VenueUnresolved),
        (ccxt.RequestTimeout("?"), True, VenueUnresolved),
        (ccxt.RequestTimeout("?"), False, VenueUnavailable),
        (ccxt.ExchangeNotAvailable("?"), True, VenueUnresolved),
        (ccxt.OnMaintenance("?"), True, VenueUnresolved),
        (ccxt.ExchangeError("?"), True, VenueUnresolved),
        (KeyError("?"), True, VenueUnresolved),
        (ccxt.InvalidNonce("?"), True, VenueUnavailable),
        (ccxt.RateLimitExceeded("?"), True, VenueUnavailable),
        (ccxt.DDoSProtection("?"), True, VenueUnavailable),
    ],
)
def test_what_an_error_proves_about_an_order(
    exchange: Any, err: Exception, sent: bool, becomes: type[VenueError]
) -> None:
    call = Call(Priority.ENTRY)
    call.sent = sent
    assert type(answer_to(exchange, err, call, effect=True)) is becomes


def test_a_question_is_never_left_unresolved_and_a_rate_limit_blocks(exchange: Any) -> None:
    assert type(answer_to(exchange, ccxt.RequestTimeout("?"), Call(Priority.DATA), effect=False)) is VenueUnavailable
    assert exchange.budget.state().blocked_s == 0
    exchange.last_response_headers = {"retry-after": "7"}
    answer_to(exchange, ccxt.RateLimitExceeded("?"), Call(Priority.DATA), effect=False)
    assert 6 < exchange.budget.state().blocked_s <= 7


def test_an_error_shows_neither_key_nor_secret_nor_signature(exchange: Any) -> None:
    texts = [
        answer_to(
            exchange,
            kind(f"GET https://x/?k={KEYS.key}&s={KEYS.secret}\n&signature=ab"),
            Call(Priority.DATA),
            effect=effect,
        )
        for kind in (ccxt.RequestTimeout, ccxt.AuthenticationError, ccxt.ExchangeError)
        for effect in (True, False)
    ]
    for text in map(str, texts):
        assert KEYS.key not in text
        assert KEYS.secret not in text
        assert "\n" not in text


def an_order(quantity: Decimal) -> Order:
    return Order(
        id="i-1",
        ts_event=1_700_000_000_000_000_000,
        intent_id="i",
        revision=1,
        state=OrderState.SENT,
        mode=Mode.LIVE,
        venue="ccxt:kraken",
        account="main",
        symbol="XBTUSD",
        strategy="s",
        side=Side.BUY,
        action=Action.ENTER,
        quantity=quantity,
        worst_price=D(10**9),
        position_id="i",
        reason="entry",
    )
