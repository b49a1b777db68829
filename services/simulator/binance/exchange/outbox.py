"""Who hears the events of an account, and the silence that a fault lays over an order after a partial fill."""

from __future__ import annotations

from collections.abc import Callable

from services.simulator.binance.exchange.api import Event, EventSink
from services.simulator.binance.exchange.step import Step
from services.simulator.binance.feed import VENUE
from services.simulator.faults.base import Faults


class Outbox:
    """Hands events out in order.

    Under the "fills" fault an order that was just filled in part is not spoken of any more, nor the money that it
    moves, until the fault is over. The fault is asked once for each step in which such an order takes part.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._sinks: dict[int, list[EventSink]] = {}
        self._quiet: set[tuple[str, int]] = set()
        self._unsaid: set[int] = set()

    def subscribe(self, account: int, sink: EventSink) -> Callable[[], None]:
        """Hand the account's events to `sink` from now on; returns what ends that, harmless when called twice."""
        sinks = self._sinks.setdefault(account, [])
        sinks.append(sink)

        def end() -> None:
            if sink in sinks:
                sinks.remove(sink)

        return end

    def listened(self, account: int) -> bool:
        """Whether anybody hears the account."""
        return bool(self._sinks.get(account))

    def called(self, account: int) -> None:
        """A call of the account begins."""
        self._unsaid.discard(account)

    def silent(self, account: int) -> bool:
        """Whether the account's last call did something that may not be told."""
        return account in self._unsaid

    def send(self, step: Step, caller: int) -> None:
        """Hand out what one step has to tell; `caller` is the account whose call it was, 0 for the market's doing."""
        if step.partial or (self._quiet and not self._quiet.isdisjoint(step.orders)):
            self._send_guarded(step, caller)
            return
        for account, event in step.events:
            self._hand(account, event)

    def _send_guarded(self, step: Step, caller: int) -> None:
        """Ask the fault whether what concerns orders that were filled in part may be told."""
        if not self._faults.silent(VENUE, "fills"):
            self._quiet.difference_update(step.orders)
            for account, event in step.events:
                self._hand(account, event)
            return
        hushed = {order.account for key, order in step.orders.items() if key in self._quiet or key in step.partial}
        for account, event in step.events:
            key = (event.get("s", ""), event.get("i", 0))
            if key not in self._quiet and not (account in hushed and event["e"] == "outboundAccountPosition"):
                self._hand(account, event)
                if event.get("x") == "TRADE" and key in step.partial:
                    self._quiet.add(key)
        self._quiet |= step.partial
        if caller in hushed:
            self._unsaid.add(caller)

    def _hand(self, account: int, event: Event) -> None:
        for sink in list(self._sinks.get(account, ())):
            sink(event)
