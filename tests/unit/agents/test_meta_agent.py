"""The meta-agent's arithmetic: worked examples and what must hold for any votes."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.core.agents import MetaAgent
from libs.core.agents.meta import Context
from libs.core.types import Abstention, Features, Forecast

NEWEST = Features(
    id="f1",
    ts_event=5_000_000_000,
    venue="deriv",
    symbol="R_100",
    interval_s=1,
    bar_time=4_000_000_000,
    set_hash="h",
    values=b"",
    open=1.0,
    high=1.0,
    low=1.0,
    close=1.0,
    volume=0.0,
)
META = MetaAgent(("direction", "other"), 0.55, 0.40)


def vote(agent: str, down: float, neutral: float, up: float, confidence: float) -> Forecast:
    return Forecast(
        id=f"{agent}-id",
        ts_event=NEWEST.ts_event,
        agent=agent,
        venue="deriv",
        symbol="R_100",
        interval_s=1,
        bar_time=NEWEST.bar_time,
        model_id="m",
        feature_hash="h",
        p_down=down,
        p_neutral=neutral,
        p_up=up,
        confidence=confidence,
    )


def silent(agent: str, reason: Abstention | None, sigma: float | None = None) -> Forecast:
    return Forecast(
        id=f"{agent}-id",
        ts_event=NEWEST.ts_event,
        agent=agent,
        venue="deriv",
        symbol="R_100",
        interval_s=1,
        bar_time=NEWEST.bar_time,
        model_id="m",
        feature_hash="h",
        abstention=reason,
        sigma=sigma,
        confidence=0.9 if sigma else 0.0,
    )


def test_one_clear_vote_is_passed_on() -> None:
    joint = META.combine(NEWEST, [vote("direction", 0.1, 0.4, 0.5, 0.8)], 7)
    assert joint.abstention is None
    assert joint.disagreement == 0.0
    assert joint.confidence == pytest.approx(0.5 / 0.6)
    assert (joint.p_down, joint.p_up) == (0.1, 0.5)
    assert joint.p_neutral == pytest.approx(0.4)
    assert joint.cause == ("f1", "direction-id")
    assert joint.ts_init == 7


def test_two_votes_are_weighed_by_confidence() -> None:
    joint = META.combine(NEWEST, [vote("direction", 0.05, 0.05, 0.9, 0.9), vote("other", 0.5, 0.2, 0.3, 0.3)], 0)
    assert [v.weight for v in joint.votes] == pytest.approx([0.75, 0.25])
    assert joint.disagreement == pytest.approx(0.25)
    up, down = 0.75 * 0.9 + 0.25 * 0.3, 0.75 * 0.05 + 0.25 * 0.5
    assert joint.confidence == pytest.approx(0.75 * up / (up + down))
    assert joint.abstention is None


def test_weight_outside_the_majority_silences_it() -> None:
    joint = META.combine(NEWEST, [vote("direction", 0.1, 0.0, 0.9, 0.5), vote("other", 0.9, 0.0, 0.1, 0.45)], 0)
    assert joint.abstention is Abstention.DISAGREEMENT
    assert joint.disagreement == pytest.approx(0.45 / 0.95)
    assert joint.p_up is None
    assert len(joint.votes) == 2


def test_an_unsure_vote_is_low_confidence() -> None:
    joint = META.combine(NEWEST, [vote("direction", 0.3, 0.37, 0.33, 0.53)], 0)
    assert joint.abstention is Abstention.LOW_CONFIDENCE
    assert joint.confidence == pytest.approx(0.33 / 0.63)


def test_it_speaks_exactly_at_its_threshold() -> None:
    assert META.combine(NEWEST, [vote("direction", 0.45, 0.0, 0.55, 0.55)], 0).abstention is None


def test_agents_without_a_direction_have_no_vote() -> None:
    joint = META.combine(NEWEST, [silent("volatility", None, sigma=0.001), vote("direction", 0.0, 0.2, 0.8, 1.0)], 0)
    assert [v.agent for v in joint.votes] == ["direction"]


@pytest.mark.parametrize("reason", list(Abstention))
def test_without_votes_it_passes_on_the_voters_reason(reason: Abstention) -> None:
    joint = META.combine(NEWEST, [silent("volatility", None, sigma=0.001), silent("direction", reason)], 0)
    assert joint.abstention is reason
    assert "direction" in joint.detail


def test_without_any_voter_configured_there_is_no_model() -> None:
    assert META.combine(NEWEST, [silent("volatility", None, sigma=0.001)], 0).abstention is Abstention.NO_MODEL


@st.composite
def votes(draw: st.DrawFn) -> list[Forecast]:
    made = []
    for i in range(draw(st.integers(1, 5))):
        parts = [draw(st.floats(0.001, 1.0)) for _ in range(3)]
        down, neutral, up = (part / sum(parts) for part in parts)
        made.append(vote(f"a{i}", down, neutral, up, draw(st.floats(0.01, 1.0))))
    return made


@given(votes())
def test_numbers_stay_in_range_and_decide_whether_it_speaks(made: list[Forecast]) -> None:
    joint = META.combine(NEWEST, made, 0)
    assert joint.disagreement is not None
    assert 0.0 <= joint.disagreement <= 1.0
    assert 0.0 <= joint.confidence <= 1.0
    assert sum(v.weight for v in joint.votes) == pytest.approx(1.0)
    assert (joint.abstention is None) == (joint.confidence >= 0.55 and joint.disagreement <= 0.40)
    if joint.abstention is None:
        assert (joint.p_down or 0.0) + (joint.p_neutral or 0.0) + (joint.p_up or 0.0) == pytest.approx(1.0)


@given(votes())
def test_mirrored_votes_give_the_mirrored_answer(made: list[Forecast]) -> None:
    mirrored = [vote(f.agent, f.p_up or 0, f.p_neutral or 0, f.p_down or 0, f.confidence) for f in made]
    one, other = META.combine(NEWEST, made, 0), META.combine(NEWEST, mirrored, 0)
    assert other.confidence == pytest.approx(one.confidence)
    assert other.disagreement == pytest.approx(one.disagreement)
    assert (other.p_up, other.p_down) == (one.p_down, one.p_up)


@given(votes())
def test_the_order_of_the_votes_does_not_matter(made: list[Forecast]) -> None:
    for permuted in itertools.islice(itertools.permutations(made), 6):
        assert META.combine(NEWEST, list(permuted), 0).confidence == pytest.approx(
            META.combine(NEWEST, made, 0).confidence
        )


def test_trust_takes_weight_from_who_was_wrong_about_itself() -> None:
    votes = [vote("direction", 0.1, 0.2, 0.7, 0.8), vote("other", 0.3, 0.3, 0.4, 0.8)]
    even = META.combine(NEWEST, votes, 0)
    told = META.combine(NEWEST, votes, 0, Context(trust={"other": 0.25}))
    assert [v.weight for v in even.votes] == pytest.approx([0.5, 0.5])
    assert [v.weight for v in told.votes] == pytest.approx([0.8, 0.2])


def test_a_simple_average_has_equal_weights_whatever_confidence_and_trust() -> None:
    simple = MetaAgent(("direction",), 0.55, 0.40, combine="simple")
    votes = [vote("direction", 0.1, 0.2, 0.7, 0.9), vote("other", 0.2, 0.2, 0.6, 0.3)]
    joint = simple.combine(NEWEST, votes, 0, Context(trust={"other": 0.1}))
    assert [v.weight for v in joint.votes] == [0.5, 0.5]
    assert joint.p_up == pytest.approx(0.65)


def test_a_stacked_model_decides_and_the_votes_still_tell_how_divided_they_were() -> None:
    learned = MetaAgent(("direction",), 0.55, 0.40, combine="learned")
    votes = [vote("direction", 0.1, 0.2, 0.7, 0.8), vote("other", 0.5, 0.2, 0.3, 0.2)]
    joint = learned.combine(NEWEST, votes, 0, Context(learned=(0.1, 0.3, 0.6), learned_id="meta.stack:1"))
    assert (joint.p_down, joint.p_neutral, joint.p_up) == pytest.approx((0.1, 0.3, 0.6))
    assert joint.disagreement == pytest.approx(0.2)
    assert joint.confidence == pytest.approx(0.8 * 0.6 / 0.7)
    assert joint.model_id.endswith("meta.stack:1")
    assert learned.combine(NEWEST, votes, 0).p_up == pytest.approx(0.8 * 0.7 + 0.2 * 0.3)


def test_a_conflict_may_be_left_to_the_most_trusted_voter() -> None:
    votes = [vote("direction", 0.1, 0.2, 0.7, 0.8), vote("other", 0.6, 0.2, 0.2, 0.75)]
    assert META.combine(NEWEST, votes, 0).abstention is Abstention.DISAGREEMENT
    best = MetaAgent(("direction",), 0.55, 0.40, conflict="best")
    joint = best.combine(NEWEST, votes, 0)
    assert (joint.p_down, joint.p_up, joint.confidence) == pytest.approx((0.1, 0.7, 0.7 / 0.8))
    turned = best.combine(NEWEST, votes, 0, Context(trust={"direction": 0.8}))
    assert turned.p_down == pytest.approx(0.6)


def test_size_interval_and_risk_come_with_the_joint_forecast() -> None:
    context = Context(sigma=0.002, usual=0.001, width=1.5)
    drifting = silent("trend", Abstention.DRIFT)
    joint = META.combine(NEWEST, [vote("direction", 0.6, 0.2, 0.2, 0.8), drifting], 0, context)
    assert joint.sigma == 0.002
    assert joint.magnitude == pytest.approx(-0.002 * (2.0 / 3.141592653589793) ** 0.5)
    assert (joint.low, joint.high) == pytest.approx((-0.003, 0.003))
    assert joint.risk == "volatility 2.0 times the usual; 1 vote, disagreement 0.00; drift: trend"


def test_agents_that_were_never_trained_do_not_decide_why_it_is_silent() -> None:
    untrained = [silent(name, Abstention.NO_MODEL) for name in ("direction", "other")]
    edgeless = silent("third", Abstention.NO_EDGE)
    meta = MetaAgent(("direction", "other", "third"), 0.55, 0.40)
    assert meta.combine(NEWEST, [*untrained, edgeless], 0).abstention is Abstention.NO_EDGE
    assert meta.combine(NEWEST, untrained, 0).abstention is Abstention.NO_MODEL
