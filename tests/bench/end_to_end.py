"""From the frame that closes a bar to the order's durable acceptance: the five services against five bare processes.

Both chains hang on one NATS server and one venue, and get the same square wave, one after the other: while one is
measured the other one's market stands still. A sample runs from the machine clock at the frame's arrival (`ts_recv`)
to the moment at which one plain consumer, the same for both chains, is handed the planned order by the server: like the
acknowledgement, the server sends it once the order is synced.
"""

from __future__ import annotations

import asyncio
import secrets
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import nats
import yaml
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy
from rich.console import Console
from rich.table import Table

from libs.common.bus import NatsBus
from libs.common.embedded.stack import Stack, StackOptions
from libs.common.settings import load_settings
from libs.core.types import Bar, Features, Order, OrderState, Permit, Signal, decode
from tests.bench import bare
from tests.bench.harness import REPEATS, ROOT, Line, compared, percentile
from tests.bench.sandbox import BenchError, Sandbox, until
from tests.bench.venue import BenchVenue, Market, price_at, symbols_of

SYMBOLS: Final = 20
SECONDS: Final = 9
SPACING_S: Final = 0.045
"""Between the closing frames of two symbols in the spread pattern: all 20 lie within 0.86 s."""

LATER_S: Final = 0.1
SETTLE_S: Final = 0.4
PATTERNS: Final = ("spread", "burst")
LEAST: Final = SECONDS * SYMBOLS // 3
P50, P99 = 1.5, 2.0


