"""Which subjects a set of features has to be fed from; what it does not need is not read."""

from __future__ import annotations

from libs.core.features.flow import TAPED
from libs.core.stages.features import FeaturesConfig
from libs.core.types import interval_token, token


class Inputs:
    """Subjects of bars and of what the set needs beside them.

    Attributes:
        subjects: to subscribe to, in one subscription: the stream's order says what belongs to which bar.
        standing: whose newest message still holds when the service starts: decimals of prices, outside series.
    """

    def __init__(self, config: FeaturesConfig, needs: frozenset[str]) -> None:
        bars: list[str] = []
        beside: list[str] = []
        standing: list[str] = []
        for entry in config.symbols:
            symbol = f"{token(entry.venue)}.{token(entry.symbol)}"
            bars += [_bars(entry.venue, entry.symbol, interval) for interval in entry.intervals_s]
            leader = config.flow.leader.get(entry.venue)
            if "leader" in needs and leader:
                bars += [_bars(entry.venue, leader, interval) for interval in entry.intervals_s]
            if needs & (TAPED - {"book"}):
                beside.append(f"md.tick.{symbol}")
            if needs & {"book", "quotes"}:
                beside.append(f"md.book.{symbol}")
            if "digits" in needs:
                standing.append(f"md.instrument.{symbol}")
        if "outside" in needs:
            for name in sorted(config.flow.series):
                source, _, series = name.partition("/")
                standing.append(f"md.series.{token(source)}.{token(series)}")
        self.standing = tuple(standing)
        self.subjects = tuple(dict.fromkeys((*bars, *beside, *standing)))


def _bars(venue: str, symbol: str, interval_s: int) -> str:
    return f"md.bar.{interval_token(interval_s)}.{token(venue)}.{token(symbol)}"
