"""Runs every case at every venue and writes the table into docs/venues.md."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from acceptance_cases import CASE, AcceptanceCases, all_cases
from acceptance_table import DOCUMENT, render, written

OTHERS = ("test_acceptance_table", "test_acceptance_sample")
"""Tests of the suite itself."""

PASSED, FAILED, LACKING = "yes", "**no**", "-"


class Results:
    """A pytest plugin that keeps the outcome of each case at each venue."""

    def __init__(self) -> None:
        self.by_case: dict[tuple[str, str], str] = {}
        self.venues: list[str] = []
        self._items: dict[str, tuple[str, str]] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            kind = getattr(item, "cls", None)
            matched = CASE.match(item.name)
            if kind is None or matched is None or not issubclass(kind, AcceptanceCases):
                continue
            venue = kind.house_type.title
            if venue not in self.venues:
                self.venues.append(venue)
            self._items[item.nodeid] = (venue, matched[1].upper())

    def pytest_runtest_logreport(self, report: Any) -> None:
        key = self._items.get(report.nodeid)
        if key is None:
            return
        if report.failed:
            self.by_case[key] = FAILED
        elif report.skipped:
            self.by_case.setdefault(key, LACKING)
        elif report.when == "call":
            self.by_case.setdefault(key, PASSED)


def main() -> int:
    """Exit code 1 when a case failed; the table is written all the same."""
    results = Results()
    os.environ["ACCEPTANCE"] = "all"
    # The cases are imported here already, so pytest cannot make their assertions talkative: only details are missing.
    quiet = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
    suites = sorted(str(file) for file in Path(__file__).parent.glob("test_acceptance_*.py") if file.stem not in OTHERS)
    pytest.main([*suites, "-q", "-n", "0", *quiet], plugins=[results])
    if not results.by_case:
        sys.stderr.write("venues-table: no case was run; the table stays as it was\n")
        return 1
    table = render(all_cases(), sorted(results.venues), results.by_case)
    DOCUMENT.write_text(written(DOCUMENT.read_text(), table))
    failed = [f"{number} at {venue}" for (venue, number), came in results.by_case.items() if came == FAILED]
    sys.stderr.write(f"venues-table: {len(results.by_case)} results, failed: {', '.join(failed) or 'none'}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
