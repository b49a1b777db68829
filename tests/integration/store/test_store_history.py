"""History in bulk at every level: idempotent, live bars win, columns come back as they went in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from libs.common.bus.base import Received
from libs.common.store import Batch, RowRefused, Store
from libs.core.types import SECOND, Bar, BarFlag, BookStats, Event, Headline, Reading, subject_of

T0 = 1_723_161_600 * SECOND
HISTORY = BarFlag.HISTORY.value


@dataclass
class Key:
    venue: str = "binance"
    symbol: str = "BTCUSDT"
    interval_s: int = 60


KEY = Key()


def columns(count: int, first: int = 0, close: float = 0.0, interval_s: int = 60) -> dict[str, Any]:
    n = np.arange(first, first + count)
    opened = 100.0 + n
    return {
        "open_time": T0 + n * interval_s * SECOND,
        "open": opened,
        "high": opened + 2,
        "low": opened - 2,
        "close": opened + close,
        "volume": n * 0.1,
        "buy_volume": n * 0.05,
        "trades": n * 3,
    }


def live(number: int, close: float, flags: int = 0) -> Bar:
    return Bar(
        id=f"live{number}",
        ts_event=T0 + (number + 1) * 60 * SECOND,
        venue=KEY.venue,
        symbol=KEY.symbol,
        interval_s=60,
        open_time=T0 + number * 60 * SECOND,
        open=1.0,
        high=2.0,
        low=0.5,
        close=close,
        volume=7.0,
        trades=1,
        flags=flags,
        last_seq=99,
    )


def batch_of(*events: Event, epoch: int = 1) -> Batch:
    batch = Batch()
    for i, event in enumerate(events):
        batch.add(Received(subject_of(event), event, epoch, i + 1, i + 1, "", 0, T0))
    return batch


async def closes(store: Store) -> list[float]:
    return list((await store.read_bars(KEY.venue, KEY.symbol, 60, T0, T0 + 10**15))["close"])


async def write(store: Store, given: dict[str, Any]) -> int:
    return await store.write_history_bars(KEY.venue, KEY.symbol, KEY.interval_s, given)


async def test_bars_come_back_as_columns_in_order_and_marked(store: Store) -> None:
    given = columns(1_000)
    shuffled = np.random.default_rng(1).permutation(1_000)
    assert await write(store, {name: values[shuffled] for name, values in given.items()}) == 1_000
    assert await write(store, given) == 0
    found = await store.read_bars(KEY.venue, KEY.symbol, 60, T0 + 60 * SECOND, T0 + 900 * 60 * SECOND)
    for name, values in given.items():
        assert found[name].tolist() == values[1:900].tolist(), name
    assert set(found["flags"].tolist()) == {HISTORY}
    assert len((await store.read_bars(KEY.venue, "OTHER", 60, 0, 2**62))["open_time"]) == 0


async def test_nothing_to_write_is_nothing(store: Store) -> None:
    assert await write(store, columns(0)) == 0
    assert len(await closes(store)) == 0


async def test_a_second_answer_corrects_the_first_and_touches_no_other(store: Store) -> None:
    await write(store, columns(10))
    assert await write(store, columns(10, close=1.0) | {"open_time": columns(10)["open_time"]}) == 10
    changed = columns(10, close=1.0)
    changed["close"][3] = 55.0
    assert await write(store, changed) == 1
    assert (await closes(store))[2:5] == [103.0, 55.0, 105.0]


async def test_of_two_bars_of_one_moment_in_one_download_the_later_stays(store: Store) -> None:
    twice = {name: np.concatenate([columns(5)[name], columns(2, close=9.0)[name]]) for name in columns(1)}
    assert await write(store, twice) == 5
    assert await closes(store) == [109.0, 110.0, 102.0, 103.0, 104.0]
    assert await write(store, twice) == 0


async def test_live_bars_win_over_history_whichever_comes_first(store: Store) -> None:
    await store.write(batch_of(live(0, 7.0), live(1, 7.5)))
    assert await write(store, columns(4)) == 2
    assert await closes(store) == [7.0, 7.5, 102.0, 103.0]
    await store.write(batch_of(live(2, 8.0), live(2, 9.0), live(5, 8.5), epoch=2))
    assert await closes(store) == [7.0, 7.5, 8.0, 103.0, 8.5]
    flags = (await store.read_bars(KEY.venue, KEY.symbol, 60, T0, T0 + 10**15))["flags"]
    assert flags.tolist() == [0, 0, 0, HISTORY, 0]


async def test_history_fills_a_hole_and_a_hole_replaces_nothing(store: Store) -> None:
    hole = BarFlag.GAP.value
    await store.write(batch_of(live(0, 7.0, hole), live(1, 7.5)))
    assert await write(store, columns(3)) == 2
    assert await closes(store) == [100.0, 7.5, 102.0]
    await store.write(batch_of(live(0, 1.0, hole), live(1, 1.0, hole), live(2, 1.0, hole), epoch=2))
    assert await closes(store) == [100.0, 7.5, 102.0]


async def test_numbered_trades_are_stored_once_and_others_as_often_as_they_happened(store: Store) -> None:
    def trades(*rows: tuple[int, float, int]) -> dict[str, Any]:
        stamps, prices, numbers = zip(*rows, strict=True)
        count = len(rows)
        return {
            "ts_event": T0 + np.array(stamps, "i8"),
            "price": np.array(prices),
            "size": np.full(count, 0.5),
            "side": np.full(count, -1),
            "seq": np.array(numbers, "i8"),
        }

    given = trades((0, 1.0, 1), (0, 1.0, 2), (5, 2.0, 0), (5, 2.0, 0), (6, 2.5, 0))
    assert await store.write_history_ticks("kraken", "XBT", given) == 5
    assert await store.write_history_ticks("kraken", "XBT", given) == 0
    longer = trades((0, 1.0, 2), (1, 1.5, 3), (5, 2.0, 0), (5, 2.0, 0), (5, 2.0, 0), (6, 2.5, 0), (9, 3.0, 0))
    assert await store.write_history_ticks("kraken", "XBT", longer) == 3
    rows = await store.pool.fetch("SELECT ts_event - $1 AS t, seq, kind FROM ticks ORDER BY 1, 2", T0)
    assert [tuple(row) for row in rows] == [
        *[(0, 1, "trade"), (0, 2, "trade"), (1, 3, "trade")],
        *[(5, None, "trade")] * 3,
        *[(6, None, "trade"), (9, None, "trade")],
    ]


async def test_a_price_without_a_trade_meets_the_one_that_was_seen_live(store: Store) -> None:
    quote = {
        "ts_event": np.array([T0]),
        "price": np.array([1.5]),
        "size": np.zeros(1),
        "side": np.zeros(1, "i8"),
        "seq": np.array([T0 // SECOND]),
    }
    assert await store.write_history_ticks("deriv", "R_100", quote) == 1
    assert await store.write_history_ticks("deriv", "R_100", quote) == 0
    assert await store.pool.fetchval("SELECT kind FROM ticks") == "price"


async def test_readings_and_headlines_are_stored_live_and_from_history(store: Store) -> None:
    reading = Reading(id="r", ts_event=T0, source="fred", series="DGS10", period=T0 - SECOND, value=4.25)
    headline = Headline(
        id="h", ts_event=T0, source="rss", source_id="1", title="Rates hold", summary="", symbols=("EUR/USD",)
    )
    await store.write(batch_of(reading, headline))
    await store.write(batch_of(reading, headline, epoch=2))
    values = {"ts_event": np.array([T0, T0 + 1]), "period": np.array([T0 - SECOND, T0]), "value": np.array([4.5, 4.75])}
    assert await store.write_readings("fred", "DGS10", values) == 2
    assert await store.write_readings("fred", "DGS10", values) == 0
    assert [row[0] for row in await store.pool.fetch("SELECT value FROM readings ORDER BY ts_event")] == [4.5, 4.75]
    row = await store.pool.fetchrow("SELECT title, symbols FROM headlines")
    assert tuple(row or ()) == ("Rates hold", ["EUR/USD"])


async def test_of_the_book_the_best_prices_and_what_lies_behind_them_are_kept(store: Store) -> None:
    stats = {"venue": "binance", "symbol": "BTCUSDT", "first_id": 1, "ofi": -0.5, "updates": 9}
    deep = BookStats(id="b", ts_event=T0, bids=((10.0, 1.0), (9.5, 2.0)), asks=((10.5, 4.0),), last_id=5, **stats)
    bare = BookStats(id="c", ts_event=T0 + 1, bids=(), asks=(), last_id=6, **stats)
    await store.write(batch_of(deep, bare))
    rows = await store.pool.fetch(
        "SELECT bid, bid_size, ask, ask_size, bid_depth, ask_depth, ofi, updates FROM book_stats ORDER BY ts_event"
    )
    assert tuple(rows[0]) == (10.0, 1.0, 10.5, 4.0, 3.0, 4.0, -0.5, 9)
    assert tuple(rows[1]) == (None, None, None, None, 0.0, 0.0, -0.5, 9)


async def test_columns_that_do_not_fit_are_refused_in_one_line(store: Store) -> None:
    with pytest.raises(RowRefused, match="different lengths"):
        await write(store, columns(3) | {"close": np.zeros(2)})
    with pytest.raises(RowRefused, match="fits no 32 bits"):
        await write(store, columns(1) | {"flags": np.array([2**40])})
    assert await write(store, columns(1)) == 1


async def test_years_of_bars_come_back_whole_and_again_change_nothing(store: Store) -> None:
    count = 60_000
    given = columns(count)
    assert await write(store, given) == count
    longer = columns(count + 5_000)
    assert await write(store, longer) == 5_000
    found = await store.read_bars(KEY.venue, KEY.symbol, 60, 0, 2**62)
    assert found["close"].tolist() == longer["close"].tolist()
