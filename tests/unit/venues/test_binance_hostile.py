"""Whatever Binance answers or tells about orders: a report that can be true, or a word that something is missing."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import suppress
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.core.types import ReportKind, VenueReport
from libs.venues.base import VenueUnresolved
from libs.venues.binance import reports, trade_codec
from libs.venues.binance.codec import Absurd
from libs.venues.binance.reports import Execution
from libs.venues.binance.user_stream import UserStream

NOW = 1_700_000_000_000
FILL = {"price": "100.0", "qty": "0.5", "commission": "0.0005", "commissionAsset": "BTC", "tradeId": 9}
ANSWER: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "orderId": 7,
    "clientOrderId": "intent",
    "transactTime": NOW,
    "origQty": "0.5",
    "executedQty": "0.5",
    "status": "FILLED",
    "fills": [FILL],
}
ORDER: dict[str, Any] = {"e": "executionReport", "s": "BTCUSDT", "c": "intent", "C": "", "i": 7, "r": "NONE", "T": NOW}
TRADE: dict[str, Any] = {
    "x": "TRADE",
    "X": "FILLED",
    "l": "0.5",
    "z": "0.5",
    "L": "100",
    "n": "0.1",
    "N": "BTC",
    "t": 9,
}
EVENT: dict[str, Any] = ORDER | TRADE | {"I": 3}
MOVED: dict[str, Any] = {"e": "balanceUpdate", "a": "BTC", "d": "-0.1", "T": NOW}

odd = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(["", "nan", "sNaN", "-Infinity", "-1", "0", "0E-99999", "1e999", "1e400", "9" * 70, "intent"])
    | st.sampled_from(["NEW", "TRADE", "CANCELED", "EXPIRED", "REJECTED", "PARTIALLY_FILLED", "FILLED", "CALCULATED"])
    | st.lists(st.integers() | st.text(max_size=3), max_size=3)
    | st.dictionaries(st.text(max_size=2), st.integers(), max_size=2)
)


def spoiled(good: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """`good` with some fields replaced or gone."""
    replaced = st.dictionaries(st.sampled_from(sorted(good)), odd, max_size=3)
    gone = st.sets(st.sampled_from(sorted(good)), max_size=1)
    return st.builds(lambda new, out: {k: v for k, v in (good | new).items() if k not in out}, replaced, gone)


def can_be_true(report: VenueReport) -> bool:
    assert 0 < report.ts_event < 2**63
    assert report.id
    assert report.venue_order_id.isdigit()
    assert "\n" not in report.detail
    assert report.fee.is_finite()
    assert report.fee >= 0
    if report.kind is ReportKind.FILLED:
        assert report.price is not None
        assert report.quantity is not None
        assert 0 < report.price < Decimal("1e31")
        assert 0 < report.quantity < Decimal("1e31")
        assert report.trade_id.isdigit()
    return True


@given(spoiled(ANSWER), spoiled(FILL))
def test_an_answer_is_reports_that_add_up_or_proves_nothing(answer: dict[str, Any], fill: dict[str, Any]) -> None:
    if answer.get("fills") == [FILL]:
        answer = answer | {"fills": [fill]}
    body = json.dumps(answer, allow_nan=True).encode()
    with suppress(VenueUnresolved, Absurd):
        placed = trade_codec.read(trade_codec.placed, body, "order.place")
        told = reports.of_answer("intent", placed, Decimal("0.5"))
        assert all(map(can_be_true, told))
        assert {report.intent_id for report in told} == {"intent"}
        assert sum(r.quantity or 0 for r in told if r.kind is ReportKind.FILLED) == placed.executedQty


class Ears:
    def __init__(self) -> None:
        self.told: list[str] = []
        self.gaps = 0
        self.gap = asyncio.Event()

    async def report(self, report: VenueReport) -> None:
        assert can_be_true(report)
        self.told.append(report.id)

    async def transfer(self, asset: str, amount: Decimal, ts_event: int, identity: str) -> None:
        assert amount.is_finite()
        assert 0 < ts_event < 2**63
        self.told.append(identity)

    async def resumed(self, detail: str) -> None:
        assert "\n" not in detail
        self.gaps += 1
        self.gap.set()


class Line:
    """The connection and session of a stream that is subscribed once and never ends."""

    is_alive = is_subscribed = True

    def __init__(self) -> None:
        self.leaving: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def connection(self) -> Line:
        return self

    async def subscribe(self, connection: Line) -> None: ...

    def adopt(self, connection: Line) -> None: ...

    def leave(self, reason: str) -> None: ...

    async def keep_clock(self) -> None:
        await asyncio.Event().wait()


async def tell(events: list[bytes]) -> Ears:
    async def no_trades(symbol: str, order_id: int) -> list[Execution]:
        return []

    ears, line = Ears(), Line()
    stream: Any = UserStream(no_trades, random.Random(1))
    task = asyncio.create_task(stream.run(line, ears))
    await ears.gap.wait()
    ears.gap.clear()
    for event in events:
        stream.on_event(line, event)
    stream.on_gap("the end")  # told after everything before it
    told = asyncio.create_task(ears.gap.wait())
    await asyncio.wait([told, task], return_when=asyncio.FIRST_COMPLETED)
    assert not task.done(), "the stream ended by itself"
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return ears


@settings(max_examples=60)
@given(st.lists(spoiled(EVENT) | spoiled(MOVED) | st.dictionaries(st.text(max_size=3), odd, max_size=3), max_size=6))
def test_events_are_told_or_counted_as_missing(events: list[dict[str, Any]]) -> None:
    asyncio.run(tell([json.dumps(event, allow_nan=True).encode() for event in events]))


def test_good_events_between_spoiled_ones_are_told_once() -> None:
    good = [json.dumps(event).encode() for event in (EVENT, MOVED)]
    ears = asyncio.run(tell([b"[" * 90_000, *good, b'{"e":"executionReport"}', *good, b"\xff", b'{"e":[]}']))
    assert len(ears.told) == len(set(ears.told)) == 2


def test_more_events_than_can_be_held_are_a_gap() -> None:
    flood = [json.dumps(EVENT | {"I": number, "t": number}).encode() for number in range(10_050)]
    ears = asyncio.run(tell(flood))
    assert len(ears.told) == 10_000
    assert ears.gaps >= 2
