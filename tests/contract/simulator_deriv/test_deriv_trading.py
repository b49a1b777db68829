"""Orders on the simulated Deriv: bought, followed, sold, settled, paid, and still there after a kill."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest


def events(client: Any, kind: str) -> list[dict[str, Any]]:
    return [message[kind] for message in client.received if message["msg_type"] == kind]


def test_one_tick_contract_streams_open_then_expired_then_sold(desk: Any, orders: Any, sample: Any) -> None:
    trader = desk.trader()
    bought = trader.ask(buy="1", price=1, subscribe=1, req_id=9, parameters=orders["ticks"])
    desk.pass_seconds(7)
    updates = events(trader, "proposal_open_contract")
    assert [(u["is_expired"], u["is_settleable"], u["is_sold"], u["status"] == "open") for u in updates] == [
        (0, 0, 0, True),
        (0, 0, 0, True),
        (1, 1, 0, True),
        (1, 1, 1, False),
    ]
    assert updates[0]["validation_error_code"] == "EntryTickMissing"
    assert {u["id"] for u in updates} == {bought["subscription"]["id"]}
    final = updates[-1]
    won = final["exit_tick"] > final["entry_tick"]
    assert (final["status"], final["sell_price"]) == (("won", final["payout"]) if won else ("lost", 0.0))
    assert final["profit"] == pytest.approx(final["sell_price"] - 1)
    recorded = sample("v3_poc_CALL_R_100_1t_expired_not_sold")["proposal_open_contract"]
    assert updates[2].keys() == recorded.keys()
    assert trader.session.streams == {}, "the stream ends by itself"


def test_receipt_has_the_recorded_fields_and_portfolio_row_too(desk: Any, orders: Any, sample: Any) -> None:
    trader = desk.trader()
    receipt = trader.ask(buy="1", price=1, parameters=orders["ticks"])["buy"]
    assert receipt.keys() == sample("v3_buy_CALL_R_100_1t")["buy"].keys()
    (row,) = trader.ask(portfolio=1)["portfolio"]["contracts"]
    assert row.keys() == sample("v3_portfolio_R_25")["portfolio"]["contracts"][0].keys()
    assert row["transaction_id"] == receipt["transaction_id"]


def test_money_adds_up_over_balance_statement_and_transactions(desk: Any, orders: Any) -> None:
    trader = desk.trader()
    trader.ask(balance=1, subscribe=1)
    trader.ask(transaction=1, subscribe=1)
    for parameters in orders.values():
        trader.ask(buy="1", price=50, parameters=parameters)
    desk.pass_seconds(70)
    for row in trader.ask(portfolio=1)["portfolio"]["contracts"]:
        trader.ask(sell=row["contract_id"], price=0)
    statement = trader.ask(statement=1)["statement"]["transactions"]
    assert [row["action_type"] for row in statement].count("buy") == 4
    assert [row["action_type"] for row in statement].count("sell") == 4
    total = sum(Decimal(str(row["amount"])) for row in statement)
    assert Decimal(str(events(trader, "balance")[-1]["balance"])) == 10_000 + total
    streamed = [event for event in events(trader, "transaction") if "action" in event]
    assert [event["transaction_id"] for event in streamed] == [row["transaction_id"] for row in reversed(statement)]
    assert [event["balance"] for event in streamed] == [row["balance_after"] for row in reversed(statement)]
    buys = {row["contract_id"]: row["transaction_id"] for row in statement if row["action_type"] == "buy"}
    for row in statement:
        if row["action_type"] == "sell":
            assert row["reference_id"] == buys[row["contract_id"]]


def test_multiplier_is_sold_at_the_market_once_it_may_be(desk: Any, orders: Any) -> None:
    trader = desk.trader()
    quoted = trader.ask(proposal=1, **orders["multiplier"])["proposal"]
    bought = trader.ask(buy=quoted["id"], price=10)["buy"]
    contract_id = bought["contract_id"]
    assert trader.ask(sell=contract_id, price=0)["error"]["code"] == "EntryTickMissing"
    desk.pass_seconds(1)
    assert trader.ask(sell=contract_id, price=0)["error"]["code"] == "SellAtEntryTick"
    desk.pass_seconds(1)
    state = trader.ask(proposal_open_contract=1, contract_id=contract_id)["proposal_open_contract"]
    assert trader.ask(sell=contract_id, price=state["bid_price"] + 1)["error"]["code"] == "PriceMoved"
    sold = trader.ask(sell=contract_id, price=state["bid_price"])["sell"]
    assert sold["sold_for"] == state["bid_price"]
    assert sold["reference_id"] == bought["transaction_id"]
    assert trader.ask(sell=contract_id, price=0)["error"]["code"] == "ContractAlreadySold"
    closed = trader.ask(proposal_open_contract=1, contract_id=contract_id)["proposal_open_contract"]
    assert (closed["status"], closed["is_sold"], closed["sell_price"]) == ("sold", 1, sold["sold_for"])


def test_multiplier_profit_follows_the_planted_wave(desk: Any, orders: Any) -> None:
    trader = desk.trader()
    trader.ask(
        buy="1", price=10, subscribe=1, parameters={**orders["multiplier"], "symbol": "PLANTED", "limit_order": {}}
    )
    desk.pass_seconds(20)
    for update in events(trader, "proposal_open_contract")[2:]:
        move = update["current_spot"] / update["entry_spot"] - 1
        expected = max(1000 * move - update["commission"], -10)
        assert update["profit"] == pytest.approx(expected, abs=0.006)


def test_proposal_belongs_to_its_connection_and_is_bought_once(desk: Any, orders: Any) -> None:
    trader = desk.trader()
    quoted = trader.ask(proposal=1, subscribe=1, **orders["multiplier"])
    proposal_id = quoted["proposal"]["id"]
    assert desk.trader().ask(buy=proposal_id, price=10)["error"]["code"] == "InvalidContractProposal"
    assert trader.ask(buy=proposal_id, price=9.99)["error"]["code"] == "PriceMoved"
    assert "buy" in trader.ask(buy=proposal_id, price=10)
    assert trader.ask(buy=proposal_id, price=10)["error"]["code"] == "InvalidContractProposal"
    desk.pass_seconds(2)
    assert len(events(trader, "proposal")) == 1, "the stream of a bought proposal ends"


def test_buying_beyond_the_balance_is_refused_and_changes_nothing(desk: Any, orders: Any) -> None:
    trader = desk.trader()
    big = {**orders["multiplier"], "amount": 2000, "limit_order": {}}
    answers = [trader.ask(buy="1", price=2000, parameters=big) for _ in range(6)]
    assert ["error" in answer for answer in answers] == [False] * 5 + [True]
    assert answers[-1]["error"]["code"] == "InsufficientBalance"
    assert trader.ask(balance=1)["balance"]["balance"] == 0
    assert len(trader.ask(portfolio=1)["portfolio"]["contracts"]) == 5


def test_following_all_contracts_takes_in_those_bought_later(desk: Any, orders: Any) -> None:
    trader = desk.trader()
    empty = trader.ask(proposal_open_contract=1, subscribe=1)
    assert empty["proposal_open_contract"] == {}
    assert empty["subscription"]["id"]
    other = desk.trader()
    first = other.ask(buy="1", price=10, parameters=orders["multiplier"])["buy"]["contract_id"]
    second = other.ask(buy="1", price=10, parameters=orders["ticks"])["buy"]["contract_id"]
    desk.pass_seconds(7)
    followed = events(trader, "proposal_open_contract")[1:]
    assert {update["contract_id"] for update in followed} == {first, second}
    assert len({update["id"] for update in followed}) == 2
    assert trader.ask(proposal_open_contract=1, subscribe=1)["error"]["code"] == "AlreadySubscribed"


def test_kill_and_restart_keep_balance_contracts_and_ids(desk: Any, orders: Any) -> None:
    trader = desk.trader()
    kept = {name: trader.ask(buy="1", price=50, parameters=parameters)["buy"] for name, parameters in orders.items()}
    desk.pass_seconds(3)
    before = trader.ask(portfolio=1)["portfolio"]
    balance = trader.ask(balance=1)["balance"]["balance"]
    spot = trader.ask(ticks="1HZ100V")["tick"]
    desk.restart()
    trader = desk.trader()
    assert trader.ask(ticks="1HZ100V")["tick"] == spot
    assert trader.ask(portfolio=1)["portfolio"] == before
    assert trader.ask(balance=1)["balance"]["balance"] == balance
    fresh = trader.ask(buy="1", price=10, parameters=orders["multiplier"])["buy"]
    assert fresh["contract_id"] > max(receipt["contract_id"] for receipt in kept.values())
    assert fresh["transaction_id"] > max(receipt["transaction_id"] for receipt in kept.values())


def test_what_expires_while_the_venue_is_down_is_settled_at_its_time(desk: Any, orders: Any) -> None:
    trader = desk.trader()
    orders["multiplier"]["limit_order"] = {"stop_loss": 0.5, "take_profit": 0.5}
    receipts = {name: trader.ask(buy="1", price=50, parameters=order)["buy"] for name, order in orders.items()}
    desk.pass_seconds(1)
    desk.restart(seconds_away=3600)
    trader = desk.trader()
    assert trader.ask(portfolio=1)["portfolio"]["contracts"] == []
    closing = {
        row["contract_id"]: row for row in trader.ask(statement=1, action_type="sell")["statement"]["transactions"]
    }
    for name, after in (("ticks", (4, 6)), ("time", (21, 21)), ("barrier", (61, 61)), ("multiplier", (2, 3600))):
        row = closing[receipts[name]["contract_id"]]
        assert after[0] <= row["transaction_time"] - receipts[name]["purchase_time"] <= after[1], name
    state = trader.ask(proposal_open_contract=1, contract_id=receipts["time"]["contract_id"])["proposal_open_contract"]
    assert (state["status"] == "won") == (state["exit_tick"] < state["entry_tick"])
    balance = trader.ask(balance=1)["balance"]["balance"]
    desk.restart(seconds_away=10)
    assert desk.trader().ask(balance=1)["balance"]["balance"] == balance, "nothing is settled twice"


def test_order_torn_from_the_journal_by_a_kill_is_neither_kept_nor_in_the_way(desk: Any, orders: Any) -> None:
    desk.trader().ask(buy="1", price=10, parameters=orders["multiplier"])
    journal = desk.folder / "journal.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole + whole[: len(whole) // 2])
    desk.restart()
    trader = desk.trader()
    trader.ask(buy="1", price=10, parameters=orders["multiplier"])
    desk.restart()
    assert len(desk.trader().ask(portfolio=1)["portfolio"]["contracts"]) == 2


def test_order_the_disk_refuses_did_not_happen(desk: Any, orders: Any, monkeypatch: Any) -> None:
    trader = desk.trader()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(desk.venue.account._journal, "append", full)
    assert trader.ask(buy="1", price=10, parameters=orders["multiplier"])["error"]["code"] == "InternalServerError"
    assert trader.ask(balance=1)["balance"]["balance"] == 10_000
    assert trader.ask(portfolio=1)["portfolio"]["contracts"] == []


def test_truth_record_holds_each_tick_once_over_restarts_and_every_order(desk: Any, orders: Any) -> None:
    trader = desk.trader()
    trader.ask(ticks="PLANTED", subscribe=1)
    contract = trader.ask(buy="1", price=50, parameters=orders["multiplier"])["buy"]
    desk.pass_seconds(5)
    trader.ask(sell=contract["contract_id"], price=0)
    desk.record.flush()
    desk.restart()
    desk.trader().ask(ticks="PLANTED", subscribe=1)
    desk.pass_seconds(5)
    desk.record.flush()
    lines = [json.loads(line) for line in (desk.folder / "record.jsonl").read_text().splitlines()]
    ticks = [line["seq"] for line in lines if (line["kind"], line["symbol"]) == ("tick", "PLANTED")]
    assert ticks == list(range(ticks[0], ticks[0] + 11))
    history = desk.trader().ask(ticks_history="PLANTED", end="latest", count=11)["history"]
    prices = [float(line["price"]) for line in lines if line["kind"] == "tick" and line["symbol"] == "PLANTED"]
    assert prices == history["prices"]
    assert [line["kind"] for line in lines if line["kind"] in ("buy", "sell")] == ["buy", "sell"]
