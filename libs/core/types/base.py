"""What every message of the house has in common: identity, cause, two times, and one wire encoding."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import TypeVar

import msgspec

Nanos = int
"""Nanoseconds since 1970-01-01 UTC, as int64."""

SECOND: Nanos = 1_000_000_000
MILLISECOND: Nanos = 1_000_000


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """Base of every message on the bus. Nothing is edited after it is built.

    Attributes:
        id: deterministic identity; the same fact built twice has the same id.
        cause: ids of the messages that this one follows from.
        ts_event: when it happened at the venue (data clock), ns UTC.
        ts_init: when this value was made (machine clock), ns UTC; takes no part in parity.
    """

    id: str
    cause: tuple[str, ...] = ()
    ts_event: Nanos
    ts_init: Nanos = 0


class Side(StrEnum):
    """Direction of a signal, order, fill or position."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


def stable_id(*parts: object) -> str:
    """A deterministic 32-digit hex id of its parts; used wherever the architecture says `hash(...)`.

    Parts are joined by the unit separator after `str`, so pass values whose text is canonical (ints, enums, names).
    """
    text = "\x1f".join(str(part) for part in parts)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


E = TypeVar("E", bound=Event)


def restamped(event: E, ts_init: Nanos) -> E:
    """The same event with `ts_init` set (parity ignores it)."""
    return msgspec.structs.replace(event, ts_init=ts_init)
