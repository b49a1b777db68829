"""Finds the ticks and health reports that an order cites, whichever of the two arrives first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from libs.core.types import Event, FeedHealth, Order, Ticks

RECENT: Final = 10_000
"""Messages remembered: some ten seconds of a fast market."""


class Citations:
    """Remembers recent market messages, and citations whose message has not been seen yet."""

    def __init__(self) -> None:
        self._recent: OrderedDict[str, Event] = OrderedDict()
        self._waiting: OrderedDict[str, set[str]] = OrderedDict()

    def remember(self, event: Event) -> None:
        """Take note of a message that may be cited later; others are ignored."""
        if not isinstance(event, Ticks | FeedHealth):
            return
        self._recent[event.id] = event
        if len(self._recent) > RECENT:
            self._recent.popitem(last=False)

    def found(self, event: Event) -> Iterator[tuple[str, Event]]:
        """(intent id, cited message) for every citation that `event` completes."""
        if isinstance(event, Order):
            for cited in event.ticks:
                if cited in self._recent:
                    yield event.intent_id, self._recent[cited]
                else:
                    self._waiting.setdefault(cited, set()).add(event.intent_id)
                    if len(self._waiting) > RECENT:
                        self._waiting.popitem(last=False)
        elif self._waiting and event.id in self._waiting:
            for intent_id in sorted(self._waiting.pop(event.id)):
                yield intent_id, event
