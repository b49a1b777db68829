"""The windows that may be refreshed: every whole bucket that is there, and never one that retention has touched."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from libs.common.store.windows import Range, refresh_windows

moments = st.integers(0, 120)
ranges = st.lists(st.tuples(moments, moments).map(lambda pair: (min(pair), max(pair))), max_size=6)


def moments_of(windows: list[Range]) -> set[int]:
    return {at for first, last in windows for at in range(first, last)}


@given(ranges, ranges, st.integers(1, 20), st.none() | moments)
@example([(0, 100)], [(40, 41)], 10, None)
def test_exactly_the_whole_buckets_that_are_there_and_were_never_cut(
    present: list[Range], dropped: list[Range], width: int, until: int | None
) -> None:
    windows = refresh_windows(present, dropped, width, until)
    there, gone = moments_of(present), moments_of(dropped)
    expected: set[int] = set()
    for first in range(0, 121, width):
        bucket = set(range(first, first + width))
        if bucket <= there and not bucket & gone and (until is None or first + width <= until):
            expected |= bucket
    assert moments_of(windows) == expected


@given(ranges, ranges, st.integers(1, 20), st.none() | moments)
def test_windows_are_in_order_apart_from_each_other_and_hold_a_bucket_at_least(
    present: list[Range], dropped: list[Range], width: int, until: int | None
) -> None:
    windows = refresh_windows(present, dropped, width, until)
    assert all(first % width == 0 and last % width == 0 and last - first >= width for first, last in windows)
    assert all(before[1] <= after[0] for before, after in pairwise(windows))


@given(ranges, ranges, ranges, st.integers(1, 20))
def test_what_is_dropped_later_only_takes_away(
    present: list[Range], dropped: list[Range], more: list[Range], width: int
) -> None:
    before = moments_of(refresh_windows(present, dropped, width))
    assert moments_of(refresh_windows(present, dropped + more, width)) <= before


def test_a_day_dropped_in_the_middle_splits_the_window_by_the_bucket() -> None:
    assert refresh_windows([(0, 300), (300, 600)], [(310, 320)], 100) == [(0, 300), (400, 600)]
    assert refresh_windows([(0, 600)], [], 100, until=599) == [(0, 500)]
    assert refresh_windows([(0, 150), (250, 400)], [], 100) == [(0, 100), (300, 400)]
    assert refresh_windows([], [(0, 5)], 100) == []
