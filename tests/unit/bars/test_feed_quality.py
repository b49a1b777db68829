"""Sequence, plausibility, health and order flow of a feed."""

from __future__ import annotations

import math

import pytest

from libs.core.bars import BookFlow, FeedCheck, HealthScore, Numbering, Order, Plausibility, SequenceWatch, quote_fault
from libs.core.types import SECOND, Quote, Trade


def trade(price: float, size: float = 1.0, seq: int = 0) -> Trade:
    return Trade(1, price, size, 0, seq)


def test_consecutive_numbers_prove_loss_and_repetition() -> None:
    watch = SequenceWatch(Numbering.CONSECUTIVE)
    assert watch.judge(500, 0) is Order.NEXT
    watch.take(500, 0)
    assert watch.judge(501, 0) is Order.NEXT
    assert watch.judge(503, 0) is Order.HOLE
    assert watch.judge(500, 0) is Order.DUPLICATE
    assert watch.judge(0, 0) is Order.NEXT
    assert watch.judge(1, 61 * SECOND) is Order.RENUMBERED


def test_a_grid_is_learned_and_then_a_longer_step_is_a_hole() -> None:
    watch = SequenceWatch(Numbering.GRID)
    for second in range(0, 80, 2):
        assert watch.judge(1000 + second, second * SECOND) is Order.NEXT
        watch.take(1000 + second, second * SECOND)
    assert watch.judge(1080, 80 * SECOND) is Order.NEXT
    assert watch.judge(1082, 82 * SECOND) is Order.HOLE


def test_an_irregular_feed_never_earns_a_grid() -> None:
    watch = SequenceWatch(Numbering.GRID)
    second = 1000
    for step in [1, 2, 4, 3, 7, 1] * 10:
        second += step
        assert watch.judge(second, second * SECOND) is Order.NEXT
        watch.take(second, second * SECOND)


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, math.inf, -math.inf])
def test_what_is_no_price_is_refused(price: float) -> None:
    assert Plausibility().fault(trade(price))


@pytest.mark.parametrize("size", [-1.0, math.nan, math.inf])
def test_what_is_no_size_is_refused(size: float) -> None:
    assert "size" in Plausibility().fault(trade(100.0, size))


def test_a_lone_spike_is_refused_and_a_lasting_jump_believed_at_the_third_print() -> None:
    judge = Plausibility()
    assert judge.fault(trade(100.0)) == ""
    judge.take(100.0)
    assert "believed when it repeats" in judge.fault(trade(300.0))
    assert judge.fault(trade(101.0)) == ""
    judge.take(101.0)
    assert judge.fault(trade(50.0))
    assert judge.fault(trade(51.0))
    assert judge.fault(trade(49.0)) == ""


def test_a_spike_sent_again_does_not_confirm_itself() -> None:
    judge = Plausibility()
    judge.take(100.0)
    assert all(judge.fault(trade(300.0, seq=7)) for _ in range(5))


def test_scattered_absurd_prices_confirm_nothing() -> None:
    judge = Plausibility()
    judge.take(100.0)
    assert all(judge.fault(trade(price)) for price in (1e6, 1e-3, 1e9, 5.0, 1e6))


@pytest.mark.parametrize(
    ("bid", "ask", "size", "word"),
    [(10, 9, 1, "crossed"), (0, 9, 1, "price"), (math.nan, 9, 1, "price"), (8, 9, -1, "size")],
)
def test_quotes_that_cannot_be(bid: float, ask: float, size: float, word: str) -> None:
    assert word in quote_fault(Quote(0, bid, size, ask, 1.0, 1))


def test_a_locked_quote_is_a_quote() -> None:
    assert quote_fault(Quote(0, 9.0, 1.0, 9.0, 1.0, 1)) == ""


def test_the_score_falls_with_failures_and_heals_within_a_minute() -> None:
    health = HealthScore()
    assert health.score(0) == 1.0
    health.failed(FeedCheck.GAP, 5 * SECOND)
    assert health.score(6 * SECOND) == 0.5
    health.failed(FeedCheck.LATE, 7 * SECOND, 5)
    assert health.score(8 * SECOND) == 0.375
    assert health.score(8 * SECOND, stale=True) == 0.0
    assert health.score(65 * SECOND) == 0.875
    assert health.score(67 * SECOND) == 1.0


def test_the_score_never_leaves_its_range() -> None:
    health = HealthScore()
    for check in FeedCheck:
        health.failed(check, 0, 10_000)
    assert health.score(0) == 0.0


def test_order_flow_by_hand() -> None:
    """Bid up: + its whole size; ask unchanged: minus what came; bid down: minus what was there; ask up: plus it."""
    flow = BookFlow("v", "S", 1)
    flow.update([(10, 5), (9, 1)], [(11, 7)], 1, 2, 10)
    flow.update([(10.5, 3)], [(11, 9)], 3, 4, 20)
    stats = flow.take(99)
    assert stats is not None
    assert stats.ofi == 3 - 9 + 7
    assert (stats.updates, stats.first_id, stats.last_id, stats.ts_event, stats.ts_init) == (2, 1, 4, 20, 99)
    assert stats.bids == ((10.5, 3),)
    assert flow.take(100) is None
    flow.update([(10, 2)], [(12, 1)], 5, 6, 30)
    again = flow.take(101)
    assert again is not None
    assert again.ofi == -3 + 9


def test_after_a_lost_update_the_flow_starts_anew() -> None:
    flow = BookFlow("v", "S", 5)
    flow.update([(10, 5)], [(11, 7)], 1, 2, 10)
    flow.forget()
    flow.update([(20, 5)], [(21, 7)], 9, 9, 20)
    stats = flow.take(0)
    assert stats is not None
    assert stats.ofi == 0.0
