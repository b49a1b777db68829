"""`make fuzz`: mutated frames into every parser; ends at the first exception that escapes, and keeps its frame."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import traceback
from pathlib import Path

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.fuzz.run import Escaped, again, fuzz

KEPT = Path(__file__).parents[2] / "var" / "fuzz"
MOST_BYTES = 16 << 20
"""Growth in the second half of a run that counts as none: allocators keep what they have."""

MOST_BLOCKS = 0.02
"""Blocks per frame, likewise."""


def main() -> int:
    """Exit code 1 when an exception escaped or memory grew."""
    asked = argparse.ArgumentParser(prog="make fuzz")
    asked.add_argument("--frames", type=int, default=1_000_000)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--only", default="", metavar="TEXT", help="pools with this in their name")
    asked.add_argument("--frame", type=Path, metavar="FILE", help="one kept frame again; --only names its pool")
    given = asked.parse_args()
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    console = Console(soft_wrap=True)
    if given.frame is not None:
        console.print("made sense" if asyncio.run(again(given.only, given.frame)) else "refused")
        return 0
    columns = (TextColumn("fuzz"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("fuzz", total=given.frames)
        try:
            outcome = asyncio.run(
                fuzz(given.frames, given.seed, given.only, lambda done: bar.update(task, completed=done))
            )
        except Escaped as err:
            KEPT.mkdir(parents=True, exist_ok=True)
            path = KEPT / f"{err.pool.replace(' ', '-').replace('/', '-')}.frame"
            path.write_bytes(err.frame)
            bar.stop()
            traceback.print_exception(err.__cause__)
            console.print(f"{err} with seed {given.seed}; kept in {path}", markup=False)
            console.print(f"again: python -m tests.fuzz --only '{err.pool}' --frame {path}", markup=False)
            return 1
    for name in outcome.fed:
        console.print(f"{name:45} {outcome.fed[name]:8} frames, {outcome.read[name]:8} made sense", markup=False)
    grown, blocks = outcome.grown
    first, last = outcome.looks[0], outcome.looks[-1]
    console.print(
        f"{outcome.frames} frames, seed {outcome.seed}, {outcome.seconds:.0f} s; slowest {outcome.slowest_ms:.0f} ms "
        f"({outcome.slowest}); resident {first.rss >> 20} MiB after {first.frames}, {last.rss >> 20} MiB at the end; "
        f"in the second half {grown / (1 << 20):+.1f} MiB, {blocks:+} blocks",
        markup=False,
    )
    if grown > MOST_BYTES or blocks > MOST_BLOCKS * outcome.frames:
        console.print("memory grows")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
