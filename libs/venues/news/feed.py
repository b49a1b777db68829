"""RSS and Atom documents to entries; entities are refused, and whatever else a document holds, it only costs itself."""

from __future__ import annotations

import calendar
import io
import json
import re
from typing import Any, Final
from xml.etree.ElementTree import ParseError

from libs.core.types import SECOND
from libs.venues.news.entry import Entry, Refused, identity

MOST_ENTRIES: Final = 500
_ENTITY: Final = re.compile(rb"<\x00?!\x00?E\x00?N\x00?T\x00?I\x00?T\x00?Y", re.IGNORECASE)


def parse_feed(document: bytes) -> tuple[list[Entry], list[tuple[bytes, str]]]:
    """Entries in the document's order, and (what, why) of those that cannot be used.

    Raises:
        Refused: it is no feed, or declares entities.
    """
    import feedparser
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        fromstring(document, forbid_entities=True, forbid_external=True)
    except DefusedXmlException as err:
        raise Refused(f"the feed declares entities or points outside ({type(err).__name__})") from None
    except (ParseError, ValueError, LookupError, RecursionError):
        # Many a real feed is not quite XML: the lenient parser may try, but no entities reach it.
        if _ENTITY.search(document):
            raise Refused("the feed declares entities and is not well-formed") from None
    try:
        # Handed over as a file: a string or bytes would be taken for an address or a path first.
        feed = feedparser.parse(io.BytesIO(document), sanitize_html=False, resolve_relative_uris=False)
    except Exception as err:  # whatever the lenient parser trips over is the document's fault
        raise Refused(f"no feed can be read from it ({type(err).__name__})") from None
    found_all = feed.get("entries", [])
    if not found_all and not feed.get("version"):
        raise Refused("neither RSS nor Atom")
    entries, problems = [], []
    for found in found_all[:MOST_ENTRIES]:
        try:
            entries.append(_entry(found))
        except Refused as err:
            problems.append((_raw(found), str(err)))
    return entries, problems


def _entry(found: dict[str, Any]) -> Entry:
    published = None
    for name in ("published", "updated", "created"):
        # Read as a plain dictionary: feedparser answers for one date with another, and warns of it.
        if written := dict.get(found, name):
            parsed = dict.get(found, f"{name}_parsed")
            if parsed is None:
                raise Refused(f"date {str(written)[:60]!r} cannot be read")
            published = calendar.timegm(parsed) * SECOND
            break
    title, summary, link = (str(dict.get(found, name) or "") for name in ("title", "summary", "link"))
    return Entry(identity(dict.get(found, "id"), link, title, published), title, summary, link, published, _raw(found))


def _raw(found: dict[str, Any]) -> bytes:
    told = {name: dict.get(found, name) for name in ("id", "title", "link", "published", "updated")}
    return json.dumps(told, default=str)[:4_000].encode()
