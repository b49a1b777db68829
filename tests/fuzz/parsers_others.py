"""Alpaca's parsers, and what is read of the structures that ccxt makes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, Final

import ccxt

from libs.core.types import Action, Mode, Order, OrderState, Side
from libs.venues.alpaca import assets, codec, history, reports
from libs.venues.alpaca.feed import Feed
from libs.venues.base import VenueError
from libs.venues.ccxt import feed as ccxt_feed
from libs.venues.ccxt import reports as ccxt_reports
from libs.venues.ccxt.markets import instrument_of
from libs.venues.checked import Absurd
from libs.venues.credentials import Credentials
from tests.fuzz.ground import NOW, Take
from tests.fuzz.sinks import SuspiciousSink, check_report

ORDER: Final = Order(
    id="order",
    ts_event=NOW,
    intent_id="intent",
    revision=0,
    state=OrderState.PLANNED,
    mode=Mode.LIVE,
    venue="venue",
    account="main",
    symbol="BTC/USD",
    strategy="fuzz",
    side=Side.BUY,
    action=Action.ENTER,
    quantity=Decimal(1),
    worst_price=Decimal(101),
    position_id="position",
    reason="entry",
)


class Alpaca:
    """The stream of prices, and each answer as it is read."""

    def __init__(self) -> None:
        self.sink = SuspiciousSink()
        self._feed = Feed("ws://127.0.0.1:9", ["BTC/USD"], self.sink, Credentials(key="k", secret="s"), lambda: False)

    def takers(self) -> dict[str, Take]:
        """Pool to parser."""
        return {
            "alpaca stream": self._market,
            "alpaca private": self._reading(lambda frame: codec.private.decode(frame)),
            "alpaca order": self._reading(self._order),
            "alpaca asset": self._reading(
                lambda frame: assets.instrument_of(codec.asset.decode(frame), NOW, shares_trade=True)
            ),
            "alpaca pages": self._reading(self._page),
            "alpaca account": self._reading(self._account),
        }

    async def _market(self, frame: bytes) -> bool:
        before = self.sink.told
        with suppress(VenueError):
            self._feed._take(frame, NOW)
        return self.sink.told > before

    @staticmethod
    def _reading(read: Callable[[bytes], Any]) -> Take:
        async def take(frame: bytes) -> bool:
            with suppress(*codec.UNREADABLE, Absurd, VenueError):
                read(frame)
                return True
            return False

        return take

    @staticmethod
    def _order(frame: bytes) -> None:
        both = codec.private.decode(b'{"stream":"o","data":' + frame + b"}").data
        parts = both if isinstance(both, dict) else {}
        row = codec.order.decode(_dumped(parts.get("order")))
        fills = codec.activities.decode(_dumped(parts.get("fills")))
        for report in reports.reports_of(ORDER, row, fills):
            check_report(report)

    @staticmethod
    def _page(frame: bytes) -> None:
        for row in (codec.prints.decode(frame).trades or {}).get("BTC/USD", []):
            history.print_of(row)
        for bar in (codec.bars.decode(frame).bars or {}).get("BTC/USD", []):
            history.bar_of("BTC/USD", 60, bar)

    @staticmethod
    def _account(frame: bytes) -> None:
        if frame[:1] == b"[":
            for each in codec.activities.decode(frame):
                codec.signed(each.net_amount or "0", "net amount")
            for row in codec.holdings.decode(frame):
                codec.signed(row.qty, "quantity")
        elif b"cash" in frame:
            codec.signed(codec.account.decode(frame).cash, "cash")
        elif b"is_open" in frame:
            codec.instant(codec.clock.decode(frame).timestamp)
        else:
            codec.refusal.decode(frame)


def _dumped(part: Any) -> bytes:
    return json.dumps(part).encode(errors="replace")


class Ccxt:
    """What ccxt has made of an exchange's answers: its own parsing is not ours to prove."""

    _exchange: Final = SimpleNamespace(id="binance", precisionMode=ccxt.TICK_SIZE)

    def takers(self) -> dict[str, Take]:
        """Pool to parser."""
        return {"ccxt": self._take}

    async def _take(self, frame: bytes) -> bool:
        try:
            told = json.loads(frame)
        except (ValueError, RecursionError):
            return False
        if not isinstance(told, dict):
            return False
        steps: Iterable[Callable[[], Any]] = (
            lambda: ccxt_feed.trade_of(told.get("print")),
            lambda: self._levels(told.get("levels")),
            lambda: self._order(told.get("order")),
            lambda: instrument_of(self._exchange, "BTCUSDT", told.get("market") or {}, NOW),
        )
        made = 0
        for step in steps:
            with suppress(Absurd, VenueError):
                step()
                made += 1
        return made == 4

    @staticmethod
    def _levels(rows: Any) -> None:
        """ccxt keeps books in lists of its own: their rows are pairs, whatever is in them."""
        if isinstance(rows, list) and all(isinstance(row, list) and len(row) >= 2 for row in rows):
            ccxt_feed.levels_of(rows)

    @staticmethod
    def _order(told: Any) -> None:
        row = ccxt_reports.row_of(told)
        for report in ccxt_reports.Teller("ccxt:binance", ORDER, row).all(row.trades):
            check_report(report)
