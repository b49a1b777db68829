"""One run: frames drawn and spoiled by a seed, one parser after the other, memory looked at on the way."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import psutil

from tests.fuzz.corpus import Pools, gather
from tests.fuzz.ground import Take
from tests.fuzz.mutations import Seed
from tests.fuzz.parsers import Parsers

LOOKS: Final = 20
"""How often memory is looked at; the first half of the run fills what is bounded."""


class Look(msgspec.Struct):
    """Memory after so many frames: resident bytes, and blocks that Python holds."""

    frames: int
    rss: int
    blocks: int


class Escaped(Exception):
    """An exception came out of a parser; the frame that did it is kept."""

    def __init__(self, pool: str, frame: bytes, number: int) -> None:
        super().__init__(f"frame {number} of {pool!r}")
        self.pool, self.frame = pool, frame


class Outcome(msgspec.Struct):
    """`read`: frames of each pool from which something was made, of `fed`. Seconds without those for the corpus."""

    seed: int
    frames: int = 0
    seconds: float = 0.0
    slowest_ms: float = 0.0
    slowest: str = ""
    fed: dict[str, int] = {}
    read: dict[str, int] = {}
    looks: list[Look] = []

    @property
    def grown(self) -> tuple[int, int]:
        """Bytes and blocks by which memory grew in the second half."""
        middle, end = self.looks[len(self.looks) // 2], self.looks[-1]
        return end.rss - middle.rss, end.blocks - middle.blocks


async def fuzz(frames: int, seed: int, only: str = "", told: Callable[[int], None] = lambda _: None) -> Outcome:
    """Feed `frames` frames. Raises Escaped, from the exception itself."""
    pools = {name: pool for name, pool in (await gather()).items() if only in name}
    parsers = Parsers()
    if not only:
        parsers.fit(pools)
    outcome = Outcome(seed)
    try:
        await _feed(_seeds(pools), parsers, frames, outcome, told)
    finally:
        await parsers.aclose()
    return outcome


def _seeds(pools: Pools) -> dict[str, list[Seed]]:
    return {name: [Seed(frame) for frame in dict.fromkeys(pool)] for name, pool in sorted(pools.items())}


async def _feed(
    seeds: dict[str, list[Seed]], parsers: Parsers, frames: int, outcome: Outcome, told: Callable[[int], None]
) -> None:
    rng, process, names = random.Random(outcome.seed), psutil.Process(), list(seeds)
    outcome.fed, outcome.read = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    began, step = time.monotonic(), max(1, frames // LOOKS)
    for number in range(1, frames + 1):
        name = names[number % len(names)]
        frame = rng.choice(seeds[name]).mutated(rng)
        asked = time.perf_counter()
        outcome.read[name] += await _take(parsers.takers[name], name, frame, number)
        took_ms = (time.perf_counter() - asked) * 1000
        if took_ms > outcome.slowest_ms:
            outcome.slowest_ms, outcome.slowest = took_ms, f"{name}, {len(frame)} bytes"
        outcome.fed[name] += 1
        if number % step == 0:
            parsers.check()
            gc.collect()
            outcome.looks.append(Look(number, process.memory_info().rss, sys.getallocatedblocks()))
            told(number)
    outcome.frames, outcome.seconds = frames, time.monotonic() - began


async def _take(take: Take, name: str, frame: bytes, number: int) -> bool:
    try:
        return await take(frame)
    except asyncio.CancelledError:
        raise
    except BaseException as err:
        raise Escaped(name, frame, number) from err


async def again(pool: str, path: Path) -> bool:
    """One kept frame into its parser."""
    parsers = Parsers()
    try:
        return await parsers.takers[pool](path.read_bytes())
    finally:
        await parsers.aclose()
