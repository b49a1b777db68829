"""One piece of news as its source tells it, checked, and the headline that is made of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from libs.core.types import SECOND, Headline, Nanos, stable_id
from libs.venues.news.text import plain

TITLE: Final = 500
SUMMARY: Final = 2_000
LINK: Final = 1_000
AHEAD: Final = 300 * SECOND
"""A source's clock may be ahead of ours by this much."""
EARLIEST: Final = 631_152_000 * SECOND
"""1990: what says that it is older has no date at all."""

_SCALES: Final = ((1e11, SECOND), (1e14, SECOND // 1000), (1e17, 1000), (1e20, 1))


class Refused(Exception):
    """Something a source said cannot be used; the text is one line."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a source says. `published`: ns UTC, None when it gives no time; `raw`: for whoever looks into a refusal."""

    source_id: str
    title: str
    summary: str
    link: str
    published: Nanos | None
    raw: bytes


def identity(given: object, link: object, *rest: object) -> str:
    """The source's own id of an entry, else its link, else a hash of what it says."""
    for text in (given, link):
        if isinstance(text, str | int) and str(text).strip():
            return str(text).strip()[:LINK]
    return hashlib.sha256("\x1f".join(str(part) for part in rest).encode()).hexdigest()[:32]


def moment(value: Any) -> Nanos:
    """A time in ISO 8601 (without a zone: UTC), RFC 822, or as a number of s, ms, us or ns since 1970.

    Raises:
        Refused: it is none of them.
    """
    try:
        if isinstance(value, bool):
            raise ValueError
        if isinstance(value, int | float):
            scale = next(scale for most, scale in _SCALES if abs(value) < most)
            return int(value * scale) if isinstance(value, int) else round(value * scale)
        when = _written(str(value).strip())
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        whole = when.replace(microsecond=0).timestamp()
        return int(whole) * SECOND + when.microsecond * 1000
    except (ValueError, TypeError, OverflowError, OSError, StopIteration):
        raise Refused(f"date {str(value)[:60]!r} cannot be read") from None


def _written(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return parsedate_to_datetime(text)


def headline(source: str, entry: Entry, now: Nanos, topics: Callable[[str], tuple[str, ...]]) -> Headline:
    """The event of an entry that was first seen at `now`; without a time of its own it was published then.

    Raises:
        Refused: it has no title, or says that it was published before 1990 or later than now.
    """
    title = plain(entry.title, TITLE)
    if not title:
        raise Refused("no title")
    published = now if entry.published is None else entry.published
    if published > now + AHEAD:
        raise Refused(f"dated {(published - now) / SECOND / 3600:.1f} h ahead of the clock")
    if published < EARLIEST:
        raise Refused("dated before 1990")
    summary = plain(entry.summary, SUMMARY)
    link = entry.link.strip()
    return Headline(
        id=stable_id("headline", source, entry.source_id),
        ts_event=published,
        source=source,
        source_id=entry.source_id,
        title=title,
        summary="" if summary == title else summary,
        link=link if link.startswith(("http://", "https://")) and len(link) <= LINK else "",
        symbols=topics(f"{title} {summary}"),
    )
