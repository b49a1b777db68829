"""The journal: a restart continues, a torn line is dropped, the truth record tells every balance."""

from __future__ import annotations

import json
import os
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import msgspec
import pytest
from exchange_world import ME, OTHER, SYMBOL, World, check_books, contents, ledger, refusal

from services.simulator.binance.exchange.api import OrderKey
from services.simulator.binance.exchange.engine import SpotExchange
from services.simulator.binance.exchange_info import spot
from services.simulator.record import Record

ASSETS = {SYMBOL: ("BTC", "USDT")}


def busy(journal: Path) -> World:
    """An exchange on which much has happened and much is open."""
    world = World(journal, opening={"USDT": D(10_000), "BTC": D(5)})
    world.prints("100")
    world.limit("BUY", "3", "101")
    world.place("SELL", "STOP_LOSS", quantity="1", stop_price="90")
    world.place("SELL", "TAKE_PROFIT", quantity="1", stop_price="120", trailing_delta=100)
    world.limit("SELL", "1", "105", account=OTHER, iceberg_qty="0.25")
    stop = world.new("SELL", "STOP_LOSS_LIMIT", quantity="1", price="89", stop_price="90", time_in_force="GTC")
    world.list("oco", above=world.new("SELL", "LIMIT_MAKER", quantity="1", price="110"), below=stop)
    world.limit("BUY", "1", "106")
    world.exchange.amend(OTHER, _key(_open(world, OTHER)[0]), D("0.9"), "renamed")
    world.cancel(world.limit("BUY", "1", "95")["orderId"])
    world.exchange.deposit(ME, "BNB", D(3))
    world.prints("109", seller=False)
    return world


def _open(world: World, account: int) -> list[Any]:
    return world.exchange.open_orders(account, None)


def _key(row: Any) -> OrderKey:
    return OrderKey(symbol=row["symbol"], order_id=row["orderId"])


def test_a_restart_continues_with_everything(tmp_path: Path) -> None:
    world = busy(tmp_path / "journal.jsonl")
    check_books(world)
    again = world.restart()
    assert contents(again) == contents(world.exchange)
    assert world.feed.subscribed_to == ["btcusdt@trade"]
    before = [row["orderId"] for row in _open(world, ME)]
    world.exchange = again
    assert [row["orderId"] for row in _open(world, ME)] == before
    newest = world.limit("BUY", "0.1", "150", "IOC")
    assert newest["orderId"] > max(before)
    world.prints("80", "50")
    check_books(world)


def test_open_orders_go_on_being_filled_and_triggered_after_a_restart(tmp_path: Path) -> None:
    world = World(tmp_path / "journal.jsonl", opening={"USDT": D(1_000), "BTC": D(5)})
    world.prints("100")
    bid = world.limit("BUY", "1", "99")["orderId"]
    stop = world.place("SELL", "STOP_LOSS", quantity="1", stop_price="98")["orderId"]
    world.exchange = world.restart()
    world.prints("99", "2.5")  # 2 displayed before it
    assert world.row(bid)["executedQty"] == "0.50000000"
    world.prints("98")
    assert [world.status(bid), world.status(stop)] == ["FILLED", "FILLED"]
    check_books(world)


@pytest.mark.parametrize("torn", [1, 40])
def test_a_line_torn_by_a_kill_is_dropped_whole(tmp_path: Path, torn: int) -> None:
    path = tmp_path / "journal.jsonl"
    world = World(path)
    world.limit("BUY", "1", "95")
    whole = contents(world.exchange)
    world.limit("BUY", "1", "101")
    os.truncate(path, path.stat().st_size - torn)
    again = world.restart()
    assert contents(again) == whole
    again.deposit(ME, "USDT", D(1))
    assert [json.loads(line)["ms"] for line in path.read_bytes().splitlines()] == [world.feed.ms] * 3


def test_every_prefix_of_the_journal_is_a_state_whose_books_are_right(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    world = busy(path)
    lines = path.read_bytes().splitlines(keepends=True)
    world.exchange.close()
    for count in range(len(lines) + 1):
        part = tmp_path / f"{count}.jsonl"
        part.write_bytes(b"".join(lines[:count]))
        copy = World(part, opening={"USDT": D(10_000), "BTC": D(5)})
        check_books(copy)
        copy.exchange.close()


def test_a_damaged_line_in_the_middle_is_not_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    World(path).limit("BUY", "1", "95")
    path.write_bytes(b"{broken}\n" + path.read_bytes())
    with pytest.raises(msgspec.DecodeError):
        World(path)


def test_orders_on_a_symbol_that_is_played_no_more_stay_as_they_were(tmp_path: Path) -> None:
    world = World(tmp_path / "journal.jsonl")
    world.limit("BUY", "1", "95")
    later = World(tmp_path / "journal.jsonl", pairs=[spot("ETHUSDT")])
    assert [row["symbol"] for row in later.exchange.open_orders(ME, None)] == [SYMBOL]
    assert later.balance("USDT") == ("9905.00000000", "95.00000000")
    assert refusal(lambda: later.cancel(1))[0] == -1121
    assert later.limit("BUY", "1", "95", symbol="ETHUSDT")["status"] == "NEW"


def test_open_orders_are_filled_by_data_that_begin_again(tmp_path: Path) -> None:
    world = World(tmp_path / "journal.jsonl")
    order = world.limit("BUY", "1", "99.5")["orderId"]
    world.feed.ms -= 3_600_000
    world.exchange = world.restart()
    world.prints("99", "5")
    assert world.status(order) == "FILLED"


def test_a_full_disk_is_an_error_and_nothing_is_told(tmp_path: Path) -> None:
    world = World(tmp_path / "journal.jsonl")
    world.limit("BUY", "1", "95")
    world.exchange.close()
    heard = len(world.events)
    with pytest.raises(OSError, match="journal"):
        world.limit("BUY", "1", "95")
    assert len(world.events) == heard


def test_the_record_alone_tells_every_balance_and_a_restart_repeats_no_line(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    record = Record(path)
    world = busy(tmp_path / "journal.jsonl")
    SpotExchange(world.feed, record, tmp_path / "journal.jsonl").close()
    record.flush()
    once = path.read_bytes()
    assert [json.loads(line)["kind"] for line in once.splitlines()].count("fill") == len(
        [line for line in world.record.kept if line["kind"] == "fill"]
    )
    SpotExchange(world.feed, record, tmp_path / "journal.jsonl").close()
    record.close()
    assert path.read_bytes() == once
    balances = ledger(world.record, ASSETS)
    for account in (ME, OTHER):
        for row in world.exchange.account(account, omit_zero=True)["balances"]:
            total = int((D(row["free"]) + D(row["locked"])) * 10**8)
            assert balances[account, row["asset"]] == total


def test_the_record_names_every_order_and_how_it_ended(tmp_path: Path) -> None:
    world = World()
    order = world.limit("BUY", "3", "101", "IOC", new_client_order_id="mine")["orderId"]
    placed = next(line for line in world.record.kept if line["kind"] == "order")
    assert (placed["seq"], placed["client_id"], placed["side"], placed["qty"]) == (order, "mine", "BUY", "3.00000000")
    ended = next(line for line in world.record.kept if line["kind"] == "cancel")
    assert (ended["order"], ended["status"], ended["reason"], ended["executed"]) == (
        order,
        "EXPIRED",
        "UNFILLED_IOC_QUANTITY_EXPIRED",
        "2.00000000",
    )
