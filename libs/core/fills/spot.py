"""Spot arithmetic: what a fill costs and what a holding is worth, in quote currency."""

from __future__ import annotations

from decimal import Decimal

from libs.core.fills.models import Dealt
from libs.core.types import Side


def gross(side: Side, quantity: Decimal, cost: Decimal, price: Decimal) -> Decimal:
    """P&L before fees of `quantity` base units bought or sold for `cost` in all, valued at `price`."""
    return side.sign * (price * quantity - cost)


def spread_cost(dealt: Dealt, quantity: Decimal) -> Decimal:
    """What crossing the spread cost."""
    return abs(dealt.touch - dealt.mid) * quantity


def slippage_cost(dealt: Dealt, quantity: Decimal) -> Decimal:
    """What slippage and the price grid cost."""
    return abs(dealt.price - dealt.touch) * quantity
