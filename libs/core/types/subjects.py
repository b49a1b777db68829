"""Where each message travels: subject, stream and the key of its message id, in one table."""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote

from libs.core.types.base import Event, stable_id
from libs.core.types.control import Applied, Control, DeadLetter
from libs.core.types.decision import Permit, Signal, Verdict
from libs.core.types.forecast import Features, Forecast, ModelNote, Scored, Training
from libs.core.types.market import Bar, BookStats, FeedHealth, Headline, Instrument, Reading, TickBar, Ticks, VenueClock
from libs.core.types.order import AccountState, Fill, Order, Position, Reconciliation

STREAMS: Final[dict[str, tuple[str, ...]]] = {
    "MARKET": ("md.>", "news.>"),
    "FEATURES": ("feat.>",),
    "DECISIONS": ("forecast.>", "model.>", "signal.>", "risk.verdict.>", "applied.>"),
    "ORDERS": ("permit.>", "order.>", "fill.>", "position.>", "account.>", "recon.>"),
    "CONTROL": ("ctl.>",),
    "DLQ": ("dlq.>",),
}
"""Stream name to the subjects it captures."""

DURABLE: Final = frozenset({"ORDERS", "CONTROL", "DLQ"})
"""Streams whose acknowledgement survives a power cut (the server's default persist mode)."""


DAY_S: Final = 86_400
WEEK_S: Final = 604_800


@lru_cache(maxsize=4096)
def token(text: str) -> str:
    """`text` as one safe subject token: percent-encoded where NATS gives a character a meaning."""
    return quote(text, safe="-_~!$()+@").replace(".", "%2E") or "%"


def untoken(text: str) -> str:
    """The inverse of `token`."""
    return "" if text == "%" else unquote(text)


def interval_token(interval_s: int) -> str:
    """An interval the way traders write it: 1s, 5s, 1m, 15m, 1h, 1d, 1w."""
    for unit, seconds in (("w", WEEK_S), ("d", DAY_S), ("h", 3_600), ("m", 60)):
        if interval_s % seconds == 0:
            return f"{interval_s // seconds}{unit}"
    return f"{interval_s}s"


def interval_seconds(text: str) -> int:
    """Seconds in "5s", "1m", "1h", "1d" or "1w".

    Raises:
        ValueError: not a whole positive number followed by s, m, h, d or w.
    """
    units = {"s": 1, "m": 60, "h": 3_600, "d": DAY_S, "w": WEEK_S}
    if len(text) < 2 or text[-1] not in units or not text[:-1].isdigit() or int(text[:-1]) == 0:
        raise ValueError(f"{text!r} is no interval; write for example 1s, 5s, 1m, 15m, 1h, 1d, 1w")
    return int(text[:-1]) * units[text[-1]]


def is_bar_length(interval_s: int) -> bool:
    """Whether bars can be so long: a whole number of seconds that divides a day, or a week."""
    return interval_s == WEEK_S or (interval_s > 0 and DAY_S % interval_s == 0)


def ticks_token(ticks: int) -> str:
    """The length of a tick bar as it is written: 100t."""
    return f"{ticks}t"


def ticks_in(text: str) -> int:
    """Prints in "100t"; 0 when `text` is written otherwise and may be an interval of time.

    Raises:
        ValueError: fewer than two prints.
    """
    if not text.endswith("t") or not text[:-1].isdigit():
        return 0
    if int(text[:-1]) < 2:
        raise ValueError(f"{text!r} is no tick bar; it takes two prints or more, for example 100t")
    return int(text[:-1])


def stream_of(subject: str) -> str:
    """The stream that captures `subject`.

    Raises:
        KeyError: no stream captures it.
    """
    head = subject.split(".", 1)[0]
    for stream, patterns in STREAMS.items():
        if any(pattern.split(".", 1)[0] == head for pattern in patterns):
            return stream
    raise KeyError(subject)


def subject_of(event: Event) -> str:
    """The subject on which `event` is published.

    Raises:
        TypeError: the type does not travel on a stream.
    """
    match event:
        case Bar():
            return f"md.bar.{interval_token(event.interval_s)}.{token(event.venue)}.{token(event.symbol)}"
        case TickBar():
            return f"md.tickbar.{ticks_token(event.ticks)}.{token(event.venue)}.{token(event.symbol)}"
        case Ticks():
            return f"md.tick.{token(event.venue)}.{token(event.symbol)}"
        case BookStats():
            return f"md.book.{token(event.venue)}.{token(event.symbol)}"
        case FeedHealth():
            return f"md.health.{token(event.venue)}.{token(event.symbol)}"
        case VenueClock():
            return f"md.clock.{token(event.venue)}"
        case Instrument():
            return f"md.instrument.{token(event.venue)}.{token(event.symbol)}"
        case Headline():
            return f"news.headline.{token(event.source)}"
        case Scored():
            return f"news.score.{token(event.source)}"
        case Reading():
            return f"md.series.{token(event.source)}.{token(event.series)}"
        case Features():
            return f"feat.{interval_token(event.interval_s)}.{token(event.venue)}.{token(event.symbol)}"
        case Forecast():
            interval = interval_token(event.interval_s)
            return f"forecast.{event.agent}.{interval}.{token(event.venue)}.{token(event.symbol)}"
        case ModelNote():
            interval = interval_token(event.interval_s)
            return f"model.{event.agent}.{interval}.{token(event.venue)}.{token(event.symbol)}"
        case Training():
            return "model.training"
        case Signal():
            return f"signal.{event.strategy}.{token(event.venue)}.{token(event.symbol)}"
        case Verdict():
            return f"risk.verdict.{token(event.venue)}.{token(event.symbol)}"
        case Permit():
            return f"permit.{token(event.venue)}.{token(event.account)}"
        case Order():
            return f"order.{token(event.venue)}.{token(event.account)}"
        case Fill():
            return f"fill.{token(event.venue)}.{token(event.account)}"
        case Position():
            return f"position.{token(event.venue)}.{token(event.account)}"
        case AccountState():
            return f"account.{token(event.venue)}.{token(event.account)}"
        case Reconciliation():
            return f"recon.{token(event.venue)}.{token(event.account)}"
        case Control():
            return f"ctl.{event.kind.value}"
        case Applied():
            return f"applied.{event.stage}"
        case DeadLetter():
            return f"dlq.{event.subject}"
    raise TypeError(f"{type(event).__name__} does not travel on a stream")


def message_id(subject: str, event: Event) -> str:
    """The JetStream message id: a hash of the full subject and the event's deterministic id."""
    return stable_id(subject, event.id)
