"""What strangers publish becomes plain headlines, or is refused with one line; nothing they write gets further."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from libs.core.agents.sentiment_topics import Topics, covers
from libs.core.types import SECOND
from libs.venues.news.entry import Entry, Refused, headline, moment
from libs.venues.news.feed import parse_feed
from libs.venues.news.lines import MOST_LINE, LineTail, load_replay, parse_line
from libs.venues.news.text import plain

NOW = 1_700_000_000 * SECOND


def rss(*items: str, head: str = "") -> bytes:
    body = f"<channel><title>t</title>{''.join(items)}</channel>"
    return f'<?xml version="1.0"?>{head}<rss version="2.0">{body}</rss>'.encode()


def item(title: str = "Bitcoin rises", guid: str = "g1", date: str = "Tue, 14 Nov 2023 22:00:00 GMT") -> str:
    return (
        f"<item><title>{title}</title><guid>{guid}</guid><link>https://x.test/1</link><pubDate>{date}</pubDate></item>"
    )


ATOM = b"""<feed xmlns="http://www.w3.org/2005/Atom"><title>t</title>
<entry><id>urn:1</id>
<title type="html">Profit &lt;b&gt;up&lt;/b&gt; &amp;amp; away</title>
<updated>2023-11-14T22:00:00Z</updated>
<summary>More of it</summary><link href="https://x.test/a"/></entry></feed>"""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Shares <b>rise</b>", "Shares rise"),
        ("A &amp; B &lt;script&gt;", "A & B <script>"),
        ("<script>steal()</script>News<style>p{}</style>", "News"),
        ("two\nlines\tand   blanks", "two lines and blanks"),
        ("nul\x00 bell\x07 back\u202ewards\u2066", "nul bell back wards"),
        ("profit < loss", "profit < loss"),
        ("", ""),
    ],
)
def test_only_the_words_stay(given: str, expected: str) -> None:
    assert plain(given, 100) == expected


def test_a_long_text_is_cut_with_a_sign() -> None:
    assert plain("word " * 50, 20) == "word word word word…"


def test_rss_and_atom_give_identity_time_and_words() -> None:
    (entry,), problems = parse_feed(rss(item()))
    assert (entry.source_id, entry.title, entry.link) == ("g1", "Bitcoin rises", "https://x.test/1")
    assert entry.published == 1_699_999_200 * SECOND
    (other,), _ = parse_feed(ATOM)
    event = headline("desk", other, NOW, lambda text: ())
    assert (event.title, event.summary, event.source_id) == ("Profit up & away", "More of it", "urn:1")
    assert not problems


def test_an_entry_without_a_date_was_published_when_it_was_first_seen() -> None:
    (entry,), _ = parse_feed(rss("<item><title>Undated</title><guid>1</guid></item>"))
    assert headline("desk", entry, NOW, lambda text: ()).ts_event == NOW


def test_a_date_that_cannot_be_read_costs_its_entry_alone() -> None:
    entries, problems = parse_feed(rss(item(date="the day before yesterday"), item(guid="g2")))
    assert [entry.source_id for entry in entries] == ["g2"]
    assert problems[0][1] == "date 'the day before yesterday' cannot be read"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"<html><body>404</body></html>", "neither RSS nor Atom"),
        (b"\x00\xff\xfe garbage", "neither RSS nor Atom"),
        (b"", "neither RSS nor Atom"),
        (b"/etc/hostname", "neither RSS nor Atom"),
        (b"https://example.com/feed", "neither RSS nor Atom"),
        (
            rss(item("&a;"), head='<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'),
            "the feed declares entities or points outside (EntitiesForbidden)",
        ),
        (
            rss(item("&x;"), head='<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
            "the feed declares entities or points outside (EntitiesForbidden)",
        ),
        (
            b"<rss><broken" + rss(head='<!DOCTYPE r [<!entity a "b">]>'),
            "the feed declares entities and is not well-formed",
        ),
    ],
)
def test_what_is_no_feed_is_refused_whole(document: bytes, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_feed(document)
    assert str(refused.value) == reason


def test_a_feed_that_is_not_quite_xml_is_read_all_the_same() -> None:
    entries, _ = parse_feed(rss("<item><title>Profit & loss</title><guid>1</guid></item>"))
    assert entries[0].title == "Profit & loss"


@pytest.mark.parametrize(
    ("published", "title", "reason"),
    [
        (NOW + 3600 * SECOND, "x", "dated 1.0 h ahead of the clock"),
        (0, "x", "dated before 1990"),
        (NOW, "<p> </p>", "no title"),
    ],
)
def test_a_headline_of_another_time_or_without_words_is_refused(published: int, title: str, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        headline("desk", Entry("1", title, "", "", published, b""), NOW, lambda text: ())
    assert str(refused.value) == reason


def test_a_link_that_is_no_web_address_is_left_out() -> None:
    entry = Entry("1", "x", "x", "javascript:alert(1)", NOW, b"")
    event = headline("desk", entry, NOW, lambda text: ())
    assert (event.link, event.summary) == ("", "")


def test_the_same_source_id_is_the_same_headline_and_of_another_source_another() -> None:
    entry, again = (Entry("1", title, "", "", NOW, b"") for title in ("x", "x, corrected"))
    assert headline("a", entry, NOW, lambda text: ()).id == headline("a", again, NOW, lambda text: ()).id
    assert headline("a", entry, NOW, lambda text: ()).id != headline("b", entry, NOW, lambda text: ()).id


@pytest.mark.parametrize(
    "written",
    [
        "2023-11-14T22:13:20Z",
        "2023-11-14T23:13:20+01:00",
        "2023-11-14 22:13:20",
        "Tue, 14 Nov 2023 22:13:20 GMT",
        1_700_000_000,
        1_700_000_000_000,
        1_700_000_000_000_000,
        1_700_000_000_000_000_000,
        1_700_000_000.0,
    ],
)
def test_a_time_is_read_however_it_is_written(written: object) -> None:
    assert moment(written) == NOW


@pytest.mark.parametrize("written", ["soon", "", True, float("nan"), float("inf"), 10**25, [1], {"a": 1}])
def test_what_is_no_time_is_refused(written: object) -> None:
    with pytest.raises(Refused, match="cannot be read"):
        moment(written)


def test_times_keep_their_nanoseconds() -> None:
    assert moment(1_700_000_000_123_456_789) == 1_700_000_000_123_456_789
    assert moment("2023-11-14T22:13:20.000001Z") == NOW + 1000


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"{}", "no title"),
        (b'{"title": 5}', "no title"),
        (b'{"title": "x", "time": "soon"}', "date 'soon' cannot be read"),
    ],
)
def test_a_line_that_is_no_headline_is_refused(line: bytes, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_line(line)
    assert str(refused.value) == reason


def test_a_growing_file_gives_whole_lines_once(tmp_path: Path) -> None:
    path = tmp_path / "news.jsonl"
    path.write_bytes(b'{"title": "a"}\n{"title": "b')
    tail = LineTail(path)
    assert tail.read() == ([b'{"title": "a"}'], [])
    assert tail.read() == ([], [])
    with path.open("ab") as file:
        file.write(b'"}\n\n')
    assert tail.read() == ([b'{"title": "b"}'], [])
    path.write_bytes(b'{"title": "c"}\n')
    assert tail.read() == ([b'{"title": "c"}'], []), "a file that was cut short is read anew"


def test_an_endless_line_is_refused_once_and_the_next_one_read(tmp_path: Path) -> None:
    path = tmp_path / "news.jsonl"
    path.write_bytes(b"x" * (3 * MOST_LINE))
    tail = LineTail(path)
    assert [reason for _, reason in tail.read()[1]] == ["a line of more than 64 KiB"]
    with path.open("ab") as file:
        file.write(b"y" * MOST_LINE)
    assert tail.read() == ([], [])
    with path.open("ab") as file:
        file.write(b'the end\n{"title": "a"}\n')
    assert tail.read() == ([b'{"title": "a"}'], [])


def test_a_replay_is_sorted_by_time_and_needs_one(tmp_path: Path) -> None:
    path = tmp_path / "past.jsonl"
    lines = [{"title": "b", "time": 200}, {"title": "a", "time": 100}, {"title": "undated"}]
    path.write_text("\n".join(json.dumps(line) for line in lines))
    entries, problems = load_replay(path)
    assert [entry.title for entry in entries] == ["a", "b"]
    assert [reason for _, reason in problems] == ["no time, and it is to be played at its own"]


def test_a_topic_is_found_by_whole_words_whatever_their_case() -> None:
    topics = Topics({"BTC": ["bitcoin", "btc"], "ETH": ["ether"], "S&P": ["S&P 500"]})
    assert topics.of("BITCOIN falls; Ether too") == ("BTC", "ETH")
    assert topics.of("Ethernet cables and bitcoins") == ()
    assert topics.of("$BTC up") == ("BTC",)
    assert topics.of("the s&p 500 closes higher") == ("S&P",)


@pytest.mark.parametrize(
    ("topic", "symbol", "covered"),
    [
        ("BTC", "BTCUSDT", True),
        ("BTC", "BTC/USD", True),
        ("BTC", "cryBTCUSD", True),
        ("EUR", "frxEURUSD", True),
        ("AAPL", "AAPL", True),
        ("R_100", "R_100", True),
        ("USD", "frxEURUSD", False),
        ("BTC", "ETHBTC", False),
        ("BTC", "BTCDOMUSDT", False),
        ("R", "R_100", False),
    ],
)
def test_news_about_an_asset_is_news_about_what_is_quoted_in_money(topic: str, symbol: str, covered: bool) -> None:
    assert covers(topic, symbol) is covered
