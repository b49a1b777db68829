"""What the tests of the simulated Binance venue share: a hub that keeps what was published, a clock set by hand."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.simulator.binance.decimals import parse8
from services.simulator.binance.hub import Hub

if str(Path(__file__).parent) not in sys.path:
    sys.path.append(str(Path(__file__).parent))  # exchange_world, the small world of the matching engine


class KeepingHub(Hub):
    """A hub in which somebody listens to the given streams (all when none are given) and remembers everything."""

    def __init__(self, streams: Iterable[str] = ()) -> None:
        super().__init__(lambda _: None)
        self._only = frozenset(streams)
        self.published: list[tuple[str, dict[str, Any]]] = []
        self.watchers: list[Callable[[str, dict[str, Any]], None]] = []

    def wanted(self, stream: str) -> bool:
        return not self._only or stream in self._only

    def publish(self, stream: str, payload: bytes) -> None:
        if not self.wanted(stream):
            return
        message = msgspec.json.decode(payload)
        self.published.append((stream, message))
        for watcher in self.watchers:
            watcher(stream, message)

    def of(self, stream: str) -> list[dict[str, Any]]:
        return [message for name, message in self.published if name == stream]


class BookClient:
    """Keeps a local book by the documented procedure; `lost` when an event does not follow the one before."""

    def __init__(self) -> None:
        self.buffer: list[dict[str, Any]] = []
        self.last_id: int | None = None
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.lost = False

    def start(self, last_id: int, bids: dict[int, int], asks: dict[int, int]) -> bool:
        """Take a snapshot; False when it is older than the first buffered event and must be fetched again."""
        if self.buffer and last_id < self.buffer[0]["U"]:
            return False
        self.last_id, self.bids, self.asks = last_id, dict(bids), dict(asks)
        buffered, self.buffer = self.buffer, []
        for event in buffered:
            self.take(event)
        return True

    def take(self, event: dict[str, Any]) -> None:
        if self.last_id is None:
            self.buffer.append(event)
            return
        if event["u"] <= self.last_id:
            return
        if event["U"] > self.last_id + 1:
            self.lost = True
        for side, levels in ((self.bids, event["b"]), (self.asks, event["a"])):
            for price, qty in levels:
                if parse8(qty):
                    side[parse8(price)] = parse8(qty)
                else:
                    side.pop(parse8(price), None)
        self.last_id = event["u"]


class HandClock:
    """A venue clock that stands where it was put."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms

    def now_ns(self) -> int:
        return self.now_ms * 1_000_000


@pytest.fixture(scope="session")
def keeping_hub() -> type[KeepingHub]:
    return KeepingHub


@pytest.fixture(scope="session")
def book_client() -> type[BookClient]:
    return BookClient


@pytest.fixture(scope="session")
def hand_clock() -> type[HandClock]:
    return HandClock