def configuration(folder: Path, venue: BenchVenue, symbols: Sequence[str]) -> Path:
    """A configuration in which mean_revert acts on every turn of the wave and no limit stands in its way."""
    raw: dict[str, Any] = {
        "data": {
            "venues": [
                {
                    "name": "binance",
                    "api": "spot",
                    "endpoint": "simulator",
                    "urls": {"rest": venue.rest_url, "ws": venue.ws_url},
                    "symbols": [{"symbol": symbol, "trade_intervals": ["1s"]} for symbol in symbols],
                }
            ],
            "bar_timer_ms": 5000,
        },
        "trading": {
            "accounts": [{"id": "bench", "venue": "binance", "currency": "USDT", "capital": 1_000_000_000}],
            "strategies": [
                {
                    "name": "mean_revert",
                    "params": {"entry_z": 1.0, "exit_z": 0.0, "cost_multiple": 0.0, "record_trades": 0},
                }
            ],
            "paper": {"latency_ms": 0, "slippage_bps": 0, "spread_bps": 0, "fee_bps": {"binance": 0}},
        },
        "risk": dict.fromkeys(("max_open_risk", "max_exposure", "max_daily_loss", "max_symbol_daily_loss"), 1)
        | {"max_position": 0.01, "max_trades_per_day": 1_000_000, "drawdown_scale_from": 0.9, "drawdown_halt_at": 1}
        | {"cooldown_s": 0, "min_health": 0, "max_slippage_bps": 1000, "min_edge_over_cost": 0},
        "platform": {"var": str(folder), "log_level": "warning"},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    return path


class Wave:
    """Plays the square wave to one client, second by second of data time; it stands still in between."""

    def __init__(self, venue: BenchVenue, market: Market, client: str) -> None:
        self._venue, self._market, self._client = venue, market, client
        self._second = market.now_ms // 1000 + 1

    async def play(self, pattern: str, seconds: int) -> None:
        """The next `seconds`: each symbol's first print closes its bar, a quote and a second print follow."""
        begun = time.monotonic()
        for second in range(seconds):
            for offset, frame, symbol in self._schedule(pattern):
                wait = begun + second + offset - time.monotonic()
                if wait > 0:
                    await asyncio.sleep(wait)
                self._send(frame, symbol, offset)
            self._second += 1
        await asyncio.sleep(max(0.0, begun + seconds - time.monotonic()))

    def _schedule(self, pattern: str) -> list[tuple[float, str, str]]:
        gap = SPACING_S if pattern == "spread" else 0.0
        plan = []
        for index, symbol in enumerate(self._market.symbols):
            at = index * gap
            settle = at + LATER_S if gap else SETTLE_S + index * 0.002
            plan += [(at, "print", symbol), (settle - 0.02, "quote", symbol), (settle, "print", symbol)]
        return sorted(plan, key=lambda row: row[0])

    def _send(self, frame: str, symbol: str, offset: float) -> None:
        price = price_at(int(symbol[1:3]), self._second)
        if frame == "quote":
            self._venue.send(self._client, self._market.quote_frame(symbol, price))
        else:
            ms = self._second * 1000 + int(offset * 1000)
            self._venue.send(self._client, self._market.trade_frame(symbol, price, ms))


class Witness:
    """Hears one stream's orders as the server hands them out, which it does once they are synced."""

    def __init__(self) -> None:
        self._heard: list[tuple[int, bytes]] = []

    async def listen(self, nc: Client, subject: str, stream: str) -> None:
        """Begin, with the same plain consumer for both chains."""
        config = ConsumerConfig(deliver_policy=DeliverPolicy.NEW)
        js = nc.jetstream()
        await js.subscribe(subject, stream=stream, cb=self._on_message, ordered_consumer=True, config=config)

    async def _on_message(self, msg: Msg) -> None:
        self._heard.append((time.time_ns(), msg.data))

    def take(self) -> list[tuple[int, bytes]]:
        """Machine clock at arrival and payload of everything since the last call."""
        heard, self._heard = self._heard, []
        return heard


class House:
    """The five services."""

    name = "house"

    def __init__(self, bus: NatsBus, witness: Witness, wave: Wave) -> None:
        self.wave, self._bus, self._witness = wave, bus, witness

    def samples(self) -> list[float]:
        """Milliseconds of every order planned since the last call."""
        heard = [(at, decode(payload)) for at, payload in self._witness.take()]
        return [(at - order.ts_recv) / 1e6 for at, order in heard if _is_planned(order)]

    async def anatomy(self, since_ns: int) -> dict[str, float]:
        """Median milliseconds that each stage of the orders since then took, by the stamps of their messages."""
        made: dict[str, Any] = {}
        async for received in self._bus.read(["md.bar.1s.>", "feat.1s.>", "signal.>", "permit.>", "order.>"], since_ns):
            made[received.event.id] = received.event
        parts: dict[str, list[float]] = {}

        def note(name: str, begin: int, end: int) -> None:
            parts.setdefault(name, []).append((end - begin) / 1e6)

        for order in list(made.values()):
            if not isinstance(order, Order) or order.revision != 1 or not order.ts_recv:
                continue
            chain = _chain(order, made)
            if chain is None:
                continue
            bar, features, signal, permit, planned = chain
            note("frame to bar built (ingest)", order.ts_recv, bar.ts_init)
            note("bar to features", bar.ts_init, features.ts_init)
            note("features to signal (predict)", features.ts_init, signal.ts_init)
            note("signal to permit (risk)", signal.ts_init, permit.ts_init)
            note("permit to planned order (sign, sync, execute)", permit.ts_init, planned.ts_init)
            note("planned to acknowledged (sync)", planned.ts_init, order.ts_init)
        return {name: statistics.median(values) for name, values in parts.items()}


def _is_planned(event: Any) -> bool:
    entered = isinstance(event, Order) and event.state is OrderState.PLANNED and event.revision == 0
    return entered and bool(event.permit_id) and event.ts_recv > 0


def _chain(order: Order, made: dict[str, Any]) -> tuple[Bar, Features, Signal, Permit, Order] | None:
    planned = next((made[i] for i in order.cause if isinstance(made.get(i), Order)), None)
    permit = made.get(planned.permit_id) if planned else None
    signal = next((made[i] for i in permit.cause if isinstance(made.get(i), Signal)), None) if permit else None
    features = next((made[i] for i in signal.cause if isinstance(made.get(i), Features)), None) if signal else None
    bar = next((made[i] for i in features.cause if isinstance(made.get(i), Bar)), None) if features else None
    if not (planned and permit and signal and features and bar):
        return None
    return bar, features, signal, permit, planned


class Bare:
    """The bare chain."""

    name = "bare"

    def __init__(self, witness: Witness, wave: Wave) -> None:
        self.wave, self._witness = wave, witness

    def samples(self) -> list[float]:
        """Milliseconds of every order since the last call."""
        return [(at - msgspec.json.decode(payload)["recv"]) / 1e6 for at, payload in self._witness.take()]


async def _measure(chain: House | Bare, pattern: str) -> list[float]:
    chain.samples()
    await chain.wave.play(pattern, SECONDS)
    await asyncio.sleep(0.3)
    taken = chain.samples()
    if len(taken) < LEAST:
        raise BenchError(f"{chain.name}, {pattern}: only {len(taken)} orders in {SECONDS} s; {LEAST} were expected")
    return taken


async def run(patterns: Sequence[str] = PATTERNS, *, repeats: int = REPEATS, explain: bool = False) -> list[Line]:
    """p50 and p99 of each pattern."""
    async with Sandbox("end_to_end") as box:
        symbols = symbols_of(SYMBOLS)
        start_ms = time.time_ns() // 1_000_000
        markets = [Market(symbols, start_ms), Market(symbols, start_ms)]
        venue = BenchVenue(markets[0])
        await venue.start()
        config = configuration(box.folder, venue, symbols)
        stack = Stack(load_settings(config), StackOptions(config, box.folder, ROOT))
        ours = Wave(venue, markets[0], "stream")
        try:
            starting = asyncio.create_task(stack.start())
            await _play_until(starting, venue, ours)
            return await _compare(box, stack, venue, ours, Wave(venue, markets[1], "bare"), patterns, repeats, explain)
        finally:
            await stack.stop()
            await venue.stop()


async def _play_until(starting: asyncio.Task[None], venue: BenchVenue, wave: Wave) -> None:
    """The services become ready on a live market."""
    while not starting.done():
        if venue.connected("stream"):
            await wave.play("spread", 1)
        else:
            await asyncio.sleep(0.1)
    await starting


async def _compare(
    box: Sandbox,
    stack: Stack,
    venue: BenchVenue,
    ours: Wave,
    theirs: Wave,
    patterns: Sequence[str],
    repeats: int,
    explain: bool,
) -> list[Line]:
    nc = await nats.connect(stack.nats_url)
    bus = await NatsBus.connect(stack.nats_url, "bench")
    try:
        await bare.make_streams(nc.jetstream())
        env = {"BARE_NATS": stack.nats_url, "BARE_WS": venue.ws_url, "BARE_KEY": secrets.token_hex(32)}
        for role in reversed(bare.ROLES):
            await box.module(f"bare-{role}", "tests.bench.bare", role, env=env)
        await until(lambda: venue.connected("bare"), "the bare chain to connect")
        await asyncio.sleep(1.0)
        witnesses = Witness(), Witness()
        await witnesses[0].listen(nc, "order.>", "ORDERS")
        await witnesses[1].listen(nc, bare.PLANNED, bare.DURABLE)
        house, chain = House(bus, witnesses[0], ours), Bare(witnesses[1], theirs)
        for warming in (house, chain):
            await warming.wave.play("burst", 4)
        pairs: dict[str, list[tuple[list[float], list[float]]]] = {pattern: [] for pattern in patterns}
        for repeat in range(repeats):
            for pattern in patterns:
                if repeat % 2:
                    second = await _measure(chain, pattern)
                    pairs[pattern].append((await _measure(house, pattern), second))
                else:
                    first = await _measure(house, pattern)
                    pairs[pattern].append((first, await _measure(chain, pattern)))
        if explain:
            for pattern in patterns:
                _print_anatomy(pattern, await _anatomy(house, pattern))
        return [line for pattern in patterns for line in _lines(pattern, pairs[pattern])]
    finally:
        await bus.close()
        await nc.close()


def _lines(pattern: str, pairs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> list[Line]:
    spread = "spread over the second" if pattern == "spread" else "in one burst"
    counts = statistics.median(len(ours) for ours, _ in pairs)
    what = f"frame that closes a bar to durable order, {SYMBOLS} symbols {spread}, {counts:g} orders a repeat"
    return [
        compared(
            f"end_to_end_{pattern}_{name}",
            [(percentile(ours, share), percentile(theirs, share)) for ours, theirs in pairs],
            unit="ms",
            what=f"{name}: {what}",
            at_most=target,
        )
        for name, share, target in (("p50", 0.50, P50), ("p99", 0.99, P99))
    ]


async def _anatomy(house: House, pattern: str) -> dict[str, float]:
    since = time.time_ns()
    await house.wave.play(pattern, SECONDS)
    await asyncio.sleep(0.3)
    return await house.anatomy(since)


def _print_anatomy(pattern: str, parts: dict[str, float]) -> None:
    table = Table("stage", "median ms", title=f"where the time goes, {pattern}", title_justify="left")
    for name, value in parts.items():
        table.add_row(name, f"{value:.3f}")
    Console().print(table)
