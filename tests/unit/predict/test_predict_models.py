"""Trained models in the predict stage: seats, refusals, rollback, gates, and a state that goes on bit for bit."""

from __future__ import annotations

import math
from typing import Any

import council_world as w
import msgspec
import numpy as np
import pytest

from libs.core.agents.artifact import Calibrator
from libs.core.stages.predict import PredictStage, SeriesConfig, build
from libs.core.types import Abstention, BarFlag, Event, Headline, NoteKind, Role, Scored, encode

WARM = 300
BARS = w.echo_bars(WARM + 400)
LIVE = w.vectors(BARS)[WARM:]


def test_without_a_model_a_trained_agent_has_none_and_the_others_speak() -> None:
    said = w.forecasts(w.council(w.Shelf(), BARS[:WARM]).apply(LIVE[0], 0))
    assert list(said) == ["volatility", "direction", "trend", "meta"]
    assert said["trend"].abstention is Abstention.NO_MODEL
    assert said["volatility"].abstention is None


def test_a_swap_takes_effect_from_the_next_bar_and_no_bar_is_dropped() -> None:
    shelf = w.Shelf()
    stage, swap = w.council(shelf, BARS[:WARM]), shelf.put()
    heard = [w.forecasts(stage.apply(vector, 0)) for vector in LIVE[:10]]
    (note,) = w.notes(stage.apply(swap, 0))
    assert (note.kind, note.model_id, note.ts_event) == (NoteKind.SWAPPED, swap.model_id, swap.ts_event)
    heard += [w.forecasts(stage.apply(vector, 0)) for vector in LIVE[10:20]]
    assert [list(said) for said in heard] == [["volatility", "direction", "trend", "meta"]] * 20
    assert {said["trend"].abstention for said in heard[:10]} == {Abstention.NO_MODEL}
    for said in heard[10:]:
        trend = said["trend"]
        assert trend.abstention is None
        assert trend.model_id == swap.model_id
        assert (trend.p_down or 0) + (trend.p_neutral or 0) + (trend.p_up or 0) == pytest.approx(1.0)
        assert (trend.calibrator, trend.in_force) == ("none", True)
        assert "trend" in {vote.agent for vote in said["meta"].votes}


def test_a_model_starts_from_the_bars_that_there_are() -> None:
    """A carried state is the same whether its model was there from the beginning or comes late."""
    shelf = w.Shelf()
    early, late, swap = w.council(shelf, BARS[:WARM]), w.council(shelf, BARS[:WARM]), shelf.put(params={"carry": 0.5})
    early.apply(swap, 0)
    for vector in LIVE[:100]:
        early.apply(vector, 0), late.apply(vector, 0)
    late.apply(swap, 0)
    for vector in LIVE[100:110]:
        one, other = (w.forecasts(stage.apply(vector, 0))["trend"].p_up for stage in (early, late))
        assert one is not None
        assert one == pytest.approx(other, abs=1e-12)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"set_hash": "other"}, "reads feature set other"),
        ({"symbol": "BTCUSDT"}, "trained on BTCUSDT 60 s, not on ECHO 60 s"),
        ({"interval_s": 300}, "trained on ECHO 300 s"),
        ({"agent": "boosting", "kind": "lightgbm"}, "cannot be loaded"),
        ({"kind": "oracle"}, "no code for models of kind 'trend.oracle'"),
        ({"format": "conclave-model-9"}, "a model of format"),
        ({"features": ("ewma_vol", "moon_phase")}, "moon_phase"),
        ({"rows": 100_000}, "looks back further"),
        ({"returns": 100_000}, "looks back further"),
        ({"params": {"raises": True}}, "the graph is broken"),
        ({"params": {"psi": {"names": ["ewma_vol"]}}}, "reference of inputs"),
    ],
)
def test_what_does_not_match_is_refused_and_the_champion_serves_on(fields: dict[str, Any], said: str) -> None:
    shelf = w.Shelf()
    stage, champion = w.council(shelf, BARS[:WARM]), shelf.put()
    stage.apply(champion, 0)
    wrong = msgspec.structs.replace(shelf.put(0.2, **fields), agent="trend")
    (note,) = w.notes(stage.apply(wrong, 0))
    assert note.kind is NoteKind.REFUSED
    assert said in note.detail
    assert w.forecasts(stage.apply(LIVE[0], 0))["trend"].model_id == champion.model_id


def test_a_model_that_is_not_there_or_is_another_is_refused() -> None:
    shelf = w.Shelf()
    stage, swap = w.council(shelf, BARS[:WARM]), shelf.put()
    for wrong, said in (
        (msgspec.structs.replace(swap, sha256="0" * 64), "is not here"),
        (msgspec.structs.replace(swap, model_id="trend.test:0"), "not trend.test:0"),
        (msgspec.structs.replace(swap, agent="pattern"), "no agent pattern is configured"),
    ):
        (note,) = w.notes(stage.apply(wrong, 0))
        assert (note.kind, said in note.detail) == (NoteKind.REFUSED, True), note.detail
    assert not stage.apply(msgspec.structs.replace(swap, symbol="OTHER"), 0)


