"""Outside series: the newest value as of its publication, never by the period that it is about."""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from typing import Final

import msgspec

from libs.core.types import Nanos, Reading

KEPT: Final = 64
"""Publications remembered of each series: what came since the oldest bar that may still be asked for."""


class Outside:
    """Readings of the series that are wanted, by "source/series"."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self._published: dict[str, list[tuple[Nanos, Nanos, float]]] = {name: [] for name in sorted(wanted)}

    def take(self, reading: Reading) -> None:
        """Take a reading; of a series that nobody wants it changes nothing."""
        known = self._published.get(f"{reading.source}/{reading.series}")
        if known is None or not math.isfinite(reading.value):
            return
        told = (reading.ts_event, reading.period, reading.value)
        if told in known:
            return
        insort(known, told)
        if len(known) > KEPT:
            del known[0]

    def value(self, name: str, at: Nanos) -> float:
        """What the series was known to be at `at`: the newest period published by then, as last revised; else NaN."""
        known = self._published.get(name, [])
        published = known[: bisect_right(known, (at, math.inf, math.inf))]
        return max(published, key=lambda told: (told[1], told[0]))[2] if published else math.nan

    def snapshot(self) -> bytes:
        """Every publication that is remembered."""
        return msgspec.msgpack.encode(self._published)

    def restore(self, snapshot: bytes) -> None:
        """Take up a snapshot; series that are not wanted any more are left out.

        Raises:
            ValueError: it is none.
        """
        try:
            taken = msgspec.msgpack.decode(snapshot, type=dict[str, list[tuple[int, int, float]]])
        except msgspec.DecodeError as err:
            raise ValueError(f"not a snapshot of outside series: {err}") from err
        for name in self._published:
            self._published[name] = taken.get(name, [])
