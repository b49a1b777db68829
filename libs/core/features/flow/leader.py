"""The symbol that leads a venue: return and deviation of its bars, looked up by those that follow, a bar late."""

from __future__ import annotations

import math
from typing import Final

import msgspec

from libs.core.types import SECOND, Bar, Nanos

LAMBDA: Final = 0.94
SEED: Final = 30
"""Squared returns whose mean seeds the deviation."""
KEPT: Final = 8_192
"""Bars that history may look up; more than the longest warm-up."""
SAVED: Final = 16
"""Bars in a snapshot: live bars look back by one, and history comes with the leader's own."""


class _Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    interval_s: int
    count: int
    close: float
    newest: int
    variance: float
    known: list[tuple[int, float, float]]


class Leader:
    """Bars of one length of the leading symbol. Deviation: v <- 0.94 v + 0.06 r^2, seeded by the mean of 30."""

    def __init__(self, interval_s: int) -> None:
        self.interval_s = interval_s
        self._known: dict[int, tuple[float, float]] = {}
        self._newest = -1
        self._close = self._variance = 0.0
        self._count = 0

    def take(self, bar: Bar) -> None:
        """Take a bar; one that is not newer than the last changes nothing, after a hole everything begins anew."""
        number = bar.open_time // (self.interval_s * SECOND)
        if number <= self._newest or not 0.0 < bar.close < math.inf:
            return
        if number == self._newest + 1 and self._close > 0.0:
            move = math.log(bar.close / self._close)
            self._count += 1
            if self._count <= SEED:
                self._variance += (move * move - self._variance) / self._count
            else:
                self._variance += (1.0 - LAMBDA) * (move * move - self._variance)
            sigma = math.sqrt(self._variance) if self._count >= SEED else math.nan
            self._known[number] = (move, sigma)
            if len(self._known) > KEPT:
                del self._known[next(iter(self._known))]
        else:
            self._count = 0
            self._variance = 0.0
        self._newest, self._close = number, bar.close

    def before(self, open_time: Nanos) -> tuple[float, float]:
        """Log return and deviation of the bar before the one that opens then; NaN where they are not known."""
        return self._known.get(open_time // (self.interval_s * SECOND) - 1, (math.nan, math.nan))

    def snapshot(self) -> bytes:
        """What later bars need."""
        known = [(number, *values) for number, values in list(self._known.items())[-SAVED:]]
        return msgspec.msgpack.encode(
            _Snapshot(
                interval_s=self.interval_s,
                count=self._count,
                close=self._close,
                newest=self._newest,
                variance=self._variance,
                known=known,
            )
        )

    def restore(self, snapshot: bytes) -> None:
        """Take up a snapshot.

        Raises:
            ValueError: it is none, or of another length of bars; nothing has changed then.
        """
        try:
            taken = msgspec.msgpack.decode(snapshot, type=_Snapshot)
        except msgspec.DecodeError as err:
            raise ValueError(f"not a leader's snapshot: {err}") from err
        if taken.interval_s != self.interval_s:
            raise ValueError("leader of another length of bars")
        self._count, self._close, self._newest = taken.count, taken.close, taken.newest
        self._variance = taken.variance
        self._known = {number: (move, sigma) for number, move, sigma in taken.known}
