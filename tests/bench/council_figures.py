"""The walk-forward figures of docs/council.md: python -m tests.bench.council_figures [--set NAME] [--agents a,b]

Each set of real bars is walked through in six blocks, every agent fitted anew before each. A set takes from minutes to
an hour; what it found is kept in var/council-figures, and the table is made of all that is there.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from libs.research.training.dataset import Dataset

ROOT: Final = Path(__file__).parents[2]
BARS: Final = ROOT.parent / "shared" / "data" / "bars"
FOUND: Final = ROOT / "var" / "council-figures"
DOCUMENT: Final = ROOT / "docs" / "council.md"
BEGIN: Final = "<!-- walk-forward: written by make council-figures -->"
END: Final = "<!-- end of walk-forward -->"


class Set(NamedTuple):
    """A table of bars ("" = generated), and the two-class Brier skill, in percent, of the baseline set for it."""

    file: str
    interval_s: int
    baseline: float


SETS: Final = {
    "BTC 1h": Set("binance_BTCUSDT_1h", 3600, 1.103),
    "ETH 1h": Set("binance_ETHUSDT_1h_2017_2021", 3600, 1.276),
    "BTC 15m": Set("binance_BTCUSDT_15m_2023", 900, float("nan")),
    "BTC 5m": Set("binance_BTCUSDT_5m", 300, 0.237),
    "BTC 1m": Set("binance_BTCUSDT_1m_2025", 60, 0.885),
    "ETH 1m": Set("binance_ETHUSDT_1m_2025", 60, 0.164),
    "volatility index": Set("", 60, float("nan")),
    "echo of 0.1": Set("", 60, float("nan")),
}
GENERATED_BARS: Final = 40_000


def dataset_of(name: str) -> Dataset:
    """The bars of a set with features and labels."""
    from libs.core.features.sets import FULL
    from libs.research.training.dataset import make_dataset
    from libs.research.training.read import read_series
    from tests.bench.council_series import echo, volatility_index

    of = SETS[name]
    if of.file:
        symbol, path = of.file.split("_")[1], BARS / f"{of.file}.parquet"
        return read_series(str(path), symbol, venue="binance", interval_s=of.interval_s).dataset()
    bars = echo(GENERATED_BARS) if name.startswith("echo") else volatility_index(GENERATED_BARS)
    return make_dataset("simulator", name, of.interval_s, bars, FULL)


def walked(name: str, agents: tuple[str, ...], preset: str, threads: int) -> dict[str, Any]:
    """Figures of every agent, of the equal pool and of the council on one set."""
    from libs.common.onnx import OnnxSession
    from libs.core.features.sets import FULL
    from libs.research.training.base import TrainOptions
    from libs.research.training.exam import META
    from libs.research.training.exam_council import pooled
    from libs.research.training.exam_scores import by_block, figures
    from libs.research.training.exam_walk import walk
    from libs.research.training.ledger import Ledger
    from libs.research.training.run import Plan

    begun = time.perf_counter()
    data = dataset_of(name)
    plan = Plan(agents, TrainOptions(preset=preset, threads=threads))
    done = walk(
        data,
        plan,
        FOUND / "work" / _slug(name, agents),
        make_session=OnnxSession,
        ledger=Ledger([FOUND / "ledger.jsonl"]),
        progress=_tell,
    )
    exam = done.exam
    voices = {agent: voice for agent, voice in exam.voices.items() if voice.has_direction and agent != META}
    together = {"equal pool": pooled(voices, len(exam))} if len(voices) > 1 else {}
    voices |= {**together, "council": pooled(exam.voices, len(exam))}
    voices |= {agent: voice for agent, voice in done.beside.items() if voice.has_direction}
    rows = {
        agent: {**figures(voice, exam), "blocks": [block["brier_skill_2c"] for block in by_block(voice, exam)]}
        for agent, voice in voices.items()
    }
    facts = {"set": name, "agents": agents, "preset": preset, "features": len(FULL.names), "bars": len(data)}
    return {**facts, "seconds": time.perf_counter() - begun, "rows": rows}


def table(found: list[dict[str, Any]]) -> str:
    """All sets as markdown; skills in percent."""
    lines = [
        "| set (bars examined) | forecaster | 2c skill % | DM t | by block % | 2c accuracy | 3c skill % "
        "| 3c log loss | ECE | silent % | baseline, 2c % |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in found:
        baseline = SETS[one["set"]].baseline
        for i, (agent, row) in enumerate(one["rows"].items()):
            cells = [
                f"{one['set']} ({row['n']:,})" if i == 0 else "",
                agent,
                f"{100 * row['brier_skill_2c']:+.3f}",
                f"{row['dm_t_2c']:.1f}",
                " ".join(f"{100 * block:+.2f}" for block in row["blocks"]),
                f"{row['accuracy_2c']:.4f}",
                f"{100 * row['brier_skill']:+.2f}",
                f"{row['log_loss']:.5f}",
                f"{row['ece']:.4f}",
                f"{100 * row['abstention_rate']:.1f}",
                f"{baseline:+.3f}" if i == 0 and baseline == baseline else "",
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def placed(document: str, text: str) -> str:
    """`document` with `text` between the markers. Raises ValueError when they are missing."""
    head, begun, rest = document.partition(BEGIN)
    _, ended, tail = rest.partition(END)
    if not begun or not ended:
        raise ValueError(f"{DOCUMENT.name} lacks the lines {BEGIN} and {END}")
    return f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}"


def _slug(name: str, agents: tuple[str, ...]) -> str:
    return "-".join([name.lower().replace(" ", "-"), *agents])


def _tell(what: str, share: float, line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{what}: {share:4.0%} {line:60.60s}", end="", file=sys.stderr, flush=True)


def main() -> int:
    """Walk through the sets asked for, then write the table of all that were."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", dest="sets", action="append", choices=list(SETS), help="all, if none is named")
    parser.add_argument("--agents", default="boosting", help="comma-separated")
    parser.add_argument("--preset", default="default", choices=["quick", "default", "full"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="only make the table of what is there")
    given = parser.parse_args()
    names = [] if given.table else given.sets or list(SETS)
    if not BARS.is_dir() and any(SETS[name].file for name in names):
        print(f"the bars are not here: {BARS}", file=sys.stderr)
        return 1
    os.nice(10)
    FOUND.mkdir(parents=True, exist_ok=True)
    for name in names:
        found = walked(name, tuple(given.agents.split(",")), given.preset, given.threads)
        (FOUND / f"{_slug(name, ())}.json").write_text(json.dumps(found, indent=1))
        print(table([found]), flush=True)
    there = [FOUND / f"{_slug(name, ())}.json" for name in SETS]
    text = table([json.loads(path.read_text()) for path in there if path.exists()])
    if not DOCUMENT.exists():
        print(text)
        return 0
    DOCUMENT.write_text(placed(DOCUMENT.read_text(), text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
