"""What this process knows of an account's contracts: which order bought which, which exit sells it. Bounded."""

from __future__ import annotations

from collections import deque
from typing import Final, TypeVar

from libs.venues.deriv.model import Turnover

CONTRACTS: Final = 10_000
PURCHASES: Final = 1_000

K = TypeVar("K")
V = TypeVar("V")


class Recent(dict[K, V]):
    """A dictionary that forgets what was put in first beyond `most` entries."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        while len(self) > self._most:
            del self[next(iter(self))]


class Memory:
    """By contract id: `entries` the intent that bought it ("" = ours, intent not known), `exits` the one that sells it.

    `sent` is the venue's second at which an intent's price was asked for; `purchases` come from the account's stream.
    """

    def __init__(self) -> None:
        self.entries: Recent[int, str] = Recent(CONTRACTS)
        self.exits: Recent[int, str] = Recent(CONTRACTS)
        self.sent: Recent[str, int] = Recent(CONTRACTS)
        self.purchases: deque[Turnover] = deque(maxlen=PURCHASES)

    def taken(self, intent_id: str) -> set[int]:
        """Contracts that belong to other orders than `intent_id`."""
        return {contract for contract, intent in self.entries.items() if intent != intent_id}
