"""What travels of the book beside its top: order flow of deeper levels, mean depth, depth by distance, losses."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.core.bars import DEPTH_BP, BookFlow, depth_within
from libs.core.types import BookStats
from libs.venues.binance.book import LocalBook
from libs.venues.binance.codec import DepthUpdate, Snapshot


def taken(flow: BookFlow) -> BookStats:
    stats = flow.take(0)
    assert stats is not None
    return stats


def test_each_level_is_compared_with_the_same_level_before() -> None:
    flow = BookFlow("v", "S", 10)
    flow.update([(10, 5), (9, 1)], [(11, 7), (12, 2)], 1, 1, 10)
    taken(flow)
    flow.update([(10, 6), (9.5, 3)], [(11, 7), (13, 4)], 2, 2, 20)
    stats = taken(flow)
    assert stats.ofi == 6 - 5 - 7 + 7
    assert stats.ofi_deeper == (3 + 2, 0.0, 0.0, 0.0)
    assert stats.depth_sum == 6.5


def test_sums_cover_all_updates_since_the_last_message_and_then_start_anew() -> None:
    flow = BookFlow("v", "S", 10)
    for number in range(3):
        flow.update([(10, 1 + number)], [(11, 1)], number, number, number)
    stats = taken(flow)
    assert (stats.ofi, stats.depth_sum, stats.updates) == (2.0, 1.0 + 1.5 + 2.0, 3)
    flow.update([(10, 3)], [(11, 1)], 4, 4, 4)
    assert (taken(flow).ofi, flow.take(0)) == (0.0, None)


def test_lost_updates_are_counted_where_sums_miss_them() -> None:
    flow = BookFlow("v", "S", 10)
    flow.update([(10, 1)], [(11, 1)], 1, 1, 1)
    assert taken(flow).lost == 1
    flow.update([(10, 2)], [(11, 1)], 2, 2, 2)
    assert taken(flow).lost == 0
    flow.forget()
    flow.update([(10, 9)], [(11, 1)], 9, 9, 9)
    assert (taken(flow).lost, taken_after(flow)) == (1, 0)


def taken_after(flow: BookFlow) -> int:
    flow.update([(10, 9)], [(11, 1)], 10, 10, 10)
    return taken(flow).lost


def test_depth_is_told_as_far_as_the_levels_reach() -> None:
    levels = [(99.995, 1.0), (99.96, 2.0), (99.91, 4.0), (99.7, 8.0)]
    assert depth_within(levels, 100.0) == (1.0, 3.0, 7.0, 7.0)
    assert depth_within(levels[:3], 100.0)[:2] == (1.0, 3.0)
    assert all(math.isnan(depth) for depth in depth_within(levels[:3], 100.0)[2:])


sizes = st.integers(1, 5).map(float)
side = st.dictionaries(st.integers(1, 300), sizes, min_size=1, max_size=30)


@given(bids=side, asks=side, changes=st.lists(st.tuples(st.integers(1, 300), st.integers(0, 5)), max_size=20))
def test_the_depth_of_a_local_book_is_that_of_its_levels(
    bids: dict[int, float], asks: dict[int, float], changes: list[tuple[int, int]]
) -> None:
    book = LocalBook()
    below = {10_000.0 - step: size for step, size in bids.items()}
    above = {10_000.0 + step: size for step, size in asks.items()}
    assert book.seed(Snapshot(0, list(below.items()), list(above.items())))
    floor, ceiling = min(below), max(above)
    for number, (step, size) in enumerate(changes, 1):
        book.apply(DepthUpdate(E=1, s="X", U=number, u=number, b=[(10_000.0 - step, float(size))], a=[]))
        below[10_000.0 - step] = float(size)
    below = {price: size for price, size in below.items() if size}
    told = book.depth()
    if not below:
        assert told == ((), ())
        return
    mid = 0.5 * (max(below) + min(above))
    for at, distance in enumerate(DEPTH_BP):
        low, high = mid * (1 - distance * 1e-4), mid * (1 + distance * 1e-4)
        wanted_bids = sum(size for price, size in below.items() if price >= low) if low >= floor else math.nan
        wanted_asks = sum(size for price, size in above.items() if price <= high) if high <= ceiling else math.nan
        assert told[0][at] == pytest.approx(wanted_bids, nan_ok=True)
        assert told[1][at] == pytest.approx(wanted_asks, nan_ok=True)
