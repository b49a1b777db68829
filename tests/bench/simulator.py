"""What a market message costs the simulated Binance: a recording played as fast as one client can read it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Final

import psutil
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from tests.bench.harness import REPEATS, Line, absolute
from tests.bench.sandbox import Sandbox, until

MESSAGES: Final = 60_000
WARM: Final = 5_000
TARGET_US: Final = 200.0
"""5,000 messages a second on one core."""

STREAM: Final = "btcusdt@trade"
BEGAN_MS: Final = 1_700_000_000_000


def write_recording(path: Path) -> None:
    """Trades of one symbol, 100 a second, the size real ones have."""
    with path.open("w", encoding="utf-8") as out:
        for number in range(MESSAGES + 2 * WARM):
            at = BEGAN_MS + 10 * number
            trade = {"e": "trade", "E": at + 1, "s": "BTCUSDT", "t": 3_000_000_000 + number, "T": at, "M": True}
            trade |= {"p": f"{95_000 + number % 700 / 100:.8f}", "q": f"0.{number % 90_000 + 1_000:08d}", "m": True}
            line = json.dumps({"stream": STREAM, "data": trade}, separators=(",", ":"))
            out.write(f"{(at + 2) * 1_000_000} {line}\n")


class Reader(WSListener):  # type: ignore[misc]
    """Counts what arrives."""

    def __init__(self) -> None:
        self.count = 0

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.TEXT:
            self.count += 1


async def cpu_per_message() -> float:
    """Microseconds of the simulator's processor time for one message, all of its threads."""
    async with Sandbox("simulator") as box:
        recording = box.folder / "trades.jsonl"
        await asyncio.to_thread(write_recording, recording)
        state = box.folder / "state"
        env = {"CV_SIM_STATE_DIR": str(state), "CV_SIM_DATA": str(recording), "CV_SIM_SPEED": "100000"}
        child = await box.module("simulator", "services.simulator", env=env)
        facts = state / "simulator.json"
        await until(facts.exists, f"the simulator; {child.last_words()}")
        told = json.loads(facts.read_bytes())
        reader = Reader()
        transport, _ = await ws_connect(lambda: reader, f"{told['binance_ws_url']}/ws/{STREAM}")
        process = psutil.Process(told["pid"])
        await until(lambda: reader.count >= WARM, "the first messages", every_s=0.002)
        counted, spent = reader.count, _cpu(process)
        await until(lambda: reader.count >= WARM + MESSAGES, "the last messages", every_s=0.01)
        cost = (_cpu(process) - spent) / (reader.count - counted)
        transport.disconnect()
        return cost * 1e6


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def run(repeats: int = REPEATS) -> list[Line]:
    """The one line."""
    values = [await cpu_per_message() for _ in range(repeats)]
    what = "simulator CPU per market message to one client, a recording of trades played as fast as it can be read"
    return [absolute("simulator_message", values, unit="us", what=what, at_most=TARGET_US)]
