"""One encoding for all: msgpack on the wire, JSON for people."""

from __future__ import annotations

from typing import Any

import msgspec

from libs.core.types.base import Event
from libs.core.types.control import Applied, Control, DeadLetter, Durable, Restored, Started, TimePassed
from libs.core.types.decision import Permit, Signal, Verdict
from libs.core.types.forecast import Features, Forecast, ModelNote, ModelSwap, Scored, Training
from libs.core.types.market import (
    Bar,
    BookStats,
    FeedHealth,
    Headline,
    HistoryRequest,
    Instrument,
    Reading,
    TickBar,
    Ticks,
    VenueClock,
    Warmup,
)
from libs.core.types.order import AccountState, Fill, Order, Position, Reconciliation, VenueReport

AnyEvent = (
    Ticks
    | BookStats
    | Bar
    | TickBar
    | FeedHealth
    | VenueClock
    | Instrument
    | Headline
    | Reading
    | Warmup
    | HistoryRequest
    | Features
    | Forecast
    | ModelSwap
    | ModelNote
    | Training
    | Scored
    | Signal
    | Verdict
    | Permit
    | Order
    | Fill
    | Position
    | AccountState
    | Reconciliation
    | Control
    | TimePassed
    | Durable
    | VenueReport
    | Started
    | Restored
    | Applied
    | DeadLetter
)

_encoder = msgspec.msgpack.Encoder(decimal_format="string")
_decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(AnyEvent)
_json = msgspec.json.Encoder(decimal_format="string")


class WireError(ValueError):
    """A payload that is no message of ours: unknown type, missing or ill-typed field, or not msgpack."""


def encode(event: Event) -> bytes:
    """msgpack bytes of a message."""
    return _encoder.encode(event)


def decode(payload: bytes) -> Any:
    """The message in `payload`; unknown fields are ignored.

    Raises:
        WireError: the payload is not one of the house's messages; the text says which field.
    """
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as err:
        raise WireError(str(err)) from err


def to_json(event: Event) -> bytes:
    """JSON bytes of a message, for people and tools."""
    return _json.encode(event)
