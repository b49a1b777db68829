"""The seam between the internal model and Deriv's APIs: what both word alike; each API adds its differences."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Final, Generic, TypeVar

from libs.venues.budget import Priority
from libs.venues.deriv import answers
from libs.venues.deriv.answers import CodecError
from libs.venues.deriv.limits import Bucket, Limits, Quota
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
    Site,
    Turnover,
)

__all__ = ["STATEMENT_PAGE", "Bucket", "Codec", "CodecError", "Request", "codec_for"]

STATEMENT_PAGE: Final = 999
"""Most lines that one statement call returns."""

CLOSED_PAGE: Final = 500
"""Most lines that one profit_table call returns."""

URGENT: Final = frozenset({"sell", "ping", "authorize"})
"""Calls that reduce risk, or without which nothing can."""

ENTERING: Final = frozenset({"proposal", "buy"})

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request(Generic[T]):
    """A call: its body without req_id, how to read its answer (raises CodecError), and what it is counted under."""

    body: dict[str, object]
    read: Callable[[bytes], T]
    bucket: Bucket = Bucket.GENERAL

    @property
    def name(self) -> str:
        """The call's name."""
        return next(iter(self.body))

    @property
    def priority(self) -> Priority:
        """Its place in line when nothing else is said."""
        if self.name in URGENT:
            return Priority.EXIT
        return Priority.ENTRY if self.name in ENTERING else Priority.DATA


class Codec(ABC):
    """Speaks one API. Epochs are seconds; `start` and `end` are inclusive."""

    symbol_key: ClassVar[str]
    quotas: ClassVar[Mapping[Bucket, Quota]]
    buckets: ClassVar[Mapping[str, Bucket]]
    """By call; the rest is GENERAL."""

    burst: ClassVar[int] = 0
    """Most calls in a second; 0 = no such limit."""

    @abstractmethod
    def login(self, token: str) -> Request[Cash] | None:
        """How a connection logs in; None where its address has done so."""

    @abstractmethod
    def site(self) -> Request[Site] | None:
        """How the venue is asked for its own state; None where it does not tell."""

    def limits(self) -> Limits:
        """Fresh budgets for one user."""
        return Limits(self.quotas, self.burst)

    def head(self, frame: bytes) -> Head:
        """Route a frame; decodes the tick inside at once. Raises CodecError."""
        return answers.read_head(frame)

    def ping(self) -> Request[None]:
        return self._request({"ping": 1}, answers.read_nothing)

    def time(self) -> Request[int]:
        return self._request({"time": 1}, answers.read_time)

    def listings(self) -> Request[list[Listing]]:
        return self._request({"active_symbols": "brief"}, answers.read_listings)

    def offer(self, symbol: str) -> Request[Offer]:
        return self._request({"contracts_for": symbol}, answers.read_offer)

    def ticks(self, symbol: str) -> Request[None]:
        return self._request({"ticks": symbol, "subscribe": 1}, answers.read_nothing)

    def tick_page(self, symbol: str, start: int, end: int, count: int) -> Request[list[tuple[int, float]]]:
        body: dict[str, object] = {
            "ticks_history": symbol,
            "start": start,
            "end": str(end),
            "count": count,
            "style": "ticks",
        }
        return self._request(body, answers.read_tick_page)

    def candle_page(self, symbol: str, granularity: int, start: int, end: int, count: int) -> Request[list[Candle]]:
        body: dict[str, object] = {
            "ticks_history": symbol,
            "start": start,
            "end": str(end),
            "count": count,
            "style": "candles",
            "granularity": granularity,
        }
        return self._request(body, answers.read_candles)

    def proposal(self, ask: Ask) -> Request[Proposal]:
        body: dict[str, object] = {
            "proposal": 1,
            "contract_type": ask.contract_type,
            self.symbol_key: ask.symbol,
            "currency": ask.currency,
            "amount": ask.stake,
            "basis": "stake",
        }
        if ask.multiplier:
            body["multiplier"] = ask.multiplier
        if ask.duration:
            body["duration"] = ask.duration
            body["duration_unit"] = ask.duration_unit
        limits = {"stop_loss": ask.stop_loss, "take_profit": ask.take_profit}
        if given := {name: amount for name, amount in limits.items() if amount is not None}:
            body["limit_order"] = given
        return self._request(body, answers.read_proposal)

    def buy(self, proposal_id: str, price_cap: Decimal) -> Request[Receipt]:
        return self._request({"buy": proposal_id, "price": price_cap}, answers.read_buy)

    def sell(self, contract_id: int, price_floor: Decimal) -> Request[Sale]:
        return self._request({"sell": contract_id, "price": price_floor}, answers.read_sell)

    def contract(self, contract_id: int, *, follow: bool) -> Request[Contract | None]:
        body: dict[str, object] = {"proposal_open_contract": 1, "contract_id": contract_id}
        if follow:
            body["subscribe"] = 1
        return self._request(body, answers.read_contract)

    def holdings(self) -> Request[list[Holding]]:
        return self._request({"portfolio": 1}, answers.read_holdings)

    def closed(self, date_from: int) -> Request[list[Holding]]:
        """Contracts that ended, the newest first."""
        body: dict[str, object] = {
            "profit_table": 1,
            "description": 1,
            "date_from": str(date_from),
            "limit": CLOSED_PAGE,
        }
        return self._request(body, answers.read_closed)

    def bookings(self, date_from: int, offset: int) -> Request[list[Booking]]:
        body: dict[str, object] = {
            "statement": 1,
            "description": 1,
            "date_from": date_from,
            "limit": STATEMENT_PAGE,
            "offset": offset,
        }
        return self._request(body, answers.read_bookings)

    def transactions(self) -> Request[Turnover | None]:
        """The stream of what happens to the account; its first answer tells nothing (None)."""
        return self._request({"transaction": 1, "subscribe": 1}, answers.read_transaction)

    def balance(self) -> Request[Cash]:
        return self._request({"balance": 1}, answers.read_balance)

    def _request(self, body: dict[str, object], read: Callable[[bytes], T]) -> Request[T]:
        return Request(body, read, self.buckets.get(next(iter(body)), Bucket.GENERAL))


def codec_for(api: str) -> Codec:
    """The codec of `api`: v3 (also ""), or options.

    Raises:
        ValueError: an unknown API; one line.
    """
    from libs.venues.deriv.options import Options
    from libs.venues.deriv.v3 import V3

    if api in ("", "v3"):
        return V3()
    if api == "options":
        return Options()
    raise ValueError(f"deriv api {api!r} is unknown; set api: v3 or options")
