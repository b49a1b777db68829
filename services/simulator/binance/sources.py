"""Chooses what a simulated Binance plays: the seeded model, recordings or a bar file."""

from __future__ import annotations

from collections.abc import Callable

from services.simulator.binance.bars import BarFeed
from services.simulator.binance.feed import DataError, Feed
from services.simulator.binance.hub import Hub
from services.simulator.binance.live import LiveFeed
from services.simulator.binance.recording import is_recording
from services.simulator.binance.replay import ReplayFeed
from services.simulator.binance.taps import Taps
from services.simulator.clock import VenueClock
from services.simulator.record import Record
from services.simulator.settings import SimulatorOptions


def open_feed(
    options: SimulatorOptions,
    anchor_ms: int,
    clock: VenueClock,
    hub: Hub,
    record: Record,
    tell_time: Callable[[], None],
    taps: Taps,
) -> Feed:
    """Open `options.data`, or the model without one. Raises DataError when it cannot be played."""
    data = options.data
    if data is None:
        return LiveFeed(options.seed, anchor_ms, clock, hub, record, taps)
    if not data.exists():
        raise DataError(f"{data} does not exist; give a folder or file of recordings, or one FILE.parquet of bars")
    if data.suffix == ".parquet":
        return BarFeed(options, hub, record, tell_time, taps)
    if data.is_dir() or is_recording(data):
        return ReplayFeed(options, hub, record, tell_time, taps)
    raise DataError(f"{data}: unknown kind of data; expected *.jsonl, *.jsonl.gz, a folder of them, or FILE.parquet")
