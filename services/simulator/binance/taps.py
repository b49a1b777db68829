"""What the market tells besides its streams: every print, every new book, and time as it passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from services.simulator.binance.candles import Print


class Tap(Protocol):
    """Hears the market of one venue."""

    def on_trade(self, symbol: str, trade: Print) -> None:
        """A print."""

    def on_book(self, symbol: str) -> None:
        """The book has changed; the feed shows it."""


class Taps:
    """Passes on to every tap what the feeds tell."""

    def __init__(self) -> None:
        self._taps: list[Tap] = []
        self.clocks: list[Callable[[str, int], None]] = []
        """Told of each symbol's time, ms UTC of the venue's clock."""

    def add(self, tap: Tap) -> None:
        """Let one more hear the market."""
        self._taps.append(tap)

    def on_trade(self, symbol: str, trade: Print) -> None:
        """Pass on a print."""
        for tap in self._taps:
            tap.on_trade(symbol, trade)

    def on_book(self, symbol: str) -> None:
        """Pass on that the book has changed."""
        for tap in self._taps:
            tap.on_book(symbol)

    def on_time(self, symbol: str, now_ms: int) -> None:
        """Pass on that the clock of this symbol's market has come to `now_ms`."""
        for tell in self.clocks:
            tell(symbol, now_ms)
