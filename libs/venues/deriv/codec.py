"""The seam between the internal model and Deriv's APIs: one codec per API, chosen by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from libs.venues.deriv.model import (
    Ask,
    Booking,
    Candle,
    Cash,
    Contract,
    Head,
    Holding,
    Listing,
    Offer,
    Proposal,
    Receipt,
    Sale,
)

T = TypeVar("T")


class CodecError(ValueError):
    """A frame that does not say what the API promises; the text says which field."""


class Bucket(StrEnum):
    """The rate limit a call is counted under."""

    GENERAL = "general"
    PRICING = "pricing"
    OUTCOME = "outcome"


@dataclass(frozen=True, slots=True)
class Request(Generic[T]):
    """A call: its body without req_id, and how to read its answer (raises CodecError)."""

    body: dict[str, object]
    read: Callable[[bytes], T]
    bucket: Bucket = Bucket.GENERAL


class Codec(Protocol):
    """Speaks one API. Epochs are seconds; `start` and `end` are inclusive."""

    def head(self, frame: bytes) -> Head:
        """Route a frame; decodes the tick inside at once. Raises CodecError."""

    def ping(self) -> Request[None]: ...
    def time(self) -> Request[int]: ...
    def authorize(self, token: str) -> Request[Cash]: ...
    def listings(self) -> Request[list[Listing]]: ...
    def offer(self, symbol: str) -> Request[Offer]: ...
    def ticks(self, symbol: str) -> Request[None]: ...
    def tick_page(self, symbol: str, start: int, end: int, count: int) -> Request[list[tuple[int, float]]]: ...
    def candle_page(self, symbol: str, granularity: int, start: int, end: int, count: int) -> Request[list[Candle]]: ...
    def proposal(self, ask: Ask) -> Request[Proposal]: ...
    def buy(self, proposal_id: str, price_cap: Decimal) -> Request[Receipt]: ...
    def sell(self, contract_id: int, price_floor: Decimal) -> Request[Sale]: ...
    def contract(self, contract_id: int, *, follow: bool) -> Request[Contract | None]: ...
    def holdings(self) -> Request[list[Holding]]: ...
    def bookings(self, date_from: int, offset: int) -> Request[list[Booking]]: ...
    def balance(self) -> Request[Cash]: ...


def codec_for(api: str) -> Codec:
    """The codec of `api`.

    Raises:
        ValueError: an API that is not (yet) spoken; one line.
    """
    from libs.venues.deriv.v3 import V3

    if api in ("", "v3"):
        return V3()
    if api == "options":
        raise ValueError("deriv api 'options' is not supported yet; set api: v3")
    raise ValueError(f"deriv api {api!r} is unknown; set api: v3")
