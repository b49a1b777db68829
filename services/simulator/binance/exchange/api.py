"""The seam between the wire (REST, WebSocket API) and the engine: typed requests in, the venue's own answers out.

The wire knows names, mandatory and illegal parameters, signatures, weights; the engine knows markets and money. Answers
are plain dicts in the venue's key order, with prices and quantities as its eight-decimal strings and times in ms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from services.simulator.binance.candles import Print

Answer = dict[str, Any]
Event = dict[str, Any]
EventSink = Callable[[Event], None]


class ApiError(Exception):
    """A refusal in the venue's words: its code, text and HTTP status; `data` for cancelReplace."""

    def __init__(
        self,
        code: int,
        text: str,
        status: int = 400,
        headers: Mapping[str, str] | None = None,
        data: Answer | None = None,
    ) -> None:
        super().__init__(text)
        self.code = code
        self.status = status
        self.headers = dict(headers or {})
        self.data = data


class NewOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of one order under the venue's names in snake case; None = not sent."""

    symbol: str
    side: str
    type: str
    time_in_force: str | None = None
    quantity: Decimal | None = None
    quote_order_qty: Decimal | None = None
    price: Decimal | None = None
    new_client_order_id: str | None = None
    strategy_id: int | None = None
    strategy_type: int | None = None
    stop_price: Decimal | None = None
    trailing_delta: int | None = None
    iceberg_qty: Decimal | None = None
    new_order_resp_type: str | None = None
    self_trade_prevention_mode: str | None = None
    peg_price_type: str | None = None
    peg_offset_type: str | None = None
    peg_offset_value: int | None = None


class OrderKey(msgspec.Struct, frozen=True, kw_only=True):
    """Names one order: by id, by client id, or by both (the id first, then the client id must match)."""

    symbol: str
    order_id: int | None = None
    orig_client_order_id: str | None = None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows of a list; times in ms."""

    from_id: int | None = None
    start: int | None = None
    end: int | None = None
    limit: int = 500


class NewList(msgspec.Struct, frozen=True, kw_only=True):
    """An order list and its legs as orders; what the list says for all legs stands here.

    kind and the names of its legs: oco (above, below), oto and opo (working, pending), otoco and opoco (working,
    pending_above, pending_below). An OCO's side and quantity are repeated in both legs; opo legs have no quantity.
    """

    kind: str
    symbol: str
    list_client_order_id: str | None = None
    new_order_resp_type: str | None = None
    self_trade_prevention_mode: str | None = None
    legs: dict[str, NewOrder]


class Exchange(Protocol):
    """The engine. Every call may raise ApiError; `account` is the uid that a key belongs to."""

    def subscribe(self, account: int, sink: EventSink) -> Callable[[], None]:
        """Send the account's user data events to `sink` from now on; returns what ends that."""

    def place(self, account: int, order: NewOrder) -> Answer: ...
    def test(self, account: int, order: NewOrder, *, compute_commission: bool) -> Answer: ...
    def cancel(
        self, account: int, key: OrderKey, *, new_client_order_id: str | None, restrictions: str | None
    ) -> Answer: ...
    def cancel_all(self, account: int, symbol: str) -> list[Answer]: ...
    def cancel_replace(
        self,
        account: int,
        mode: str,
        key: OrderKey,
        order: NewOrder,
        *,
        cancel_new_client_order_id: str | None,
        restrictions: str | None,
        rate_limit_mode: str | None,
    ) -> Answer: ...
    def amend(self, account: int, key: OrderKey, new_qty: Decimal, new_client_order_id: str | None) -> Answer: ...
    def order(self, account: int, key: OrderKey) -> Answer: ...
    def open_orders(self, account: int, symbol: str | None) -> list[Answer]: ...
    def all_orders(self, account: int, symbol: str, page: Page) -> list[Answer]: ...
    def my_trades(self, account: int, symbol: str, order_id: int | None, page: Page) -> list[Answer]: ...
    def place_list(self, account: int, new: NewList) -> Answer: ...
    def cancel_list(
        self,
        account: int,
        symbol: str,
        list_id: int | None,
        list_client_order_id: str | None,
        new_client_order_id: str | None = None,
    ) -> Answer: ...
    def order_list(self, account: int, list_id: int | None, list_client_order_id: str | None) -> Answer: ...
    def all_order_lists(self, account: int, page: Page) -> list[Answer]: ...
    def open_order_lists(self, account: int) -> list[Answer]: ...
    def account(self, account: int, *, omit_zero: bool) -> Answer: ...
    def commission(self, account: int, symbol: str) -> Answer: ...
    def my_filters(self, account: int, symbol: str) -> Answer: ...
    def prevented_matches(
        self, account: int, symbol: str, order_id: int | None, page: Page, prevented_match_id: int | None = None
    ) -> list[Answer]: ...
    def amendments(self, account: int, symbol: str, order_id: int, page: Page) -> list[Answer]: ...
    def order_counts(self, account: int) -> list[Answer]:
        """The ORDERS rate limits with their counts (unfilled order count), as rateLimit/order answers."""

    def reference_price(self, symbol: str) -> Answer: ...
    def deposit(self, account: int, asset: str, amount: Decimal) -> None:
        """Move money in (negative: out) from outside, as a transfer does: balanceUpdate and account position."""

    def on_trade(self, symbol: str, trade: Print) -> None:
        """Follow one public print; whoever publishes it calls this before or after, for every symbol that plays."""

    def on_book(self, symbol: str) -> None:
        """Follow a new state of the feed's book."""

    def tick(self) -> None:
        """Look at the books of all symbols with open orders, for feeds that tell of no book; a few times a second."""

    def set_status(self, symbol: str, status: str) -> None:
        """Halt a symbol (HALT, BREAK, END_OF_DAY, CANCEL_ONLY) or let it trade again (TRADING)."""

    @property
    def statuses(self) -> Mapping[str, str]:
        """The status of every symbol, for exchangeInfo."""
        ...

    def close(self) -> None:
        """Close the journal; safe to call twice."""

    def silent(self, account: int) -> bool:
        """Whether the "fills" fault forbids to answer the account's last call, asked right after that.

        One partial fill of an order is told, then nothing about it while the fault lasts: its events are held back
        here, the answer by the wire.
        """
