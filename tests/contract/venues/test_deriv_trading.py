"""Orders at Deriv, over both of its APIs, against a fake account: what is sent, what never twice, what became of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from deriv_desk import GOOD, INSTRUMENT, Desk, order, refusal

from libs.core.types import SECOND, Action, InstrumentKind, ReportKind, Side
from libs.venues.base import Holds, Trading, VenuePosition, VenueRefused, VenueUnavailable, VenueUnresolved
from libs.venues.credentials import Credentials
from libs.venues.deriv import connection, resolver
from libs.venues.registry import make_trading

Make = Callable[..., Trading]


@pytest.fixture
def desk(fake_deriv: Any) -> Desk:
    return Desk(fake_deriv)


@pytest.fixture(params=["v3", "options"])
def make(request: pytest.FixtureRequest, desk: Desk, deriv_door: Any) -> Make:
    """An adapter of either API for the same account."""
    urls = {"ws": f"ws://127.0.0.1:{desk.venue.port}/websockets/v3"} if request.param == "v3" else deriv_door.urls

    def made(**changes: Any) -> Trading:
        given: dict[str, Any] = {"credentials": GOOD} | changes
        return make_trading("deriv", api=request.param, endpoint="simulator", endpoints=urls, **given)

    return made


@pytest.fixture
async def trading(make: Make) -> AsyncIterator[Trading]:
    trading = make()
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


async def test_rise_and_fall_asks_for_a_duration(desk: Desk, make: Make) -> None:
    trading = make(product="rise_fall", duration=5)
    await trading.submit(order(Side.SELL, stop_price=Decimal(101)), INSTRUMENT)
    await trading.aclose()
    assert desk.asked["contract_type"] == "PUT"
    assert (desk.asked["duration"], desk.asked["duration_unit"]) == (5, "t")
    assert not {"multiplier", "limit_order"} & set(desk.asked)


async def test_a_contract_that_pays_no_more_than_it_costs_is_not_bought(desk: Desk, make: Make) -> None:
    desk.payout = 10.0
    trading = make(product="rise_fall", duration=5)
    with pytest.raises(VenueRefused, match="no return"):
        await trading.submit(order(), INSTRUMENT)
    await trading.aclose()
    assert desk.count("buy") == 0


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


@pytest.mark.parametrize("code", ["InternalServerError", "WrongResponse", "SomethingNew"])
async def test_an_answer_that_does_not_know_is_unresolved(desk: Desk, trading: Trading, code: str) -> None:
    desk.buy_refusals = [code]
    with pytest.raises(VenueUnresolved):
        await trading.submit(order(), INSTRUMENT)
    assert desk.count("buy") == 1


async def test_a_sale_refused_with_a_code_that_nobody_knows_is_unresolved(desk: Desk, trading: Trading) -> None:
    await trading.submit(order(), INSTRUMENT)
    desk.sell_refusals = ["SomethingNew"]
    with pytest.raises(VenueUnresolved):
        await trading.close(order(Side.SELL, intent="exit-1", action=Action.EXIT), "700", INSTRUMENT)
    assert desk.count("sell") == 1


@pytest.mark.parametrize("ask", [9.99, 10.01])
async def test_what_would_not_be_found_by_its_stake_is_not_bought(desk: Desk, trading: Trading, ask: float) -> None:
    honest = desk.venue.answers["proposal"]

    def other(request: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = honest(request)
        answer["proposal"]["ask_price"] = ask
        return answer

    desk.venue.answers["proposal"] = other
    with pytest.raises(VenueRefused, match="instead of the stake"):
        await trading.submit(order(), INSTRUMENT)
    assert desk.count("buy") == 0


async def test_books_too_long_to_be_read_to_their_end_prove_nothing(
    desk: Desk, trading: Trading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "QUIET_S", 0.0)
    monkeypatch.setattr(resolver, "STATEMENT_PAGE", 0)
    assert await trading.resolve(order(sent_s=time.time() - 30)) is None


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


async def test_an_unresolved_buy_that_settled_meanwhile_is_found_in_the_statement(
    desk: Desk, trading: Trading, make: Make
) -> None:
    await trading.submit(order(intent="someone-else"), INSTRUMENT)
    fresh = make()
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
    desk: Desk, trading: Trading, make: Make, different: dict[str, Any]
) -> None:
    await trading.submit(order(intent="theirs"), INSTRUMENT)
    fresh = make()
    found = await fresh.resolve(order(intent="ours", **different))
    await fresh.aclose()
    assert not found


async def test_two_possible_traces_stay_unknown(desk: Desk, trading: Trading, make: Make) -> None:
    await trading.submit(order(intent="a"), INSTRUMENT)
    await trading.submit(order(intent="b"), INSTRUMENT)
    fresh = make()
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


async def test_a_bad_token_is_refused_with_what_to_do(desk: Desk, make: Make) -> None:
    trading = make(credentials=Credentials(token="bad"))
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


async def test_the_levels_are_left_with_the_venue_a_little_further_out(desk: Desk, trading: Trading) -> None:
    wanted = order(stop_price=Decimal("99.25"), target_price=Decimal("102.25"))
    *_, filled = await trading.submit(wanted, INSTRUMENT)
    kept = desk.asks[-1]["limit_order"]
    lost_at_stop, won_at_target = 400 * 1.0 / 100.25 + 0.14, 400 * 2.0 / 100.25 - 0.14
    assert lost_at_stop < kept["stop_loss"] < 1.2 * lost_at_stop + 0.25
    assert won_at_target < kept["take_profit"] < 1.2 * won_at_target + 0.25
    assert filled.detail == ""
    assert [("limit_order" in ask) for ask in desk.asks] == [False, True]


async def test_a_stop_beyond_the_stake_is_left_to_the_venue_s_stop_out(desk: Desk, trading: Trading) -> None:
    *_, filled = await trading.submit(order(stop_price=Decimal("97.0")), INSTRUMENT)
    assert "no stop_loss at the venue" in filled.detail
    assert not any("limit_order" in ask for ask in desk.asks)


async def test_levels_that_the_venue_refuses_are_dropped_with_a_note(desk: Desk, trading: Trading) -> None:
    desk.limits_refused = True
    *_, filled = await trading.submit(order(stop_price=Decimal("99.25")), INSTRUMENT)
    assert "without protective levels" in filled.detail
    assert len(desk.bought) == 1


async def test_a_buy_refused_for_its_levels_is_made_without_them(desk: Desk, trading: Trading) -> None:
    desk.buy_refusals = ["ContractBuyValidationError"]
    *_, filled = await trading.submit(order(stop_price=Decimal("99.25")), INSTRUMENT)
    assert "without protective levels" in filled.detail
    assert [("limit_order" in ask) for ask in desk.asks] == [False, True, False]
    assert len(desk.bought) == 1


async def test_a_buy_without_an_answer_ends_its_connection(
    desk: Desk, trading: Trading, monkeypatch: pytest.MonkeyPatch, eventually: Any
) -> None:
    monkeypatch.setattr(connection, "ANSWER_S", 0.2)
    desk.swallow_buy_answer = True
    await trading.balance()
    (before,) = desk.venue.connections
    with pytest.raises(VenueUnresolved, match="no answer"):
        await trading.submit(order(), INSTRUMENT)
    await eventually(lambda: before not in desk.venue.connections, "the connection to be gone")
    assert desk.count("buy") == 1


@pytest.mark.parametrize(
    "answer",
    [
        {"msg_type": "buy", "buy": {"contract_id": "no number"}},
        {"msg_type": "buy", "buy": None},
        {"msg_type": "buy", "error": "no object"},
        {"msg_type": ["buy"]},
    ],
)
async def test_a_buy_whose_answer_cannot_be_read_is_unresolved_at_once(
    desk: Desk, trading: Trading, answer: dict[str, Any]
) -> None:
    desk.venue.answers["buy"] = lambda request: answer
    began = time.monotonic()
    with pytest.raises(VenueUnresolved, match="cannot be read"):
        await trading.submit(order(), INSTRUMENT)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("money", ["NaN", "Infinity", "1e999999999", "-5", 0, True, [1], None])
async def test_an_absurd_price_buys_nothing(desk: Desk, trading: Trading, money: Any) -> None:
    honest = desk.proposal

    def absurd(request: dict[str, Any]) -> dict[str, Any]:
        answer = honest(request)
        answer["proposal"]["ask_price"] = money
        return answer

    desk.venue.answers["proposal"] = absurd
    with pytest.raises(VenueUnavailable, match="ask_price"):
        await trading.submit(order(), INSTRUMENT)
    assert desk.count("buy") == 0


async def test_numbers_may_come_as_text(desk: Desk, trading: Trading) -> None:
    honest = desk.open_contract

    def as_text(request: dict[str, Any]) -> dict[str, Any]:
        answer = honest(request)
        if "proposal_open_contract" in answer:
            contract = answer["proposal_open_contract"] | {"underlying_symbol": "R_100", "surprise": {"new": [1]}}
            texts = {"buy_price": "10", "commission": "0.14", "entry_spot": "100.30", "current_spot": "100.25"}
            answer["proposal_open_contract"] = contract | texts
        return answer

    desk.venue.answers["proposal_open_contract"] = as_text
    *_, filled = await trading.submit(order(), INSTRUMENT)
    assert (filled.price, filled.fee) == (Decimal("100.30"), Decimal("0.14"))


async def test_a_session_that_ended_is_renewed_and_the_order_placed_once(desk: Desk, trading: Trading) -> None:
    await trading.balance()
    desk.buy_refusals = ["AuthorizationRequired"]
    await trading.submit(order(), INSTRUMENT)
    assert len(desk.bought) == 1
    assert desk.count("buy") == 2
    assert len(desk.venue.paths) == 2


async def test_after_a_rate_limit_the_bucket_is_silent_for_a_while(desk: Desk, trading: Trading) -> None:
    desk.venue.answers["portfolio"] = lambda request: refusal("portfolio", "RateLimit")
    with pytest.raises(VenueUnavailable):
        await trading.open_positions()
    blocked = [budget.state() for budget in trading.budgets() if budget.state().blocked_s > 0]
    assert [state.name for state in blocked] == ["deriv outcome calls a minute"]


async def test_a_purchase_that_only_the_profit_table_shows_is_found(desk: Desk, trading: Trading, make: Make) -> None:
    await trading.submit(order(intent="before-the-crash"), INSTRUMENT)
    desk.end(700, sell_price=0.0, status="lost")
    desk.hidden_from_books = True
    fresh = make()
    found = await fresh.resolve(order(intent="before-the-crash"))
    await fresh.aclose()
    assert found is not None
    assert (found[0].venue_order_id, found[0].quantity) == ("700", Decimal(10))


async def test_nothing_rests_so_there_is_nothing_to_cancel(desk: Desk, trading: Trading) -> None:
    assert trading.holds is Holds.CONTRACTS
    assert await trading.cancel(order()) == []
    assert desk.venue.calls == []
