"""Accounts and their money in exact 1e-8: free, locked, commissions."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec

from services.simulator.binance.decimals import ONE

OPENING: Final[Mapping[str, Decimal]] = {
    "USDT": Decimal(10_000),
    "BTC": Decimal("0.1"),
    "ETH": Decimal(1),
    "BNB": Decimal(1),
}
DISCOUNT_ASSET: Final = "BNB"
DISCOUNT: Final = ONE * 3 // 4


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What an account pays and may do. Rates in 1e-8 of the received amount.

    `discounted` pays the commission in BNB at DISCOUNT of the rate where BNB has a price and enough is there. Orders of
    accounts in one `trade_group` count as one owner's (-1: none). `limits` are the most of an asset in one order.
    """

    maker: int = ONE // 1_000
    taker: int = ONE // 1_000
    discounted: bool = False
    trade_group: int = -1
    may_trade: bool = True
    limits: Mapping[str, int] = {}


class Balance(msgspec.Struct):
    """Money of one asset in 1e-8."""

    free: int = 0
    locked: int = 0


class Account:
    """One account. Its methods keep every amount at or above zero or raise OverflowError: the engine checks first."""

    def __init__(self, uid: int, terms: Terms) -> None:
        self.uid = uid
        self.terms = terms
        self.updated = 0
        self.balances: dict[str, Balance] = {}

    def balance(self, asset: str) -> Balance:
        """The balance of an asset, begun at zero."""
        found = self.balances.get(asset)
        if found is None:
            found = self.balances[asset] = Balance()
        return found

    def free(self, asset: str) -> int:
        """What may be spent or locked."""
        found = self.balances.get(asset)
        return 0 if found is None else found.free

    def add(self, asset: str, amount: int) -> None:
        """Change what is free by a signed amount."""
        balance = self.balance(asset)
        if balance.free + amount < 0:
            raise OverflowError(f"{asset}: {balance.free} cannot change by {amount}")
        balance.free += amount

    def lock(self, asset: str, amount: int) -> None:
        """Move a signed amount from free to locked."""
        balance = self.balance(asset)
        if balance.free < amount or balance.locked + amount < 0:
            raise OverflowError(f"{asset}: {amount} cannot be locked of {balance}")
        balance.free -= amount
        balance.locked += amount

    def owns_with(self, other: Account) -> bool:
        """Whether a trade with `other` would be a self-trade."""
        return self.uid == other.uid or self.terms.trade_group == other.terms.trade_group != -1


def commission(received: int, rate: int) -> int:
    """The commission on a received amount, in its asset; what is below 1e-8 is not charged."""
    return received * rate // ONE
