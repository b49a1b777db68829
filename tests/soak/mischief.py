"""Random fault plans: a few rules of every sort, drawn from a seed, as bad as a very bad day."""

from __future__ import annotations

import random
from typing import Any

OVERSIZE_BYTES = 17 << 20
WHOLE_PLAN_S = 120.0


def draw_plan(rng: random.Random, calls: tuple[str, ...], streams: tuple[str, ...]) -> list[dict[str, Any]]:
    """Rules over `calls` (the venue's names of what trades) and `streams` (of market data)."""
    rules = [_call_rule(rng, calls) for _ in range(rng.randint(1, 3))]
    rules += [_frame_rule(rng) for _ in range(rng.randint(1, 3))]
    rules += [_market_rule(rng, streams) for _ in range(rng.randint(0, 2))]
    rng.shuffle(rules)
    return rules


def _call_rule(rng: random.Random, calls: tuple[str, ...]) -> dict[str, Any]:
    kinds = ("timeout", "late", "cut_call", "lost", "reject", "rate_limit", "expired", "internal", "maintenance")
    rule: dict[str, Any] = {"fault": rng.choice(kinds)}
    if rng.random() < 0.7:
        rule["match"] = list(calls)
        rule |= _occasions(rng, 0.1, 0.5)
    else:  # any call at all: questions, logins
        rule |= _occasions(rng, 0.02, 0.15)
    if rule["fault"] == "late":
        rule["delay_s"] = rng.choice((0.5, 3.0, 12.0, 30.0))
    if rule["fault"] == "maintenance":
        rule |= {"lasts_s": rng.uniform(2.0, 10.0), "count": 1}
    return rule


def _frame_rule(rng: random.Random) -> dict[str, Any]:
    kinds = (
        "drop",
        "delay",
        "duplicate",
        "reorder",
        "corrupt",
        "truncate",
        "wrong_types",
        "stall",
        "close",
        "oversize",
    )
    rule: dict[str, Any] = {"fault": rng.choice(kinds), "match": rng.choice(("trade", "trade", "data", "*"))}
    fault = rule["fault"]
    if fault in ("stall", "close", "oversize"):
        rule |= {"probability": rng.uniform(0.01, 0.08), "count": rng.randint(1, 3)}
    else:
        rule |= _occasions(rng, 0.02, 0.3)
    if fault in ("delay", "reorder"):
        rule["delay_s"] = rng.choice((0.2, 1.0, 6.0))
    if fault == "stall":
        rule["lasts_s"] = rng.uniform(5.0, 60.0)
    if fault == "oversize":
        rule |= {"size_bytes": OVERSIZE_BYTES, "count": 1}
    return rule


def _market_rule(rng: random.Random, streams: tuple[str, ...]) -> dict[str, Any]:
    match rng.choice(("clock_jump", "hole", "stale_book", "silent")):
        case "clock_jump":
            begins = rng.uniform(0.0, WHOLE_PLAN_S / 2)
            offset = rng.choice((-1, 1)) * rng.uniform(0.5, 15.0)
            return {"fault": "clock_jump", "after_s": begins, "lasts_s": rng.uniform(5.0, 30.0), "offset_s": offset}
        case "hole":
            return {"fault": "hole", "match": list(streams), "probability": rng.uniform(0.01, 0.2)}
        case "stale_book":
            return {"fault": "stale_book", "after_s": rng.uniform(0.0, 30.0), "lasts_s": rng.uniform(5.0, 30.0)}
        case _:
            return {"fault": "silent", "match": "fills", "probability": 0.1, "lasts_s": rng.uniform(2.0, 20.0)}


def _occasions(rng: random.Random, least: float, most: float) -> dict[str, Any]:
    if rng.random() < 0.3:
        return {"nth": sorted({rng.randint(1, 12) for _ in range(rng.randint(1, 3))})}
    return {"probability": round(rng.uniform(least, most), 3)}
