"""The statements of each level: which, in what order, one by one, and none where the server has not the licence."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.store import StoreMismatch
from libs.common.store.levels import ROLLUPS, SEGMENTS, Level, aggregate_name, reach_level, statements
from libs.common.store.tables import ARCHIVE

LICENCES = {Level.PLAIN: None, Level.APACHE: "apache", Level.COMMUNITY: "timescale"}


class Recording:
    """A connection that notes what it is asked to execute, and answers what a server of `level` would."""

    def __init__(self, level: Level, made: dict[str, str] | None = None) -> None:
        self.level, self.made = level, made
        self.executed: list[str] = []

    async def fetchval(self, query: str) -> Any:
        if "pg_extension" in query:
            return self.level is not Level.PLAIN
        assert query == "SHOW timescaledb.license"
        return LICENCES[self.level]

    async def fetchrow(self, query: str) -> dict[str, str] | None:
        return self.made

    async def execute(self, statement: str, *arguments: str) -> None:
        self.executed.append(statement)
        if arguments:
            self.made = dict(zip(("level", "checksum"), arguments, strict=True))


@pytest.mark.parametrize("level", Level)
async def test_the_statements_of_the_level_are_executed_one_by_one_and_then_it_is_recorded(level: Level) -> None:
    connection = Recording(level)
    assert await reach_level(connection) is level  # type: ignore[arg-type]
    assert tuple(connection.executed[:-1]) == statements(level)
    assert connection.executed[-1].startswith("INSERT INTO schema_level")
    assert all(";" not in statement for statement in connection.executed)
    again = Recording(level, connection.made)
    assert await reach_level(again) is level  # type: ignore[arg-type]
    assert again.executed == []


@pytest.mark.parametrize(("made", "now"), [("community", Level.APACHE), ("apache", Level.PLAIN)])
async def test_a_server_that_can_less_than_the_tables_need_is_refused(made: str, now: Level) -> None:
    connection = Recording(now, {"level": made, "checksum": "x"})
    with pytest.raises(StoreMismatch, match=f"made for TimescaleDB at {made} level and the server is at {now} level"):
        await reach_level(connection)  # type: ignore[arg-type]
    assert connection.executed == []


async def test_a_server_that_can_more_brings_the_tables_there() -> None:
    connection = Recording(Level.COMMUNITY, {"level": "plain", "checksum": "x"})
    assert await reach_level(connection) is Level.COMMUNITY  # type: ignore[arg-type]
    assert connection.made is not None
    assert connection.made["level"] == "community"


def test_plain_tables_need_the_view_alone_and_hypertables_every_table_of_the_archive() -> None:
    assert len(statements(Level.PLAIN)) == 1
    assert statements(Level.PLAIN)[0].startswith("CREATE OR REPLACE VIEW bars_rollup")
    apache = statements(Level.APACHE)
    for table in [*(table.name for table in ARCHIVE), "rollups"]:
        assert sum(f"create_hypertable('{table}'" in statement for statement in apache) == 1
    assert not any(word in " ".join(apache) for word in ("compress", "continuous", "policy"))


def test_the_community_edition_gets_the_clock_before_policies_and_aggregates_without_data_before_the_view() -> None:
    community = statements(Level.COMMUNITY)
    where = {name: [i for i, text in enumerate(community) if name in text] for name in (
        *("create_hypertable", "FUNCTION ns_now", "set_integer_now_func", "compress_segmentby"),
        *("CREATE MATERIALIZED VIEW", "VIEW bars_rollup"),
    )}  # fmt: skip
    assert max(where["create_hypertable"]) < where["FUNCTION ns_now"][0] < where["set_integer_now_func"][0]
    assert where["set_integer_now_func"][0] < min(where["CREATE MATERIALIZED VIEW"])
    assert len(where["compress_segmentby"]) == len(SEGMENTS)
    made = [community[i] for i in where["CREATE MATERIALIZED VIEW"]]
    assert [f" {aggregate_name(interval_s)} " in text for interval_s, text in zip(ROLLUPS, made, strict=True)] == [
        True
    ] * len(ROLLUPS)
    assert all(text.endswith("WITH NO DATA") and "GROUP BY" in text for text in made)
    assert max(where["CREATE MATERIALIZED VIEW"]) < where["VIEW bars_rollup"][0] == len(community) - 1
    # A policy goes by data time, retention by the day of storing: one would wipe what the other keeps.
    assert not any("policy" in text for text in community)
