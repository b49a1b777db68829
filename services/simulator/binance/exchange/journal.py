"""A line of the engine's journal: one for each step, with every value that the step has changed."""

from __future__ import annotations

import msgspec

from services.simulator.binance.exchange.orders import Amendment, Fact, Fill, Order, OrderList, Prevented


class Line(msgspec.Struct, omit_defaults=True):
    """After-images: what a step left behind, so that reading a line twice or stopping after any line is harmless.

    balances: account, asset, free, locked; ids: symbol and the last execution, trade and prevented match id.
    """

    ms: int
    orders: list[Order] = []
    balances: list[tuple[int, str, int, int]] = []
    fills: list[Fill] = []
    prevented: list[Prevented] = []
    amendments: list[Amendment] = []
    lists: list[OrderList] = []
    facts: list[Fact] = []
    ids: list[tuple[str, int, int, int]] = []
