"""The table of cases and venues in docs/venues.md: written from a run, read by a test."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from acceptance_cases import Case

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "venues.md"
BEGIN: Final = "<!-- acceptance table: written by make venues-table -->"
END: Final = "<!-- end of the acceptance table -->"
GROUPS: Final = {
    "M": "Market data",
    "H": "History",
    "I": "Instruments",
    "T": "Orders",
    "P": "Private stream",
    "R": "Resolver and reconciliation",
    "B": "Budgets",
    "X": "Hostile input",
}
_ROW: Final = re.compile(r"^\| ([A-Z]\d\d) \| (.*?) \|", re.MULTILINE)


def render(cases: Sequence[Case], venues: Sequence[str], results: Mapping[tuple[str, str], str]) -> str:
    """The table; `results` by venue and number: passed, failed, or "-" where the venue lacks the part."""
    lines = [f"| case | what is demanded | {' | '.join(venues)} |", f"| --- | --- |{' --- |' * len(venues)}"]
    group = ""
    for case in cases:
        if case.number[0] != group:
            group = case.number[0]
            lines.append(f"| | **{GROUPS[group]}** |{' |' * len(venues)}")
        text = case.text if not case.needs else f"{case.text} *({', '.join(case.needs)})*"
        cells = [results.get((venue, case.number), "") for venue in venues]
        lines.append(f"| {case.number} | {text} | {' | '.join(cells)} |")
    return "\n".join(lines)


def written(document: str, table: str) -> str:
    """`document` with `table` between the markers. Raises ValueError when they are missing."""
    head, begin, rest = document.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{DOCUMENT.name} has no markers for the table")
    return f"{head}{BEGIN}\n\n{table}\n\n{END}{tail}"


def rows(document: str) -> dict[str, str]:
    """Number and text of each row as the document has them."""
    inside = document.partition(BEGIN)[2].partition(END)[0]
    return dict(_ROW.findall(inside))
