"""When the strategies enter and leave, what they say with it, and when their own record keeps them out."""

from __future__ import annotations

import math
import struct

import pytest

from libs.core.features.sets import CORE20
from libs.core.strategies import RuleStrategy, make_strategy
from libs.core.types import SECOND, Action, Features, Forecast, Side, Signal

START = 1_790_000_000
COST = 5e-4


def features(i: int, close: float, *, atr: float = 0.5, z: float = 0.0, width: float = 0.02) -> Features:
    """A 1 s feature vector of bar `i` in which only what the strategies read is set."""
    row = [0.0] * len(CORE20)
    row[CORE20.index("atr_14")] = atr
    row[CORE20.index("z_price_20")] = z
    row[CORE20.index("bb_width_20")] = width
    return Features(
        id=f"features-{i}",
        ts_event=(START + i + 1) * SECOND,
        venue="deriv",
        symbol="PLANTED",
        interval_s=1,
        bar_time=(START + i) * SECOND,
        set_hash=CORE20.hash,
        values=struct.pack(f"<{len(row)}d", *row),
        open=close,
        high=close,
        low=close,
        close=close,
        volume=0.0,
        ts_recv=123,
    )


def trend(**params: float) -> RuleStrategy:
    return make_strategy("ema_trend", {"record_trades": 0, **params}, CORE20, COST)


def revert(**params: float) -> RuleStrategy:
    return make_strategy("mean_revert", {"record_trades": 0, **params}, CORE20, COST)


def wave(leg: int, legs: int, step: float = 2.0) -> list[float]:
    """A flat warm-up, then legs up and down of `leg` bars."""
    closes = [1000.0] * 41
    for k in range(legs):
        for _ in range(leg):
            closes.append(closes[-1] + (step if k % 2 == 0 else -step))
    return closes


def signals(strategy: RuleStrategy, closes: list[float]) -> list[tuple[int, Signal]]:
    found = [(i, strategy.on_bar(features(i, close), {})) for i, close in enumerate(closes)]
    return [(i, signal) for i, signal in found if signal is not None]


def test_a_trend_is_entered_with_it_and_left_on_the_opposite_cross() -> None:
    found = signals(trend(), wave(30, 2))
    assert [(s.action, s.side) for _, s in found] == [
        (Action.ENTER, Side.BUY),
        (Action.EXIT, Side.SELL),
        (Action.ENTER, Side.SELL),
    ]
    (enter_at, enter), (exit_at, exit_), (turn_at, _) = found
    assert 41 <= enter_at < 46
    assert 71 <= exit_at < 81
    assert turn_at > exit_at
    assert "above" in enter.reason
    assert "crossed back" in exit_.reason


def test_a_signal_carries_its_bar_its_cause_and_its_numbers() -> None:
    _, enter = signals(trend(), wave(30, 1))[0]
    assert enter.bar_time == enter.ts_event - SECOND
    assert (enter.venue, enter.symbol, enter.interval_s) == ("deriv", "PLANTED", 1)
    assert enter.cause[0].startswith("features-")
    assert enter.atr == 0.5
    assert enter.ts_recv == 123
    assert enter.evidence is False
    assert 0.0 < enter.strength <= 1.0


def test_forecasts_are_cited_and_their_sigma_taken_along() -> None:
    strategy, found = trend(), []
    forecast = Forecast(
        id="forecast-1",
        ts_event=0,
        agent="volatility",
        venue="deriv",
        symbol="PLANTED",
        interval_s=1,
        bar_time=0,
        model_id="m",
        feature_hash="h",
        sigma=0.002,
    )
    for i, close in enumerate(wave(30, 1)):
        found.append(strategy.on_bar(features(i, close), {"volatility": forecast}))
    signal = next(s for s in found if s)
    assert signal.sigma == 0.002
    assert "forecast-1" in signal.cause


