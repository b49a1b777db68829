"""Version 3 of Deriv's WebSocket API (`/websockets/v3`): log in by message, and the venue tells its own state."""

from __future__ import annotations

from typing import ClassVar

from libs.venues.deriv import answers
from libs.venues.deriv.codec import Codec, Request
from libs.venues.deriv.limits import Bucket, Quota
from libs.venues.deriv.model import Cash, Site


class V3(Codec):
    """Implements `Codec` for v3. The quotas are the last known; website_status tells those in force."""

    symbol_key = "symbol"
    quotas: ClassVar = {
        Bucket.GENERAL: Quota(220, 14_400),
        Bucket.PRICING: Quota(80, 3_600),
        Bucket.OUTCOME: Quota(30, 1_500),
    }
    buckets: ClassVar = {
        "proposal": Bucket.PRICING,
        "proposal_open_contract": Bucket.PRICING,
        "portfolio": Bucket.OUTCOME,
        "statement": Bucket.OUTCOME,
        "profit_table": Bucket.OUTCOME,
    }

    def login(self, token: str) -> Request[Cash] | None:
        return self._request({"authorize": token}, answers.read_authorize)

    def site(self) -> Request[Site] | None:
        return self._request({"website_status": 1, "subscribe": 1}, answers.read_site)
