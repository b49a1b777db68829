"""Who hears the events of an account, and the silence that a fault lays over it after a partial fill."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from services.simulator.binance.exchange.api import Event, EventSink
from services.simulator.binance.feed import VENUE
from services.simulator.faults.base import Faults


class Outbox:
    """Hands events out in order. Under the "fills" fault an account hears no more once a partial fill was told."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._sinks: dict[int, list[EventSink]] = {}
        self._held: set[int] = set()

    def subscribe(self, account: int, sink: EventSink) -> Callable[[], None]:
        """Hand the account's events to `sink` from now on; returns what ends that, harmless when called twice."""
        sinks = self._sinks.setdefault(account, [])
        sinks.append(sink)

        def end() -> None:
            if sink in sinks:
                sinks.remove(sink)

        return end

    def listened(self, account: int) -> bool:
        """Whether anybody hears the account, or has to, for the sake of the fault."""
        return bool(self._sinks.get(account)) or self._faults.silent(VENUE, "fills")

    def silent(self, account: int) -> bool:
        """Whether nothing may be told to the account now."""
        if self._held and not self._faults.silent(VENUE, "fills"):
            self._held.clear()
        return account in self._held

    def send(self, events: Iterable[tuple[int, Event]]) -> None:
        """Hand out what one step has to tell."""
        for account, event in events:
            if self.silent(account):
                continue
            for sink in list(self._sinks.get(account, ())):
                sink(event)
            partial = event.get("X") == "PARTIALLY_FILLED" and event["x"] == "TRADE"
            if partial and self._faults.silent(VENUE, "fills"):
                self._held.add(account)
