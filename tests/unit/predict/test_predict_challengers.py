"""Challengers in shadow, the referee's promotion, and the drift ladder, on whole streams of bars."""

from __future__ import annotations

from collections.abc import Iterable

import council_world as w

from libs.core.types import Abstention, Event, Features, ModelNote, NoteKind, Role, Signal

WARM = 300


def told(outputs: Iterable[Event]) -> list[NoteKind]:
    return [note.kind for note in outputs if isinstance(note, ModelNote)]


def test_a_challenger_forecasts_in_shadow_and_nobody_acts_on_it() -> None:
    shelf, bars = w.Shelf(), w.echo_bars(WARM + 50)
    stage, alone = w.council(shelf, bars[:WARM]), w.council(shelf, bars[:WARM])
    champion, challenger = shelf.put(0.3), shelf.put(0.1)
    stage.apply(champion, 0), alone.apply(champion, 0)
    assert told(stage.apply(w.asked(challenger, Role.CHALLENGER), 0)) == [NoteKind.SWAPPED]
    for vector in w.vectors(bars)[WARM:]:
        outputs, without = stage.apply(vector, 0), alone.apply(vector, 0)
        shadow = w.forecasts(outputs, shadow=True)
        assert list(shadow) == ["trend"]
        assert shadow["trend"].model_id == challenger.model_id
        assert shadow["trend"].bar_time == vector.bar_time
        assert w.forecasts(outputs) == w.forecasts(without)
        assert [o for o in outputs if isinstance(o, Signal)] == [o for o in without if isinstance(o, Signal)]


def test_the_better_challenger_is_promoted_with_its_statistic_and_the_worse_one_never() -> None:
    shelf, bars = w.Shelf(), w.echo_bars(WARM + 1500, 0.3, seed=4)
    stage, champion = w.council(shelf, bars[:WARM]), shelf.put(-0.2)
    better, worse = shelf.put(0.3), shelf.put(-0.6)
    stage.apply(champion, 0)
    for swap in (better, worse):
        stage.apply(w.asked(swap, Role.CHALLENGER), 0)
    promoted: list[tuple[int, ModelNote]] = []
    spoke: list[str] = []
    for i, vector in enumerate(w.vectors(bars)[WARM:]):
        outputs = stage.apply(vector, 0)
        promoted += [(i, n) for n in w.notes(outputs) if n.kind is NoteKind.PROMOTED]
        spoke.append(w.forecasts(outputs)["trend"].model_id)
    ((at, note),) = promoted
    assert note.model_id == better.model_id
    assert note.statistic >= note.threshold == 60.0
    assert set(spoke[:at]) == {champion.model_id}
    assert set(spoke[at:]) == {better.model_id}
    assert champion.model_id in note.detail
    back = w.notes(stage.apply(w.asked(champion, Role.CHAMPION, 9), 0))
    assert [n.kind for n in back] == [NoteKind.SWAPPED], "the beaten one is kept for a rollback"


def test_more_challengers_than_there_are_seats_are_refused() -> None:
    shelf, bars = w.Shelf(), w.echo_bars(WARM)
    stage = w.council(shelf, bars, challengers=1)
    stage.apply(shelf.put(0.3), 0)
    kinds = [told(stage.apply(w.asked(shelf.put(echo), Role.CHALLENGER), 0)) for echo in (0.1, 0.2)]
    assert kinds == [[NoteKind.SWAPPED], [NoteKind.REFUSED]]


def test_a_market_that_turns_leads_down_the_ladder_and_one_that_does_not_leads_nowhere() -> None:
    shelf, turn = w.Shelf(), WARM + 800
    steady, turned = w.echo_bars(WARM + 2500, 0.4, seed=6), w.echo_bars(WARM + 2500, 0.4, seed=6, turn=turn)
    swap = shelf.put(0.4)
    kinds: dict[str, list[tuple[int, NoteKind]]] = {}
    silenced = 0
    for name, bars in (("steady", steady), ("turned", turned)):
        stage = w.council(shelf, bars[:WARM])
        stage.apply(swap, 0)
        for i, vector in enumerate(w.vectors(bars)[WARM:]):
            outputs = stage.apply(vector, 0)
            kinds.setdefault(name, []).extend((i, kind) for kind in told(outputs))
            silenced += w.forecasts(outputs)["trend"].abstention is Abstention.DRIFT
    assert kinds["steady"] == []
    steps = [NoteKind.SHRUNK, NoteKind.SHADOWED, NoteKind.RETRAIN, NoteKind.RETIRED]
    assert [kind for _, kind in kinds["turned"]] == steps
    assert 800 < kinds["turned"][0][0] < 1200
    assert silenced >= 200


def test_a_model_that_comes_right_again_recovers() -> None:
    shelf, turn = w.Shelf(), WARM + 600
    bars = w.echo_bars(turn + 140, 0.5, seed=6, turn=turn)
    calm = w.echo_bars(2500, 0.5, seed=11)
    stage = w.council(shelf, bars[:WARM])
    stage.apply(shelf.put(0.5), 0)
    kinds = told(w.run(stage, list(w.vectors(bars)[WARM:])))
    assert kinds[:1] == [NoteKind.SHRUNK]
    shift = bars[-1].open_time - calm[0].open_time + w.STEP * 1_000_000_000
    later = [moved(vector, shift) for vector in w.vectors(calm)[200:]]
    kinds = told(w.run(stage, list(later)))
    assert NoteKind.RECOVERED in kinds
    assert NoteKind.RETIRED not in kinds


def moved(vector: Features, shift: int) -> Features:
    """The same vector so much later."""
    import msgspec

    return msgspec.structs.replace(
        vector, id=f"{vector.id}-late", bar_time=vector.bar_time + shift, ts_event=vector.ts_event + shift
    )
