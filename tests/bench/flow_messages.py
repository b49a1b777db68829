"""What prints and books cost the features stage between bars, a message at a time, as a busy symbol sends them."""

from __future__ import annotations

import random
import time
from typing import Final

import numpy as np

from libs.core.features.flow import FlowTape
from libs.core.features.inputs import EXTRA
from libs.core.types import MILLISECOND, SECOND, Bar, BookStats, Quote, Ticks, Trade
from tests.bench.harness import REPEATS, Line, absolute

MESSAGES: Final = 10_000
PRINTS: Final = 3
BARS: Final = 2_000
START: Final = 1_700_000_000 * SECOND


def busy(count: int) -> list[Ticks]:
    """Seeded messages of three prints and a quote, 5 ms apart."""
    rng = random.Random(11)
    made, price = [], 60_000.0
    for number in range(1, count + 1):
        at = START + number * 5 * MILLISECOND
        price = round(price + rng.choice([-0.01, 0.0, 0.01]), 2)
        items: list[Trade | Quote] = [
            Trade(at, price, round(rng.lognormvariate(-3.0, 1.5) + 1e-5, 5), rng.choice([-1, 1]), 0)
            for _ in range(PRINTS)
        ]
        items.append(Quote(at, price - 0.01, 1.0, price, 2.0, 0))
        made.append(Ticks(id=str(number), ts_event=at, ts_init=number, venue="binance", symbol="B", items=tuple(items)))
    return made


def books(count: int) -> list[BookStats]:
    """Messages of ten levels a side, 100 ms apart."""
    levels = range(10)
    return [
        BookStats(
            id=f"b{number}",
            ts_event=START + number * 100 * MILLISECOND,
            ts_init=number,
            venue="binance",
            symbol="B",
            bids=tuple((60_000.0 - 0.01 * level, 1.0) for level in levels),
            asks=tuple((60_000.01 + 0.01 * level, 1.0) for level in levels),
            first_id=number,
            last_id=number,
            ofi=1.0,
            updates=1,
            ofi_deeper=(1.0, 2.0, 3.0, 4.0),
            depth_sum=1.0,
            depth_bids=(1.0, 2.0, 3.0, 4.0),
            depth_asks=(1.0, 2.0, 3.0, 4.0),
        )
        for number in range(1, count + 1)
    ]


async def run(repeats: int = REPEATS) -> list[Line]:
    """The lines `flow_ticks`, `flow_books` and `flow_bar`."""
    told, levels = busy(2 * MESSAGES), books(MESSAGES)
    out = np.full(len(EXTRA), np.nan)
    per: dict[str, list[float]] = {"flow_ticks": [], "flow_books": [], "flow_bar": []}
    for _ in range(repeats):
        tape = FlowTape((1, 5, 60))
        tape.decimals = 2
        for event in told[:MESSAGES]:
            tape.take(event)
        begun = time.perf_counter()
        for event in told[MESSAGES:]:
            tape.take(event)
        per["flow_ticks"].append((time.perf_counter() - begun) / MESSAGES * 1e6)
        begun = time.perf_counter()
        for stats in levels:
            tape.take(stats)
        per["flow_books"].append((time.perf_counter() - begun) / MESSAGES * 1e6)
        first = levels[-1].ts_event // SECOND - BARS
        bars = [_bar(first + number) for number in range(BARS)]
        begun = time.perf_counter()
        for bar in bars:
            tape.fill(bar, out)
        per["flow_bar"].append((time.perf_counter() - begun) / BARS * 1e6)
    what = {
        "flow_ticks": f"a Ticks of {PRINTS} prints and a quote, digits and all windows full",
        "flow_books": "a BookStats of ten levels a side",
        "flow_bar": "the extra inputs of a bar",
    }
    return [absolute(name, values, unit="us", what=what[name], at_most=20.0) for name, values in per.items()]


def _bar(number: int) -> Bar:
    return Bar(
        id=str(number),
        ts_event=(number + 1) * SECOND,
        venue="binance",
        symbol="B",
        interval_s=1,
        open_time=number * SECOND,
        open=1.0,
        high=1.0,
        low=1.0,
        close=1.0,
    )
