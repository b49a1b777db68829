"""The way out of one connection: frames that are held, swapped, spoilt, or never come."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from services.simulator.faults import spoil
from services.simulator.faults.armed import Armed
from services.simulator.faults.base import Cut, Send
from services.simulator.faults.plan import STALL_S, FaultKind

HELD_FRAMES: Final = 100_000
HELD_BYTES: Final = 64 << 20


class Judge(Protocol):
    """Who says what happens to a frame."""

    def cuts(self, venue: str, channel: str) -> bool:
        """Whether every connection is cut at present (maintenance)."""

    def frame(self, venue: str, channel: str, frame: bytes) -> Armed | None:
        """The rule that strikes this frame."""


class Line:
    """Called with each frame in place of `send`. What is held keeps its order; what is too much cuts the line."""

    def __init__(
        self, judge: Judge, venue: str, channel: str, send: Send, cut: Cut, *, now: Callable[[], float]
    ) -> None:
        self._judge = judge
        self._venue, self._channel = venue, channel
        self._send, self._cut = send, cut
        self._now = now
        self._held: deque[tuple[float, bytes]] = deque()
        self._held_bytes = 0
        self._swapped: bytes | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.is_cut = False

    def __call__(self, frame: bytes) -> None:
        if self.is_cut:
            return
        if self._judge.cuts(self._venue, self._channel):
            self.cut()
            return
        armed = self._judge.frame(self._venue, self._channel, frame)
        if armed is None:
            self._pass(frame)
        else:
            self._strike(frame, armed)

    def _strike(self, frame: bytes, armed: Armed) -> None:
        rule = armed.rule
        match rule.fault:
            case FaultKind.DROP:
                pass
            case FaultKind.DELAY:
                self._pass(frame, rule.delay_s)
            case FaultKind.STALL:
                self._pass(frame, rule.lasts_s or STALL_S)
            case FaultKind.DUPLICATE:
                self._pass(frame)
                self._pass(frame)
            case FaultKind.REORDER:
                self._swap(frame, rule.delay_s)
            case FaultKind.CORRUPT:
                self._pass(spoil.corrupted(frame, armed.rng))
            case FaultKind.TRUNCATE:
                self._pass(spoil.truncated(frame, armed.rng))
            case FaultKind.WRONG_TYPES:
                self._pass(spoil.wrong_types(frame, armed.rng))
            case FaultKind.OVERSIZE:
                self._pass(spoil.oversized(rule.size_bytes))
            case _:
                self.cut()

    def _swap(self, frame: bytes, patience_s: float) -> None:
        if self._swapped is not None:
            self._pass(frame)
            return
        self._swapped = frame
        asyncio.get_running_loop().call_later(patience_s, self._unswap, frame)

    def _unswap(self, frame: bytes) -> None:
        """Nothing followed."""
        if self._swapped is frame:
            self._swapped = None
            self._pass(frame)

    def _pass(self, frame: bytes, hold_s: float = 0.0) -> None:
        if self.is_cut:
            return
        swapped, self._swapped = self._swapped, None
        if hold_s or self._held:
            self._hold(frame, hold_s)
        else:
            self._send(frame)
        if swapped is not None:
            self._pass(swapped)

    def _hold(self, frame: bytes, hold_s: float) -> None:
        until = max(self._now() + hold_s, self._held[-1][0] if self._held else 0.0)
        self._held.append((until, frame))
        self._held_bytes += len(frame)
        if len(self._held) > HELD_FRAMES or self._held_bytes > HELD_BYTES:
            self.cut()
        elif self._timer is None:
            self._wake_later()

    def _wake_later(self) -> None:
        delay = max(0.0, self._held[0][0] - self._now())
        self._timer = asyncio.get_running_loop().call_later(delay, self._release)

    def _release(self) -> None:
        self._timer = None
        while self._held and self._held[0][0] <= self._now() and not self.is_cut:
            self._release_one()
        if self._held and not self.is_cut:
            self._wake_later()

    def _release_one(self) -> None:
        frame = self._held.popleft()[1]
        self._held_bytes -= len(frame)
        self._send(frame)

    def heal(self) -> None:
        """Send everything held at once."""
        if self._swapped is not None:
            self._unswap(self._swapped)
        while self._held and not self.is_cut:
            self._release_one()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def cut(self) -> None:
        """Drop the connection and everything held."""
        self.is_cut = True
        self._held.clear()
        self._held_bytes = 0
        self._swapped = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._cut()
