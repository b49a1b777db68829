"""Everything beside bars that a set of features reads, of all symbols of a stage; and the same over recorded events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from libs.core.features.flow.leader import Leader
from libs.core.features.flow.outside import Outside
from libs.core.features.flow.tape import FlowTape
from libs.core.features.inputs import EXTRA
from libs.core.types import Bar, BookStats, Event, Instrument, Reading, Ticks, Warmup

Floats = NDArray[np.float64]
Symbol = tuple[str, str]

TAPED: Final = frozenset({"trades", "quotes", "book", "digits"})
"""Needs that a tape meets."""
EVERYTHING: Final = TAPED | {"leader", "outside"}
OUTSIDE: Final = 4
"""Outside series that a set may read, funding and basis beside them."""

_LEAD: Final = EXTRA.index("lead_return")
_OUTSIDE: Final = EXTRA.index("outside_0")
_FUNDING: Final = EXTRA.index("funding_rate")
_BASIS: Final = EXTRA.index("basis")


class FlowConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Where inputs come from that no symbol has by itself.

    Attributes:
        leader: venue to the symbol that leads it.
        outside: up to four series as "source/series", in the order of the features outside_0 to outside_3.
        funding, basis: "venue/symbol" to the series of its funding rate and its basis.
    """

    leader: dict[str, str] = {}
    outside: tuple[str, ...] = ()
    funding: dict[str, str] = {}
    basis: dict[str, str] = {}

    @property
    def series(self) -> frozenset[str]:
        """Every outside series that is read."""
        return frozenset((*self.outside, *self.funding.values(), *self.basis.values()))


class Flow:
    """Tapes, leaders and outside series; what none of the `needs` reads is not kept."""

    def __init__(
        self, symbols: Iterable[tuple[str, str, tuple[int, ...]]], config: FlowConfig, needs: frozenset[str]
    ) -> None:
        """`symbols`: venue, symbol and the lengths of its bars in seconds."""
        self._config = config
        listed = tuple(symbols)
        taped = listed if needs & TAPED else ()
        self.tapes: dict[Symbol, FlowTape] = {(venue, symbol): FlowTape(lengths) for venue, symbol, lengths in taped}
        self.leaders: dict[tuple[str, str, int], Leader] = {}
        if "leader" in needs:
            for venue, symbol, lengths in listed:
                if (leading := config.leader.get(venue, symbol)) != symbol:
                    for length in lengths:
                        self.leaders.setdefault((venue, leading, length), Leader(length))
        self.outside = Outside(config.series if "outside" in needs else frozenset())
        self._has_outside = "outside" in needs and bool(config.series)

    def take(self, event: Event) -> None:
        """Take what is no bar of one's own: prints, books, bars of a leader, outside series, decimals of a symbol."""
        if isinstance(event, Ticks | BookStats):
            if (tape := self.tapes.get((event.venue, event.symbol))) is not None:
                tape.take(event)
        elif isinstance(event, Bar):
            if (leader := self.leaders.get((event.venue, event.symbol, event.interval_s))) is not None:
                leader.take(event)
        elif isinstance(event, Reading):
            self.outside.take(event)
        elif isinstance(event, Instrument) and (tape := self.tapes.get((event.venue, event.symbol))) is not None:
            tape.decimals = event.decimals

    def warm(self, event: Warmup) -> None:
        """History of one symbol and length of bars: the leader learns from it, and tapes know from where to count."""
        for bar in event.bars:
            self.take(bar)
        tape = self.tapes.get((event.venue, event.symbol))
        if tape is not None and event.interval_s in tape.intervals_s and event.bars:
            tape.away(event.interval_s, event.bars[-1].ts_event)

    def fill(self, bar: Bar, out: Floats, *, live: bool = True) -> None:
        """Write the extra inputs of a bar; of a bar from history (`live` False) those that are known of it."""
        out.fill(np.nan)
        if live and (tape := self.tapes.get((bar.venue, bar.symbol))) is not None:
            tape.fill(bar, out)
        leading = self._config.leader.get(bar.venue, "")
        if leading != bar.symbol and (leader := self.leaders.get((bar.venue, leading, bar.interval_s))) is not None:
            out[_LEAD : _LEAD + 2] = leader.before(bar.open_time)
        if self._has_outside:
            self._fill_outside(bar, out)

    def again(self, bar: Bar) -> None:
        """A bar that was taken before is read again."""
        if (tape := self.tapes.get((bar.venue, bar.symbol))) is not None:
            tape.again(bar)

    def snapshot(self) -> dict[str, bytes]:
        """State by name."""
        tapes = {f"tape\x1f{venue}\x1f{symbol}": tape.snapshot() for (venue, symbol), tape in self.tapes.items()}
        leaders = {_leader_name(key): leader.snapshot() for key, leader in self.leaders.items()}
        return tapes | leaders | {"outside": self.outside.snapshot()}

    def restore(self, states: dict[str, bytes]) -> None:
        """Take up what is there and still wanted; the rest stays as it is.

        Raises:
            ValueError: something does not fit; part of it may have been taken up.
        """
        for (venue, symbol), tape in self.tapes.items():
            if (state := states.get(f"tape\x1f{venue}\x1f{symbol}")) is not None:
                tape.restore(state)
        for key, leader in self.leaders.items():
            if (state := states.get(_leader_name(key))) is not None:
                leader.restore(state)
        if (state := states.get("outside")) is not None:
            self.outside.restore(state)

    def _fill_outside(self, bar: Bar, out: Floats) -> None:
        config, end = self._config, bar.ts_event
        for place, name in enumerate(config.outside[:OUTSIDE]):
            out[_OUTSIDE + place] = self.outside.value(name, end)
        key = f"{bar.venue}/{bar.symbol}"
        for place, series in ((_FUNDING, config.funding), (_BASIS, config.basis)):
            if name := series.get(key, ""):
                out[place] = self.outside.value(name, end)


