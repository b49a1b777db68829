"""Laws of sentiment: sane numbers for any text, no trace of the order of arrival, nothing from the future."""

from __future__ import annotations

import math
import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from libs.core.agents.base import Series, Windows
from libs.core.agents.sentiment import SentimentAgent
from libs.core.agents.sentiment_lexicon import ROW, LexiconModel, read, row
from libs.core.agents.sentiment_text import SIZE, hashed, normalised
from libs.core.types import SECOND, Features, Forecast, Headline, Scored, decode, encode, subject_of

T0 = 1_700_000_000 * SECOND
BTC = Series("binance", "BTCUSDT", 60)
MODEL = LexiconModel()
VOCABULARY = """
shares profit loss rise fell 5% -3% +2.5% vs from to up down not cut costs jobs $5 mn bn eur buy sell hold upgraded beat
misses after despite could ? , : record 2009 $TSLA strong weak
"""
WORDS = st.sampled_from(VOCABULARY.split())
texts = st.one_of(st.text(max_size=200), st.lists(WORDS, max_size=25).map(" ".join))
stamps = st.integers(0, 6 * 3600).map(lambda second: T0 + second * SECOND)
items = st.lists(st.tuples(stamps, st.one_of(st.none(), st.floats(-1, 1))), max_size=20)


@given(texts)
def test_any_text_has_an_opinion_with_probabilities(text: str) -> None:
    said = MODEL.score(text)
    assert math.isclose(said.p_down + said.p_neutral + said.p_up, 1.0)
    assert min(said[1:]) >= 0.0
    assert math.isclose(said.score, said.p_up - said.p_down, abs_tol=1e-12)


@given(texts)
def test_any_text_is_numbers_that_are_numbers(text: str) -> None:
    numbers = row(read(text))
    assert numbers.shape == (ROW,)
    assert np.isfinite(numbers).all()
    places, weights = hashed(text, (1, 3), (2, 5))
    assert (np.diff(places) > 0).all()
    assert ((places >= 0) & (places < 2 * SIZE)).all()
    assert (weights >= 1.0).all()


@given(texts)
def test_normalising_twice_changes_nothing_about_case_and_space(text: str) -> None:
    assert normalised(text.upper().lower()) == normalised(f"  {text.upper().lower()}\n")


def events(found: list[tuple[int, float | None]]) -> list[Headline | Scored]:
    out: list[Headline | Scored] = []
    for n, (at, score) in enumerate(found):
        name = f"h{n}"
        out.append(Headline(id=name, ts_event=at, source="d", source_id=name, title=name, symbols=("BTC",)))
        out.append(
            Scored(
                id=f"s{n}", ts_event=at, headline=name, source="d", symbols=("BTC",), score=score,
                model_id="m" if score is not None else "",
            )
        )  # fmt: skip
    return out


def agent() -> SentimentAgent:
    return SentimentAgent(3600.0, 4 * 3600.0, 0.5, 0.05)


def said(who: SentimentAgent, now: int) -> Forecast:
    newest = Features(
        id="f", ts_event=now, venue="binance", symbol="BTCUSDT", interval_s=60, bar_time=now - 60 * SECOND,
        set_hash="h", values=b"", open=1, high=1, low=1, close=1, volume=1,
    )  # fmt: skip
    return who.predict(Windows((BTC,), (newest,), np.zeros((1, 1)), np.zeros((1, 1, 0)), (None,)))[0]


def hearing(found: list[Headline | Scored]) -> SentimentAgent:
    who = agent()
    for event in found:
        who.hear(event)
    return who


@given(items, stamps, st.integers())
def test_the_order_of_arrival_and_repeats_leave_no_trace(
    found: list[tuple[int, float | None]], now: int, seed: int
) -> None:
    told = events(found)
    shuffled = told + told[: len(told) // 2]
    random.Random(seed).shuffle(shuffled)
    assert said(hearing(told), now) == said(hearing(shuffled), now)


@given(items, stamps)
def test_nothing_after_a_bar_moves_what_is_said_at_it(found: list[tuple[int, float | None]], now: int) -> None:
    told = events(found)
    past = [event for event in told if event.ts_event <= now]
    assert said(hearing(told), now) == said(hearing(past), now)


@given(items, items, stamps)
def test_a_restored_agent_goes_on_bit_for_bit(
    before: list[tuple[int, float | None]], after: list[tuple[int, float | None]], now: int
) -> None:
    told = events(before + after)
    first, rest = told[: 2 * len(before)], told[2 * len(before) :]
    whole, restored = hearing(first), agent()
    restored.restore(BTC, whole.snapshot(BTC))
    for event in rest:
        whole.hear(event)
        restored.hear(event)
    assert said(whole, now) == said(restored, now)
    assert whole.snapshot(BTC) == restored.snapshot(BTC)


@given(items)
def test_headlines_and_scores_travel(found: list[tuple[int, float | None]]) -> None:
    for event in events(found):
        assert decode(encode(event)) == event
        assert subject_of(event) == ("news.headline.d" if isinstance(event, Headline) else "news.score.d")
