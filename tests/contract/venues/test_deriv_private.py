"""Deriv's private stream: sales, settlements and transfers are told once, and nothing is lost in a gap."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from deriv_desk import GOOD, INSTRUMENT, Desk, order, refusal

from libs.core.types import Action, ReportKind, Side, VenueReport
from libs.venues.base import Trading, VenueRefused
from libs.venues.credentials import Credentials
from libs.venues.deriv import connection, private
from libs.venues.registry import make_trading


class Ledger:
    """A PrivateSink that keeps what it is told."""

    def __init__(self) -> None:
        self.reports: list[VenueReport] = []
        self.transfers: list[tuple[str, Decimal, str]] = []
        self.resumes: list[str] = []

    async def report(self, report: VenueReport) -> None:
        self.reports.append(report)

    async def transfer(self, asset: str, amount: Decimal, ts_event: int, identity: str) -> None:
        assert ts_event > 0
        self.transfers.append((asset, amount, identity))

    async def resumed(self, detail: str) -> None:
        assert "\n" not in detail
        self.resumes.append(detail)


@pytest.fixture
def desk(fake_deriv: Any) -> Desk:
    return Desk(fake_deriv)


@pytest.fixture(params=["v3", "options"])
def make(request: pytest.FixtureRequest, desk: Desk, deriv_door: Any) -> Callable[[], Trading]:
    urls = {"ws": f"ws://127.0.0.1:{desk.venue.port}/websockets/v3"} if request.param == "v3" else deriv_door.urls
    return partial(make_trading, "deriv", api=request.param, endpoint="simulator", endpoints=urls, credentials=GOOD)


@pytest.fixture
async def trading(make: Callable[[], Trading]) -> AsyncIterator[Trading]:
    made = make()
    yield made
    await made.aclose()


@pytest.fixture
async def ledger(trading: Trading, eventually: Any) -> AsyncIterator[Ledger]:
    kept = Ledger()
    task = asyncio.create_task(trading.listen(kept))
    await eventually(lambda: kept.resumes or task.done(), "the stream to begin")
    yield kept
    assert not task.done()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_settlement_is_told_as_closed_once(
    desk: Desk, trading: Trading, ledger: Ledger, eventually: Any
) -> None:
    await trading.submit(order(), INSTRUMENT)
    desk.end(700, sell_price=19.5, status="won")
    await desk.venue.push_contract(desk.bought[700])
    await desk.tell("sell", 19.5, contract_id=700, trade=9900)
    await desk.tell("sell", 19.5, contract_id=700, trade=9900)
    await desk.tell("deposit", 1.0, trade=1)
    await eventually(lambda: ledger.transfers, "everything before the deposit to be told")
    (closed,) = ledger.reports
    assert (closed.kind, closed.intent_id, closed.venue_order_id) == (ReportKind.CLOSED, "intent-1", "700")
    assert (closed.proceeds, closed.price, closed.trade_id) == (Decimal("19.5"), Decimal("101.5"), "9900")


async def test_a_stop_out_that_only_the_transaction_tells_is_closed_with_its_price(
    desk: Desk, trading: Trading, ledger: Ledger, eventually: Any
) -> None:
    await trading.submit(order(), INSTRUMENT)
    desk.end(700, sell_price=0.0, status="lost")
    await desk.tell("sell", 0.0, contract_id=700, trade=9900)
    await eventually(lambda: ledger.reports, "the stop-out")
    (closed,) = ledger.reports
    assert (closed.kind, closed.proceeds, closed.price) == (ReportKind.CLOSED, Decimal(0), Decimal("101.5"))
    assert closed.balance_after == Decimal("9990.0")


async def test_a_sale_of_our_own_is_told_as_the_exit_s_fill(
    desk: Desk, trading: Trading, ledger: Ledger, eventually: Any
) -> None:
    await trading.submit(order(), INSTRUMENT)
    (answered,) = await trading.close(order(Side.SELL, intent="exit-1", action=Action.EXIT), "700", INSTRUMENT)
    await desk.tell("sell", 11.5, contract_id=700, trade=9900)
    await eventually(lambda: ledger.reports, "the sale")
    (told,) = ledger.reports
    assert told.id == answered.id
    assert (told.kind, told.intent_id, told.proceeds) == (ReportKind.FILLED, "exit-1", Decimal("11.5"))


async def test_a_contract_that_the_venue_no_longer_shows_is_closed_by_the_transaction_alone(
    desk: Desk, trading: Trading, ledger: Ledger, eventually: Any
) -> None:
    await trading.submit(order(), INSTRUMENT)
    desk.venue.answers["proposal_open_contract"] = lambda _: refusal("proposal_open_contract", "ContractNotFound")
    await desk.tell("sell", 3.25, contract_id=700, trade=9900)
    await eventually(lambda: ledger.reports, "the sale")
    assert (ledger.reports[0].kind, ledger.reports[0].proceeds) == (ReportKind.CLOSED, Decimal("3.25"))
    assert ledger.reports[0].price is None


@pytest.mark.parametrize("action", ["deposit", "withdrawal", "virtual_credit", "adjustment", "something-new"])
async def test_money_that_moves_without_an_order_is_a_transfer(
    desk: Desk, ledger: Ledger, eventually: Any, action: str
) -> None:
    await desk.tell(action, -25.5, trade=77)
    await eventually(lambda: ledger.transfers, "the transfer")
    assert ledger.transfers == [("USD", Decimal("-25.5"), "77")]


async def test_what_happens_in_a_gap_is_told_after_it(
    desk: Desk, trading: Trading, ledger: Ledger, eventually: Any
) -> None:
    await trading.submit(order(), INSTRUMENT)
    await desk.tell("deposit", 5.0, trade=76)
    await eventually(lambda: ledger.transfers, "the deposit before the gap")
    await desk.venue.drop()
    desk.end(700, sell_price=0.0, status="lost")
    await desk.tell("deposit", 100.0, trade=78)  # nobody is connected to hear of it
    await eventually(lambda: len(ledger.resumes) == 2, "the stream to go on")
    assert ledger.transfers == [("USD", Decimal("5.0"), "76"), ("USD", Decimal("100"), "78")]
    assert [(r.kind, r.venue_order_id) for r in ledger.reports] == [(ReportKind.CLOSED, "700")]


async def test_what_was_before_the_stream_began_is_not_told(desk: Desk, trading: Trading, eventually: Any) -> None:
    row = {"action": "deposit", "amount": 50.0, "balance": 50.0, "transaction_id": 5}
    desk.transfers.append(row | {"transaction_time": int(time.time())})
    kept = Ledger()
    listening = asyncio.create_task(trading.listen(kept))
    await eventually(lambda: kept.resumes, "the stream to begin")
    await desk.venue.drop()
    await eventually(lambda: len(kept.resumes) == 2, "the stream to go on")
    listening.cancel()
    with suppress(asyncio.CancelledError):
        await listening
    assert kept.transfers == []


async def test_a_transaction_that_cannot_be_read_is_had_from_the_statement(
    desk: Desk, ledger: Ledger, eventually: Any
) -> None:
    row = {"action": "deposit", "amount": 10.0, "balance": 60.0, "transaction_id": 6}
    desk.transfers.append(row | {"transaction_time": int(time.time())})
    stream = {"id": "t-0123456789abcdef0123456789abcdef"}
    await desk.push({"msg_type": "transaction", "transaction": {"action": 7, "amount": []}, "subscription": stream})
    await eventually(lambda: ledger.transfers, "the deposit")
    assert ledger.transfers == [("USD", Decimal(10), "6")]


async def test_a_flood_ends_the_connection_and_loses_nothing(
    desk: Desk, make: Callable[[], Trading], eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(Ledger):
        def __init__(self) -> None:
            super().__init__()
            self.open = asyncio.Event()

        async def transfer(self, *told: Any) -> None:
            await self.open.wait()
            await super().transfer(*told)

    kept = Slow()
    monkeypatch.setattr(private, "INBOX", 3)
    trading = make()
    listening = asyncio.create_task(trading.listen(kept))
    await eventually(lambda: kept.resumes, "the stream to begin")
    for trade in range(10, 20):
        await desk.tell("deposit", 1.0, trade=trade)
    await eventually(lambda: not desk.venue.connections, "the connection to be given up")
    kept.open.set()
    await eventually(lambda: len(kept.transfers) == 10, "all of it from the statement")
    listening.cancel()
    with suppress(asyncio.CancelledError):
        await listening
    await trading.aclose()
    assert sorted(identity for *_, identity in kept.transfers) == [str(trade) for trade in range(10, 20)]


async def test_a_wrong_token_ends_the_stream_with_what_to_do(desk: Desk) -> None:
    url = f"ws://127.0.0.1:{desk.venue.port}/websockets/v3"
    trading = make_trading("deriv", endpoints={"ws": url}, credentials=Credentials(token="bad"))
    with pytest.raises(VenueRefused, match="DERIV_TOKEN"):
        await trading.listen(Ledger())
    await trading.aclose()


async def test_a_purchase_told_by_the_stream_resolves_an_order_that_no_book_shows(
    desk: Desk, trading: Trading, ledger: Ledger, eventually: Any
) -> None:
    desk.swallow_buy_answer = True
    wanted = order()
    submitting = asyncio.create_task(trading.submit(wanted, INSTRUMENT))
    await eventually(lambda: desk.bought, "the buy reached the venue")
    await desk.tell("buy", -10.0, contract_id=700, trade=9700)
    await desk.tell("deposit", 1.0, trade=1)
    await eventually(lambda: ledger.transfers, "the purchase to be heard")
    await desk.venue.drop()
    with suppress(Exception):
        await submitting
    desk.hidden_from_books = True
    found = await trading.resolve(wanted)
    assert found is not None
    assert [(r.kind, r.venue_order_id, r.trade_id) for r in found] == [(ReportKind.FILLED, "700", "9700")]


async def test_a_session_that_ended_is_renewed_and_the_stream_goes_on(
    desk: Desk, make: Callable[[], Trading], eventually: Any
) -> None:
    ended = [True]
    honest = desk.venue.answers["portfolio"]
    desk.venue.answers["portfolio"] = lambda request: (
        refusal("portfolio", "AuthorizationRequired") if ended and ended.pop() else honest(request)
    )
    trading, kept = make(), Ledger()
    listening = asyncio.create_task(trading.listen(kept))
    await eventually(lambda: kept.resumes, "the stream to begin on a new session")
    assert len(desk.venue.paths) == 2
    await desk.tell("deposit", 1.0, trade=1)
    await eventually(lambda: kept.transfers, "a message")
    listening.cancel()
    with suppress(asyncio.CancelledError):
        await listening
    await trading.aclose()


async def test_updates_come_although_the_answer_to_the_subscription_was_lost(
    desk: Desk, make: Callable[[], Trading], eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ANSWER_S", 0.3)
    asked: list[int] = []

    def lost_once(request: dict[str, Any]) -> dict[str, Any] | None:
        asked.append(request["req_id"])
        return refusal("transaction", "AlreadySubscribed") if len(asked) > 1 else None

    desk.venue.answers["transaction"] = lost_once
    trading, kept = make(), Ledger()
    listening = asyncio.create_task(trading.listen(kept))
    await eventually(lambda: kept.resumes, "the stream to begin")
    row = {"action": "deposit", "amount": 2, "balance": 3, "currency": "USD", "transaction_id": 8}
    update = {"msg_type": "transaction", "req_id": asked[0], "subscription": {"id": "never-seen"}}
    await desk.push(update | {"transaction": row | {"transaction_time": int(time.time())}})
    await eventually(lambda: kept.transfers, "the update")
    assert len(desk.venue.paths) == 1
    listening.cancel()
    with suppress(asyncio.CancelledError):
        await listening
    await trading.aclose()