def test_a_foreign_model_serves_where_that_is_configured() -> None:
    shelf = w.Shelf()
    stage = w.council(shelf, BARS[:WARM], foreign_models=True)
    (note,) = w.notes(stage.apply(shelf.put(symbol="BTCUSDT"), 0))
    assert note.kind is NoteKind.SWAPPED


def test_a_rollback_brings_the_previous_model_back_without_the_shelf() -> None:
    shelf = w.Shelf()
    stage, first, second = w.council(shelf, BARS[:WARM]), shelf.put(0.3), shelf.put(0.2)
    stage.apply(first, 0)
    told = stage.apply(second, 0)
    assert list(stage.apply(second, 0)) == list(told), "a repeat changes nothing and is told in the same words"
    assert w.forecasts(stage.apply(LIVE[0], 0))["trend"].model_id == second.model_id
    shelf.blobs.clear()
    (note,) = w.notes(stage.apply(w.asked(first, Role.CHAMPION, 2), 0))
    assert note.kind is NoteKind.SWAPPED
    assert w.forecasts(stage.apply(LIVE[1], 0))["trend"].model_id == first.model_id


def test_a_retired_champion_leaves_the_seat_to_what_learns_online() -> None:
    shelf = w.Shelf()
    stage, swap = w.council(shelf, BARS[:WARM]), shelf.put()
    stage.apply(swap, 0), stage.apply(LIVE[0], 0)
    (note,) = w.notes(stage.apply(w.asked(swap, Role.RETIRED), 0))
    assert note.kind is NoteKind.RETIRED
    assert w.forecasts(stage.apply(LIVE[1], 0))["trend"].abstention is Abstention.NO_MODEL


def test_the_gates_in_their_order() -> None:
    shelf = w.Shelf()
    nothing: dict[str, float] = {}
    weak = {"calibration_side_gain": 0.001, "calibration_side_gain_sd": 0.1, "calibration_moves": 4000.0}
    cases: list[tuple[dict[str, Any], Abstention | None]] = [
        ({}, None),
        ({"params": {"novel": 1e-9}}, Abstention.OUT_OF_DISTRIBUTION),
        ({"metrics": nothing}, Abstention.NO_EDGE),
        ({"metrics": weak}, Abstention.NO_EDGE),
        ({"returns": 400}, Abstention.WARMING_UP),
    ]
    for fields, reason in cases:
        stage = w.council(shelf, BARS[:WARM])
        stage.apply(shelf.put(**fields), 0)
        trend = w.forecasts(stage.apply(LIVE[0], 0))["trend"]
        assert trend.abstention is reason, (fields, trend)
        assert (trend.p_up is None) is (reason is not None)
    stage = w.council(shelf, BARS[:WARM])
    stage.apply(shelf.put(), 0)
    row = np.full(len(w.SET), math.nan)
    hollow = msgspec.structs.replace(LIVE[0], values=row.astype("<f8").tobytes())
    assert w.forecasts(stage.apply(hollow, 0))["trend"].abstention is Abstention.MISSING_INPUT


def test_a_model_without_a_record_earns_its_voice_and_noise_never_does() -> None:
    """What was gated is scored all the same."""
    shelf, bars = w.Shelf(), w.echo_bars(1500, 0.3, seed=5)
    stage = w.council(shelf, bars[:WARM])
    stage.apply(shelf.put(0.3, metrics={}), 0)
    said = [w.forecasts(stage.apply(v, 0))["trend"].abstention for v in w.vectors(bars)[WARM:]]
    assert said[0] is Abstention.NO_EDGE
    assert set(said[-600:]) == {None}
    silent = w.council(shelf, bars[:WARM])
    silent.apply(shelf.put(-0.3, metrics={}), 0)
    heard = {w.forecasts(silent.apply(v, 0))["trend"].abstention for v in w.vectors(bars)[WARM:]}
    assert heard <= {Abstention.NO_EDGE, Abstention.DRIFT}


def test_a_calibrator_that_stopped_telling_the_truth_is_out_of_force_and_loses_weight() -> None:
    shelf, bars = w.Shelf(), w.echo_bars(1300, 0.2, seed=3)
    honest, boasting = w.council(shelf, bars[:WARM]), w.council(shelf, bars[:WARM])
    honest.apply(shelf.put(0.2), 0), boasting.apply(shelf.put(1.5, calibrator=Calibrator(id="old")), 0)
    told: list[Any] = []
    for vector in w.vectors(bars)[WARM:]:
        one = w.forecasts(honest.apply(vector, 0))
        outputs = boasting.apply(vector, 0)
        other, told = w.forecasts(outputs), told + w.notes(outputs)
    assert one["trend"].in_force
    assert one["trend"].ece is not None
    assert one["trend"].ece < 0.04
    assert not other["trend"].in_force
    assert other["trend"].ece is not None
    assert other["trend"].ece > 0.1
    assert other["trend"].abstention is Abstention.DRIFT
    assert [note.kind for note in told] == [NoteKind.SHRUNK, NoteKind.SHADOWED]
    assert all(note.statistic > note.threshold and "calibration" in note.detail for note in told)


