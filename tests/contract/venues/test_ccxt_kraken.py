"""An exchange behind ccxt that says little: Kraken's recorded answers, read exactly, and orders followed to the end."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from ccxt.async_support.base import throttler
from kraken_stub import SAMPLES, TXID, KrakenStub

from libs.core.types import Action, BarFlag, Mode, Order, OrderState, ReportKind, Side
from libs.venues.base import VenueRefused, VenueUnavailable, VenueUnresolved
from libs.venues.budget import Budget
from libs.venues.ccxt import exchange as exchange_module
from libs.venues.ccxt import trading as trading_module
from libs.venues.ccxt.market import CcxtMarketData
from libs.venues.ccxt.trading import CcxtTrading
from libs.venues.credentials import Credentials
from libs.venues.registry import make_market_data, make_trading

pytestmark = pytest.mark.skipif(not SAMPLES.exists(), reason=f"no recorded answers in {SAMPLES}")

D = Decimal
KEYS = Credentials(key="k" * 20, secret="c2VjcmV0c2VjcmV0")
INTENT = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kraken bears one call a second; a stub bears more."""
    monkeypatch.setattr(throttler, "time", lambda: time.time() * 1000)
    monkeypatch.setattr(exchange_module, "budget_of", lambda *_: Budget("kraken requests", 10_000, 1.0))


@pytest.fixture
async def kraken() -> AsyncIterator[tuple[KrakenStub, dict[str, str]]]:
    stub = KrakenStub()
    urls = await stub.start()
    yield stub, urls
    await stub.stop()


@pytest.fixture
async def market(kraken: tuple[KrakenStub, dict[str, str]]) -> AsyncIterator[CcxtMarketData]:
    adapter = make_market_data("ccxt:kraken", endpoint="simulator", endpoints=kraken[1])
    assert isinstance(adapter, CcxtMarketData)
    yield adapter
    await adapter.aclose()


@pytest.fixture
async def account(kraken: tuple[KrakenStub, dict[str, str]]) -> AsyncIterator[CcxtTrading]:
    adapter = make_trading("ccxt:kraken", endpoint="simulator", endpoints=kraken[1], credentials=KEYS, currency="USD")
    assert isinstance(adapter, CcxtTrading)
    yield adapter
    await adapter.aclose()


def order(**changes: Any) -> Order:
    given: dict[str, Any] = {
        "id": f"{INTENT}-1",
        "ts_event": time.time_ns(),
        "intent_id": INTENT,
        "revision": 1,
        "state": OrderState.SENT,
        "mode": Mode.LIVE,
        "venue": "ccxt:kraken",
        "account": "main",
        "symbol": "XBTUSDT",
        "strategy": "s",
        "side": Side.BUY,
        "action": Action.ENTER,
        "quantity": D("0.01"),
        "worst_price": D("50000.07"),
        "position_id": INTENT,
        "reason": "entry",
    }
    return Order(**given | changes)


async def test_steps_are_the_exchanges_own(market: CcxtMarketData) -> None:
    share, coin = await market.instruments(["AAPLxUSD", "XBTUSDT"])
    assert (share.symbol, share.base, share.quote) == ("AAPLxUSD", "AAPLX", "USD")
    assert (share.price_step, share.qty_step, share.min_qty) == (D("0.01"), D("1E-8"), D("1E-8"))
    assert (share.min_notional, share.decimals, share.is_open) == (D("0.5"), 2, True)
    assert (coin.venue, coin.base, coin.quote, coin.price_step) == ("ccxt:kraken", "BTC", "USDT", D("0.1"))


async def test_both_spellings_of_a_symbol_are_known_and_ours_is_kept(market: CcxtMarketData) -> None:
    found = await market.instruments(["XBTUSDT", "BTC/USDT"])
    assert [row.symbol for row in found] == ["XBTUSDT", "BTC/USDT"]
    assert {row.canonical for row in found} == {"BTC/USDT"}


async def test_bars_are_the_recorded_ones(market: CcxtMarketData) -> None:
    end = 1_762_820_220
    bars = await market.history_bars("XBTUSDT", 60, 30, end * 10**9)
    assert len(bars) == 30
    assert bars[-1].ts_event == end * 10**9
    assert all(bar.flags & BarFlag.HISTORY for bar in bars)
    assert {bar.symbol for bar in bars} == {"XBTUSDT"}
    assert await market.history_bars("XBTUSDT", 7, 30) == []


async def test_balances_are_exact_and_named_as_the_instruments_name_them(account: CcxtTrading) -> None:
    assert await account.balances() == {"USD": D("200000.00"), "BTC": D("0.5"), "ETH": D("2.0")}
    assert await account.balance() == (D("200000.00"), "USD")


async def test_an_order_that_is_only_taken_is_followed_to_its_executions(
    kraken: tuple[KrakenStub, dict[str, str]], market: CcxtMarketData, account: CcxtTrading
) -> None:
    stub, _ = kraken
    stub.executed(("49999.90", "0.00400000", "0.12345678"), ("50000.00", "0.00600000", "0.2"), client_id=INTENT)
    (instrument,) = await market.instruments(["XBTUSDT"])
    reports = await account.submit(order(), instrument)
    fills = [report for report in reports if report.kind is ReportKind.FILLED]
    assert [(fill.price, fill.quantity, fill.fee, fill.fee_asset) for fill in fills] == [
        (D("49999.90"), D("0.00400000"), D("0.12345678"), "USDT"),
        (D("50000.00"), D("0.00600000"), D("0.2"), "USDT"),
    ]
    assert {report.intent_id for report in reports} == {INTENT}
    assert {report.venue_order_id for report in reports} == {TXID}
    assert [report.kind for report in reports if report.kind is ReportKind.CANCELLED] == []
    (sent,) = stub.calls("AddOrder")
    assert sent["cl_ord_id"] == INTENT
    assert (sent["ordertype"], sent["timeinforce"], sent["price"], sent["volume"]) == ("limit", "IOC", "50000", "0.01")
    assert sent["deadline"].endswith("Z")
    assert await account.resolve(order()) == reports


