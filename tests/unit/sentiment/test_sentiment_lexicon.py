"""What the shipped word lists and their grammar make of headlines, one by one and on the public sets."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.core.agents.sentiment_lexicon import LexiconModel, read

SETS = Path(__file__).resolve().parents[4] / "shared" / "data" / "sentiment"
MODEL = LexiconModel()

GOOD = [
    "Shares surge 5% after profit beats estimates",
    "Operating loss narrowed to EUR 1.2 mn from EUR 3.4 mn",
    "Net sales rose to EUR 131 mn from EUR 76 mn a year earlier",
    "Company swings to a profit",
    "Upgraded to buy from hold at a big bank",
    "Price target raised to $80 from $75",
    "Unemployment falls to a record low of 3.5%",
    "Costs fell 8% in the quarter",
    "Stock +7% premarket",
    "Funds have never been this bullish on the bank",
    "Bitcoin rallies after ETF approval",
    "From a loss of 2 mn to a profit of 3 mn",
]
BAD = [
    "Shares plunge as company misses estimates",
    "Net profit fell to EUR 2.0 mn from EUR 3.1 mn",
    "Operating loss widened to $5 mln vs. $3 mln a year ago",
    "Company swings to a loss",
    "Downgraded to sell from neutral",
    "Price target cut to $20 from $35",
    "Carmaker cuts 4,000 jobs",
    "Fuel costs surge 30%",
    "Stock -12% after hours",
    "Bank is not profitable",
    "Crypto exchange files for bankruptcy",
    "Q3 sales $5.173 bln vs. $5.404 bln",
]
NEUTRAL = [
    "Company to hold annual general meeting on 12 April",
    "The new office is in Helsinki",
    "Bitcoin conference opens in Miami on Tuesday",
    "Sign up for updates",
    "Board proposes Mr. Smith as chairman",
    "",
]


@pytest.mark.parametrize("text", GOOD)
def test_good_news_is_above_zero(text: str) -> None:
    said = MODEL.score(text)
    assert said.score > 0
    assert said.p_up == max(said.p_up, said.p_neutral, said.p_down)


@pytest.mark.parametrize("text", BAD)
def test_bad_news_is_below_zero(text: str) -> None:
    said = MODEL.score(text)
    assert said.score < 0
    assert said.p_down == max(said.p_up, said.p_neutral, said.p_down)


@pytest.mark.parametrize("text", NEUTRAL)
def test_what_says_nothing_is_neutral(text: str) -> None:
    said = MODEL.score(text)
    assert said.p_neutral == max(said.p_up, said.p_neutral, said.p_down)


@pytest.mark.parametrize(
    ("surer", "less"),
    [
        ("Shares rise 5%", "Shares could rise 5%"),
        ("Profit falls", "Stock slips, profit rises"),
        ("Shares fall after strong sales", "Strong sales, shares fall"),
    ],
)
def test_doubt_and_contradiction_weaken_what_is_said(surer: str, less: str) -> None:
    assert abs(MODEL.score(surer).score) >= abs(MODEL.score(less).score)


def test_a_negation_turns_a_word_round() -> None:
    assert read("The company is profitable").good > 0
    assert read("The company is not profitable").bad < 0


def test_a_year_is_no_number_to_compare() -> None:
    assert read("Sales in 2009 compared to 2008 were published").compared == 0.0


def phrases(name: str) -> Iterator[tuple[str, str]]:
    seen = set()
    for line in (SETS / name).read_text(encoding="latin-1").splitlines():
        text, _, label = line.rpartition("@")
        if text and text not in seen:
            seen.add(text)
            yield text, label.strip()


def tweets(name: str) -> Iterator[tuple[str, str]]:
    with (SETS / name).open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield row["text"], ("negative", "positive", "neutral")[int(row["label"])]


@pytest.mark.skipif(not SETS.is_dir(), reason="the public headline sets are not on this machine")
@pytest.mark.parametrize(
    ("rows", "floor"),
    [
        (lambda: phrases("fpb_Sentences_50Agree.txt"), 0.74),
        (lambda: phrases("fpb_Sentences_AllAgree.txt"), 0.865),
        (lambda: tweets("twitter_fin_news_sent_valid.csv"), 0.79),
    ],
    ids=["phrasebank", "phrasebank_all_agree", "twitter_valid"],
)
def test_on_the_public_sets_it_is_as_good_as_it_was(rows: object, floor: float) -> None:
    names = ("negative", "neutral", "positive")
    right = total = 0
    for text, label in rows():  # type: ignore[operator]
        _, *classes = MODEL.score(text)
        right += names[classes.index(max(classes))] == label
        total += 1
    assert total > 2_000
    assert right / total >= floor
