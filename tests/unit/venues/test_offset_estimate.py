"""The clock estimate always contains the truth, sharpens with each answer and survives a clock that is set."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from libs.core.types import MILLISECOND, SECOND
from libs.venues.clock import OffsetEstimate

exchanges = st.lists(
    st.tuples(st.integers(0, 5 * SECOND), st.integers(0, 300 * MILLISECOND), st.integers(0, 300 * MILLISECOND)),
    min_size=1,
    max_size=30,
)


@given(offset=st.integers(-100 * SECOND, 100 * SECOND), asked=exchanges)
def test_the_interval_holds_the_true_offset(offset: int, asked: list[tuple[int, int, int]]) -> None:
    estimate = OffsetEstimate(SECOND)
    now = 1_700_000_000 * SECOND
    for pause, there, back in asked:
        now += pause
        sent, at_venue, received = now, now + there, now + there + back
        estimate.answered(sent, received, (at_venue + offset) // SECOND * SECOND)
        now = received
        slack = estimate.width // 2 if estimate.width <= 500 * MILLISECOND else estimate.width
        assert abs(estimate.offset - offset) <= slack + 1


def test_questions_at_the_turn_of_the_second_halve_the_interval() -> None:
    estimate = OffsetEstimate(SECOND)
    offset = 37 * SECOND + 123_456_789
    now = 1_700_000_000 * SECOND + 5
    for _ in range(8):
        estimate.answered(now, now, (now + offset) // SECOND * SECOND)
        now = estimate.best_question_time(now)
    assert estimate.width < 20 * MILLISECOND
    assert abs(estimate.offset - offset) < 20 * MILLISECOND


def test_a_live_event_raises_the_lower_edge_only() -> None:
    estimate = OffsetEstimate(SECOND)
    estimate.answered(10 * SECOND, 10 * SECOND, 10 * SECOND)
    estimate.witnessed(11 * SECOND - 100 * MILLISECOND, 10 * SECOND)
    assert estimate.width == 100 * MILLISECOND
    estimate.witnessed(99 * SECOND, 10 * SECOND)
    assert estimate.width == 100 * MILLISECOND


def test_a_wide_interval_is_read_at_its_early_edge() -> None:
    estimate = OffsetEstimate(SECOND)
    estimate.answered(0, 0, 5 * SECOND)
    assert estimate.offset == 5 * SECOND
    assert estimate.width == SECOND


def test_a_clock_that_was_set_starts_over() -> None:
    estimate = OffsetEstimate(MILLISECOND)
    estimate.answered(SECOND, SECOND, SECOND)
    estimate.answered(2 * SECOND, 2 * SECOND, 3600 * SECOND)
    assert abs(estimate.offset - 3598 * SECOND) <= MILLISECOND


def test_without_an_answer_nothing_is_known() -> None:
    estimate = OffsetEstimate(SECOND)
    estimate.witnessed(5 * SECOND, SECOND)
    assert not estimate.known
    assert estimate.offset == 0
