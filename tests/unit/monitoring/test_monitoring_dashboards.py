"""The dashboards and data sources as Grafana will read them, where there is no Grafana to ask."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any

import pytest
from monitoring_files import GRAFANA, ROOT, dashboards, load, panels, targets

BOARDS = dashboards()
KINDS = {"stat", "timeseries", "table", "bargauge"}
COLUMNS = 24


def sources() -> dict[str, str]:
    """uid to type."""
    return {s["uid"]: s["type"] for s in load(GRAFANA / "provisioning" / "datasources" / "conclave.yml")["datasources"]}


@pytest.fixture(params=sorted(BOARDS))
def board(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = BOARDS[request.param]
    return found


def test_there_is_an_overview_and_one_for_any_service() -> None:
    assert {name: b["uid"] for name, b in BOARDS.items()} == {
        "overview.json": "conclave-overview",
        "service.json": "conclave-service",
    }


def test_a_dashboard_is_whole(board: dict[str, Any]) -> None:
    assert "id" not in board, "a number of another Grafana"
    assert re.fullmatch(r"[a-z0-9-]{1,40}", board["uid"])
    assert board["title"].startswith("Conclave ")
    assert board["schemaVersion"] >= 36
    assert board["tags"] == ["conclave"]
    assert {"from", "to"} == set(board["time"])


def test_every_panel_has_an_id_a_title_a_meaning_and_asks_something(board: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    titles = [panel["title"] for panel in panels(board)]
    assert len(titles) == len(set(titles))
    for panel in panels(board):
        assert panel["type"] in KINDS, panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["targets"], panel["title"]
        refs = [target["refId"] for target in panel["targets"]]
        assert len(refs) == len(set(refs)), panel["title"]


def test_every_question_goes_to_a_data_source_that_is_provisioned() -> None:
    known = sources()
    for name, panel, target in targets():
        assert target["datasource"] == panel["datasource"], (name, panel["title"])
        kind = known[target["datasource"]["uid"]]
        assert target["datasource"]["type"] == kind, (name, panel["title"])
        assert ("expr" in target) == (kind == "prometheus"), (name, panel["title"])
        assert ("rawSql" in target) != ("expr" in target), (name, panel["title"])


def test_panels_lie_in_the_grid_without_overlap_and_without_holes_to_the_left(board: dict[str, Any]) -> None:
    cells: dict[int, set[tuple[int, int]]] = {}
    for panel in board["panels"]:
        g = panel["gridPos"]
        assert g["w"] > 0
        assert g["h"] > 0
        assert 0 <= g["x"] <= g["x"] + g["w"] <= COLUMNS, panel["title"]
        cells[panel["id"]] = {(x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])}
    for one, other in combinations(cells, 2):
        assert not cells[one] & cells[other], (one, other)
    rows = {y for taken in cells.values() for _, y in taken}
    assert rows == set(range(max(rows) + 1))
    assert all((0, y) in set().union(*cells.values()) for y in rows)


def test_thresholds_begin_at_nothing_and_rise(board: dict[str, Any]) -> None:
    for panel in panels(board):
        first, *others = [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]]
        assert first is None, panel["title"]
        assert others == sorted(others), panel["title"]


def test_variables_that_are_used_are_defined(board: dict[str, Any]) -> None:
    defined = {variable["name"] for variable in board["templating"]["list"]}
    for panel in board["panels"]:
        texts = [panel["title"], *(t.get("expr", "") + t.get("rawSql", "") for t in panel.get("targets", ()))]
        used = {word for text in texts for word in re.findall(r"\$(?!__)(\w+)", text)}
        assert used <= defined, panel["title"]


def test_the_store_is_read_with_the_role_that_compose_makes_and_no_password_is_in_the_files() -> None:
    [prometheus, store] = load(GRAFANA / "provisioning" / "datasources" / "conclave.yml")["datasources"]
    assert (prometheus["uid"], prometheus["isDefault"]) == ("prometheus", True)
    assert store["user"] == "reader"
    assert "CREATE ROLE reader" in (ROOT / "deploy" / "init" / "reader.sh").read_text()
    [where] = re.findall(r"^\$__file\{(/[\w/-]+)\}$", store["secureJsonData"]["password"])
    compose = load(ROOT / "deploy" / "docker-compose.yml")["services"]
    volumes = [volume.split(":")[1] for volume in compose["grafana"]["volumes"]]
    assert any(where.startswith(f"{folder}/") for folder in volumes)
    [provider] = load(GRAFANA / "provisioning" / "dashboards" / "conclave.yml")["providers"]
    assert provider["options"]["path"] in volumes
    for host in (store["url"], prometheus["url"].removeprefix("http://")):
        assert host.split(":")[0] in compose
