"""The list of cases: numbered once, said in a line, and the same in docs/venues.md."""

from __future__ import annotations

from acceptance_cases import Case, all_cases
from acceptance_table import BEGIN, DOCUMENT, END, GROUPS, render, rows, written


def test_the_document_lists_the_cases_as_they_are() -> None:
    cases = all_cases()
    expected = rows(f"{BEGIN}\n{render(cases, ['x'], {})}\n{END}")
    assert rows(DOCUMENT.read_text()) == expected, "docs/venues.md is stale: make venues-table"


def test_every_group_has_cases() -> None:
    assert {case.number[0] for case in all_cases()} == set(GROUPS)


def test_a_table_comes_between_its_markers_and_nothing_else_changes() -> None:
    cases = [Case("M01", "First", ()), Case("T01", "Second", ("book",))]
    table = render(cases, ["one", "two"], {("one", "M01"): "yes", ("two", "T01"): "-"})
    document = written(f"before\n{BEGIN}\nold\n{END}\nafter", table)
    assert document.startswith("before\n")
    assert document.endswith("\nafter")
    assert "old" not in document
    assert rows(document) == {"M01": "First", "T01": "Second *(book)*"}
    assert written(document, table) == document