def rows(
    events: Iterable[Event], bars: Sequence[Bar], config: FlowConfig | None = None, needs: frozenset[str] = EVERYTHING
) -> Floats:
    """Extra inputs x bars of one symbol and length of bars, as a live engine would have been given them, bit for bit.

    events: what was recorded, in the order of the stream, the bars among it. A bar that does not come in it, one that
    came in a Warmup, and the second of a repeated one know no prints and no book.

    Raises:
        ValueError: `bars` are not of one symbol and length.
    """
    out = np.full((len(EXTRA), len(bars)), np.nan)
    if not bars:
        return out
    key = bars[0].venue, bars[0].symbol, bars[0].interval_s
    if any((bar.venue, bar.symbol, bar.interval_s) != key for bar in bars):
        raise ValueError("bars of several symbols or lengths; give one of each")
    at = {bar.open_time: place for place, bar in enumerate(bars)}
    flow = Flow([(key[0], key[1], (key[2],))], config or FlowConfig(), needs)
    row, last = np.empty(len(EXTRA)), -1
    for event in events:
        if isinstance(event, Warmup):
            flow.warm(event)
            if (event.venue, event.symbol, event.interval_s) == key:
                for bar in event.bars:
                    if bar.open_time > last and bar.open_time in at:
                        flow.fill(bar, row, live=False)
                        out[:, at[bar.open_time]] = row
                    last = max(last, bar.open_time)
            continue
        flow.take(event)
        if not isinstance(event, Bar) or (event.venue, event.symbol, event.interval_s) != key:
            continue
        if event.open_time <= last:
            flow.again(event)
            continue
        last = event.open_time
        flow.fill(event, row)
        if last in at:
            out[:, at[last]] = row
    return out


def _leader_name(key: tuple[str, str, int]) -> str:
    return "leader\x1f" + "\x1f".join(map(str, key))
