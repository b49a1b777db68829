"""Higher bars from stored lower ones, asked for by the same query at every level."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from libs.common.store import Keep, Level, Store
from libs.core.types import SECOND

T0 = 1_723_161_600 * SECOND
"""Midnight UTC."""
VENUE, SYMBOL = "binance", "BTCUSDT"
MONTH = Keep.everything(timedelta(days=30))


def columns(numbers: Any, interval_s: int = 60, seed: int = 1) -> dict[str, np.ndarray]:
    """Prices and volumes in eighths, so that any order of adding gives the same bits."""
    n = np.asarray(numbers)
    rng = np.random.default_rng(seed)
    path = 1_000 + np.cumsum(rng.integers(-8, 9, int(n.max()) + 2)) / 8
    opened, closed = path[n], path[n + 1]
    return {
        "open_time": T0 + n * interval_s * SECOND,
        "open": opened,
        "high": np.maximum(opened, closed) + 0.25,
        "low": np.minimum(opened, closed) - 0.125,
        "close": closed,
        "volume": (n % 7) / 8,
        "buy_volume": (n % 5) / 8,
        "trades": n % 11,
    }


def rolled(given: dict[str, np.ndarray], interval_s: int) -> dict[str, list[float]]:
    """What the higher bars must be, computed plainly."""
    buckets = given["open_time"] // (interval_s * SECOND)
    found: dict[str, list[float]] = {name: [] for name in given}
    for bucket in np.unique(buckets):
        rows = {name: values[buckets == bucket] for name, values in given.items()}
        found["open_time"].append(int(bucket) * interval_s * SECOND)
        found["open"].append(rows["open"][0])
        found["high"].append(rows["high"].max())
        found["low"].append(rows["low"].min())
        found["close"].append(rows["close"][-1])
        for name in ("volume", "buy_volume", "trades"):
            found[name].append(rows[name].sum())
    return found


async def put(store: Store, given: dict[str, np.ndarray], interval_s: int = 60) -> None:
    await store.write_history_bars(VENUE, SYMBOL, interval_s, given)


async def asked(store: Store, interval_s: int) -> dict[str, list[float]]:
    rows = await store.pool.fetch(
        "SELECT * FROM bars_rollup WHERE venue = $1 AND symbol = $2 AND interval_s = $3 ORDER BY open_time",
        *(VENUE, SYMBOL, interval_s),
    )
    return {name: [row[name] for row in rows] for name in columns([0])}


@pytest.mark.parametrize("interval_s", [300, 900, 3_600, 86_400])
async def test_each_length_is_made_of_the_minutes_in_it(store: Store, interval_s: int) -> None:
    given = columns(range(3 * 1_440 + 77))
    await put(store, given)
    await store.roll_up()
    assert await asked(store, interval_s) == rolled(given, interval_s)


async def test_a_late_bar_changes_the_buckets_that_it_falls_into(store: Store) -> None:
    given = columns(range(2_000))
    late = np.isin(np.arange(2_000), [3, 700, 1_999])
    await put(store, {name: values[~late] for name, values in given.items()})
    await store.roll_up()
    assert await asked(store, 3_600) != rolled(given, 3_600)
    await put(store, {name: values[late] for name, values in given.items()})
    await store.roll_up()
    for interval_s in (300, 900, 3_600, 86_400):
        assert await asked(store, interval_s) == rolled(given, interval_s)


async def test_of_several_sources_the_best_covered_is_taken_then_the_finest(store: Store) -> None:
    minutes, seconds = columns(range(120)), columns(range(1_000), interval_s=5, seed=2)
    await put(store, minutes)
    await put(store, seconds, interval_s=5)
    await store.roll_up()
    found = await asked(store, 3_600)
    fine = rolled({name: values[:720] for name, values in seconds.items()}, 3_600)
    assert found["close"] == [fine["close"][0], rolled(minutes, 3_600)["close"][1]]
    assert await asked(store, 60) == rolled(seconds, 60)


async def test_what_cannot_be_part_of_a_bucket_is_none(store: Store) -> None:
    await put(store, columns(range(100), interval_s=420), interval_s=420)
    await put(store, columns(range(100), interval_s=300), interval_s=300)
    await store.roll_up()
    sources = await store.pool.fetch("SELECT DISTINCT interval_s, source_s FROM bars_rollup ORDER BY 1")
    assert [tuple(row) for row in sources] == [(900, 300), (3_600, 300), (86_400, 300)]


async def test_reading_bars_fills_in_what_is_not_stored_at_that_length(store: Store) -> None:
    given = columns(range(180))
    await put(store, given)
    stored = {name: values[:1] for name, values in rolled(columns([60], seed=9), 3_600).items()}
    await put(store, {name: np.array(values) for name, values in stored.items()}, interval_s=3_600)
    await store.roll_up()
    found = await store.read_bars(VENUE, SYMBOL, 3_600, T0, T0 + 86_400 * SECOND)
    hours = rolled(given, 3_600)
    assert found["close"].tolist() == [hours["close"][0], stored["close"][0], hours["close"][2]]
    await put(store, columns([180]))
    await store.roll_up()
    # The fourth hour has begun: it is no bar yet.
    assert len((await store.read_bars(VENUE, SYMBOL, 3_600, T0, T0 + 86_400 * SECOND))["close"]) == 3


async def test_what_retention_took_stays_rolled_up_and_is_not_wiped_by_a_late_bar(store: Store) -> None:
    given = columns(range(2 * 1_440))
    await put(store, given)
    await store.pool.execute(
        "UPDATE bars SET stored_at = now() - interval '31 days' WHERE open_time < $1", T0 + 30 * 60 * SECOND
    )
    assert (await store.drop_old(MONTH))["bars"] == 30
    for interval_s in (300, 3_600, 86_400):
        assert await asked(store, interval_s) == rolled(given, interval_s)
    # Minute 5 comes again, without the 29 others of its half hour; minutes 45 and 1,500 are corrected.
    await put(store, columns([5], seed=5))
    await put(store, columns([45], seed=5))
    await put(store, columns([1_500], seed=5))
    await store.roll_up()
    await store.drop_old(MONTH)
    kept, corrected = rolled(given, 300), await asked(store, 300)
    changed = [i for i in range(len(kept["open"])) if kept["open"][i] != corrected["open"][i]]
    assert changed == [9, 300]
    days, now = rolled(given, 86_400), await asked(store, 86_400)
    assert now["volume"][0] == days["volume"][0]


async def test_a_month_that_went_as_a_whole_stays_rolled_up(store: Store) -> None:
    given = columns(range(90 * 24), interval_s=3_600)
    await put(store, given, interval_s=3_600)
    await store.roll_up()
    whole = await asked(store, 86_400)
    assert whole == rolled(given, 86_400)
    await store.pool.execute(
        "UPDATE bars SET stored_at = now() - interval '31 days' WHERE open_time < $1", T0 + 60 * 86_400 * SECOND
    )
    removed = (await store.drop_old(MONTH))["bars"]
    assert removed == 60 * 24
    await store.roll_up()
    await store.drop_old(MONTH)
    assert await asked(store, 86_400) == whole


async def test_old_roll_ups_go_by_their_own_time(store: Store) -> None:
    await put(store, columns(range(1_440)))
    await store.roll_up()
    keep = Keep.everything(timedelta(days=9_000))
    assert keep.rollups == timedelta(days=3_650)
    await store.drop_old(keep)
    assert len((await asked(store, 3_600))["close"]) == 24
    if store.level is Level.COMMUNITY:
        kept = "SELECT count(*) FROM timescaledb_information.jobs WHERE proc_name = 'policy_retention'"
        assert await store.pool.fetchval(kept) == 5
        await store.drop_old(keep)
        assert await store.pool.fetchval(kept) == 5
        return
    await store.drop_old(replace(keep, rollups=timedelta(days=1)))
    assert (await asked(store, 3_600))["close"] == []
