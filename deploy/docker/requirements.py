"""Prints what an image installs: the base dependencies of pyproject.toml and those of the given extras, one a line."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path


def wanted(project: dict[str, object], extras: list[str]) -> list[str]:
    """Requirements of the project with `extras`; an extra that names extras of the project brings theirs."""
    optional = project["optional-dependencies"]
    found = list(project["dependencies"])  # type: ignore[call-overload]
    waiting, seen = list(extras), set()
    while waiting:
        extra = waiting.pop()
        if extra in seen:
            continue
        seen.add(extra)
        for line in optional[extra]:  # type: ignore[index]
            own = re.fullmatch(r"conclave\[(.+)\]", line)
            waiting += own[1].split(",") if own else []
            found += [] if own else [line]
    return sorted(set(found))


if __name__ == "__main__":
    pyproject = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    sys.stdout.write("\n".join(wanted(pyproject["project"], sys.argv[1:])) + "\n")
