"""Reads a headline with word lists and a little grammar: what moves, was compared, is denied or mere background."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from libs.core.agents import sentiment_words as words
from libs.core.agents.base import Floats
from libs.core.agents.sentiment_model import Opinion, opinion

_URL: Final = re.compile(r"https?://\S+|www\.\S+")
_TOKEN: Final = re.compile(
    r"(?P<tag>[$#@][a-z_][\w.]*)"
    r"|(?P<number>(?<![\w.,])[+\-−]?[$€£¥]?\d+(?:,\d{3})*(?:\.\d+)?%?)"
    r"|(?P<word>[a-z](?:[a-z&'’\-]*[a-z])?)"
    r"|(?P<mark>[;:,.?!()|/]|\s-+\s)"
)
_VERSUS: Final = re.compile(r"\bvs\.(?!\w)")
_JOINED: Final = re.compile(r"(\d)(?=(?:k|m|mn|mln|million|b|bn|bln|billion|t|tn|crore|cr)\b)")
_COMPARE: Final = words.listed("vs versus against compared")
_STOPS: Final = frozenset(";:.?!|")
_CASHTAG: Final = re.compile(r"\$[a-z][\w.]*")
PLAIN_MOVE: Final = 0.6
LOOSE_MOVE: Final = 0.2
"""What a movement weighs when nothing says what moves or by how much."""
NEAR: Final = 5
"""Words between a movement and what moves."""
MOST_TOKENS: Final = 400
MOST_CHARACTERS: Final = 4_000
"""Of a text the beginning is read, the rest is left: a headline is short."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the grammar found, each sum signed: above zero good news, below zero bad.

    Attributes:
        moves: movements of things. good, bad: words that are good or bad by themselves (bad at or below zero).
        compared: a number against an earlier one. rated: what an analyst changed.
        swing: from loss to profit or back. asked: 1 when it is a question.
        length: tokens read.
    """

    moves: float = 0.0
    good: float = 0.0
    bad: float = 0.0
    compared: float = 0.0
    rated: float = 0.0
    swing: float = 0.0
    asked: float = 0.0
    length: int = 0


class _Text:
    """Tokens of a headline with what each of them is."""

    def __init__(self, text: str) -> None:
        lowered = _URL.sub(" ", text[:MOST_CHARACTERS].lower()).replace("’", "'")
        lowered = _JOINED.sub(r"\1 ", _VERSUS.sub("vs", lowered))
        self.tokens: list[str] = []
        self.numbers: dict[int, float] = {}
        for match in _TOKEN.finditer(lowered):
            kind, token = match.lastgroup, match.group()
            if len(self.tokens) >= MOST_TOKENS:
                break
            if kind == "number":
                value = float(re.sub(r"[^\d.]", "", token) or 0)
                self.numbers[len(self.tokens)] = -value if token[0] in "-−" else value
            self.tokens.append(token.strip())
        self.clause = self._clauses()

    def _clauses(self) -> list[int]:
        number, out = 0, []
        for token in self.tokens:
            number += token in _STOPS
            out.append(number)
        return out

    def value(self, i: int) -> float:
        """The number at i with the scale behind it."""
        scale = words.SCALES.get(self.tokens[i + 1], 1.0) if i + 1 < len(self.tokens) else 1.0
        return self.numbers[i] * scale

    def near(self, i: int, before: int, after: int) -> list[str]:
        """Words around i in its own clause, nearest first."""
        found = []
        for step in range(1, max(before, after) + 1):
            for j, most in ((i + step, after), (i - step, before)):
                if step <= most and 0 <= j < len(self.tokens) and self.clause[j] == self.clause[i]:
                    found.append(self.tokens[j])
        return found

    def denied(self, i: int) -> bool:
        """A negation stands shortly before i ("never been this strong" denies nothing)."""
        back = [self.tokens[j] for j in range(max(0, i - 3), i) if self.clause[j] == self.clause[i]]
        return any(token in words.NEGATIONS for token in back) and "never" not in back


def read(text: str) -> Reading:
    """What a headline says, by its words alone."""
    line = _Text(text)
    tokens = line.tokens
    if not tokens:
        return Reading()
    weight = _weights(tokens)
    sums = {"moves": 0.0, "good": 0.0, "bad": 0.0, "compared": 0.0, "rated": 0.0, "swing": 0.0}
    used = _ratings(line, weight, sums) | _comparisons(line, weight, sums)
    _swings(line, weight, sums)
    for i, token in enumerate(tokens):
        if i in used:
            continue
        if i in line.numbers:
            if token[0] in "+-−" and token.endswith("%"):
                sums["moves"] += weight[i] * (1 if token[0] == "+" else -1) * _kind(line, i)
            continue
        turn = -0.7 if line.denied(i) else 1.0
        if token in words.UP or token in words.DOWN:
            sums["moves"] += weight[i] * turn * _move(line, i, token)
        elif token in words.LEXICON:
            value = weight[i] * turn * words.LEXICON[token]
            sums["good" if value > 0 else "bad"] += value
    return Reading(**sums, asked=float("?" in tokens), length=len(tokens))


def _weights(tokens: list[str]) -> list[float]:
    """Background counts half once the news has been told; what may be counts two thirds."""
    weights, now, told = [], 1.0, False
    for token in tokens:
        if token in words.BACKGROUND and told:
            now = 0.5
        elif token in _STOPS:
            now = 1.0
        told = told or token in words.UP or token in words.DOWN or token in words.LEXICON
        weights.append(now)
    if any(token in words.DOUBTS for token in tokens):
        weights = [weight * 0.67 for weight in weights]
    return weights


def _kind(line: _Text, i: int) -> float:
    """+1 when more of what is near i is good, -1 when less is."""
    for word in line.near(i, NEAR, 3):
        if word in words.LOSSES:
            return -1.0
        if word in words.GAINS:
            return 1.0
    return 1.0


def _move(line: _Text, i: int, token: str) -> float:
    """One movement: its direction, turned round when less of the thing that moves is better; surer with a thing."""
    sign = 1.0 if token in words.UP else -1.0
    after = line.near(i, 0, 3)
    if sign < 0 and any(word in words.PEOPLE_CUT for word in after):
        return -1.0
    around = line.near(i, NEAR, 3)
    for word in around:
        if word in words.LOSSES:
            return -sign
        if word in words.GAINS or _CASHTAG.fullmatch(word):
            return sign
    if any(word.endswith("%") for word in around):
        return sign
    return LOOSE_MOVE * sign if token in words.LOOSE else PLAIN_MOVE * sign


def _ratings(line: _Text, weight: list[float], sums: dict[str, float]) -> set[int]:
    """ "Cut to sell from hold", "raised to buy", "starts at outperform"; the tokens used up."""
    tokens, used = line.tokens, set()
    for i, token in enumerate(tokens[:-1]):
        if token not in ("to", "at", "as", "from"):
            continue
        rank = _rank(tokens, i + 1)
        if rank is None:
            continue
        other = next((j for j in range(i + 2, min(i + 6, len(tokens) - 1)) if tokens[j] in ("from", "to")), None)
        before = _rank(tokens, other + 1) if other is not None else None
        if token in ("to", "from") and before is not None and other is not None:
            change = rank - before if token == "to" else before - rank
            sums["rated"] += weight[i] * (change > 0) - weight[i] * (change < 0)
            used |= set(range(i, min(other + 4, len(tokens))))
            break
        if token != "from":
            sums["rated"] += 0.6 * weight[i] * rank
            used |= {i, i + 1, i + 2}
    return used


def _rank(tokens: list[str], i: int) -> int | None:
    """The rating that begins at i: one word, or two such as "sector perform"."""
    for j in (i, i + 1):
        if j < len(tokens) and tokens[j] in words.RATINGS:
            if j == i + 1 and tokens[i] not in ("sector", "market", "peer", "strong", "equal", "a", "an"):
                return None
            return words.RATINGS[tokens[j]]
    return None


def _comparisons(line: _Text, weight: list[float], sums: dict[str, float]) -> set[int]:
    """ "5.2 bn vs 5.4 bn", "to 80 from 75", "rose from 3 mn to 4 mn"; the tokens used up."""
    tokens, numbers, used = line.tokens, line.numbers, set()
    places = sorted(i for i in numbers if not _year(line, i))
    for first, second in pairwise(places):
        if second - first > 9 or first in used:
            continue
        between = tokens[first + 1 : second]
        ahead = tokens[max(0, first - 3) : first]
        if any(token in _STOPS for token in between):
            continue
        now, then = line.value(first), line.value(second)
        if tokens[first].endswith("%") != tokens[second].endswith("%"):
            continue
        if any(token in _COMPARE for token in between) or ("from" in between and "from" not in ahead):
            change = now - then
        elif "from" in ahead and "to" in between:
            change = then - now
        else:
            continue
        if change == 0 or max(abs(now), abs(then)) > 1000 * max(min(abs(now), abs(then)), 1e-9):
            continue
        thing = _thing(line, first)
        sums["compared"] += weight[first] * thing * (1 if change > 0 else -1)
        used |= {first, second}
        used |= {j for j in range(max(0, first - 6), second) if tokens[j] in words.UP or tokens[j] in words.DOWN}
    return used


def _thing(line: _Text, i: int) -> float:
    """What a number before which a thing is named counts: +1 or -1 as in `_kind`, by the nearest noun before it."""
    for j in range(i - 1, max(-1, i - 12), -1):
        if line.tokens[j] in words.LOSSES:
            return -1.0
        if line.tokens[j] in words.GAINS:
            return 1.0
    return 1.0


def _year(line: _Text, i: int) -> bool:
    value = line.numbers[i]
    plain = line.tokens[i].isdigit()
    return plain and (1900 <= value <= 2100 or (value <= 31 and _dated(line, i)))


_TURNS: Final = words.listed("swing swings swung swinging turn turns turned return returns returned slips slipped")
_MONTHS: Final = words.listed(
    "january february march april may june july august september october november december jan feb mar apr jun jul "
    "aug sep sept oct nov dec"
)


def _dated(line: _Text, i: int) -> bool:
    return any(word in _MONTHS for word in line.near(i, 1, 1))


def _swings(line: _Text, weight: list[float], sums: dict[str, float]) -> None:
    """From loss to profit or back: "profit of 2 mn compared to a loss", "swings to a loss"."""
    tokens = line.tokens
    profits = [i for i, token in enumerate(tokens) if token in ("profit", "profits", "profitability", "black")]
    losses = [i for i, token in enumerate(tokens) if token in ("loss", "losses")]
    if not profits or not losses:
        for i in profits + losses:
            back = tokens[max(0, i - 5) : i]
            if _TURNS.intersection(back) and {"to", "into"}.intersection(back):
                sums["swing"] += weight[i] * (1 if i in profits else -1)
        return
    now, then = profits[0], losses[0]
    between = tokens[min(now, then) : max(now, then)]
    if any(token in _COMPARE or token in ("from", "to", "comparison", "while", "versus") for token in between):
        begins = tokens[max(0, min(now, then) - 3) : min(now, then)]
        later = "from" in begins
        good = (now < then) != later
        sums["swing"] += 1.0 if good else -1.0


VERSION: Final = 1
"""+1 whenever the same words would be read another way."""
_SUMS: Final = ("moves", "good", "bad", "compared", "rated", "swing")
_WEIGHTS: Final = np.array([1.0, 0.5, 0.7, 1.2, 1.0, 1.5])
_MOST: Final = 2.0
"""One sum counts no more than this, however long the text."""
STEEPNESS: Final = 3.5
BOUNDARY: Final = 0.45
"""Weights, steepness and boundary were chosen on the training part of the Twitter Financial News set."""
ROW: Final = 2 * len(_SUMS) + 4
"""Numbers in `row`."""


def row(reading: Reading) -> Floats:
    """A reading as (ROW,) numbers for the logistic stack: sums, their good halves, the whole, its size, form."""
    sums = np.clip([getattr(reading, name) for name in _SUMS], -_MOST, _MOST)
    whole = float(sums @ _WEIGHTS)
    form = (whole, abs(whole), reading.asked, min(reading.length, 60) / 30.0)
    return np.concatenate([sums, np.maximum(sums, 0.0), form])


class LexiconModel:
    """Word lists and grammar alone: needs no file and is right where no model is.

    Log odds of up over neutral: STEEPNESS x (weighted sum of the reading - BOUNDARY), of down the mirror image.
    """

    model_id = f"lexicon.{VERSION}:{words.identity()[:8]}"

    def score(self, text: str) -> Opinion:
        """What it thinks of a headline."""
        whole = float(row(read(text))[2 * len(_SUMS)])
        return opinion(np.array([-STEEPNESS * whole, STEEPNESS * BOUNDARY, STEEPNESS * whole]))
