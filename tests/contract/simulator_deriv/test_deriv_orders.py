"""Changing, cancelling and ending contracts on the simulated Deriv, and the money that moves without one."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MULTIPLIER = {
    "contract_type": "MULTUP",
    "currency": "USD",
    "symbol": "PLANTED",
    "amount": 10,
    "basis": "stake",
    "multiplier": 100,
}
KINDS: dict[str, dict[str, Any]] = {
    "CALLE": {"symbol": "R_100", "duration": 2, "duration_unit": "t"},
    "PUTE": {"symbol": "1HZ50V", "duration": 30, "duration_unit": "s"},
    "DIGITMATCH": {"symbol": "R_10", "barrier": "7", "duration": 5, "duration_unit": "t"},
    "DIGITDIFF": {"symbol": "R_25", "barrier": "0", "duration": 1, "duration_unit": "t"},
    "DIGITEVEN": {"symbol": "1HZ100V", "duration": 10, "duration_unit": "t"},
    "DIGITODD": {"symbol": "1HZ100V", "duration": 10, "duration_unit": "t"},
    "DIGITOVER": {"symbol": "JD50", "barrier": "4", "duration": 3, "duration_unit": "t"},
    "DIGITUNDER": {"symbol": "RDBULL", "barrier": "5", "duration": 3, "duration_unit": "t"},
    "ACCU": {"symbol": "1HZ100V", "growth_rate": 0.05, "limit_order": {"take_profit": 2}},
    "MULTDOWN": {"symbol": "BOOM500", "multiplier": 500, "limit_order": {"stop_loss": 1, "take_profit": 1}},
}


def order(kind: str) -> dict[str, Any]:
    return {"contract_type": kind, "currency": "USD", "amount": 10, "basis": "stake", **KINDS[kind]}


def code(answer: dict[str, Any]) -> str:
    return str(answer["error"]["code"])


def buy(trader: Any, **parameters: Any) -> int:
    answer = trader.ask(buy="1", price=50, parameters={**MULTIPLIER, **parameters})
    return int(answer["buy"]["contract_id"])


def state(trader: Any, contract_id: int) -> dict[str, Any]:
    answer = trader.ask(proposal_open_contract=1, contract_id=contract_id)
    return dict(answer["proposal_open_contract"])


def events(client: Any, kind: str) -> list[dict[str, Any]]:
    return [message[kind] for message in client.received if message["msg_type"] == kind]


def recorded(desk: Any) -> list[dict[str, Any]]:
    desk.record.flush()
    return [json.loads(line) for line in (desk.folder / "record.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_priced_bought_followed_and_settled(desk: Any, kind: str) -> None:
    trader = desk.trader()
    quoted = trader.ask(proposal=1, **order(kind))["proposal"]
    bought = trader.ask(buy=quoted["id"], price=10, subscribe=1)["buy"]
    assert (bought["buy_price"], bought["payout"]) == (10, quoted["payout"])
    assert bought["longcode"] == quoted["longcode"]
    for _ in range(60):
        desk.pass_seconds(5)
        if not trader.session.streams:
            break
    final = events(trader, "proposal_open_contract")[-1]
    assert final["is_sold"] == 1
    assert final["status"] in ("won", "lost")
    if quoted["payout"]:
        assert final["sell_price"] == (quoted["payout"] if final["status"] == "won" else 0)
    assert trader.ask(balance=1)["balance"]["balance"] == pytest.approx(10_000 - 10 + final["sell_price"])
    (line,) = [line for line in recorded(desk) if line["kind"] == "settle"]
    assert (line["status"], float(line["amount"])) == (final["status"], final["sell_price"])
    assert line["reason"] in ("expired", "take_profit", "stop_loss", "stop_out", "knocked_out", "max_ticks")


# --- contract_update ---------------------------------------------------------------------------------------------


def test_limit_orders_are_set_changed_removed_and_remembered(desk: Any) -> None:
    trader = desk.trader()
    contract_id = buy(trader, limit_order={"stop_loss": 4})
    desk.pass_seconds(1)
    changed = trader.ask(contract_update=1, contract_id=contract_id, limit_order={"take_profit": 60, "stop_loss": 9})
    now = desk.venue.now()
    assert changed["contract_update"]["take_profit"]["order_amount"] == 60
    assert changed["contract_update"]["stop_loss"]["order_amount"] == -9
    assert changed["contract_update"]["stop_loss"]["order_date"] == now
    held = state(trader, contract_id)["limit_order"]
    assert held["take_profit"]["value"] == changed["contract_update"]["take_profit"]["value"]
    desk.pass_seconds(1)
    removed = trader.ask(contract_update=1, contract_id=contract_id, limit_order={"stop_loss": None})
    assert removed["contract_update"]["stop_loss"]["value"] is None
    assert removed["contract_update"]["take_profit"]["order_amount"] == 60, "what is not named stays"
    assert set(state(trader, contract_id)["limit_order"]) == {"stop_out", "take_profit"}
    rows = trader.ask(contract_update_history=1, contract_id=contract_id)["contract_update_history"]
    assert [(row["order_type"], row["order_amount"]) for row in rows] == [
        ("stop_loss", "0.00"),
        ("stop_loss", "-9.00"),
        ("take_profit", "60.00"),
        ("stop_loss", "-4.00"),
    ]
    (first, second) = [line for line in recorded(desk) if line["kind"] == "limits"]
    assert (first["take_profit"], first["stop_loss"]) == ("60.00", "9.00")
    assert (second["take_profit"], second["stop_loss"]) == ("60.00", None)


def test_followers_of_a_contract_see_its_changed_orders_at_once(desk: Any) -> None:
    trader, other = desk.trader(), desk.trader()
    contract_id = buy(trader)
    other.ask(proposal_open_contract=1, contract_id=contract_id, subscribe=1)
    trader.ask(contract_update=1, contract_id=contract_id, limit_order={"take_profit": 60})
    assert events(other, "proposal_open_contract")[-1]["limit_order"]["take_profit"]["order_amount"] == 60


def test_changed_take_profit_closes_the_contract_and_survives_a_kill(desk: Any) -> None:
    trader = desk.trader()
    contract_id = buy(trader, contract_type="MULTDOWN")  # the wave falls at first
    desk.pass_seconds(2)
    profit = state(trader, contract_id)["profit"]
    trader.ask(contract_update=1, contract_id=contract_id, limit_order={"take_profit": max(profit, 0) + 1})
    desk.restart(seconds_away=120)
    trader = desk.trader()
    closed = state(trader, contract_id)
    assert (closed["is_sold"], closed["status"]) == (1, "won")
    assert closed["profit"] >= max(profit, 0) + 1
    (line,) = [line for line in recorded(desk) if line["kind"] == "settle"]
    assert line["reason"] == "take_profit"


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"take_profit": 1001}, "LimitOrderAmountTooHigh"),
        ({"take_profit": 0.01}, "LimitOrderAmountTooLow"),
        ({"stop_loss": 10.01}, "LimitOrderAmountTooHigh"),
        ({"stop_loss": "9"}, "InputValidationFailed"),
        ({"stop_out": 9}, "InputValidationFailed"),
    ],
)
def test_limits_the_venue_does_not_take_are_refused_and_change_nothing(desk: Any, limits: Any, expected: str) -> None:
    trader = desk.trader()
    contract_id = buy(trader, limit_order={"stop_loss": 4})
    desk.pass_seconds(1)
    before = state(trader, contract_id)["limit_order"]
    assert code(trader.ask(contract_update=1, contract_id=contract_id, limit_order=limits)) == expected
    assert state(trader, contract_id)["limit_order"] == before


def test_only_one_update_a_second_and_none_where_there_are_no_orders(desk: Any, orders: Any) -> None:
    trader = desk.trader()
    contract_id = buy(trader)

    def update() -> dict[str, Any]:
        answer = trader.ask(contract_update=1, contract_id=contract_id, limit_order={"stop_loss": 9})
        return dict(answer)

    assert "contract_update" in update()
    assert code(update()) == "ContractUpdateTooFrequent"
    desk.pass_seconds(1)
    assert "contract_update" in update()
    desk.pass_seconds(1)
    trader.ask(sell=contract_id, price=0)
    assert code(update()) == "ContractAlreadySold"
    contract_id = trader.ask(buy="1", price=50, parameters=orders["ticks"])["buy"]["contract_id"]
    assert code(update()) == "ContractUpdateNotAllowed"
    contract_id = 1
    assert code(update()) == "ContractNotFound"


# --- deal cancellation -------------------------------------------------------------------------------------------


def test_deal_cancellation_costs_a_fee_and_returns_the_stake(desk: Any) -> None:
    trader = desk.trader()
    asked = {**MULTIPLIER, "symbol": "R_100", "cancellation": "60m"}
    quoted = trader.ask(proposal=1, **asked)["proposal"]
    fee = quoted["cancellation"]["ask_price"]
    assert quoted["ask_price"] == pytest.approx(10 + fee)
    bought = trader.ask(buy=quoted["id"], price=20)["buy"]
    contract_id = bought["contract_id"]
    assert code(trader.ask(cancel=contract_id)) == "EntryTickMissing"
    desk.pass_seconds(4)
    held = state(trader, contract_id)
    assert (held["is_valid_to_cancel"], held["cancellation"]) == (
        1,
        {"ask_price": fee, "date_expiry": bought["purchase_time"] + 3600},
    )
    refused = trader.ask(contract_update=1, contract_id=contract_id, limit_order={"stop_loss": 5})
    assert code(refused) == "ContractUpdateNotAllowed"
    cancelled = trader.ask(cancel=contract_id)["cancel"]
    assert (cancelled["sold_for"], cancelled["reference_id"]) == (10, bought["transaction_id"])
    assert state(trader, contract_id)["status"] == "cancelled"
    assert code(trader.ask(cancel=contract_id)) == "ContractAlreadySold"
    row = trader.ask(profit_table=1, description=1)["profit_table"]["transactions"][0]
    assert (row["buy_price"], row["sell_price"], row["deal_cancellation_duration"]) == (10 + fee, 10, "60m")
    (line,) = [line for line in recorded(desk) if line["kind"] == "cancel"]
    assert (line["status"], line["amount"], line["reason"]) == ("cancelled", "10.00", "cancelled")


def test_cancelling_without_deal_cancellation_or_after_it_is_refused(desk: Any) -> None:
    trader = desk.trader()
    plain, short = buy(trader), buy(trader, symbol="R_10", multiplier=400, cancellation="5m")
    desk.pass_seconds(4)
    assert code(trader.ask(cancel=plain)) == "DealCancellationNotBought"
    desk.pass_seconds(300)
    assert code(trader.ask(cancel=short)) == "DealCancellationExpired"
    assert code(trader.ask(cancel=7)) == "ContractNotFound"


@pytest.mark.parametrize(
    ("changes", "subcode"),
    [
        ({"limit_order": {"stop_loss": 5}}, "EitherStopLossOrCancel"),
        ({"limit_order": {"take_profit": 5}}, "EitherTakeProfitOrCancel"),
        ({"symbol": "BOOM500"}, "DealCancellationNotOffered"),
        ({"cancellation": "7m"}, "DealCancellationNotOffered"),
    ],
)
def test_deal_cancellation_excludes_limit_orders_and_spiky_indices(desk: Any, changes: Any, subcode: str) -> None:
    refused = desk.trader().ask(proposal=1, **{**MULTIPLIER, "cancellation": "60m", **changes})
    assert (code(refused), refused["error"]["subcode"]) == ("ContractBuyValidationError", subcode)


def test_losing_contract_with_deal_cancellation_is_not_sold(desk: Any) -> None:
    trader = desk.trader()
    contract_id = buy(trader, symbol="1HZ100V", cancellation="5m")
    desk.pass_seconds(2)
    while state(trader, contract_id)["profit"] >= 0:
        desk.pass_seconds(1)
    assert code(trader.ask(sell=contract_id, price=0)) == "CancelIsBetter"
    assert "cancel" in trader.ask(cancel=contract_id)


# --- money without a contract, tables ------------------------------------------------------------------------------


def test_topping_up_fills_the_demo_account_and_is_told_everywhere(desk: Any) -> None:
    trader = desk.trader()
    assert code(trader.ask(topup_virtual=1)) == "TopupVirtualError"
    trader.ask(balance=1, subscribe=1)
    trader.ask(transaction=1, subscribe=1)
    buy(trader)
    assert trader.ask(topup_virtual=1)["topup_virtual"] == {"amount": 10, "currency": "USD"}
    assert events(trader, "balance")[-1]["balance"] == 10_000
    told = events(trader, "transaction")[-1]
    assert (told["action"], told["amount"], told["balance"]) == ("virtual_credit", 10, 10_000)
    (row,) = trader.ask(statement=1, action_type="virtual_credit")["statement"]["transactions"]
    assert (row["amount"], row["contract_id"], row["transaction_id"]) == (10, None, told["transaction_id"])
    desk.restart()
    trader = desk.trader()
    assert trader.ask(balance=1)["balance"]["balance"] == 10_000
    assert len(trader.ask(statement=1)["statement"]["transactions"]) == 2
    (line,) = [line for line in recorded(desk) if line["kind"] == "cash"]
    assert (line["action"], line["amount"], line["balance"]) == ("virtual_credit", "10.00", "10000.00")


def test_deposits_and_withdrawals_of_the_venue_move_the_balance(desk: Any) -> None:
    trader = desk.trader()
    trader.ask(transaction=1, subscribe=1)
    desk.venue.move_cash(desk.venue.account, "deposit", Decimal("5.50"))
    desk.venue.move_cash(desk.venue.account, "withdrawal", Decimal("-1.25"))
    assert [event["action"] for event in events(trader, "transaction") if "action" in event] == [
        "deposit",
        "withdrawal",
    ]
    assert trader.ask(balance=1)["balance"]["balance"] == 10_004.25


def test_profit_table_holds_what_is_closed_in_order_of_choice(desk: Any, orders: Any) -> None:
    trader = desk.trader()
    first = trader.ask(buy="1", price=50, parameters=orders["ticks"])["buy"]
    desk.pass_seconds(3)
    second = trader.ask(buy="1", price=50, parameters=orders["time"])["buy"]
    buy(trader, symbol="R_10", multiplier=400)
    desk.pass_seconds(30)

    def table(**asked: Any) -> list[int]:
        body = trader.ask(profit_table=1, **asked)["profit_table"]
        assert body["count"] == len(body["transactions"])
        return [row["contract_id"] for row in body["transactions"]]

    ids = [first["contract_id"], second["contract_id"]]
    assert table() == ids[::-1]
    assert table(sort="ASC") == ids
    assert table(limit=1, offset=1) == ids[:1]
    assert table(contract_type=["PUT"]) == ids[1:]
    assert table(date_from=str(second["purchase_time"])) == ids[1:]
    assert table(date_to="2001-01-01") == []
    assert table(date_from="2001-01-01", date_to="2100-12-31") == ids[::-1]
    assert code(trader.ask(profit_table=1, date_from="2001-02-31")) == "InputValidationFailed"
    (row,) = trader.ask(profit_table=1, limit=1)["profit_table"]["transactions"]
    assert "shortcode" not in row, "only with description"


# --- proposals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "streamed"),
    [
        ({"contract_type": "CALL", "symbol": "1HZ100V", "duration": 5, "duration_unit": "t"}, False),
        ({"contract_type": "DIGITODD", "symbol": "1HZ100V", "duration": 5, "duration_unit": "t"}, False),
        ({"contract_type": "CALL", "symbol": "R_100", "duration": 60}, False),
        ({"contract_type": "CALL", "symbol": "R_100", "duration": 60, "barrier": "+0.10"}, True),
        ({"contract_type": "CALL", "symbol": "R_100", "duration": 1, "duration_unit": "d"}, True),
        ({"contract_type": "CALL", "symbol": "1HZ100V", "duration": 60}, True),
        ({"contract_type": "MULTUP", "symbol": "R_100", "multiplier": 40}, True),
        ({"contract_type": "ACCU", "symbol": "R_100", "growth_rate": 0.01}, True),
    ],
)
def test_proposals_are_streamed_where_their_price_changes(desk: Any, asked: Any, streamed: bool) -> None:
    client = desk.client()
    first = client.ask(proposal=1, subscribe=1, currency="USD", amount=10, basis="stake", **asked)
    assert first["subscription"]["id"] == first["proposal"]["id"]
    desk.pass_seconds(4)
    assert (len(client.received) > 1) is streamed


def test_proposal_id_dies_with_time_with_its_stream_and_with_its_connection(desk: Any, orders: Any) -> None:
    trader = desk.trader()
    single = trader.ask(proposal=1, **orders["ticks"])["proposal"]["id"]
    streamed = trader.ask(proposal=1, subscribe=1, **orders["multiplier"])["proposal"]["id"]
    forgotten = trader.ask(proposal=1, subscribe=1, **orders["barrier"])["proposal"]["id"]
    trader.ask(forget=forgotten)
    desk.pass_seconds(61)
    for proposal_id in (single, forgotten, "x" * 32):
        assert code(trader.ask(buy=proposal_id, price=100)) == "InvalidContractProposal"
    assert code(desk.trader().ask(buy=streamed, price=100)) == "InvalidContractProposal"
    assert "buy" in trader.ask(buy=streamed, price=100)


def test_small_move_against_the_client_is_absorbed_and_a_large_one_is_not(desk: Any) -> None:
    outcomes = set()
    spot = desk.client().ask(ticks="1HZ100V")["tick"]["quote"]
    asked = {
        "contract_type": "CALL",
        "currency": "USD",
        "symbol": "1HZ100V",
        "duration": 3600,
        "barrier": f"{spot:.2f}",
    }
    for basis in ("payout", "stake"):
        for _ in range(60):
            trader = desk.trader()
            quoted = trader.ask(proposal=1, amount=100, basis=basis, **asked)["proposal"]
            desk.pass_seconds(1)
            fresh = desk.client().ask(proposal=1, amount=100, basis=basis, **asked)["proposal"]
            answer = trader.ask(buy=quoted["id"], price=quoted["ask_price"])
            worse = (fresh["ask_price"] - quoted["ask_price"]) + (quoted["payout"] - fresh["payout"])
            if worse > 0.006 * quoted["payout"] + 0.005:
                assert code(answer) == "PriceMoved"
                outcomes.add((basis, "moved"))
            elif worse > 0:
                receipt = answer["buy"]
                assert (receipt["buy_price"], receipt["payout"]) == (quoted["ask_price"], quoted["payout"])
                outcomes.add((basis, "absorbed"))
            else:
                receipt = answer["buy"]
                assert (receipt["buy_price"], receipt["payout"]) == (fresh["ask_price"], fresh["payout"])
                outcomes.add((basis, "better"))
            desk.venue.account.balance = Decimal(10_000)
    assert outcomes == {(basis, what) for basis in ("payout", "stake") for what in ("moved", "absorbed", "better")}


def test_app_mark_up_makes_a_contract_dearer_and_is_bounded(desk: Any, orders: Any) -> None:
    trader = desk.trader()
    plain = trader.ask(buy="1", price=50, parameters=orders["barrier"])["buy"]["buy_price"]
    marked = {**orders["barrier"], "app_markup_percentage": 3}
    assert trader.ask(buy="1", price=50, parameters=marked)["buy"]["buy_price"] == pytest.approx(plain + 0.3, abs=0.011)
    too_much = {**orders["barrier"], "app_markup_percentage": 3.5}
    assert trader.ask(buy="1", price=50, parameters=too_much)["error"]["subcode"] == "InvalidAppMarkup"


def test_number_of_open_contracts_is_limited(desk: Any) -> None:
    trader = desk.trader()
    parameters = {**MULTIPLIER, "amount": 1}
    answers = [trader.ask(buy="1", price=50, parameters=parameters) for _ in range(101)]
    assert ["buy" in answer for answer in answers] == [True] * 100 + [False]
    assert code(answers[-1]) == "OpenPositionLimitExceeded"


@pytest.mark.parametrize(
    ("changes", "expected", "text"),
    [
        ({"contract_type": "DIGITOVER", "barrier": "9"}, "ContractBuyValidationError", "0 to 8"),
        ({"contract_type": "DIGITUNDER", "barrier": "0"}, "ContractBuyValidationError", "1 to 9"),
        ({"contract_type": "DIGITMATCH"}, "ContractBuyValidationError", "0 to 9"),
        ({"contract_type": "DIGITEVEN", "barrier": "1"}, "ContractBuyValidationError", "Barrier"),
        ({"contract_type": "DIGITODD", "duration": 11}, "ContractBuyValidationError", "between 1 and 10"),
        ({"contract_type": "DIGITODD", "duration_unit": "m"}, "OfferingsValidationError", "duration"),
        ({"contract_type": "ACCU"}, "ContractBuyValidationError", "duration"),
        ({"contract_type": "CALL", "symbol": "BOOM500"}, "OfferingsValidationError", "not offered"),
        ({"contract_type": "CALL", "symbol": "RB100"}, "ContractBuyValidationError", "suspended"),
        ({"contract_type": "CALL", "symbol": "RDBEAR", "duration_unit": "d"}, "ContractBuyValidationError", "same day"),
        ({"contract_type": "CALL", "symbol": "frxEURUSD"}, "OfferingsValidationError", "duration"),
    ],
)
def test_what_is_outside_the_offer_of_a_symbol_is_refused(desk: Any, changes: Any, expected: str, text: str) -> None:
    asked = {"currency": "USD", "symbol": "R_100", "amount": 10, "basis": "stake", "duration": 5, "duration_unit": "t"}
    refused = desk.client().ask(proposal=1, **{**asked, **changes})
    assert code(refused) == expected
    assert text in refused["error"]["message"]
    assert ("subcode" in refused["error"]) == (expected == "ContractBuyValidationError")


def test_growth_rate_must_be_one_of_those_offered(desk: Any) -> None:
    asked = {"contract_type": "ACCU", "currency": "USD", "symbol": "R_100", "amount": 10, "growth_rate": 0.06}
    refused = desk.client().ask(proposal=1, **asked)
    assert (code(refused), refused["error"]["subcode"]) == ("ContractBuyValidationError", "GrowthRateOutOfRange")


def test_contract_of_a_day_ends_with_a_later_day(desk: Any) -> None:
    trader = desk.trader()
    asked = {"contract_type": "CALL", "currency": "USD", "symbol": "R_100", "amount": 10, "basis": "stake"}
    quoted = trader.ask(proposal=1, duration=1, duration_unit="d", **asked)["proposal"]
    assert quoted["date_expiry"] % 86_400 == 86_399
    assert quoted["date_expiry"] // 86_400 == quoted["date_start"] // 86_400 + 1
    assert "at close on" in quoted["longcode"]
    bought = trader.ask(buy=quoted["id"], price=10)["buy"]
    assert state(trader, bought["contract_id"])["is_intraday"] == 0
    desk.restart(seconds_away=2 * 86_400)
    closed = state(desk.trader(), bought["contract_id"])
    assert closed["sell_time"] == quoted["date_expiry"] + 1
    assert closed["exit_tick_time"] <= quoted["date_expiry"]


# --- the truth -----------------------------------------------------------------------------------------------------

_DEEDS = st.lists(
    st.one_of(
        st.tuples(st.just("buy"), st.sampled_from(sorted(KINDS))),
        st.tuples(st.just("sell"), st.integers(0, 9)),
        st.tuples(st.just("limits"), st.integers(0, 9)),
        st.tuples(st.just("cancel"), st.integers(0, 9)),
        st.tuples(st.just("cover"), st.just(0)),
        st.tuples(st.just("topup"), st.just(0)),
        st.tuples(st.just("wait"), st.integers(1, 20)),
        st.tuples(st.just("kill"), st.integers(0, 30)),
    ),
    max_size=14,
)


@given(deeds=_DEEDS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_record_statement_and_balance_agree_whatever_is_done_and_whenever_it_is_killed(
    desk_of: Any, deeds: list[tuple[str, Any]]
) -> None:
    desk = desk_of()
    trader = desk.trader()
    for deed, what in deeds:
        held = sorted(desk.venue.account.contracts)
        chosen = held[what % len(held)] if held and isinstance(what, int) else 0
        if deed == "buy":
            trader.ask(buy="1", price=50, parameters=order(what))
        elif deed == "cover":
            trader.ask(buy="1", price=50, parameters={**MULTIPLIER, "cancellation": "5m"})
        elif deed == "sell":
            trader.ask(sell=chosen, price=0)
        elif deed == "limits":
            trader.ask(contract_update=1, contract_id=chosen, limit_order={"take_profit": what + 1})
        elif deed == "cancel":
            trader.ask(cancel=chosen)
        elif deed == "topup":
            trader.ask(topup_virtual=1)
        elif deed == "wait":
            desk.pass_seconds(what)
        else:
            before = desk.venue.account.balance
            told = desk.folder / "record.jsonl"
            lines = told.read_bytes().splitlines(keepends=True)
            told.write_bytes(b"".join(lines[: max(len(lines) - what, 0)]))  # the newest had not reached the disk
            desk.restart(seconds_away=0)
            assert desk.venue.account.balance == before, "what the journal holds is what was"
            desk.restart(seconds_away=what)
            trader = desk.trader()
    account = desk.venue.account
    rows = [line for line in recorded(desk) if "amount" in line]
    assert account.balance == 10_000 + sum(Decimal(row["amount"]) for row in rows)
    assert {row["seq"] for row in rows} == {entry.transaction_id for entry in account.statement}
    assert len(rows) == len(account.statement), "each cash effect is recorded once"
    assert rows[-1:] == [] or Decimal(rows[-1]["balance"]) == account.balance
    bought = [row["contract_id"] for row in rows if row["kind"] == "buy"]
    ended = [row["contract_id"] for row in rows if row["kind"] in ("sell", "settle", "cancel")]
    assert len(set(ended)) == len(ended)
    assert set(bought) - set(ended) == set(account.open)
    assert all(row["reason"] for row in rows if row["kind"] in ("sell", "settle", "cancel"))


def test_journal_from_before_reasons_and_updates_still_loads(desk: Any) -> None:
    start = desk.venue.now()
    terms = (
        f'{{"contract_type":"CALL","symbol":"R_100","currency":"USD","date_start":{start},"date_expiry":{start + 4},'
        '"buy_price":"1.00","payout":"1.95","ticks":1}'
    )
    lines = [
        f'{{"type":"buy","contract_id":281353700008,"transaction_id":560806400008,"terms":{terms}}}',
        '{"type":"close","closing":{"contract_id":281353700008,"transaction_id":560806400028,"status":"lost",'
        f'"price":"0.00","time":{start + 5}}}}}',
    ]
    (desk.folder / "journal.jsonl").write_text("".join(line + "\n" for line in lines))
    desk.restart(seconds_away=10)
    trader = desk.trader()
    assert trader.ask(balance=1)["balance"]["balance"] == 9_999
    (row,) = trader.ask(profit_table=1)["profit_table"]["transactions"]
    assert (row["contract_id"], row["sell_price"]) == (281353700008, 0)
    assert state(trader, 281353700008)["status"] == "lost"
