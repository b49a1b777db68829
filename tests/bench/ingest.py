"""Messages a second on one core, from frame to bus: the ingest service against receive, decode, publish.

Both get the same frames, ready for the wire, as fast as they take them. What counts is the processor time of the
process, all threads, so that neither the feeder nor the bus server, which share the machine, is part of the figure.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import nats
import psutil  # type: ignore[import-untyped]  # it ships no types
import yaml
from nats.aio.client import Client

from libs.common.embedded.process import Child
from libs.common.embedded.stack import ready_reasons
from libs.common.runtime import read_services
from tests.bench.harness import REPEATS, Line, compared, interleaved
from tests.bench.sandbox import BenchError, Sandbox, until
from tests.bench.venue import HIGH, LOW, BenchVenue, Market, framed, price_at, symbols_of

SYMBOLS: Final = 20
FRAMES: Final = 200_000
PER_SECOND: Final = 2_000
"""Frames in a second of data time; a bar of each symbol closes at each second."""

MIX: Final = "qqqqtqqdqqtqqqqtqdqqqqtqqdqt"
"""Quotes (70 %), trades (18 %) and book updates (11 %, 28 levels each) as a busy hour of a large spot pair has them."""

MIDDLE: Final = (LOW + HIGH) / 2
"""Books stand still around it, so that they never cross."""

WAIT_S: Final = 60.0


def configuration(folder: Path, venue: BenchVenue, symbols: Sequence[str]) -> Path:
    """Ingest as in the demo, on the bench's venue."""
    raw: dict[str, Any] = {
        "data": {
            "venues": [
                {
                    "name": "binance",
                    "api": "spot",
                    "endpoint": "simulator",
                    "urls": {"rest": venue.rest_url, "ws": venue.ws_url},
                    "symbols": [{"symbol": symbol, "trade_intervals": ["1s", "5s"]} for symbol in symbols],
                }
            ]
        },
        "trading": {"accounts": [{"id": "bench", "venue": "binance", "currency": "USDT"}]},
        "platform": {"var": str(folder), "log_level": "warning"},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    return path


class Frames:
    """Batches of frames of one market that go on where the last one ended; the last symbol only marks their end."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._at = market.now_ms * PER_SECOND // 1000
        self.marker = market.symbols[-1]

    def batch(self, count: int) -> bytes:
        """`count` frames, the marker's print the last."""
        market, symbols = self._market, self._market.symbols[:-1]
        parts = []
        for number in range(self._at, self._at + count - 1):
            ms = number * 1000 // PER_SECOND
            index = number % len(symbols)
            price = price_at(index, ms // 1000)
            kind = MIX[number // len(symbols) % len(MIX)]
            if kind == "q":
                frame = market.quote_frame(symbols[index], price)
            elif kind == "t":
                frame = market.trade_frame(symbols[index], price, ms)
            else:
                frame = market.depth_frame(symbols[index], MIDDLE, ms)
            parts.append(framed(frame))
        self._at += count
        parts.append(framed(market.trade_frame(self.marker, price_at(0, 0), (self._at - 1) * 1000 // PER_SECOND)))
        return b"".join(parts)


class Racer:
    """One of the two processes."""

    def __init__(
        self, client: str, child: Child, venue: BenchVenue, frames: Frames, marks: asyncio.Queue[None]
    ) -> None:
        self._client, self._venue, self._frames, self._marks = client, venue, frames, marks
        self._process = psutil.Process(child.pid)

    def _cpu_s(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)

    async def rate(self) -> float:
        """Messages a second of processor time for the next batch."""
        batch = await asyncio.to_thread(self._frames.batch, FRAMES)
        while not self._marks.empty():
            self._marks.get_nowait()
        begun = self._cpu_s()
        await self._venue.blast(self._client, batch)
        try:
            await asyncio.wait_for(self._marks.get(), WAIT_S)
        except TimeoutError:
            raise BenchError(f"{self._client}: the last of {FRAMES} frames did not arrive on the bus") from None
        return FRAMES / (self._cpu_s() - begun)


async def _marks(nc: Client, subject: str) -> asyncio.Queue[None]:
    marks: asyncio.Queue[None] = asyncio.Queue()

    async def on_mark(_msg: object) -> None:
        marks.put_nowait(None)

    await nc.subscribe(subject, cb=on_mark)
    await nc.flush()
    return marks


async def run(repeats: int = REPEATS) -> list[Line]:
    """The line `ingest_throughput`."""
    async with Sandbox("ingest") as box:
        symbols = symbols_of(SYMBOLS + 1)
        start_ms = time.time_ns() // 1_000_000_000 * 1000
        markets = [Market(symbols, start_ms), Market(symbols, start_ms)]
        frames = [Frames(market) for market in markets]
        venue = BenchVenue(markets[0])
        await venue.start()
        nc: Client | None = None
        try:
            url = await box.nats()
            nc = await nats.connect(url)
            env = {"CONFIG_PATH": str(configuration(box.folder, venue, symbols)), "NATS_URL": url}
            house = await box.module("ingest", "services.ingest", env=env)
            bare = await box.module(
                "bare", "tests.bench.bare", "throughput", env={"BARE_NATS": url, "BARE_WS": venue.ws_url}
            )
            await until(lambda: venue.connected("bare") and venue.connected("stream"), "both to connect")
            await asyncio.sleep(1.0)
            first = frames[0].batch(4 * PER_SECOND)
            await venue.blast("stream", first)
            await until(lambda: _ready(box.folder), f"ingest to be ready; {house.last_words()}")
            marker = frames[0].marker
            ours = Racer("stream", house, venue, frames[0], await _marks(nc, f"md.tick.binance.{marker}"))
            theirs = Racer("bare", bare, venue, frames[1], await _marks(nc, f"raw.{marker}"))
            await interleaved(ours.rate, theirs.rate, 1)
            pairs = await interleaved(ours.rate, theirs.rate, repeats)
        finally:
            if nc is not None:
                await nc.close()
            await venue.stop()
    what = f"frame to bus, {FRAMES:,} quotes, trades and book updates of {SYMBOLS} symbols a repeat, per CPU second"
    return [compared("ingest_throughput", pairs, unit="msg/s", what=what, at_least=0.60)]


def _ready(folder: Path) -> bool:
    services = read_services(folder)
    return "ingest" in services and not ready_reasons(services["ingest"]["http"])
