"""Whatever bytes a stranger serves, reading them ends in headlines or in one line."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from libs.core.types import SECOND
from libs.venues.news.entry import Refused, headline
from libs.venues.news.feed import parse_feed
from libs.venues.news.lines import parse_line
from libs.venues.news.text import plain

NOW = 1_700_000_000 * SECOND
PIECES = st.sampled_from(
    ("<rss>", "<rss version='2.0'>", "<channel>", "<item>", "</item>", "<title>", "</title>", "<guid>", "<pubDate>",
     "<![CDATA[", "]]>", "&amp;", "&nbsp;", "<!ENTITY", "<!DOCTYPE x [", "]>", "<feed xmlns='http://www.w3.org/2005/Atom'>",
     "<entry>", "<updated>", "2023-13-45T99:00:00Z", "Mon, 99 Foo 20233", "\x00", "\ufffe", "<?xml version='1.0'?>")
)  # fmt: skip
documents = st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=30).map("".join)


def refusal(read: Callable[[], object]) -> str:
    """The one line with which something was refused, "" when it was not."""
    try:
        read()
    except Refused as err:
        return str(err) or "refused without a word"
    return ""


@given(documents, st.sampled_from(("utf-8", "utf-16")))
def test_any_document_is_read_or_refused_in_one_line(document: str, encoding: str) -> None:
    def everything() -> None:
        entries, problems = parse_feed(document.encode(encoding, "surrogatepass"))
        assert all(reason and "\n" not in reason for _, reason in problems)
        for entry in entries:
            assert headline("desk", entry, NOW, lambda text: ()).title.isprintable()

    assert "\n" not in refusal(everything)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_headline_or_refused_in_one_line(line: bytes) -> None:
    assert "\n" not in refusal(lambda: parse_line(line))


@given(st.text(max_size=300), st.integers(1, 80))
def test_plain_text_is_one_line_within_its_length_without_controls(text: str, most: int) -> None:
    line = plain(text, most)
    assert len(line) <= most
    assert line == line.strip()
    assert all(c.isprintable() for c in line)