async def test_a_part_that_filled_ends_in_cancelled(
    kraken: tuple[KrakenStub, dict[str, str]], market: CcxtMarketData, account: CcxtTrading
) -> None:
    stub, _ = kraken
    stub.executed(("49999.9", "0.004", "0.1"), status="canceled", client_id=INTENT)
    (instrument,) = await market.instruments(["XBTUSDT"])
    reports = await account.submit(order(), instrument)
    assert [report.kind for report in reports] == [ReportKind.ACKNOWLEDGED, ReportKind.FILLED, ReportKind.CANCELLED]


async def test_a_lost_answer_is_found_by_our_own_id(
    kraken: tuple[KrakenStub, dict[str, str]], market: CcxtMarketData, account: CcxtTrading
) -> None:
    stub, _ = kraken
    (instrument,) = await market.instruments(["XBTUSDT"])
    stub.answers["AddOrder"] = ConnectionResetError()
    with pytest.raises(VenueUnresolved):
        await account.submit(order(), instrument)
    assert await account.resolve(order()) is None
    stub.executed(("49999.9", "0.01", "0.1"), client_id=INTENT)
    found = await account.resolve(order())
    assert found is not None
    assert [report.kind for report in found] == [ReportKind.ACKNOWLEDGED, ReportKind.FILLED]
    assert len(stub.calls("AddOrder")) == 1


async def test_an_order_that_never_came_is_absent_only_after_a_while(
    kraken: tuple[KrakenStub, dict[str, str]],
    market: CcxtMarketData,
    account: CcxtTrading,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stub, _ = kraken
    (instrument,) = await market.instruments(["XBTUSDT"])
    stub.answers["AddOrder"] = ConnectionResetError()
    with pytest.raises(VenueUnresolved):
        await account.submit(order(), instrument)
    assert await account.resolve(order()) is None
    monkeypatch.setattr(trading_module, "ABSENT_S", 0.0)
    assert await account.resolve(order()) == []


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("EOrder:Insufficient funds", VenueRefused),
        ("EGeneral:Invalid arguments:volume", VenueRefused),
        ("EOrder:Rate limit exceeded", VenueUnavailable),
        ("EAPI:Rate limit exceeded", VenueUnavailable),
        ("EAPI:Invalid nonce", VenueUnavailable),
        ("EService:Unavailable", VenueUnresolved),
        ("EGeneral:Internal error", VenueUnresolved),
        ("ESomething:nobody has seen before", VenueUnresolved),
    ],
)
async def test_what_a_refusal_proves(
    kraken: tuple[KrakenStub, dict[str, str]],
    market: CcxtMarketData,
    account: CcxtTrading,
    said: str,
    error: type[Exception],
) -> None:
    stub, _ = kraken
    (instrument,) = await market.instruments(["XBTUSDT"])
    stub.answers["AddOrder"] = {"error": [said]}
    with pytest.raises(error) as raised:
        await account.submit(order(), instrument)
    assert "\n" not in str(raised.value)
    assert KEYS.secret not in str(raised.value)


@pytest.mark.parametrize(
    "answer",
    ["", "null", "[]", "{}", "<html>", '{"error":[],"result":[]}', '{"error":[],"result":{"txid":[[1]]}}', "{" * 5000],
)
async def test_an_answer_of_nonsense_leaves_the_order_unresolved(
    kraken: tuple[KrakenStub, dict[str, str]], market: CcxtMarketData, account: CcxtTrading, answer: str
) -> None:
    stub, _ = kraken
    (instrument,) = await market.instruments(["XBTUSDT"])
    stub.answers["AddOrder"] = answer
    with pytest.raises(VenueUnresolved):
        await account.submit(order(), instrument)


@pytest.mark.parametrize("name", ["AssetPairs", "BalanceEx", "Balance", "Assets"])
@pytest.mark.parametrize("answer", ["", "[]", '{"error":[],"result":{"XXBT":{"balance":NaN}}}', '{"error":7}'])
async def test_nonsense_for_an_account_is_no_balance(
    kraken: tuple[KrakenStub, dict[str, str]], account: CcxtTrading, name: str, answer: str
) -> None:
    stub, _ = kraken
    stub.answers[name] = answer
    try:
        held = await account.balances()
    except VenueUnavailable:
        return
    assert all(isinstance(total, Decimal) and total.is_finite() for total in held.values())


async def test_executions_that_do_not_add_up_are_not_believed(
    kraken: tuple[KrakenStub, dict[str, str]], market: CcxtMarketData, account: CcxtTrading
) -> None:
    stub, _ = kraken
    stub.executed(("49999.9", "0.004", "0.1"), client_id=INTENT)
    stub.answers["TradesHistory"] = {"error": [], "result": {"trades": {}, "count": 0}}
    (instrument,) = await market.instruments(["XBTUSDT"])
    with pytest.raises(VenueUnresolved):
        await account.submit(order(), instrument)


async def test_too_small_or_short_is_refused_before_it_is_sent(
    kraken: tuple[KrakenStub, dict[str, str]], market: CcxtMarketData, account: CcxtTrading
) -> None:
    (instrument,) = await market.instruments(["XBTUSDT"])
    for bad in (order(quantity=D("0.00004")), order(side=Side.SELL), order(worst_price=D("0.04"))):
        with pytest.raises(VenueRefused):
            await account.submit(bad, instrument)
    assert kraken[0].calls("AddOrder") == []
