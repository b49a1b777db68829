"""Writes docs/features.md between its markers: python -m tests.unit.features.oracles.table

The list of all features comes from their declarations, the table of oracles from running every one of them.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from libs.core.features.catalogue import CUMULATIVE, Feature
from libs.core.features.kit import REGISTRY
from libs.core.features.sets import FULL
from tests.unit.features.oracles import registry
from tests.unit.features.oracles.registry import EXCUSED, ORACLES, Agreement

DOCUMENT: Final = Path(__file__).parents[4] / "docs" / "features.md"
FEATURES: Final = "features"
ORACLE_TABLE: Final = "oracles"


def markers(part: str) -> tuple[str, str]:
    """The lines around a generated part of the document."""
    return f"<!-- {part}: written by make features-table -->", f"<!-- end of {part} -->"


def placed(document: str, part: str, text: str) -> str:
    """`document` with `text` between the markers of `part`. Raises ValueError when they are missing."""
    begin, end = markers(part)
    head, found, rest = document.partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{DOCUMENT.name} has no markers for {part}")
    return f"{head}{begin}\n\n{text}\n\n{end}{tail}"


def inside(document: str, part: str) -> str:
    """What the document has between the markers of `part`."""
    begin, end = markers(part)
    return document.partition(begin)[2].partition(end)[0].strip()


def feature_list() -> str:
    """Every feature of `full` by the file that declares it; those that differ in their name only share a row.

    Definition and source stand in the first row of a kernel.
    """
    lines: list[str] = []
    family = kernel = ""
    for group in _alike(FULL.features):
        first, definition = group[0], REGISTRY[group[0].kernel]
        if Path(definition.file).stem != family:
            family = Path(definition.file).stem
            doc = sys.modules[definition.kernel.__module__].__doc__ or ""
            lines += ["", f"### {family.replace('_', ' ').capitalize()}", "", doc.strip().splitlines()[0], ""]
            lines += ["| feature | definition | unit | range | memory | warm-up | needs | source |"]
            lines += ["| --- | --- | --- | --- | --- | --- | --- | --- |"]
        again, kernel = first.kernel == kernel, first.kernel
        cells = (
            _names(feature.name for feature in group),
            "" if again else " ".join(definition.doc.split()),
            first.unit,
            "" if math.isinf(first.low) and math.isinf(first.high) else f"{first.low:g} to {first.high:g}",
            "differences" if first.memory == CUMULATIVE else f"{first.memory:,}",
            f"{first.warmup:,}",
            ", ".join(first.needs),
            "" if again else definition.source,
        )
        lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    return "\n".join(lines).strip()


def oracle_table(run: Callable[[registry.Oracle, str], Iterable[Agreement]] = registry.agreements) -> str:
    """Every feature of `full` with its oracle, the bars on which both were compared and the worst relative error."""
    names = set(FULL.names)
    found: dict[tuple[str, str], list[Agreement]] = {}
    for one in ORACLES:
        for series in ("seeded",) if one.given is not None else ("seeded", "real"):
            if one.given is None and registry.series(series) is None:
                continue
            for each in run(one, series):
                if each.feature in names:
                    found.setdefault((each.feature, each.by), []).append(each)
    lines = ["| feature | oracle | bars | worst relative error |", "| --- | --- | --- | --- |"]
    order = {name: at for at, name in enumerate(FULL.names)}
    for (feature, by), compared in sorted(found.items(), key=lambda item: (order[item[0][0]], item[0][1])):
        worst = max(each.error for each in compared)
        wrong = "".join(f" **{each.problem}**" for each in compared if each.problem)
        bars = sum(each.bars for each in compared)
        lines.append(f"| {_cell(feature)} | {_cell(by)} | {bars:,} | {worst:.1e}{_cell(wrong)} |")
    reasons = [f"- `{kernel}` has no oracle: {reason}" for kernel, reason in sorted(EXCUSED.items())]
    loose = [
        f"- `{one.kernel}` against {one.by}: {one.reason}"
        for one in sorted(ORACLES, key=lambda o: o.kernel)
        if one.reason
    ]
    notes = [*reasons, *loose]
    return "\n".join([*lines, *(["", "Declared exceptions:", "", *notes] if notes else [])])


def _alike(features: Iterable[Feature]) -> list[list[Feature]]:
    """Neighbours of one kernel that differ in their names only."""
    groups: list[list[Feature]] = []
    for feature in features:
        same = groups and _facts(groups[-1][0]) == _facts(feature)
        if same:
            groups[-1].append(feature)
        else:
            groups.append([feature])
    return groups


def _facts(feature: Feature) -> tuple[object, ...]:
    bounds = feature.low, feature.high
    return feature.kernel, feature.values, feature.unit, bounds, feature.memory, feature.warmup, feature.needs


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> int:
    """Run every oracle; 1 when one disagrees, the table is written all the same."""
    registry.load_all()
    problems: list[str] = []

    def told(one: registry.Oracle, series: str) -> list[Agreement]:
        if sys.stdout.isatty():
            sys.stdout.write(f"\r\x1b[K{one.kernel} {series}")
            sys.stdout.flush()
        compared = list(registry.agreements(one, series))
        problems.extend(f"{each.feature} on {each.series}: {each.problem}" for each in compared if each.problem)
        return compared

    table = oracle_table(told)
    document = placed(DOCUMENT.read_text(encoding="utf-8"), FEATURES, feature_list())
    DOCUMENT.write_text(placed(document, ORACLE_TABLE, table), encoding="utf-8")
    cleared = "\r\x1b[K" if sys.stdout.isatty() else ""
    sys.stdout.write(f"{cleared}{len(FULL)} features, {len(ORACLES)} oracles: {DOCUMENT.name} is written\n")
    for problem in problems:
        sys.stderr.write(problem + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
