"""The seam at which both venues let faults in: every frame out, every call in, the clock and the market."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

import msgspec

Send = Callable[[bytes], None]
Cut = Callable[[], None]


class CallFaultKind(StrEnum):
    """What may happen to a call that a client makes."""

    TIMEOUT = "timeout"  # executed, and no answer is ever sent
    LATE = "late"  # executed at once, answered after `delay_s`
    CLOSE = "close"  # executed, then the connection is cut in the middle of the answer
    LOST = "lost"  # not executed, and no answer is ever sent
    REJECT = "reject"  # not executed, refused with `code` or the venue's commonest refusal of that call
    RATE_LIMIT = "rate_limit"  # not executed, refused as above the venue's limit
    EXPIRED = "expired"  # not executed: the token or key is no longer good; the session has to log in again
    MAINTENANCE = "maintenance"  # not executed: the venue is down for maintenance
    INTERNAL = "internal"  # executed, answered with the venue's "unknown error" (HTTP 5xx, InternalServerError)


class CallFault(msgspec.Struct, frozen=True):
    """A fault drawn for one call. `delay_s` for LATE; `code` is the venue's own, "" = a usual one."""

    kind: CallFaultKind
    delay_s: float = 0.0
    code: str = ""

    @property
    def executes(self) -> bool:
        """Whether the venue carries the call out all the same."""
        return self.kind in (CallFaultKind.TIMEOUT, CallFaultKind.LATE, CallFaultKind.CLOSE, CallFaultKind.INTERNAL)


class Faults(Protocol):
    """Asked by the venues; without faults every answer is the dullest one."""

    def line(self, venue: str, channel: str, send: Send, cut: Cut) -> Send:
        """Wrap the way out of one connection, where frames may be dropped, delayed, doubled, swapped or spoilt.

        channel: "trade" (calls and private streams), "data" (market data). `cut` drops the connection at once.
        """

    def call(self, venue: str, name: str) -> CallFault | None:
        """Draw what happens to one call: the venue's own name of it (buy, order.place, POST /api/v3/order)."""

    def clock_offset_ns(self, venue: str) -> int:
        """How far the venue's clock has jumped."""

    def silent(self, venue: str, what: str) -> bool:
        """Whether the venue keeps quiet about `what` now: "fills" (after a partial one), "book", or one stream name."""

    def skips(self, venue: str, stream: str) -> bool:
        """Draw whether one event of a numbered stream is lost inside the venue: a hole in the sequence."""


class NoFaults:
    """All is well."""

    def line(self, venue: str, channel: str, send: Send, cut: Cut) -> Send:
        return send

    def call(self, venue: str, name: str) -> CallFault | None:
        return None

    def clock_offset_ns(self, venue: str) -> int:
        return 0

    def silent(self, venue: str, what: str) -> bool:
        return False

    def skips(self, venue: str, stream: str) -> bool:
        return False
