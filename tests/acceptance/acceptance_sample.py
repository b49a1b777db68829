"""Which cases run by default: all that show how an adapter works, and a drawn few of those in which things go wrong.

`ACCEPTANCE=all` runs every one. The draw changes with the day; `ACCEPTANCE_SEED` repeats one.
"""

from __future__ import annotations

import os
import random
import re
import time
from typing import Final

import pytest

FAULTY: Final = re.compile(r"test_(t[12]\d|x\d\d)_")
DRAWN: Final = 5
"""Of the faulty cases, at each venue."""

SECONDS_A_DAY: Final = 86_400


def seed() -> int:
    """The number of the draw."""
    return int(os.environ.get("ACCEPTANCE_SEED") or time.time() // SECONDS_A_DAY)


def drawn(items: list[pytest.Item], number: int) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Those that run and those that do not, in their order."""
    faulty: dict[str, list[pytest.Item]] = {}
    for item in items:
        if FAULTY.match(item.name):
            faulty.setdefault(item.nodeid.rpartition("::")[0], []).append(item)
    lucky: set[str] = set()
    for venue, cases in sorted(faulty.items()):
        chosen = random.Random(f"{number}/{venue}").sample(cases, min(DRAWN, len(cases)))
        lucky |= {item.nodeid for item in chosen}
    runs = [item for item in items if not FAULTY.match(item.name) or item.nodeid in lucky]
    return runs, [item for item in items if FAULTY.match(item.name) and item.nodeid not in lucky]
