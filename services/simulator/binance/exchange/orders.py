"""What the engine keeps: orders, lists, fills, prevented matches and amendments. Amounts in 1e-8, times in ms UTC."""

from __future__ import annotations

from typing import Final

import msgspec

from services.simulator.binance.decimals import ONE

NONE: Final = -1
"""Stands for "no list", "not working yet" and "no match" as the venue prints it."""

FIRST_ORDER_ID: Final = 1
OPEN: Final = frozenset({"PENDING_NEW", "NEW", "PARTIALLY_FILLED"})
ALGO: Final = frozenset({"STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"})
AT_MARKET: Final = frozenset({"MARKET", "STOP_LOSS", "TAKE_PROFIT"})


class Order(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One order with everything that has become of it; journalled whole whenever it changes.

    `cover` is the price at which a purchase's money is locked, `held` what is locked for it now, `seq` its place in
    time, `since` the feed's time from which prints concern it, `visible` what an iceberg shows, `ahead` the displayed
    quantity of the market queued before it, `extreme` the best price a trailing stop has seen (0 before it tracks).
    """

    account: int
    symbol: str
    id: int
    client_id: str
    side: str
    type: str
    tif: str
    qty: int
    price: int = 0
    quote_qty: int = 0
    stop: int = 0
    trailing: int = 0
    iceberg: int = 0
    stp: str = "NONE"
    list_id: int = NONE
    strategy_id: int | None = None
    strategy_type: int | None = None
    peg: str = ""
    peg_offset: str = ""
    peg_levels: int = 0
    pegged: int = 0
    status: str = "NEW"
    reason: str = ""
    executed: int = 0
    spent: int = 0
    prevented: int = 0
    prevented_match: int = NONE
    created: int
    updated: int
    working: int = NONE
    tracking: int = NONE
    extreme: int = 0
    cover: int = 0
    held: int = 0
    seq: int = 0
    since: int = 0
    visible: int = 0
    ahead: int = 0
    amended: int = 0

    @property
    def open(self) -> bool:
        """Whether anything can still become of it."""
        return self.status in OPEN

    @property
    def buy(self) -> bool:
        """Whether it buys the base asset."""
        return self.side == "BUY"

    @property
    def left(self) -> int:
        """What may still be executed."""
        return self.qty - self.executed - self.prevented

    @property
    def limit(self) -> int:
        """The worst price it takes, 0 for none."""
        return 0 if self.type in AT_MARKET else self.pegged or self.price

    @property
    def waits(self) -> bool:
        """Whether it waits for its trigger."""
        return self.status == "NEW" and self.working == NONE

    @property
    def need(self) -> int:
        """What has to be locked for it: base for a sale, quote for a purchase, nothing before it is placed.

        Rounded down, as every fill's cost is, so that the fills of an order never need more than was locked.
        """
        if self.status == "PENDING_NEW" or not self.open:
            return 0
        return self.left * self.cover // ONE if self.buy else self.left


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """One side of one trade. `counter` is the other order of ours, NONE when the market was the other side."""

    account: int
    symbol: str
    order: int
    list_id: int
    trade: int
    execution: int
    buyer: bool
    maker: bool
    price: int
    qty: int
    quote: int
    fee: int
    fee_asset: str
    ms: int
    counter: int = NONE


class Prevented(msgspec.Struct, frozen=True, kw_only=True):
    """A trade between two orders of one owner that was prevented; a quantity of NONE is not told."""

    id: int
    symbol: str
    taker_account: int
    maker_account: int
    taker: int
    maker: int
    group: int
    mode: str
    price: int
    taker_qty: int
    maker_qty: int
    ms: int


class Amendment(msgspec.Struct, frozen=True, kw_only=True):
    """One reduction of an open order."""

    account: int
    symbol: str
    order: int
    execution: int
    before_id: str
    after_id: str
    before: int
    after: int
    ms: int


class OrderList(msgspec.Struct, kw_only=True):
    """An order list: the ids of its legs, the working one first; `kind` as in NewList.

    `reserve` is the base asset that an OPO's working order has bought and that stays locked for the pending ones.
    """

    id: int
    account: int
    symbol: str
    kind: str
    client_id: str
    legs: list[int]
    ms: int
    done: bool = False
    reserve: int = 0

    @property
    def contingency(self) -> str:
        """The venue's name of it: whatever waits for a working order is an OTO."""
        return "OCO" if self.kind == "oco" else "OTO"

    @property
    def pair(self) -> list[int]:
        """The legs of which one cancels the other."""
        return self.legs[-2:] if self.kind.endswith("oco") else []


class Fact(msgspec.Struct, frozen=True):
    """A line of the truth record, kept in the journal so that a kill loses none; `fields` are texts and ids."""

    kind: str
    symbol: str
    seq: int
    ms: int
    fields: dict[str, str | int | bool]
