"""A few soak runs of today's draw; `make soak` plays hundreds."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from tests.soak.houses import RUNS
from tests.soak.mischief import draw_plan


def todays_seed() -> int:
    return int(os.environ.get("ACCEPTANCE_SEED") or time.time() // 86_400)


@pytest.mark.parametrize("venue", sorted(RUNS))
async def test_no_order_is_lost_or_doubled(venue: str, tmp_path: Path) -> None:
    seed = todays_seed()
    outcome = await RUNS[venue](tmp_path, seed).go()
    assert outcome.differences == [], f"make soak SEED={seed} VENUE={venue} plays it again"
    assert outcome.orders >= 2


@pytest.mark.parametrize("seed", range(20))
def test_plans_are_drawn_alike(seed: int) -> None:
    one, other = (draw_plan(random.Random(seed), ("buy",), ("R_50",)) for _ in range(2))
    assert one == other
    assert one
