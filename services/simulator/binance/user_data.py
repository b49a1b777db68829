"""The user data subscriptions of one connection of the WebSocket API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from services.simulator.binance.exchange.api import ApiError, Event
from services.simulator.binance.venue import Venue

MOST_IDS: Final = 65_535


class Subscriptions:
    """Which accounts' events this connection hears; one subscription per account, ids never used twice."""

    def __init__(self, venue: Venue, tell: Callable[[dict[str, Any]], None]) -> None:
        """`tell` sends one message."""
        self._venue = venue
        self._tell = tell
        self._active: dict[int, tuple[int, Callable[[], None]]] = {}
        self._keys: dict[int, str] = {}
        self._of_session: set[int] = set()
        self._next = 0

    def ids(self) -> list[int]:
        """The active subscriptions."""
        return list(self._active)

    def subscribe(self, account: int, key: str, *, session: bool) -> int:
        """Send the account's events from now on; returns the subscription's id. Raises ApiError -2035 or -2042.

        `key`: the API key that asks. `session`: it ends with the session, being no subscription signed for itself.
        """
        if any(subscriber == account for subscriber, _ in self._active.values()):
            raise ApiError(-2035, "User Data Stream subscription already active.")
        if self._next >= MOST_IDS:
            raise ApiError(-2042, "The subscription ids of this connection are used up; open another connection.")
        number = self._next
        self._next += 1

        def take(event: Event) -> None:
            self._tell({"subscriptionId": number, "event": event})

        self._active[number] = (account, self._venue.exchange.subscribe(account, take))
        self._keys[number] = key
        if session:
            self._of_session.add(number)
        return number

    def unsubscribe(self, number: int | None) -> None:
        """End one subscription, or all. Raises ApiError -2036 when it is not active."""
        if number is not None and number not in self._active:
            raise ApiError(-2036, "User Data Stream subscription not active.")
        for each in [number] if number is not None else self.ids():
            self._terminate(each)

    def end_session(self) -> None:
        """End what hung on the session, and say so."""
        for number in sorted(self._of_session & self._active.keys()):
            self._terminate(number)

    def end_key(self, key: str) -> None:
        """End what was asked for with a key that is no longer good, and say so."""
        for number in [number for number, asked in self._keys.items() if asked == key]:
            self._terminate(number)

    def end(self) -> None:
        """End all in silence: the connection is gone."""
        for _, stop in self._active.values():
            stop()
        self._active.clear()
        self._keys.clear()

    def _terminate(self, number: int) -> None:
        self._of_session.discard(number)
        del self._keys[number]
        _, stop = self._active.pop(number)
        stop()
        event = {"e": "eventStreamTerminated", "E": self._venue.now_ms()}
        self._tell({"subscriptionId": number, "event": event})
