"""Downloads: broken off anywhere they end as if they had not been, done again they ask for nothing."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.core.history import Columns, Kind, Page, of_rows, rows_in
from libs.research.tables import TableError, place_of, read_table
from libs.research.tables.download import Outcome, download, prune
from libs.research.tables.manifest import What, beside, load_manifest
from libs.research.tables.spool import Spool
from libs.research.tables.write import digest_of, write_table

MINUTE = 60 * 10**9
T0 = 1_722_816_000 * 10**9
WHAT = What(source="here", symbol="BTC", interval="1m", kind=Kind.BARS, interval_s=60)
TICKS = What(source="here", symbol="R", interval="ticks", kind=Kind.TRADES, keep_s=86_400)
FOREVER = 1 << 62


class Broken(Exception):
    """The connection, or the machine."""


class Market:
    """Bars of every minute but those that `lacks` names; told forwards or backwards, `page` at a time."""

    def __init__(self, *, page: int = 7, backwards: bool = False, lacks: frozenset[int] = frozenset()) -> None:
        self.page, self.backwards, self.lacks = page, backwards, lacks
        self.pages = 0
        self.breaks_after = -1
        self.asked: list[tuple[int, int, str]] = []

    async def fetch(self, start: int, end: int, after: str) -> AsyncIterator[Page]:
        self.asked.append((start, end, after))
        minutes = [m for m in range(-(-start // MINUTE), (end - MINUTE) // MINUTE + 1) if m not in self.lacks]
        if self.backwards:
            minutes = [m for m in reversed(minutes) if not after or m < int(after)]
        else:
            minutes = [m for m in minutes if not after or m > int(after)]
        for at in range(0, len(minutes), self.page):
            part = minutes[at : at + self.page]
            yield Page(of_rows(Kind.BARS, [bar(m) for m in part]), str(part[-1]))
            self.pages += 1
            if self.pages == self.breaks_after:
                raise Broken


def bar(minute: int) -> tuple[float, ...]:
    price = 100.0 + minute % 97 / 7
    return (minute * MINUTE, price, price + 1, price - 1, price + 0.5, float(minute % 13), 0.0, minute % 5)


@contextmanager
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp())
    try:
        yield path
    finally:
        shutil.rmtree(path)


def get(path: Path, market: Market, first: int, last: int, *, settled: int = FOREVER, what: What = WHAT) -> Outcome:
    """Minutes `first` to `last` after T0."""
    place = place_of(str(path))
    return asyncio.run(download(place, what, T0 + first * MINUTE, T0 + last * MINUTE, settled, market.fetch))


@pytest.mark.parametrize("name", ["x.parquet", "x.csv", "x.csv.gz"])
@settings(max_examples=10, deadline=None)
@given(
    minutes=st.integers(1, 60),
    page=st.integers(1, 20),
    backwards=st.booleans(),
    breaks=st.lists(st.integers(1, 5), max_size=4),
)
def test_a_download_broken_off_anywhere_ends_with_the_same_bytes(
    name: str, minutes: int, page: int, backwards: bool, breaks: list[int]
) -> None:
    with folder() as base:
        get(base / f"whole_{name}", Market(page=1000), 0, minutes)
        for after in breaks:
            market = Market(page=page, backwards=backwards)
            market.breaks_after = after
            with suppress(Broken):
                get(base / name, market, 0, minutes)
            assert (base / name).exists() == (load_manifest(place_of(str(base / name))) is not None)
        get(base / name, Market(page=page, backwards=backwards), 0, minutes)
        assert digest_of(base / name) == digest_of(base / f"whole_{name}")
        assert not list(base.glob("*.part")) + list(base.glob("*.cursor")) + list(base.glob(".*"))


def test_what_was_told_before_the_break_is_not_asked_for_again(tmp_path: Path) -> None:
    market = Market(page=10)
    market.breaks_after = 3
    with pytest.raises(Broken):
        get(tmp_path / "x.csv", market, 0, 100)
    assert not (tmp_path / "x.csv").exists()
    again = Market(page=10)
    get(tmp_path / "x.csv", again, 0, 100)
    assert again.pages == 7
    assert [after for _, _, after in again.asked] == [str(T0 // MINUTE + 29)]


def test_a_second_run_asks_for_nothing(tmp_path: Path) -> None:
    get(tmp_path / "x.parquet", Market(), 0, 50)
    before, market = digest_of(tmp_path / "x.parquet"), Market()
    outcome = get(tmp_path / "x.parquet", market, 0, 50)
    assert (market.asked, rows_in(outcome.fetched), outcome.manifest.rows) == ([], 0, 50)
    assert digest_of(tmp_path / "x.parquet") == before
    assert outcome.manifest.sha256 == before


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 80), st.integers(1, 40)), min_size=1, max_size=4))
def test_spans_in_any_order_end_as_one_span(spans: list[tuple[int, int]]) -> None:
    with folder() as base:
        for first, length in spans:
            get(base / "x.csv", Market(), first, first + length)
        first, last = min(f for f, _ in spans), max(f + n for f, n in spans)
        get(base / "whole.csv", Market(), first, last)
        assert (base / "x.csv").read_bytes() == (base / "whole.csv").read_bytes()
        market = Market()
        get(base / "x.csv", market, first, last)
        assert market.asked == []


def test_only_what_is_final_counts_as_had(tmp_path: Path) -> None:
    """The newest minutes were not told yet: they are asked for the next time."""
    late = Market(lacks=frozenset(range(T0 // MINUTE + 40, T0 // MINUTE + 50)))
    first = get(tmp_path / "x.csv", late, 0, 50, settled=T0 + 30 * MINUTE)
    assert first.manifest.end == T0 + 40 * MINUTE
    market = Market()
    assert rows_in(get(tmp_path / "x.csv", market, 0, 50).fetched) == 10
    assert market.asked == [(T0 + 40 * MINUTE, T0 + 50 * MINUTE, "")]


def test_a_pause_of_the_market_is_not_asked_for_for_ever(tmp_path: Path) -> None:
    closed = frozenset(range(T0 // MINUTE + 20, T0 // MINUTE + 50))
    get(tmp_path / "x.csv", Market(lacks=closed), 0, 50, settled=T0 + 48 * MINUTE)
    assert load_manifest(place_of(str(tmp_path / "x.csv"))).end == T0 + 48 * MINUTE  # type: ignore[union-attr]


def test_a_file_that_was_changed_is_left_alone(tmp_path: Path) -> None:
    get(tmp_path / "x.csv", Market(), 0, 10)
    with (tmp_path / "x.csv").open("a") as out:
        out.write("1,2\n")
    with pytest.raises(TableError, match="was changed since it was downloaded"):
        get(tmp_path / "x.csv", Market(), 0, 20)


def test_a_file_of_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("mine")
    with pytest.raises(TableError, match="was not downloaded by this command"):
        get(tmp_path / "x.csv", Market(), 0, 10)
    assert (tmp_path / "x.csv").read_text() == "mine"


def test_a_table_of_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db")) as base:
        base.execute("CREATE TABLE mine AS SELECT 1 AS x")
        base.commit()
    with pytest.raises(TableError, match="was not downloaded by this command"):
        get(tmp_path / "x.db#mine", Market(), 0, 10)
    get(tmp_path / "x.db", Market(), 0, 10)
    assert rows_in(read_table(str(tmp_path / "x.db#history")).columns) == 10


def test_another_history_in_the_same_file_is_refused(tmp_path: Path) -> None:
    get(tmp_path / "x.csv", Market(), 0, 10)
    other = What(source="here", symbol="ETH", interval="1m", kind=Kind.BARS, interval_s=60)
    with pytest.raises(TableError, match="holds here BTC 1m; name another file for here ETH 1m"):
        get(tmp_path / "x.csv", Market(), 0, 20, what=other)


def test_two_downloads_into_one_file_do_not_meet(tmp_path: Path) -> None:
    spool = Spool(place_of(str(tmp_path / "x.csv")), WHAT)
    with pytest.raises(TableError, match="another process downloads into"):
        get(tmp_path / "x.csv", Market(), 0, 10)
    spool.close()
    assert get(tmp_path / "x.csv", Market(), 0, 10).manifest.rows == 10


def test_a_source_without_rows_leaves_no_file(tmp_path: Path) -> None:
    nothing = Market(lacks=frozenset(range(T0 // MINUTE, T0 // MINUTE + 10)))
    with pytest.raises(TableError, match="no rows in that time"):
        get(tmp_path / "x.csv", nothing, 0, 10)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["short", "bit", "cursor"])
def test_a_part_that_a_power_cut_damaged_is_begun_anew(tmp_path: Path, damage: str) -> None:
    market = Market(page=10)
    market.breaks_after = 3
    with pytest.raises(Broken):
        get(tmp_path / "x.csv", market, 0, 100)
    part, cursor = tmp_path / "x.csv.part", tmp_path / "x.csv.cursor"
    if damage == "short":
        part.write_bytes(part.read_bytes()[:-1])
    elif damage == "bit":
        content = bytearray(part.read_bytes())
        content[11] ^= 1
        part.write_bytes(content)
    else:
        cursor.write_bytes(b"{")
    get(tmp_path / "x.csv", Market(), 0, 100)
    get(tmp_path / "whole.csv", Market(), 0, 100)
    assert (tmp_path / "x.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_rows_behind_the_cursor_are_cut_off(tmp_path: Path) -> None:
    """Killed between the rows and the cursor that tells of them."""
    market = Market(page=10)
    market.breaks_after = 2
    with pytest.raises(Broken):
        get(tmp_path / "x.csv", market, 0, 50)
    with (tmp_path / "x.csv.part").open("ab") as out:
        out.write(b"half a row")
    get(tmp_path / "x.csv", Market(), 0, 50)
    assert rows_in(read_table(str(tmp_path / "x.csv")).columns) == 50


def test_killed_between_the_table_and_what_is_known_of_it(tmp_path: Path) -> None:
    get(tmp_path / "x.csv", Market(), 0, 10)
    old = beside(place_of(str(tmp_path / "x.csv")), "json").read_bytes()
    market = Market(page=5)
    market.breaks_after = 1
    with pytest.raises(Broken):
        get(tmp_path / "x.csv", market, 0, 20)
    saved = {name: (tmp_path / name).read_bytes() for name in ("x.csv.part", "x.csv.cursor")}
    get(tmp_path / "x.csv", Market(), 0, 20)
    beside(place_of(str(tmp_path / "x.csv")), "json").write_bytes(old)
    for name, content in saved.items():
        (tmp_path / name).write_bytes(content)
    get(tmp_path / "x.csv", Market(), 0, 20)
    get(tmp_path / "whole.csv", Market(), 0, 20)
    assert (tmp_path / "x.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


# --- what may not be kept -------------------------------------------------------------------------------------------


def ticks(path: Path, seconds: range) -> Columns:
    async def fetch(start: int, end: int, after: str) -> AsyncIterator[Page]:
        rows = [(T0 + s * 10**9, 100.0 + s, 0.0, 0, s + 1) for s in seconds if start <= T0 + s * 10**9 < end]
        if rows and not after:
            yield Page(of_rows(Kind.TRADES, rows), "all")

    first, last = T0 + seconds.start * 10**9, T0 + seconds.stop * 10**9
    return asyncio.run(download(place_of(str(path)), TICKS, first, last, FOREVER, fetch)).columns


@pytest.mark.parametrize("name", ["x.parquet", "x.csv", "x.sqlite#ticks"])
def test_ticks_that_are_too_old_go_but_those_that_are_cited(tmp_path: Path, name: str) -> None:
    place = place_of(str(tmp_path / name))
    columns = ticks(tmp_path / name, range(100))
    cited = {int(columns["ts_event"][7]), int(columns["ts_event"][90])}
    assert prune(place, T0 + 60 * 10**9, cited) == 59
    left = read_table(place, kind=Kind.TRADES).columns["ts_event"]
    assert ((left - T0) // 10**9).tolist() == [7, *range(60, 100)]
    known = load_manifest(place)
    assert known is not None
    assert (known.rows, known.start) == (41, T0 + 60 * 10**9)
    assert prune(place, T0 + 60 * 10**9, cited) == 0
    assert rows_in(ticks(tmp_path / name, range(60, 120))) == 61


def test_killed_while_old_ticks_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from libs.research.tables import download as room

    place = place_of(str(tmp_path / "x.csv"))
    ticks(tmp_path / "x.csv", range(100))

    def killed(*args: object) -> None:
        raise Broken

    with monkeypatch.context() as patch:
        patch.setattr(room, "save_manifest", killed)
        with pytest.raises(Broken):
            prune(place, T0 + 60 * 10**9)
    assert rows_in(ticks(tmp_path / "x.csv", range(60, 110))) == 50
    assert digest_of(place.path) == load_manifest(place).sha256  # type: ignore[union-attr]


def test_nothing_half_is_ever_under_the_final_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = place_of(str(tmp_path / "x.csv"))
    bars = of_rows(Kind.BARS, [bar(T0 // MINUTE + i) for i in range(10)])
    write_table(place, Kind.BARS, bars)
    before = place.path.read_bytes()

    def full(self: Path, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(TableError, match="cannot be written"):
        write_table(place, Kind.BARS, of_rows(Kind.BARS, [bar(T0 // MINUTE)]))
    assert place.path.read_bytes() == before
