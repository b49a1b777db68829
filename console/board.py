"""What a person watching wants to know, gathered from the bus: feeds, bars, votes, positions, equity, orders."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from console.money import Endpoints
from libs.common.bus import Received
from libs.core.types import (
    AccountState,
    Bar,
    FeedHealth,
    FeedState,
    Fill,
    Forecast,
    Instrument,
    ModelNote,
    Order,
    Position,
    Signal,
    Ticks,
    Training,
    VenueClock,
    Verdict,
)

FILTERS = (
    "md.>",
    "forecast.>",
    "model.>",
    "signal.>",
    "risk.verdict.>",
    "order.>",
    "fill.>",
    "position.>",
    "account.>",
)
SPARK_BARS = 40
RECENT = 12
NOTES = 4


@dataclass
class SymbolRow:
    """One symbol as shown."""

    venue: str
    symbol: str
    planted: bool = False
    interval_s: int = 0
    price: float = float("nan")
    ticks: int = 0
    closes: deque[float] = field(default_factory=lambda: deque(maxlen=SPARK_BARS))
    health: FeedHealth | None = None
    votes: dict[str, Forecast] = field(default_factory=dict)


class Board:
    """Newest state of everything; `take` is called with each message."""

    def __init__(self, endpoints: Endpoints) -> None:
        self.endpoints = endpoints
        self.symbols: dict[tuple[str, str], SymbolRow] = {}
        self.positions: dict[str, Position] = {}
        self.accounts: dict[str, AccountState] = {}
        self.orders: deque[Order] = deque(maxlen=RECENT)
        self.clocks: dict[str, VenueClock] = {}
        self.counts: Counter[str] = Counter()
        self.verdicts: Counter[str] = Counter()
        self.first_fill_at: float | None = None
        self.training: Training | None = None
        self.notes: deque[ModelNote] = deque(maxlen=NOTES)

    async def take(self, received: Received) -> None:
        """Note one message."""
        self.note(received.event)

    def note(self, event: Any) -> None:
        """Note one event."""
        self.counts[type(event).__name__] += 1
        match event:
            case Ticks():
                row = self._row(event.venue, event.symbol)
                row.ticks += len(event.items)
            case Bar():
                self._bar(event)
            case FeedHealth():
                self._row(event.venue, event.symbol).health = event
            case Instrument():
                self._row(event.venue, event.symbol).planted = event.planted
            case VenueClock():
                self.clocks[event.venue] = event
            case Forecast():
                self._forecast(event)
            case Training():
                self.training = event
            case ModelNote():
                self.notes.append(event)
            case Signal():
                pass
            case Verdict():
                for reason in event.reasons or ("approved",):
                    self.verdicts[reason] += 1
            case Order():
                self._order(event)
            case Fill():
                self.first_fill_at = self.first_fill_at or time.monotonic()
            case Position():
                if event.is_open:
                    self.positions[event.position_id] = event
                else:
                    self.positions.pop(event.position_id, None)
            case AccountState():
                self.accounts[event.account] = event

    def _row(self, venue: str, symbol: str) -> SymbolRow:
        return self.symbols.setdefault((venue, symbol), SymbolRow(venue, symbol))

    def _bar(self, bar: Bar) -> None:
        row = self._row(bar.venue, bar.symbol)
        if row.interval_s == 0 or (not row.votes and bar.interval_s < row.interval_s):
            row.interval_s = bar.interval_s
        if bar.interval_s == row.interval_s:
            row.price = bar.close
            row.closes.append(bar.close)

    def _forecast(self, forecast: Forecast) -> None:
        """The row shows the shortest bars that agents vote on; challengers have no vote."""
        if forecast.shadow:
            return
        row = self._row(forecast.venue, forecast.symbol)
        if not row.votes or forecast.interval_s < row.interval_s:
            if forecast.interval_s != row.interval_s:
                row.closes.clear()
                row.votes.clear()
            row.interval_s = forecast.interval_s
        if forecast.interval_s == row.interval_s:
            row.votes[forecast.agent] = forecast

    def _order(self, order: Order) -> None:
        for index, known in enumerate(self.orders):
            if known.intent_id == order.intent_id:
                self.orders[index] = order
                return
        self.orders.append(order)

    @property
    def ended(self) -> bool:
        """Every venue says that its recording has ended."""
        return bool(self.clocks) and all(clock.state is FeedState.ENDED for clock in self.clocks.values())

    def is_planted(self, venue: str, symbol: str) -> bool:
        """Whether the symbol is the simulator's planted one."""
        row = self.symbols.get((venue, symbol))
        return bool(row and row.planted)