def test_the_same_bars_give_the_same_ids_and_other_params_give_others() -> None:
    ids = [s.id for _, s in signals(trend(), wave(30, 4))]
    assert ids == [s.id for _, s in signals(trend(), wave(30, 4))]
    assert len(set(ids)) == len(ids)
    assert not set(ids) & {s.id for _, s in signals(trend(fast=5), wave(30, 4))}


def test_a_gap_below_the_atr_filter_or_the_cost_is_no_entry() -> None:
    assert signals(trend(entry_atr=20), wave(30, 2)) == []
    assert signals(trend(cost_multiple=50), wave(30, 2)) == []
    assert signals(trend(), wave(30, 6, step=0.01)) == []


def test_no_signal_before_the_warm_up_and_none_without_atr() -> None:
    strategy = trend()
    rising = [1000.0 + 2 * i for i in range(strategy.warmup + 5)]
    found = signals(strategy, rising)
    assert [i for i, _ in found] == [strategy.warmup]
    blind = [trend().on_bar(features(i, close, atr=math.nan), {}) for i, close in enumerate(wave(30, 2))]
    assert not any(blind)


def test_entries_and_exits_alternate_on_one_side_at_a_time() -> None:
    held = 0
    for _, signal in signals(trend(), wave(25, 20)):
        if signal.action is Action.ENTER:
            assert held == 0
            held = signal.side.sign
        else:
            assert signal.side.sign == -held
            held = 0


def rehearsed(closes: list[float], upto: int) -> list[tuple[int, Signal]]:
    strategy = trend()
    for i, close in enumerate(closes[:upto]):
        strategy.rehearse(features(i, close))
    found = [(i, strategy.on_bar(features(i, close), {})) for i, close in enumerate(closes) if i >= upto]
    return [(i, signal) for i, signal in found if signal is not None]


def test_a_trend_that_history_ends_in_is_joined_at_once_and_left_like_any_other() -> None:
    joined = rehearsed(wave(30, 2), 60)
    assert joined[0][0] == 60
    assert [(s.action, s.side) for _, s in joined] == [
        (Action.ENTER, Side.BUY),
        (Action.EXIT, Side.SELL),
        (Action.ENTER, Side.SELL),
    ]


def test_a_trend_that_has_lost_its_gap_is_not_joined() -> None:
    closes = wave(30, 1) + [wave(30, 1)[-1]] * 60
    assert [s.action for _, s in rehearsed(closes, 60)] == [Action.ENTER]
    assert rehearsed(closes, 90) == []


def test_a_revert_that_history_ends_in_is_not_joined() -> None:
    strategy = revert()
    for i, z in enumerate([0.0] * 21 + [2.5]):
        strategy.rehearse(features(i, 1000.0, z=z))
    zs = [2.4, 2.5, 1.0, -0.1, 2.5]
    found = [strategy.on_bar(features(22 + i, 1000.0, z=z), {}) for i, z in enumerate(zs)]
    assert [s.action if s else None for s in found] == [None, None, None, None, Action.ENTER]


def test_a_side_that_was_signalled_is_taken_back_after_bars_that_were_only_rehearsed() -> None:
    strategy, closes = trend(), wave(30, 2)
    for i, close in enumerate(closes[:60]):
        strategy.on_bar(features(i, close), {})
    for i, close in enumerate(closes[60:90], start=60):
        strategy.rehearse(features(i, close))
    first = strategy.on_bar(features(90, closes[90]), {})
    assert first is not None
    assert (first.action, first.side) == (Action.EXIT, Side.SELL)


def test_a_long_hole_ends_the_reason_to_hold() -> None:
    strategy = trend()
    for i, close in enumerate(wave(30, 1)):
        strategy.on_bar(features(i, close), {})
    signal = strategy.on_bar(features(5000, 1100.0), {})
    assert signal is not None
    assert signal.action is Action.EXIT
    assert "missing" in signal.reason


