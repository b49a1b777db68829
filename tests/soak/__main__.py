"""`make soak`: many seeded runs per venue, in parallel; one that differs says how, and its seed repeats it."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import msgspec
import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.soak.houses import RUNS
from tests.soak.run import Outcome

LONGEST_S = 300
"""Machine seconds of one run; the longest takes some twenty."""

RESULTS = Path(__file__).parents[2] / "var" / "soak.jsonl"


def one(venue: str, seed: int) -> Outcome:
    """One run, in a process of its own."""
    logging.disable(logging.CRITICAL)  # thousands of faults are told in thousands of lines
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    signal.signal(signal.SIGALRM, _hangs)
    signal.alarm(LONGEST_S)
    with tempfile.TemporaryDirectory(prefix="conclave-soak-") as folder:
        try:
            return asyncio.run(RUNS[venue](Path(folder), seed).go())
        except Exception as err:
            why = f" ({err.__cause__})" if err.__cause__ else ""
            return Outcome(seed, venue, differences=[f"{type(err).__name__}: {err}{why}"])
        finally:
            signal.alarm(0)


def _hangs(*_: object) -> None:
    """A loop that never yields heeds no timeout of its own."""
    raise RuntimeError(f"not over after {LONGEST_S} s")


def main() -> int:
    """Exit code 1 when a run differed."""
    asked = argparse.ArgumentParser(prog="make soak")
    asked.add_argument("--venue", choices=sorted(RUNS), action="append", help="default: all")
    asked.add_argument("--runs", type=int, default=200, help="seeds per venue")
    asked.add_argument("--first", type=int, default=1, help="the first seed")
    asked.add_argument("--seed", type=int, help="this seed alone")
    asked.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = asked.parse_args()
    seeds = [given.seed] if given.seed is not None else range(given.first, given.first + given.runs)
    wanted = [(venue, seed) for seed in seeds for venue in given.venue or sorted(RUNS)]
    console, began = Console(), time.monotonic()
    failed = 0
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    totals = Outcome(0, "all")
    with (
        RESULTS.open("ab") as results,
        ProcessPoolExecutor(given.jobs) as pool,
        Progress(
            TextColumn("soak"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[failed]} differ"),
            console=console,
        ) as bar,
    ):
        task = bar.add_task("soak", total=len(wanted), failed=0)
        for done in as_completed(pool.submit(one, venue, seed) for venue, seed in wanted):
            outcome = done.result()
            results.write(msgspec.json.encode(outcome) + b"\n")
            results.flush()
            totals.orders += outcome.orders
            totals.executed += outcome.executed
            totals.unresolved += outcome.unresolved
            totals.faults += outcome.faults
            if outcome.differences:
                failed += 1
                for line in outcome.differences:
                    bar.console.print(f"{outcome.venue} seed {outcome.seed}: {line}", markup=False)
            bar.update(task, advance=1, failed=failed)
    console.print(
        f"{len(wanted)} runs, {totals.orders} orders, {totals.executed} executions, {totals.unresolved} first unknown, "
        f"{totals.faults} faults, {failed} runs differ, {time.monotonic() - began:.0f} s; {RESULTS}",
        markup=False,
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
