"""Orders at Deriv against a fake account: what is sent, what never twice, and what an unanswered order became."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from libs.core.types import (
    SECOND,
    Action,
    Instrument,
    InstrumentKind,
    Mode,
    Order,
    OrderState,
    ReportKind,
    Side,
    stable_id,
)
from libs.venues.base import Trading, VenuePosition, VenueRefused, VenueUnavailable, VenueUnresolved
from libs.venues.credentials import Credentials
from libs.venues.deriv import resolver
from libs.venues.registry import make_trading

SPOT = 100.25
GOOD = Credentials(token="good-token")


def refusal(name: str, code: str) -> dict[str, Any]:
    return {"msg_type": name, "error": {"code": code, "message": f"{code} in words."}}


class Desk:
    """A fake account: answers the trading calls of a FakeDeriv and remembers what was bought and sold."""

    def __init__(self, venue: Any) -> None:
        self.venue = venue
        self.bought: dict[int, dict[str, Any]] = {}
        self.buy_refusals: list[str] = []
        self.sell_refusals: list[str] = []
        self.swallow_buy_answer = False
        self.lose_buy = False
        self.hidden_entry_spot = False
        self.proposals = 0
        venue.answers |= {
            "proposal": self.proposal,
            "buy": self.buy,
            "sell": self.sell,
            "proposal_open_contract": self.open_contract,
            "portfolio": self.portfolio,
            "statement": self.statement,
            "balance": self.balance,
        }

    def count(self, name: str) -> int:
        return sum(name in call for call in self.venue.calls)

    def proposal(self, request: dict[str, Any]) -> dict[str, Any]:
        self.proposals += 1
        self.asked = request
        body = {
            "id": f"{self.proposals:032d}",
            "ask_price": request["amount"],
            "payout": 0,
            "spot": SPOT,
            "spot_time": int(time.time()),
            "date_start": int(time.time()),
            "longcode": "…",
            "display_value": "10.00",
            "commission": 0.14,
        }
        return {"msg_type": "proposal", "proposal": body}

    def buy(self, request: dict[str, Any]) -> dict[str, Any] | None:
        if self.buy_refusals:
            return refusal("buy", self.buy_refusals.pop(0))
        if self.lose_buy:
            return None
        contract_id = 700 + len(self.bought)
        now = int(time.time())
        asked = self.asked
        self.bought[contract_id] = {
            "contract_id": contract_id,
            "underlying": asked["symbol"],
            "contract_type": asked["contract_type"],
            "buy_price": asked["amount"],
            "purchase_time": now,
            "shortcode": f"{asked['contract_type']}_{asked['symbol']}_{asked['amount']:.2f}_{now}_4870540799",
            "is_sold": 0,
            "is_expired": 0,
            "status": "open",
            "commission": 0.14,
            "current_spot": SPOT,
            "current_spot_time": now,
            "transaction_ids": {"buy": 9000 + contract_id},
            "entry_spot": None if self.hidden_entry_spot else 100.30,
        }
        if self.swallow_buy_answer:
            return None
        body = {
            "balance_after": 9990,
            "buy_price": asked["amount"],
            "contract_id": contract_id,
            "longcode": "…",
            "payout": 0,
            "purchase_time": now,
            "shortcode": self.bought[contract_id]["shortcode"],
            "start_time": now,
            "transaction_id": 9000 + contract_id,
        }
        return {"msg_type": "buy", "buy": body}

    def sell(self, request: dict[str, Any]) -> dict[str, Any]:
        if self.sell_refusals:
            return refusal("sell", self.sell_refusals.pop(0))
        contract = self.bought[request["sell"]]
        self.end(request["sell"], sell_price=11.5)
        body = {
            "balance_after": 10001.5,
            "contract_id": contract["contract_id"],
            "reference_id": 1,
            "sold_for": 11.5,
            "transaction_id": 9900,
        }
        return {"msg_type": "sell", "sell": body}

    def end(self, contract_id: int, *, sell_price: float, status: str = "sold") -> None:
        self.bought[contract_id] |= {
            "is_sold": 1,
            "status": status,
            "sell_price": sell_price,
            "sell_time": int(time.time()),
            "exit_tick": 101.5,
            "transaction_ids": {"buy": 9000 + contract_id, "sell": 9900},
        }

    def open_contract(self, request: dict[str, Any]) -> dict[str, Any]:
        contract = self.bought.get(request["contract_id"])
        if contract is None:
            return refusal("proposal_open_contract", "ContractNotFound")
        answer: dict[str, Any] = {"msg_type": "proposal_open_contract", "proposal_open_contract": contract}
        if request.get("subscribe"):
            answer["subscription"] = {"id": f"poc-{contract['contract_id']:032d}"}
        return answer

    def portfolio(self, request: dict[str, Any]) -> dict[str, Any]:
        rows = [
            {
                "contract_id": c["contract_id"],
                "transaction_id": 9000 + c["contract_id"],
                "symbol": c["underlying"],
                "contract_type": c["contract_type"],
                "buy_price": c["buy_price"],
                "purchase_time": c["purchase_time"],
                "shortcode": c["shortcode"],
            }
            for c in self.bought.values()
            if not c["is_sold"]
        ]
        return {"msg_type": "portfolio", "portfolio": {"contracts": rows}}

    def statement(self, request: dict[str, Any]) -> dict[str, Any]:
        rows = [
            {
                "action_type": "buy",
                "amount": -c["buy_price"],
                "balance_after": 9990,
                "contract_id": c["contract_id"],
                "transaction_id": 9000 + c["contract_id"],
                "transaction_time": c["purchase_time"],
                "shortcode": c["shortcode"],
            }
            for c in self.bought.values()
            if c["purchase_time"] >= request["date_from"]
        ]
        return {"msg_type": "statement", "statement": {"count": len(rows), "transactions": rows}}

    def balance(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"msg_type": "balance", "balance": {"balance": 9285.5, "currency": "USD", "loginid": "VRTC1"}}


INSTRUMENT = Instrument(
    id="i",
    ts_event=0,
    venue="deriv",
    symbol="R_100",
    canonical="R_100",
    name="Volatility 100 Index",
    kind=InstrumentKind.MULTIPLIER,
    base="R_100",
    quote="USD",
    decimals=2,
    price_step=Decimal("0.01"),
    qty_step=Decimal("0.01"),
    min_qty=Decimal(1),
    max_qty=Decimal(2000),
    multiplier=40,
    multipliers=(40, 100),
)


def order(side: Side = Side.BUY, *, intent: str = "intent-1", sent_s: float | None = None, **changes: Any) -> Order:
    made = Order(
        id=stable_id(intent, 1),
        ts_event=int((time.time() if sent_s is None else sent_s) * SECOND),
        intent_id=intent,
        revision=1,
        state=OrderState.SENT,
        mode=Mode.LIVE,
        venue="deriv",
        account="acc",
        symbol="R_100",
        strategy="ema_trend",
        side=side,
        action=Action.ENTER,
        quantity=Decimal(10),
        worst_price=Decimal("101") if side is Side.BUY else Decimal("99"),
        position_id=intent,
        reason="entry",
    )
    return msgspec.structs.replace(made, **changes)


@pytest.fixture
def desk(fake_deriv: Any) -> Desk:
    return Desk(fake_deriv)


def url_of(venue: Any) -> str:
    return f"ws://127.0.0.1:{venue.port}/websockets/v3?app_id=1089"


@pytest.fixture
async def trading(desk: Desk) -> AsyncIterator[Trading]:
    trading = make_trading("deriv", endpoints={"ws": url_of(desk.venue)}, credentials=GOOD)
    yield trading
    await trading.aclose()


@pytest.mark.parametrize(("side", "contract_type"), [(Side.BUY, "MULTUP"), (Side.SELL, "MULTDOWN")])
async def test_an_entry_buys_the_contract_that_gains_its_way(
    desk: Desk, trading: Trading, side: Side, contract_type: str
) -> None:
    acknowledged, filled = await trading.submit(order(side), INSTRUMENT)
    assert desk.asked["contract_type"] == contract_type
    assert (desk.asked["amount"], desk.asked["basis"], desk.asked["multiplier"]) == (10, "stake", 40)
    assert acknowledged.kind is ReportKind.ACKNOWLEDGED
    assert filled.kind is ReportKind.FILLED
    assert filled.price == Decimal("100.3")
    assert (filled.quantity, filled.fee, filled.balance_after) == (Decimal(10), Decimal("0.14"), Decimal(9990))
    assert filled.venue_order_id == "700"


async def test_the_buy_s_price_cap_is_the_ask_never_above_the_stake(desk: Desk, trading: Trading) -> None:
    await trading.submit(order(), INSTRUMENT)
    (buy,) = [call for call in desk.venue.calls if "buy" in call]
    assert buy["price"] == 10


async def test_rise_and_fall_asks_for_a_duration(desk: Desk) -> None:
    trading = make_trading(
        "deriv",
        endpoints={"ws": url_of(desk.venue)},
        credentials=GOOD,
        product="rise_fall",
        duration=5,
    )
    await trading.submit(order(Side.SELL), INSTRUMENT)
    await trading.aclose()
    assert desk.asked["contract_type"] == "PUT"
    assert (desk.asked["duration"], desk.asked["duration_unit"]) == (5, "t")
    assert "multiplier" not in desk.asked


@pytest.mark.parametrize("code", ["PriceMoved", "InvalidContractProposal"])
async def test_a_moved_price_is_asked_for_again(desk: Desk, trading: Trading, code: str) -> None:
    desk.buy_refusals = [code, code]
    reports = await trading.submit(order(), INSTRUMENT)
    assert reports[-1].kind is ReportKind.FILLED
    assert desk.proposals == 3
    assert len(desk.bought) == 1


async def test_a_price_that_never_stands_still_is_refused(desk: Desk, trading: Trading) -> None:
    desk.buy_refusals = ["PriceMoved"] * 50
    with pytest.raises(VenueRefused, match="moved"):
        await trading.submit(order(), INSTRUMENT)
    assert not desk.bought


async def test_another_refusal_is_final_and_keeps_its_code(desk: Desk, trading: Trading) -> None:
    desk.buy_refusals = ["InsufficientBalance"]
    with pytest.raises(VenueRefused) as refused:
        await trading.submit(order(), INSTRUMENT)
    assert refused.value.code == "InsufficientBalance"
    assert desk.count("buy") == 1


@pytest.mark.parametrize(("side", "limit"), [(Side.BUY, "100.24"), (Side.SELL, "100.26")])
async def test_a_spot_beyond_the_limit_is_not_bought(desk: Desk, trading: Trading, side: Side, limit: str) -> None:
    with pytest.raises(VenueRefused, match="beyond the limit"):
        await trading.submit(order(side, worst_price=Decimal(limit)), INSTRUMENT)
    assert desk.count("buy") == 0


async def test_a_symbol_without_multipliers_is_refused_before_anything_is_sent(desk: Desk, trading: Trading) -> None:
    quote_only = msgspec.structs.replace(INSTRUMENT, kind=InstrumentKind.QUOTE_ONLY, multiplier=0)
    with pytest.raises(VenueRefused, match="not offered"):
        await trading.submit(order(), quote_only)
    assert desk.count("proposal") == 0


async def test_a_buy_cut_off_is_unresolved_and_not_repeated(desk: Desk, trading: Trading, eventually: Any) -> None:
    desk.swallow_buy_answer = True
    submitting = asyncio.create_task(trading.submit(order(), INSTRUMENT))
    await eventually(lambda: desk.bought, "the buy reached the venue")
    await desk.venue.drop()
    with pytest.raises(VenueUnresolved):
        await submitting
    assert desk.count("buy") == 1


@pytest.mark.parametrize("code", ["InternalServerError", "WrongResponse"])
async def test_an_answer_that_does_not_know_is_unresolved(desk: Desk, trading: Trading, code: str) -> None:
    desk.buy_refusals = [code]
    with pytest.raises(VenueUnresolved):
        await trading.submit(order(), INSTRUMENT)
    assert desk.count("buy") == 1


async def test_a_rate_limit_is_no_refusal(desk: Desk, trading: Trading) -> None:
    desk.buy_refusals = ["RateLimit"]
    with pytest.raises(VenueUnavailable):
        await trading.submit(order(), INSTRUMENT)


async def test_an_unresolved_buy_that_happened_is_found_in_the_books(
    desk: Desk, trading: Trading, eventually: Any
) -> None:
    desk.swallow_buy_answer = True
    wanted = order()
    submitting = asyncio.create_task(trading.submit(wanted, INSTRUMENT))
    await eventually(lambda: desk.bought, "the buy reached the venue")
    await desk.venue.drop()
    with pytest.raises(VenueUnresolved):
        await submitting
    found = await trading.resolve(wanted)
    assert found is not None
    (fill,) = found
    assert (fill.kind, fill.intent_id, fill.venue_order_id) == (ReportKind.FILLED, "intent-1", "700")
    assert (fill.quantity, fill.price) == (Decimal(10), Decimal("100.3"))


async def test_an_unresolved_buy_that_settled_meanwhile_is_found_in_the_statement(desk: Desk, trading: Trading) -> None:
    await trading.submit(order(intent="someone-else"), INSTRUMENT)
    fresh = make_trading("deriv", endpoints={"ws": url_of(desk.venue)}, credentials=GOOD)
    desk.end(700, sell_price=0.0, status="lost")
    found = await fresh.resolve(order(intent="after-a-restart"))
    await fresh.aclose()
    assert found is not None
    assert found[0].venue_order_id == "700"


async def test_a_lost_buy_is_proven_never_placed_once_the_books_are_old_enough(
    desk: Desk, trading: Trading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "QUIET_S", 0.0)
    assert await trading.resolve(order(sent_s=time.time())) is None
    assert await trading.resolve(order(sent_s=time.time() - 30)) == []


@pytest.mark.parametrize(
    "different",
    [
        {"quantity": Decimal(11)},
        {"symbol": "R_50"},
        {"side": Side.SELL},
        {"ts_event": int((time.time() - 300) * SECOND)},
    ],
)
async def test_someone_else_s_contract_is_not_taken_for_ours(
    desk: Desk, trading: Trading, different: dict[str, Any]
) -> None:
    await trading.submit(order(intent="theirs"), INSTRUMENT)
    fresh = make_trading("deriv", endpoints={"ws": url_of(desk.venue)}, credentials=GOOD)
    found = await fresh.resolve(order(intent="ours", **different))
    await fresh.aclose()
    assert not found


async def test_two_possible_traces_stay_unknown(desk: Desk, trading: Trading) -> None:
    await trading.submit(order(intent="a"), INSTRUMENT)
    await trading.submit(order(intent="b"), INSTRUMENT)
    fresh = make_trading("deriv", endpoints={"ws": url_of(desk.venue)}, credentials=GOOD)
    assert await fresh.resolve(order(intent="c", sent_s=time.time() - 1)) is None
    await fresh.aclose()


async def test_a_contract_of_another_order_of_ours_is_not_a_trace(desk: Desk, trading: Trading) -> None:
    await trading.submit(order(intent="a"), INSTRUMENT)
    assert not await trading.resolve(order(intent="b"))


async def test_a_close_sells_and_reports_what_it_paid(desk: Desk, trading: Trading) -> None:
    await trading.submit(order(), INSTRUMENT)
    leaving = order(Side.SELL, intent="exit-1", action=Action.EXIT)
    (sold,) = await trading.close(leaving, "700", INSTRUMENT)
    assert (sold.kind, sold.intent_id, sold.trade_id) == (ReportKind.FILLED, "exit-1", "9900")
    assert (sold.proceeds, sold.balance_after) == (Decimal("11.5"), Decimal("10001.5"))
    assert (sold.price, sold.quantity) == (Decimal("101.5"), Decimal(10))


async def test_a_close_waits_for_the_tick_after_the_entry(desk: Desk, trading: Trading) -> None:
    await trading.submit(order(), INSTRUMENT)
    desk.sell_refusals = ["SellAtEntryTick"]
    (sold,) = await trading.close(order(Side.SELL, intent="exit-1", action=Action.EXIT), "700", INSTRUMENT)
    assert sold.kind is ReportKind.FILLED
    assert desk.count("sell") == 2


async def test_closing_what_the_venue_has_closed_reports_closed(desk: Desk, trading: Trading) -> None:
    await trading.submit(order(), INSTRUMENT)
    desk.end(700, sell_price=0.0, status="lost")
    desk.sell_refusals = ["ContractAlreadySold"]
    (closed,) = await trading.close(order(Side.SELL, intent="exit-1", action=Action.EXIT), "700", INSTRUMENT)
    assert (closed.kind, closed.proceeds) == (ReportKind.CLOSED, Decimal(0))


async def test_a_clock_that_was_set_proves_nothing(desk: Desk, trading: Trading, eventually: Any) -> None:
    desk.lose_buy = True
    submitting = asyncio.create_task(trading.submit(order(), INSTRUMENT))
    await eventually(lambda: desk.count("buy"), "the buy reached the venue")
    await desk.venue.drop()
    with pytest.raises(VenueUnresolved):
        await submitting
    desk.venue.answers["time"] = lambda request: {"msg_type": "time", "time": int(time.time()) + 3600}
    assert await trading.resolve(order()) is None


async def test_an_unresolved_exit_is_told_by_its_contract(
    desk: Desk, trading: Trading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "QUIET_S", 0.0)
    await trading.submit(order(), INSTRUMENT)
    leaving = order(Side.SELL, intent="exit-1", action=Action.EXIT, venue_order_id="700", sent_s=time.time() - 30)
    assert await trading.resolve(leaving) == []
    desk.end(700, sell_price=12.25)
    found = await trading.resolve(leaving)
    assert found is not None
    assert (found[0].kind, found[0].proceeds) == (ReportKind.FILLED, Decimal("12.25"))


async def test_expired_is_not_sold(desk: Desk, trading: Trading, eventually: Any) -> None:
    await trading.submit(order(), INSTRUMENT)
    assert await trading.watch("700") == []
    desk.bought[700] |= {"is_expired": 1, "is_settleable": 1}
    await desk.venue.push_contract(desk.bought[700])
    assert await trading.watch("700") == []
    desk.end(700, sell_price=19.5, status="won")
    await desk.venue.push_contract(desk.bought[700])

    closed: list[Any] = []
    deadline = time.monotonic() + 5
    while not closed and time.monotonic() < deadline:
        closed = await trading.watch("700")
        await asyncio.sleep(0.01)
    assert [(r.kind, r.intent_id, r.proceeds) for r in closed] == [(ReportKind.CLOSED, "intent-1", Decimal("19.5"))]


async def test_watching_asks_once_and_then_listens(desk: Desk, trading: Trading) -> None:
    await trading.submit(order(), INSTRUMENT)
    asked = desk.count("proposal_open_contract")
    for _ in range(20):
        await trading.watch("700")
    assert desk.count("proposal_open_contract") == asked


async def test_balance_and_open_positions(desk: Desk, trading: Trading) -> None:
    assert await trading.balance() == (Decimal("9285.5"), "USD")
    assert await trading.open_positions() == []
    await trading.submit(order(), INSTRUMENT)
    (held,) = await trading.open_positions()
    bought = desk.bought[700]["purchase_time"] * SECOND
    assert held == VenuePosition("700", "R_100", Side.BUY, Decimal(10), bought)
    assert await trading.balances() == {"USD": Decimal("9285.5")}


async def test_a_bad_token_is_refused_with_what_to_do(desk: Desk) -> None:
    trading = make_trading("deriv", endpoints={"ws": url_of(desk.venue)}, credentials=Credentials(token="bad"))
    with pytest.raises(VenueRefused, match="DERIV_TOKEN"):
        await trading.balance()
    await trading.aclose()


async def test_when_the_venue_is_down_nothing_was_sent(desk: Desk, trading: Trading) -> None:
    await desk.venue.stop()
    with pytest.raises(VenueUnavailable):
        await trading.submit(order(), INSTRUMENT)
    await desk.venue.start()


async def test_after_a_disconnect_trading_goes_on(desk: Desk, trading: Trading) -> None:
    await trading.balance()
    await desk.venue.drop()
    wait: Callable[[], Any] = trading.balance
    for _ in range(50):
        try:
            assert (await wait())[1] == "USD"
            break
        except VenueUnavailable:
            await asyncio.sleep(0.05)
    else:
        pytest.fail("never came back")
