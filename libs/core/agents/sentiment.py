"""The sentiment agent: scored headlines decay with data time into one number per symbol, and that into a forecast."""

from __future__ import annotations

import bisect
import math
from typing import Any, Final

import msgspec

from libs.core.agents.base import History, Needs, Series, Windows, said
from libs.core.agents.packed import abstention
from libs.core.agents.sentiment_topics import covers
from libs.core.types import SECOND, Abstention, Event, Features, Forecast, Headline, Nanos, Scored, stable_id

NAME: Final = "sentiment"
VERSION: Final = 1
MOST: Final = 256
"""Headlines kept per topic, the newest by their own time."""
CAUSES: Final = 8
"""A forecast names so many of the headlines behind it, the newest."""


class _Item(msgspec.Struct, array_like=True):
    """One headline. `scored`: id of its score, "" while it waits for one; `score` None when it has or had none."""

    ts_event: Nanos
    headline: str
    scored: str = ""
    score: float | None = None
    model_id: str = ""
    detail: str = ""


class Decayed(msgspec.Struct, frozen=True, kw_only=True):
    """The score of a symbol at a moment.

    Attributes:
        score: sum of w s over (1 + sum of w), w = 2^(-age / half-life): one headline of no meaning is always among
            them, so that a single old one fades to zero. -1 to 1.
        count: headlines in it. weight: sum of w.
    """

    score: float
    weight: float
    count: int


class NewsTape:
    """The headlines of one topic with their scores, by their own time; the order of arrival leaves no trace."""

    def __init__(self) -> None:
        self._items: list[_Item] = []

    def put(self, event: Headline | Scored) -> None:
        """Take a headline, or the score of one; a repeat changes nothing."""
        headline = event.headline if isinstance(event, Scored) else event.id
        key = (event.ts_event, headline)
        at = bisect.bisect_left(self._items, key, key=_key)
        if at == len(self._items) or _key(self._items[at]) != key:
            self._items.insert(at, _Item(*key))
            if len(self._items) > MOST:
                del self._items[0]
                at -= 1
                if at < 0:
                    return
        if isinstance(event, Scored):
            item = self._items[at]
            if not item.scored or (item.score is None and event.score is not None):
                item.scored, item.score = event.id, event.score
                item.model_id, item.detail = event.model_id, event.detail

    def at(self, now: Nanos, window: Nanos) -> list[_Item]:
        """Headlines no later than `now` and no older than `window`, oldest first."""
        end = bisect.bisect_right(self._items, now, key=lambda item: item.ts_event)
        begin = bisect.bisect_left(self._items, now - window, key=lambda item: item.ts_event)
        return self._items[begin:end]

    def before(self, now: Nanos) -> bool:
        """Whether any headline is no later than `now`."""
        return bool(self._items) and self._items[0].ts_event <= now

    def items(self) -> list[_Item]:
        """All of them, oldest first."""
        return list(self._items)

    def merge(self, items: list[_Item]) -> None:
        """Take up saved headlines beside those that are there."""
        merged = {_key(item): item for item in (*self._items, *items)}
        self._items = [merged[key] for key in sorted(merged)][-MOST:]


def _key(item: _Item) -> tuple[Nanos, str]:
    return item.ts_event, item.headline


def decayed(items: list[_Item], now: Nanos, half_life_s: float) -> Decayed:
    """The score at `now` of headlines that have one; see `Decayed`."""
    total = weight = 0.0
    count = 0
    for item in items:
        if item.score is not None:
            share = math.exp2(-(now - item.ts_event) / SECOND / half_life_s)
            total += share * item.score
            weight += share
            count += 1
    return Decayed(score=total / (1.0 + weight), weight=weight, count=count)