def test_a_repeated_or_older_bar_changes_nothing() -> None:
    strategy, closes = trend(), wave(30, 2)
    plain = signals(trend(), closes)
    seen = []
    for i, close in enumerate(closes):
        seen.append(strategy.on_bar(features(i, close), {}))
        assert strategy.on_bar(features(i, close), {}) is None
        assert strategy.on_bar(features(max(0, i - 3), 1.0), {}) is None
    assert [s for s in seen if s] == [s for _, s in plain]


def losing_wave(legs: int) -> list[float]:
    """Spikes that call an entry and are gone at once."""
    closes = [1000.0] * 41
    for k in range(legs):
        closes += [1000.0 + (4.0 if k % 2 else -4.0)] * 2 + [1000.0] * 14
    return closes


def test_a_losing_record_keeps_it_out_and_it_goes_on_counting() -> None:
    followed = signals(trend(), losing_wave(20))
    careful = make_strategy("ema_trend", {"record_trades": 8}, CORE20, COST)
    kept = signals(careful, losing_wave(20))
    entries = [i for i, s in followed if s.action is Action.ENTER]
    assert len(entries) >= 20
    assert [i for i, s in kept if s.action is Action.ENTER] == entries[:3]
    back = wave(30, 14)[41:]
    again = [careful.on_bar(features(1000 + i, close), {}) for i, close in enumerate([1000.0] * 41 + back)]
    assert any(s and s.action is Action.ENTER for s in again)


def test_far_from_the_mean_is_traded_against_until_back_there() -> None:
    strategy = revert()
    zs = [0.0] * 21 + [2.5, 1.5, 0.6, -0.1, 0.0, -2.2, -0.5, 0.3]
    found = [strategy.on_bar(features(i, 1000.0, z=z), {}) for i, z in enumerate(zs)]
    assert [(i, s.action, s.side) for i, s in enumerate(found) if s] == [
        (21, Action.ENTER, Side.SELL),
        (24, Action.EXIT, Side.BUY),
        (26, Action.ENTER, Side.BUY),
        (28, Action.EXIT, Side.SELL),
    ]


def test_one_excursion_is_traded_once() -> None:
    strategy = revert(max_hold_bars=2)
    zs = [0.0] * 21 + [2.5] * 10 + [0.5, 2.5]
    found = [strategy.on_bar(features(i, 1000.0, z=z), {}) for i, z in enumerate(zs)]
    acts = [(i, s.action) for i, s in enumerate(found) if s]
    assert acts == [(21, Action.ENTER), (23, Action.EXIT), (32, Action.ENTER)]
    assert found[23] is not None
    assert "not back after 2 bars" in found[23].reason


@pytest.mark.parametrize(("width", "enters"), [(0.0010, False), (0.0016, True)])
def test_the_way_back_must_pay_for_the_round_trip(width: float, enters: bool) -> None:
    """2.5 deviations x width / 4 against 1.5 x 5 basis points: the border lies at a width of 0.0012."""
    strategy = revert()
    for i in range(21):
        strategy.on_bar(features(i, 1000.0), {})
    assert (strategy.on_bar(features(21, 1000.0, z=2.5, width=width), {}) is not None) is enters


def test_a_missing_z_score_is_no_reason_to_do_anything() -> None:
    strategy = revert()
    for i in range(21):
        strategy.on_bar(features(i, 1000.0), {})
    assert strategy.on_bar(features(21, 1000.0, z=math.nan), {}) is None
    assert strategy.on_bar(features(22, 1000.0, z=2.5), {}) is not None
    assert strategy.on_bar(features(23, 1000.0, z=math.nan), {}) is None


@pytest.mark.parametrize("name", ["ema_trend", "mean_revert"])
def test_a_snapshot_of_other_parameters_is_refused(name: str) -> None:
    one = make_strategy(name, {}, CORE20, COST)
    other = make_strategy(name, {"record_trades": 9}, CORE20, COST)
    with pytest.raises(ValueError, match="snapshot of"):
        other.restore(one.snapshot())
