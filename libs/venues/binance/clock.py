"""Binance's data clock: extrapolated from the time call when live, moved only by stamps in a replay."""

from __future__ import annotations

import msgspec

from libs.core.types import MILLISECOND, FeedState, Nanos
from libs.venues import checked
from libs.venues.base import FeedSink
from libs.venues.binance import codec
from libs.venues.clock import OffsetEstimate


class StampClock:
    """Newest stamp seen and, where time runs on between messages, the offset to the machine clock."""

    def __init__(self, sink: FeedSink, *, follows_stamps_only: bool) -> None:
        self._sink = sink
        self._estimate = OffsetEstimate(MILLISECOND)
        self._extrapolates = not follows_stamps_only
        self._newest: Nanos = 0

    def saw(self, ms: int) -> None:
        """An event's stamp arrived."""
        stamp = ms * MILLISECOND
        if self._newest < stamp < checked.LATEST_MS * MILLISECOND:
            self._newest = stamp

    def now(self, recv_ns: Nanos) -> Nanos:
        """Venue time at `recv_ns` for a message without a stamp; 0 while unknown."""
        if self._extrapolates and self._estimate.known:
            return max(self._newest, recv_ns + self._estimate.offset)
        return self._newest

    def answered(self, sent: Nanos, received: Nanos, venue: Nanos) -> None:
        """An answer of the time call: estimate and tell."""
        self._estimate.answered(sent, received, venue)
        self._sink.clock(received + self._estimate.offset, received, extrapolate=True, speed=1.0, state=FeedState.OPEN)

    def on_sim_clock(self, data: msgspec.Raw, recv_ns: Nanos) -> None:
        """The simulator's in-band clock."""
        message = codec.sim_clock.decode(data)
        checked.check_time(message.E)
        self._extrapolates = message.extrapolate
        self.saw(message.E)
        stamp = message.E * MILLISECOND
        if message.extrapolate:
            self._estimate.answered(recv_ns, recv_ns, stamp)
        self._sink.clock(stamp, recv_ns, extrapolate=message.extrapolate, speed=message.speed, state=message.state)
