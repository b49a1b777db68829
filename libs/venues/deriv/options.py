"""Deriv's Options API (`/trading/v1/options/ws`): logged in by its address, symbols are called underlying_symbol."""

from __future__ import annotations

from typing import ClassVar

from libs.venues.deriv.codec import Codec, Request
from libs.venues.deriv.limits import Bucket, Quota
from libs.venues.deriv.model import Cash, Site


class Options(Codec):
    """Implements `Codec` for the Options API, with the stricter of the limits that its pages name."""

    symbol_key = "underlying_symbol"
    quotas: ClassVar = {
        Bucket.GENERAL: Quota(220, 14_400),
        Bucket.TRADING: Quota(360, 14_400),
        Bucket.ACCOUNT: Quota(100, 2_000),
        Bucket.OUTCOME: Quota(30, 1_500),
        Bucket.REST: Quota(60, 3_600),
    }
    buckets: ClassVar = {
        "proposal": Bucket.TRADING,
        "proposal_open_contract": Bucket.TRADING,
        "buy": Bucket.TRADING,
        "sell": Bucket.TRADING,
        "balance": Bucket.ACCOUNT,
        "statement": Bucket.ACCOUNT,
        "portfolio": Bucket.OUTCOME,
        "profit_table": Bucket.OUTCOME,
    }
    burst = 100

    def login(self, token: str) -> Request[Cash] | None:
        return None

    def site(self) -> Request[Site] | None:
        return None
