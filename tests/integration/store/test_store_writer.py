"""Batches in a real PostgreSQL: what lands, what is skipped, what a conflict or a bad row does."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest

from libs.common.bus.base import Received
from libs.common.store import Batch, RowRefused, Store
from libs.common.store.captured import MARGIN
from libs.core.types import (
    SECOND,
    AccountState,
    Action,
    Bar,
    Check,
    Control,
    ControlKind,
    Event,
    Features,
    FeedHealth,
    Fill,
    Forecast,
    Mode,
    Order,
    OrderState,
    Position,
    Quote,
    Side,
    Signal,
    Ticks,
    Trade,
    Verdict,
    subject_of,
)

NOW = 1_723_161_600 * SECOND


def received(event: Event, seq: int, epoch: int = 7, stream_ns: int = 0) -> Received:
    return Received(subject_of(event), event, epoch, seq, seq, "", 0, stream_ns or NOW + seq)


def ticks(*items: Trade | Quote, symbol: str = "BTCUSDT") -> Ticks:
    return Ticks(id=f"t{items[0].seq}", ts_event=NOW, venue="binance", symbol=symbol, ts_recv=5, items=items)


def trade(seq: int, price: float = 60_000.5, size: float = 0.25) -> Trade:
    return Trade(NOW + seq // 10, price, size, -1, seq)


def bar(number: int, close: float = 100.0) -> Bar:
    return Bar(
        id=f"b{number}",
        ts_event=NOW + (number + 1) * 5 * SECOND,
        venue="deriv",
        symbol="R_100",
        interval_s=5,
        open_time=NOW + number * 5 * SECOND,
        open=99.0,
        high=101.0,
        low=98.5,
        close=close,
        volume=3.0,
        buy_volume=1.0,
        trades=4,
        flags=4,
        last_seq=number,
        ts_recv=11,
    )


def order(revision: int, state: OrderState, **changes: Any) -> Order:
    fields: dict[str, Any] = {
        "id": f"o-{revision}",
        "ts_event": NOW + revision,
        "intent_id": "intent-1",
        "revision": revision,
        "state": state,
        "mode": Mode.PAPER,
        "venue": "binance",
        "account": "binance-paper",
        "symbol": "BTCUSDT",
        "strategy": "ema_trend",
        "side": Side.BUY,
        "action": Action.ENTER,
        "quantity": Decimal("0.12345678"),
        "worst_price": Decimal("60001.5"),
        "position_id": "intent-1",
        "reason": "entry",
    }
    return Order(**(fields | changes))


def batch_of(*messages: Received) -> Batch:
    batch = Batch()
    for message in messages:
        batch.add(message)
    return batch


async def count(store: Store, table: str) -> int:
    return int(await store.pool.fetchval(f"SELECT count(*) FROM {table}"))


async def test_every_trade_of_a_millisecond_is_stored_as_it_came(store: Store) -> None:
    await store.write(batch_of(received(ticks(trade(10), trade(11, 60_000.0), trade(12, 59_999.9, 1e-8)), 1)))
    rows = await store.pool.fetch("SELECT ts_event, seq, price, size, side, kind, ts_recv FROM ticks ORDER BY seq")
    assert [tuple(row) for row in rows] == [
        (NOW + 1, 10, 60_000.5, 0.25, -1, "trade", 5),
        (NOW + 1, 11, 60_000.0, 0.25, -1, "trade", 5),
        (NOW + 1, 12, 59_999.9, 1e-8, -1, "trade", 5),
    ]


async def test_a_price_without_a_trade_is_marked_and_prices_without_a_number_are_all_kept(store: Store) -> None:
    await store.write(batch_of(received(ticks(Trade(NOW, 1.5, 0.0, 0, 0), Trade(NOW, 1.5, 0.0, 0, 0)), 1)))
    rows = await store.pool.fetch("SELECT seq, kind FROM ticks")
    assert [tuple(row) for row in rows] == [(None, "price"), (None, "price")]


async def test_one_quote_per_symbol_and_tenth_of_a_second_is_kept(store: Store) -> None:
    ms = SECOND // 1000
    quotes = [Quote(NOW + i * 10 * ms, 1.0 + i, 2.0, 1.5 + i, 3.0, i + 1) for i in range(25)]
    newest: dict[tuple[str, str], int] = {}
    first, second = Batch(newest), Batch(newest)
    first.add(received(ticks(*quotes[:5]), 1))
    second.add(received(ticks(*quotes[5:]), 2))
    second.add(received(ticks(quotes[0], symbol="ETHUSDT"), 1))
    await store.write(first)
    await store.write(second)
    rows = await store.pool.fetch("SELECT symbol, (ts_event - $1) / $2 FROM quotes ORDER BY 1, 2", NOW, ms)
    assert [tuple(row) for row in rows] == [("BTCUSDT", 0), ("BTCUSDT", 100), ("BTCUSDT", 200), ("ETHUSDT", 0)]


async def test_bars_come_back_as_they_were_but_marked_as_history(store: Store) -> None:
    await store.write(batch_of(*(received(bar(n, 100.0 + n), n + 1) for n in range(20))))
    found = await store.bars("deriv", "R_100", 5, 3)
    assert [b.close for b in found] == [117.0, 118.0, 119.0]
    assert (found[0].open, found[0].high, found[0].low, found[0].volume, found[0].trades) == (99.0, 101.0, 98.5, 3.0, 4)
    assert found[0].ts_event == bar(17).ts_event
    assert found[0].flags == 4 | 16
    assert [b.close for b in await store.bars("deriv", "R_100", 5, 2, end=bar(10).ts_event)] == [109.0, 110.0]
    assert await store.bars("deriv", "R_50", 5, 3) == []


async def test_the_numbers_reached_are_stored_with_the_rows(store: Store) -> None:
    await store.write(batch_of(received(bar(0), 4, stream_ns=NOW), received(bar(1), 5, stream_ns=NOW + MARGIN)))
    await store.write(batch_of(received(bar(2), 1, epoch=8, stream_ns=NOW + 2 * MARGIN)))
    rows = await store.pool.fetch("SELECT subject, epoch, seq, stream FROM captured ORDER BY epoch")
    subject = "md.bar.5s.deriv.R_100"
    assert [tuple(row) for row in rows] == [(subject, 7, 5, "MARKET"), (subject, 8, 1, "MARKET")]
    captured = await store.captured()
    assert not captured.is_new(received(bar(1), 5))
    assert captured.is_new(received(bar(1), 6))
    assert not captured.is_new(received(bar(1), 6))
    assert captured.is_new(received(bar(1), 2, epoch=8))
    assert captured.is_new(received(bar(1), 1, epoch=9))
    assert captured.resume_ns("MARKET") == NOW + MARGIN
    assert captured.resume_ns("ORDERS") == 0


async def test_rows_that_are_there_already_stay_and_the_others_land(store: Store) -> None:
    await store.write(batch_of(*(received(bar(n), n + 1) for n in range(5))))
    assert store.staged == 0
    again = batch_of(*(received(bar(n, 50.0), n + 1, epoch=8) for n in range(3, 8)), received(ticks(trade(1)), 1))
    await store.write(again)
    assert store.staged == 1
    closes = [row["close"] for row in await store.pool.fetch("SELECT close FROM bars ORDER BY open_time")]
    assert closes == [100.0] * 5 + [50.0] * 3
    assert await count(store, "ticks") == 1
    assert not (await store.captured()).is_new(received(bar(1), 8, epoch=8))
    await store.write(batch_of(received(bar(3, 1.0), 1, epoch=9)))
    assert store.staged == 2


async def test_a_repeated_trade_within_one_batch_is_stored_once(store: Store) -> None:
    await store.write(batch_of(received(ticks(trade(1), trade(2)), 1), received(ticks(trade(2), trade(3)), 2)))
    assert await count(store, "ticks") == 3


async def test_a_bad_row_leaves_nothing_of_its_batch_behind(store: Store) -> None:
    bad = Bar(
        id="bad",
        ts_event=1,
        venue="deriv",
        symbol="R\x00100",
        interval_s=5,
        open_time=0,
        open=1.0,
        high=1.0,
        low=1.0,
        close=1.0,
    )
    with pytest.raises(RowRefused):
        await store.write(batch_of(received(bar(0), 1), received(bad, 1)))
    assert await count(store, "bars") == 0
    assert await count(store, "captured") == 0
    await store.write(batch_of(received(bar(0), 1)))
    assert await count(store, "bars") == 1


@pytest.mark.parametrize("value", [2**63, 2**80])
async def test_a_number_that_fits_no_column_is_refused(store: Store, value: int) -> None:
    with pytest.raises(RowRefused):
        await store.write(batch_of(received(ticks(Trade(NOW, 1.0, 1.0, 0, value)), 1)))


async def test_a_long_batch_is_stored_whole_and_in_order(store: Store) -> None:
    trades = [trade(i + 1) for i in range(3_000)]
    messages = [received(ticks(*trades[i : i + 30]), i // 30 + 1) for i in range(0, 3_000, 30)]
    batch = batch_of(*messages)
    assert batch.size == 3_000
    assert batch.messages == 100
    await store.write(batch)
    assert [r["seq"] for r in await store.pool.fetch("SELECT seq FROM ticks ORDER BY seq")] == list(range(1, 3_001))


async def test_decisions_land_with_their_columns_and_their_whole_body(store: Store) -> None:
    features = Features(
        id="f",
        ts_event=NOW,
        venue="deriv",
        symbol="R_100",
        interval_s=5,
        bar_time=NOW,
        set_hash="set",
        values=b"\x00\x00\x00\x00\x00\x00\xf0\x3f" + b"\x00\x00\x00\x00\x00\x00\xf8\x7f",
        open=1.0,
        high=1.0,
        low=1.0,
        close=1.0,
        volume=0.0,
        warm=False,
    )
    forecast = Forecast(
        id="fc",
        ts_event=NOW,
        agent="direction",
        venue="deriv",
        symbol="R_100",
        interval_s=5,
        bar_time=NOW,
        model_id="m",
        feature_hash="set",
        p_down=0.2,
        p_neutral=0.1,
        p_up=0.7,
        confidence=0.6,
    )
    signal = Signal(
        id="s",
        ts_event=NOW,
        strategy="ema_trend",
        params_hash="p",
        venue="deriv",
        symbol="R_100",
        interval_s=5,
        bar_time=NOW,
        side=Side.BUY,
        action=Action.ENTER,
        price=100.5,
        reason="cross",
    )
    verdict = Verdict(
        id="v",
        ts_event=NOW,
        signal_id="s",
        intent_id="i",
        account="a",
        strategy="ema_trend",
        venue="deriv",
        symbol="R_100",
        side=Side.BUY,
        action=Action.ENTER,
        approved=False,
        reasons=("cooldown", "too many trades"),
        checks=(Check(rule="cooldown", ok=False, value="3 s", limit="10 s"),),
        limits_hash="l",
    )
    control = Control(id="c", ts_event=NOW, kind=ControlKind.HALT, reason="test", actor="cli")
    health = FeedHealth(id="h", ts_event=NOW, venue="deriv", symbol="R_100", score=1.0)
    await store.write(
        batch_of(
            *(received(e, 1) for e in (features, forecast, signal, verdict, control, health)),
        )
    )
    row = await store.pool.fetchrow('SELECT "values", warm FROM features')
    assert row is not None
    assert row["values"][0] == 1.0
    assert math.isnan(row["values"][1])
    assert row["warm"] is False
    row = await store.pool.fetchrow("SELECT agent, abstention, p_up, body->>'feature_hash' AS hash FROM forecasts")
    assert tuple(row or ()) == ("direction", None, 0.7, "set")
    row = await store.pool.fetchrow("SELECT side, price, reason, body->>'params_hash' AS hash FROM signals")
    assert tuple(row or ()) == ("buy", 100.5, "cross", "p")
    row = await store.pool.fetchrow("SELECT approved, reasons, body->'checks'->0->>'limit' AS lim FROM verdicts")
    assert tuple(row or ()) == (False, ["cooldown", "too many trades"], "10 s")
    assert await store.pool.fetchval("SELECT reason FROM audit") == "test"
    assert await count(store, "captured") == 6


async def test_an_order_shows_its_newest_revision_whatever_arrives_again(store: Store) -> None:
    planned, filled = order(0, OrderState.PLANNED), order(2, OrderState.FILLED, filled=Decimal("0.12345678"))
    await store.write(batch_of(received(planned, 1), received(filled, 3)))
    await store.write(batch_of(received(order(1, OrderState.SENT), 1, epoch=8)))
    row = await store.pool.fetchrow("SELECT revision, state, created, ts_event, quantity, filled FROM orders")
    assert tuple(row or ()) == (2, "filled", NOW, NOW + 2, Decimal("0.12345678"), Decimal("0.12345678"))


async def test_the_messages_that_an_order_cites_are_kept_with_it(store: Store) -> None:
    batch = batch_of(received(order(0, OrderState.PLANNED), 1))
    batch.cite("intent-1", ticks(trade(1)))
    await store.write(batch)
    again = batch_of()
    again.cite("intent-1", ticks(trade(1)))
    await store.write(again)
    row = await store.pool.fetchrow("SELECT message_id, body->>'symbol' AS symbol FROM cited")
    assert tuple(row or ()) == ("t1", "BTCUSDT")


async def test_fills_positions_and_accounts_keep_exact_decimals(store: Store) -> None:
    common: dict[str, Any] = {
        "mode": Mode.PAPER,
        "venue": "binance",
        "account": "binance-paper",
        "symbol": "BTCUSDT",
        "strategy": "ema_trend",
        "side": Side.BUY,
        "position_id": "intent-1",
    }
    fill = Fill(
        id="fill-1",
        ts_event=NOW,
        intent_id="intent-1",
        trade_id="1",
        action=Action.ENTER,
        price=Decimal("60000.123456789012"),
        quantity=Decimal("0.00000001"),
        currency="USDT",
        fee=Decimal("0.0000000006"),
        reason="entry",
        **common,
    )
    position = Position(
        id="p0",
        ts_event=NOW,
        revision=0,
        quantity=Decimal("0.00000001"),
        entry_price=Decimal("60000.1"),
        notional=Decimal("0.0006"),
        risk=Decimal("0.00001"),
        currency="USDT",
        opened=NOW,
        **common,
    )
    closed = Position(
        id="p1",
        ts_event=NOW + 1,
        revision=1,
        quantity=Decimal(0),
        entry_price=Decimal("60000.1"),
        notional=Decimal(0),
        risk=Decimal(0),
        currency="USDT",
        realised=Decimal("-0.1"),
        opened=NOW,
        **common,
    )
    states = [
        AccountState(
            id=f"a{i}",
            ts_event=NOW + i,
            account="binance-paper",
            venue="binance",
            mode=Mode.PAPER,
            currency="USDT",
            balance=Decimal("10000.10") - i,
            equity=Decimal("10000.10"),
            peak_equity=Decimal("10000.10"),
            day=1,
            day_start_equity=Decimal(10_000),
            revision=i,
        )
        for i in range(3)
    ]
    events: list[Event] = [fill, fill, position, closed, *states]
    await store.write(batch_of(*(received(event, i + 1) for i, event in enumerate(events))))
    row = await store.pool.fetchrow("SELECT price, quantity, fee FROM fills")
    assert tuple(row or ()) == (fill.price, fill.quantity, fill.fee)
    row = await store.pool.fetchrow("SELECT revision, quantity, realised FROM positions")
    assert tuple(row or ()) == (1, Decimal(0), Decimal("-0.1"))
    assert await count(store, "equity") == 3
    assert await store.pool.fetchval("SELECT balance FROM accounts") == Decimal("9998.10")