class SentimentAgent:
    """P(down, neutral, up) of the next bar from the decayed score s of the symbol's headlines.

    Log odds of up over neutral are tilt x s, of down over neutral -tilt x s: at s = 0 each class has a third, which
    is what neutral within 0.43 sigma means. The tilt is a stated belief, not a fit; what it is worth is for the
    meta-agent's calibration to find out. Confidence is the larger of P(up) and P(down) renormalised without neutral.

    Abstains with missing_input (no headline about the symbol, or one that waits for its score), stale (none within
    `stale_after_s`), no_model (the newest could not be scored) and low_confidence (|s| below `min_score`).
    Memory: headlines of the last `stale_after_s` of data time, at most MOST per topic.
    """

    name = NAME
    needs = Needs()
    directional = True

    def __init__(self, half_life_s: float, stale_after_s: float, tilt: float, min_score: float) -> None:
        self._half_life_s, self._tilt, self._min_score = half_life_s, tilt, min_score
        self._window = round(stale_after_s * SECOND)
        self._kind = f"{NAME}.{VERSION}:{stable_id(half_life_s, stale_after_s, tilt, min_score)[:8]}"
        self._tapes: dict[str, NewsTape] = {}

    def hear(self, event: Event) -> None:
        """Take a Headline or a Scored; anything else is left alone."""
        if isinstance(event, Headline | Scored):
            for topic in event.symbols:
                self._tapes.setdefault(topic, NewsTape()).put(event)

    def fit(self, series: Series, history: History) -> bool:
        """True: there is nothing to fit."""
        return True

    def learn(self, windows: Windows) -> None:
        """Nothing is learnt from bars."""

    def predict(self, windows: Windows) -> list[Forecast]:
        """One forecast or abstention per series, in their order. Changes nothing."""
        forecasts = []
        for newest, hold in zip(windows.newest, windows.holds, strict=True):
            if hold is not None:
                fields, model = abstention(hold.reason, hold.detail), ""
            else:
                fields, model = self._say(newest)
            model_id = f"{self._kind}:{model}" if model else self._kind
            forecasts.append(said(NAME, model_id, newest, windows.ts_init, **fields))
        return forecasts

    def snapshot(self, series: Series) -> bytes:
        """The headlines of a series' topics, b"" when there are none."""
        kept = {topic: tape.items() for topic, tape in self._tapes.items() if covers(topic, series.symbol)}
        return msgspec.msgpack.encode((self._kind, kept)) if kept else b""

    def restore(self, series: Series, snapshot: bytes) -> None:
        """Take up a snapshot and continue bit for bit.

        Raises:
            ValueError: it is of another version or configuration of this agent.
        """
        if not snapshot:
            return
        kind, kept = msgspec.msgpack.decode(snapshot, type=tuple[str, dict[str, list[_Item]]])
        if kind != self._kind:
            raise ValueError(f"snapshot of {kind}, not of {self._kind}")
        for topic, items in kept.items():
            self._tapes.setdefault(topic, NewsTape()).merge(items)

    def _say(self, newest: Features) -> tuple[dict[str, Any], str]:
        """What it has to say after a bar, and which model scored the newest headline."""
        now = newest.ts_event
        tapes = [tape for topic, tape in sorted(self._tapes.items()) if covers(topic, newest.symbol)]
        merged = {_key(item): item for tape in tapes for item in tape.at(now, self._window)}
        items = [merged[key] for key in sorted(merged)]
        if not items:
            if any(tape.before(now) for tape in tapes):
                return abstention(Abstention.STALE, f"no headline within {self._window / SECOND:g} s"), ""
            return abstention(Abstention.MISSING_INPUT, f"no headline has been about {newest.symbol}"), ""
        waiting = sum(not item.scored for item in items)
        if waiting:
            return abstention(Abstention.MISSING_INPUT, f"{waiting} headlines wait for their score"), ""
        last = items[-1]
        if last.score is None:
            return abstention(Abstention.NO_MODEL, last.detail or "the newest headline could not be scored"), ""
        now_score = decayed(items, now, self._half_life_s)
        if abs(now_score.score) < self._min_score:
            detail = f"score {now_score.score:+.3f} of {now_score.count} headlines, needs {self._min_score:g}"
            return abstention(Abstention.LOW_CONFIDENCE, detail), last.model_id
        return self._forecast(newest, now_score, items), last.model_id

    def _forecast(self, newest: Features, score: Decayed, items: list[_Item]) -> dict[str, Any]:
        up, down = math.exp(self._tilt * score.score), math.exp(-self._tilt * score.score)
        total = up + 1.0 + down
        named = [item.scored for item in items if item.score is not None][-CAUSES:]
        return {
            "cause": (newest.id, *reversed(named)),
            "p_down": down / total,
            "p_neutral": 1.0 / total,
            "p_up": up / total,
            "confidence": max(up, down) / (up + down),
            "detail": f"score {score.score:+.3f} of {score.count} headlines",
        }
