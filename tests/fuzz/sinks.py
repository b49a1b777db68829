"""Ends of the line that accept only what can be true."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from libs.core.types import SECOND, Bar, FeedState, Quote, ReportKind, Trade, VenueReport


class SuspiciousSink:
    """A FeedSink; `told` counts what could be true, and of what it is told it keeps nothing."""

    def __init__(self) -> None:
        self.told = 0
        self.rejected = 0

    def trade(self, symbol: str, trade: Trade, recv_ns: int) -> None:
        assert 0 < trade.price < math.inf
        assert 0 <= trade.size < math.inf
        assert 0 < trade.ts_event < 2**63
        assert 0 <= trade.seq < 2**63
        assert trade.side in (-1, 0, 1)
        self.told += 1

    def quote(self, symbol: str, quote: Quote, recv_ns: int) -> None:
        assert 0 < quote.bid <= quote.ask < math.inf
        assert 0 <= quote.bid_size < math.inf
        assert 0 <= quote.ask_size < math.inf
        assert 0 <= quote.seq < 2**63
        self.told += 1

    def book(
        self, symbol: str, bids: Sequence[Any], asks: Sequence[Any], first: int, last: int, ts_event: int, *told: Any
    ) -> None:
        assert bids[0][0] < asks[0][0]
        self.told += 1

    def kline(self, bar: Bar, recv_ns: int) -> None:
        assert 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high < math.inf
        assert bar.ts_event - bar.open_time == bar.interval_s * SECOND
        self.told += 1

    def clock(self, ts_event: int, recv_ns: int, *, extrapolate: bool, speed: float, state: FeedState) -> None:
        assert 0 < ts_event < 2**63
        self.told += 1

    def status(self, symbol: str, event: str, detail: str) -> None:
        assert "\n" not in detail

    def reject(self, symbol: str, payload: bytes, reason: str) -> None:
        assert isinstance(payload, bytes)
        assert reason
        self.rejected += 1


def check_report(report: VenueReport) -> None:
    """Fail unless it can be true."""
    assert report.id
    assert 0 < report.ts_event < 2**63
    assert "\n" not in report.detail
    assert report.fee.is_finite()
    assert report.fee >= 0
    if report.kind is ReportKind.FILLED:
        assert report.price is not None
        assert report.quantity is not None
        assert 0 < report.price < Decimal("1e31")
        assert 0 < report.quantity < Decimal("1e31")
        assert report.trade_id


class SuspiciousEars:
    """A PrivateSink."""

    def __init__(self) -> None:
        self.told = 0
        self.gaps = 0

    async def report(self, report: VenueReport) -> None:
        check_report(report)
        self.told += 1

    async def transfer(self, asset: str, amount: Decimal, ts_event: int, identity: str) -> None:
        assert amount.is_finite()
        assert 0 < ts_event < 2**63
        self.told += 1

    async def resumed(self, detail: str) -> None:
        assert "\n" not in detail
        self.gaps += 1
