"""Runs the measurements: python -m tests.bench [--only NAME | --peers]"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog
import uvloop

from libs.common.embedded.process import StackError
from tests.bench import (
    book_recorded,
    boosted_rows,
    bus_hop,
    council,
    end_to_end,
    feature_peers,
    feature_scale,
    feature_step,
    flow_messages,
    garch_hmm,
    headlines,
    ingest,
    memory,
    onnx_serving,
    orders,
    simulator,
    store,
)
from tests.bench.harness import REPEATS, ROOT, Line, report
from tests.bench.sandbox import BenchError

Lines = Awaitable[list[Line]]
PEERS: dict[str, Callable[[int], Lines]] = {
    "feature_peers": feature_peers.run,
    "book_recorded": book_recorded.run,
    "garch_hmm": garch_hmm.run,
}
"""Those against talipp, TA-Lib, polars, sortedcontainers, arch and hmmlearn alone."""

RUNS: dict[str, Callable[[int], Lines]] = {
    "feature_step": feature_step.run,
    "feature_scale": feature_scale.run,
    "flow_messages": flow_messages.run,
    **PEERS,
    "bus_hop": bus_hop.run,
    "store_rows": store.run,
    "ingest_throughput": ingest.run,
    "orders": orders.run,
    "headlines": headlines.run,
    "council_bar": council.run,
    "onnx_serving": onnx_serving.run,
    "boosted_rows": boosted_rows.run,
    "simulator": simulator.run,
    "end_to_end": lambda repeats: end_to_end.run(repeats=repeats),
    "memory_embedded": lambda repeats: memory.run(),
}
ALONE: dict[str, Callable[[int], Lines]] = {
    f"end_to_end_{pattern}": lambda repeats, pattern=pattern: end_to_end.run((pattern,), repeats=repeats, explain=True)  # type: ignore[misc]
    for pattern in end_to_end.PATTERNS
}


def main(arguments: Sequence[str]) -> int:
    """Measure, print, write var/bench.json; 1 when something could not be measured, whatever the targets say."""
    parser = argparse.ArgumentParser(
        prog="bench", description="measure against bare references; see docs/benchmarks.md"
    )
    parser.add_argument("--only", metavar="NAME", choices=[*RUNS, *ALONE], help=f"one of {', '.join([*RUNS, *ALONE])}")
    parser.add_argument("--peers", action="store_true", help="only those against other people's libraries")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="interleaved repeats of each line, 5 or more")
    options = parser.parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    chosen = {options.only: {**RUNS, **ALONE}[options.only]} if options.only else PEERS if options.peers else RUNS
    lines: list[Line] = []
    failed = False
    for name, measure in chosen.items():
        begun = time.monotonic()
        print(f"{name} ...", end="", flush=True)
        try:
            # The embedded stack starts PostgreSQL as another user where this one is root, which uvloop does not.
            run = asyncio.run if name.startswith("end_to_end") else uvloop.run
            lines += run(_measured(measure(options.repeats)))
        except (BenchError, StackError, OSError) as err:
            failed = True
            print(f" failed: {err}")
        else:
            print(f" {time.monotonic() - begun:.0f} s")
    report(lines, ROOT / "var" / ("bench-peers.json" if options.peers else "bench.json"))
    return 1 if failed else 0


async def _measured(lines: Lines) -> list[Line]:
    return await lines


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main(sys.argv[1:]))