def test_the_joint_forecast_tells_size_interval_and_risk_and_holds_its_promise() -> None:
    shelf, bars = w.Shelf(), w.echo_bars(1800, 0.3, seed=8)
    stage = w.council(shelf, bars[:WARM])
    stage.apply(shelf.put(0.3), 0)
    inside, count, last, close = 0, 0, None, math.nan
    for vector in w.vectors(bars)[WARM:]:
        if last is not None and last.low is not None and last.high is not None:
            count += 1
            inside += last.low <= math.log(vector.close / close) <= last.high
        last, close = w.forecasts(stage.apply(vector, 0))["meta"], vector.close
    assert last is not None
    assert last.sigma == pytest.approx(1e-3, rel=0.4)
    assert "volatility" in last.risk
    if last.magnitude is not None and last.p_up is not None and last.p_down is not None:
        assert (last.magnitude > 0) == (last.p_up > last.p_down)
    assert count > 1400
    assert inside / count == pytest.approx(0.8, abs=0.03)


def script(shelf: w.Shelf) -> list[Event]:
    """Bars with a hole, a flagged bar, and every kind of swap among them."""
    first, second, third = shelf.put(0.3, params={"carry": 0.4}), shelf.put(0.2), shelf.put(0.25)
    inputs: list[Event] = list(LIVE)
    inputs[50] = msgspec.structs.replace(LIVE[50], flags=BarFlag.GAP.value)
    del inputs[60:63]
    for at, swap in (
        (300, w.asked(third, Role.RETIRED)),
        (260, w.asked(first, Role.CHAMPION, 3)),
        (200, second),
        (150, w.asked(third, Role.CHALLENGER)),
        (120, msgspec.structs.replace(second, sha256="f" * 64)),
        (90, first),
    ):
        inputs.insert(at, swap)
    return inputs


@pytest.mark.parametrize("cuts", [(95,), (151, 205), (0, 92, 262, 310)])
def test_a_restored_stage_with_models_goes_on_bit_for_bit(cuts: tuple[int, ...]) -> None:
    shelf = w.Shelf()
    inputs = script(shelf)
    whole = w.council(shelf, BARS[:WARM])
    expected = [encode(output) for output in w.run(whole, inputs)]
    stage, said, done = w.council(shelf, BARS[:WARM]), [], 0
    for at in (*cuts, len(inputs)):
        said += [encode(output) for output in w.run(stage, inputs[done:at])]
        done, snapshot = at, stage.snapshot()
        stage = build(msgspec.json.encode(w.CONFIG), shelf)
        stage.restore(snapshot)
        assert stage.snapshot() == snapshot
    assert said == expected
    assert stage.snapshot() == whole.snapshot()


def test_a_snapshot_whose_model_is_gone_is_refused() -> None:
    shelf = w.Shelf()
    stage = w.council(shelf, BARS[:WARM])
    stage.apply(shelf.put(), 0)
    with pytest.raises(ValueError, match="not here"):
        PredictStage(w.CONFIG, w.Shelf()).restore(stage.snapshot())


def test_two_series_keep_their_models_apart() -> None:
    shelf = w.Shelf()
    other = SeriesConfig(venue="binance", symbol="OTHER", interval_s=w.STEP)
    stage = w.council(shelf, BARS[:WARM], msgspec.structs.replace(w.CONFIG, series=(w.SERIES, other)))
    stage.apply(shelf.put(), 0)
    for vector in LIVE[:5]:
        mine = w.forecasts(stage.apply(vector, 0))["trend"]
        theirs = w.forecasts(stage.apply(msgspec.structs.replace(vector, symbol="OTHER", id=vector.id + "o"), 0))[
            "trend"
        ]
    assert mine.model_id
    assert theirs.abstention is Abstention.NO_MODEL


def test_headlines_and_their_scores_reach_the_agent_that_listens_and_its_votes_are_kept_book_of() -> None:
    config = msgspec.structs.replace(w.CONFIG, agents=("volatility", "sentiment"))
    stage = w.council(w.Shelf(), BARS[:WARM], config)
    assert w.forecasts(stage.apply(LIVE[0], 0))["sentiment"].abstention is Abstention.MISSING_INPUT
    at = LIVE[0].ts_event
    news = Headline(id="n", ts_event=at, source="desk", source_id="1", title="Echo rises", symbols=("ECHO",))
    scored = Scored(id="s", ts_event=at, headline="n", source="desk", symbols=("ECHO",), score=0.9, model_id="lexicon")
    assert not stage.apply(news, 0)
    assert not stage.apply(scored, 0)
    said = w.forecasts(stage.apply(LIVE[1], 0))
    assert said["sentiment"].p_up is not None
    assert said["sentiment"].p_up > 1 / 3
    assert [vote.agent for vote in said["meta"].votes] == ["sentiment"]
    copy = PredictStage(config)
    copy.restore(stage.snapshot())
    assert w.run(copy, LIVE[2:30]) == w.run(stage, LIVE[2:30])
