"""What the sentiment agent says of a symbol, and the reasons for which it says nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from libs.core.agents.base import Hold, Series, Windows
from libs.core.agents.sentiment import MOST, SentimentAgent
from libs.core.types import SECOND, Abstention, Features, Forecast, Headline, Nanos, Scored, stable_id

T0 = 1_700_000_000 * SECOND
HOUR = 3600 * SECOND
BTC = Series("binance", "BTCUSDT", 60)


def agent(**changes: Any) -> SentimentAgent:
    settings = {"half_life_s": 3600.0, "stale_after_s": 6 * 3600.0, "tilt": 0.5, "min_score": 0.05, **changes}
    return SentimentAgent(**settings)


def news(name: str, at: Nanos, topics: tuple[str, ...] = ("BTC",)) -> Headline:
    return Headline(id=name, ts_event=at, source="desk", source_id=name, title=name, symbols=topics)


def scored(headline: Headline, score: float | None, model: str = "lexicon.1") -> Scored:
    return Scored(
        id=stable_id("scored", headline.id, model), ts_event=headline.ts_event, headline=headline.id, source="desk",
        symbols=headline.symbols, score=score, model_id=model if score is not None else "",
        detail="" if score is not None else "could not be scored: the worker ended",
    )  # fmt: skip


def said(who: SentimentAgent, now: Nanos, series: Series = BTC, hold: Hold | None = None) -> Forecast:
    newest = Features(
        id="f", ts_event=now, venue=series.venue, symbol=series.symbol, interval_s=series.interval_s,
        bar_time=now - series.interval_s * SECOND, set_hash="h", values=b"",
        open=1, high=1, low=1, close=1, volume=1,
    )  # fmt: skip
    windows = Windows((series,), (newest,), np.zeros((1, 1)), np.zeros((1, 1, 0)), (hold,))
    return who.predict(windows)[0]


def heard(*scores: tuple[Nanos, float | None], **changes: Any) -> SentimentAgent:
    who = agent(**changes)
    for at, score in scores:
        headline = news(f"h{at}", at)
        who.hear(headline)
        who.hear(scored(headline, score))
    return who


def test_good_news_tilts_the_next_bar_up_and_bad_news_down() -> None:
    up, down = said(heard((T0, 0.9)), T0), said(heard((T0, -0.9)), T0)
    assert up.p_up is not None
    assert up.p_down is not None
    assert up.p_neutral is not None
    assert up.p_up > up.p_neutral > up.p_down
    assert math.isclose(up.p_up + up.p_neutral + up.p_down, 1.0)
    assert (up.p_up, up.p_down) == (down.p_down, down.p_up)
    assert up.confidence == pytest.approx(up.p_up / (up.p_up + up.p_down))


def test_one_fresh_headline_counts_half_and_after_a_half_life_a_third() -> None:
    who = heard((T0, 0.9))
    assert said(who, T0).detail == "score +0.450 of 1 headlines"
    assert said(who, T0 + HOUR).detail == "score +0.300 of 1 headlines"


def test_a_forecast_names_the_model_and_the_scores_that_it_follows_from() -> None:
    who = heard((T0, 0.9), (T0 + SECOND, 0.5))
    forecast = said(who, T0 + SECOND)
    newest, older = (scored(news(f"h{at}", at), 0.5).id for at in (T0 + SECOND, T0))
    assert forecast.cause == ("f", newest, older)
    assert forecast.model_id.endswith(":lexicon.1")


@pytest.mark.parametrize(
    ("who", "now", "reason"),
    [
        (agent(), T0, Abstention.MISSING_INPUT),
        (heard((T0 + SECOND, 0.9)), T0, Abstention.MISSING_INPUT),
        (heard((T0, 0.9)), T0 + 7 * HOUR, Abstention.STALE),
        (heard((T0, 0.9), (T0 + SECOND, None)), T0 + SECOND, Abstention.NO_MODEL),
        (heard((T0, 0.05)), T0, Abstention.LOW_CONFIDENCE),
        (heard((T0, 0.9), (T0 + 1, -0.9)), T0 + 1, Abstention.LOW_CONFIDENCE),
    ],
    ids=["nothing heard", "only from the future", "too old", "newest not scored", "weak", "contradicting"],
)
def test_it_abstains_with_the_reason(who: SentimentAgent, now: Nanos, reason: Abstention) -> None:
    forecast = said(who, now)
    assert forecast.abstention is reason
    assert forecast.p_up is None
    assert forecast.detail


def test_a_headline_that_waits_for_its_score_silences_it_until_the_score_is_there() -> None:
    who = heard((T0, 0.9))
    late = news("late", T0 + SECOND)
    who.hear(late)
    assert said(who, T0).abstention is None, "at that bar the headline was not known yet"
    assert said(who, T0 + SECOND).abstention is Abstention.MISSING_INPUT
    who.hear(scored(late, 0.2))
    assert said(who, T0 + SECOND).abstention is None


def test_an_unscored_headline_matters_no_more_once_a_later_one_is_scored() -> None:
    who = heard((T0, None), (T0 + SECOND, 0.9))
    assert said(who, T0 + SECOND).abstention is None


def test_what_holds_everyone_back_holds_it_back() -> None:
    forecast = said(heard((T0, 0.9)), T0, hold=Hold(Abstention.UNHEALTHY_FEED, "down"))
    assert (forecast.abstention, forecast.detail) == (Abstention.UNHEALTHY_FEED, "down")


def test_news_about_another_asset_says_nothing() -> None:
    assert said(heard((T0, 0.9)), T0, Series("binance", "ETHUSDT", 60)).abstention is Abstention.MISSING_INPUT


def test_it_keeps_no_more_headlines_than_it_says() -> None:
    who = heard(*((T0 + i, 0.5) for i in range(3 * MOST)))
    assert said(who, T0 + 3 * MOST).detail == f"score +{0.5 * MOST / (MOST + 1):.3f} of {MOST} headlines"


def test_a_snapshot_of_other_settings_is_refused() -> None:
    snapshot = heard((T0, 0.9)).snapshot(BTC)
    with pytest.raises(ValueError, match="not of sentiment"):
        agent(tilt=1.0).restore(BTC, snapshot)
