"""Orders at the simulated Binance: filled, filled in part, refused, unanswered, cut off; and every digit agrees."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from libs.core.types import Action, Instrument, Mode, Order, OrderState, ReportKind, Side, VenueReport, stable_id
from libs.venues.base import Discovery, VenueRefused, VenueUnresolved
from libs.venues.binance.market import BinanceMarketData
from libs.venues.binance.trading import BinanceTrading
from libs.venues.credentials import Credentials
from libs.venues.registry import make_market_data
from services.simulator.app import Simulator
from services.simulator.binance.server import ACCOUNT
from services.simulator.faults.plan import plan_of
from services.simulator.settings import SimulatorOptions

SYMBOL = "BTCUSDT"
UNIT = 10**8
"""The engine counts in 1e-8."""

D = Decimal


class Ears:
    def __init__(self) -> None:
        self.reports: list[VenueReport] = []
        self.transfers: list[tuple[str, Decimal]] = []
        self.gaps: list[str] = []

    async def report(self, report: VenueReport) -> None:
        self.reports.append(report)

    async def transfer(self, asset: str, amount: Decimal, ts_event: int, identity: str) -> None:
        self.transfers.append((asset, amount))

    async def resumed(self, detail: str) -> None:
        self.gaps.append(detail)


class Desk:
    """An adapter that listens, its simulator, and a ledger of what the reports say."""

    def __init__(self, simulator: Simulator, trading: BinanceTrading, instrument: Instrument, ears: Ears) -> None:
        self.simulator, self.trading, self.instrument, self.ears = simulator, trading, instrument, ears
        self.opening: dict[str, Decimal] = {}
        self._number = 0

    def order(self, action: Action, quantity: str, worst: str = "1000000") -> Order:
        self._number += 1
        return Order(
            id="o",
            ts_event=time.time_ns(),
            intent_id=stable_id("binance-orders", id(self), self._number),
            revision=1,
            state=OrderState.SENT,
            mode=Mode.LIVE,
            venue="binance",
            account="acc",
            symbol=SYMBOL,
            strategy="s",
            side=Side.BUY if action is Action.ENTER else Side.SELL,
            action=action,
            quantity=D(quantity),
            worst_price=D(worst),
            position_id="p",
            reason="entry",
        )

    async def buy(self, quantity: str, worst: str = "1000000") -> list[VenueReport]:
        return await self.trading.submit(self.order(Action.ENTER, quantity, worst), self.instrument)

    def fault(self, fault: str, match: str, **more: Any) -> None:
        rule = {"fault": fault, "venue": "binance", "match": [match], "nth": 1, **more}
        self.simulator.faults.add(plan_of({"rules": [rule]}, "test"))

    async def settled(self, order: Order) -> list[VenueReport]:
        """What became of an order without an answer."""
        found = await self.trading.resolve(order)
        assert found is not None
        return found

    async def agrees(self, side: Side, *reports: list[VenueReport]) -> None:
        """The balances moved by exactly what the reports say."""
        expected = dict(self.opening)
        for report in {r.id: r for told in reports for r in told if r.kind is ReportKind.FILLED}.values():
            assert report.price is not None
            assert report.quantity is not None
            expected["BTC"] += side.sign * report.quantity
            expected["USDT"] -= side.sign * report.quantity * report.price
            expected[report.fee_asset] -= report.fee
        assert await self.trading.balances() == expected
        self.opening = expected


async def eventually(condition: Any, what: str) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, f"did not happen: {what}"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def house(key_kind: str = "hmac") -> AsyncIterator[Desk]:
    simulator = Simulator(SimulatorOptions(seed=11))
    await simulator.start()
    facts = simulator.describe()
    market = BinanceMarketData(facts["binance_rest_url"], facts["binance_ws_url"], simulator=True)
    credentials = Credentials(key=facts["key"], secret=facts["secret"])
    if key_kind == "ed25519":
        credentials = Credentials(key=facts["ed25519_key"], private_key=facts["ed25519_secret"])
    urls = {"rest": facts["binance_rest_url"], "ws_api": facts["binance_ws_api_url"]}
    trading = BinanceTrading(urls, credentials, currency="USDT", simulator=True)
    ears = Ears()
    listening = asyncio.create_task(trading.listen(ears))
    try:
        (instrument,) = await market.instruments([SYMBOL])
        await eventually(lambda: ears.gaps, "subscribed")
        desk = Desk(simulator, trading, instrument, ears)
        desk.opening = await trading.balances()
        yield desk
        assert not listening.done(), "listening ended by itself"
    finally:
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening
        await trading.aclose()
        await market.aclose()
        await simulator.stop()


@pytest.mark.parametrize("key_kind", ["hmac", "ed25519"])
async def test_a_round_trip_agrees_to_the_last_digit(key_kind: str) -> None:
    async with house(key_kind) as desk:
        bought = await desk.buy("0.01")
        assert bought[0].kind is ReportKind.ACKNOWLEDGED
        assert sum(r.quantity or 0 for r in bought) == D("0.01")
        await desk.agrees(Side.BUY, bought)
        sale = desk.order(Action.EXIT, "0.00999")
        sold = await desk.trading.close(sale, "", desk.instrument)
        await desk.agrees(Side.SELL, sold)
        await eventually(lambda: len(desk.ears.reports) == len(bought) + len(sold), "the stream's word")
        assert desk.ears.reports == [*bought, *sold]
        assert await desk.settled(sale) == sold


async def test_a_large_order_fills_in_parts_and_the_rest_is_cancelled() -> None:
    async with house() as desk:
        # A limit far enough above the best price that the market does not get there on the order's way.
        asks = desk.simulator.binance.feed.depth(SYMBOL).asks
        limit = (D(min(asks)) / UNIT * D("1.001")).quantize(D("0.01"))
        quantity = 3 * sum(D(size) / UNIT for price, size in asks.items() if D(price) / UNIT <= limit)
        money = (quantity * limit).quantize(D(1)) + 1
        desk.simulator.binance.exchange.deposit(ACCOUNT, "USDT", money)
        desk.opening["USDT"] += money
        reports = await desk.buy(str(quantity), str(limit))
        assert reports[-1].kind is ReportKind.CANCELLED
        filled = [r for r in reports if r.kind is ReportKind.FILLED]
        assert all(r.price is not None and r.price <= limit for r in filled)
        assert 0 < sum((r.quantity or D(0) for r in filled), D(0)) < quantity
        await desk.agrees(Side.BUY, reports)
        missed = await desk.buy("0.001", str((limit / 2).quantize(D("0.01"))))
        assert [r.kind for r in missed] == [ReportKind.ACKNOWLEDGED, ReportKind.CANCELLED]


async def test_what_the_account_cannot_pay_is_refused_in_the_venue_s_words() -> None:
    async with house() as desk:
        with pytest.raises(VenueRefused, match="insufficient balance") as caught:
            await desk.buy("5")
        assert caught.value.code == "-2010"
        assert await desk.trading.balances() == desk.opening


@pytest.mark.parametrize("fault", ["timeout", "cut_call", "internal"])
async def test_an_order_without_an_answer_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.venues.binance.api.ANSWER_S", 0.5)
    async with house() as desk:
        desk.fault(fault, "order.place")
        wanted = desk.order(Action.ENTER, "0.01")
        with pytest.raises(VenueUnresolved):
            await desk.trading.submit(wanted, desk.instrument)
        found = await desk.settled(wanted)
        assert sum(r.quantity or 0 for r in found) == D("0.01")
        await desk.agrees(Side.BUY, found)
        await eventually(lambda: fault != "cut_call" or len(desk.ears.gaps) > 1, "resumed after the cut")
        desk.opening = await desk.trading.balances()
        await desk.agrees(Side.BUY, await desk.buy("0.01"))


async def test_a_lost_order_never_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.venues.binance.api.ANSWER_S", 0.3)
    monkeypatch.setattr("libs.venues.binance.trading.ENGINE_NS", -2_500_000_000)  # a tenth of a second is enough here
    async with house() as desk:
        desk.fault("lost", "order.place")
        wanted = desk.order(Action.ENTER, "0.01")
        with pytest.raises(VenueUnresolved):
            await desk.trading.submit(wanted, desk.instrument)
        end, found = time.monotonic() + 10, None
        while found is None and time.monotonic() < end:
            found = await desk.trading.resolve(wanted)
        assert found == []
        assert await desk.trading.balances() == desk.opening


@pytest.mark.parametrize("key_kind", ["hmac", "ed25519"])
async def test_a_session_that_expires_is_opened_again(key_kind: str) -> None:
    async with house(key_kind) as desk:
        desk.fault("expired", "order.place")
        with pytest.raises(VenueRefused) as caught:
            await desk.buy("0.001")
        assert caught.value.code == "-2015"
        await eventually(lambda: len(desk.ears.gaps) == 2, "subscribed again")
        bought = await desk.buy("0.001")
        await desk.agrees(Side.BUY, bought)
        await eventually(lambda: len(desk.ears.reports) == len(bought), "the stream's word")


async def test_reconnect_shutdown_and_transfer_are_told() -> None:
    async with house() as desk:
        desk.simulator.binance.cut()
        await eventually(lambda: len(desk.ears.gaps) == 2, "resumed after the cut")
        first = await desk.buy("0.001")
        async with aiohttp.ClientSession() as http:
            await http.post(f"{desk.simulator.binance.rest_url}/sim/shutdown", params={"notice": "1.5"})
            second = await desk.buy("0.001")
            await eventually(lambda: len(desk.ears.reports) == len(first) + len(second), "all reports, each once")
            await http.post(
                f"{desk.simulator.binance.rest_url}/sim/transfer", params={"asset": "USDT", "amount": "250"}
            )
        await eventually(lambda: desk.ears.transfers, "the transfer")
        assert desk.ears.transfers == [("USDT", D(250))]
        assert desk.ears.reports == [*first, *second]
        third = await desk.buy("0.001")
        desk.opening["USDT"] += 250
        await desk.agrees(Side.BUY, first, second, third)


async def test_a_burst_stays_within_the_venue_s_limits() -> None:
    async with house() as desk:
        reports = await asyncio.gather(*(desk.buy("0.0002") for _ in range(40)))
        await desk.agrees(Side.BUY, *reports)
        state = desk.simulator.binance.state()["limits"]
        assert (state["refusals"], state["bans"]) == (0, 0)
        used = {b.name: b.state().used for b in desk.trading.budgets()}
        assert used["binance orders per 10 s"] >= 40
        assert used["binance request weight per min"] < 150  # the filters were asked for once


@pytest.mark.parametrize(("named", "logged_in"), [(True, True), (False, True), (True, False)])
async def test_what_is_on_offer_is_told_with_the_fee_of_the_account(named: bool, logged_in: bool) -> None:
    simulator = Simulator(SimulatorOptions(seed=11))
    await simulator.start()
    facts = simulator.describe()
    market = make_market_data(
        "binance",
        endpoint="simulator",
        endpoints={"rest": facts["binance_rest_url"], "ws": facts["binance_ws_url"]},
        credentials=Credentials(key=facts["key"], secret=facts["secret"]) if logged_in else None,
    )
    steps: list[tuple[int, int]] = []
    assert isinstance(market, Discovery)
    found = {row.symbol: row for row in await market.offers([SYMBOL] if named else None, lambda *s: steps.append(s))}
    await market.aclose()
    await simulator.stop()
    assert steps[-1] == (len(found), len(found))
    assert (len(found) == 1) is named
    row = found[SYMBOL]
    assert (row.name, row.group, row.verified, row.note) == ("BTC/USDT", "USDT", True, "")
    assert (row.price_step, row.size_step, row.min_notional) == (D("0.01"), D("0.00001"), D(5))
    assert row.price is not None
    assert row.price > 1000
    assert row.fee_rate == (D("0.001") if logged_in else None)
