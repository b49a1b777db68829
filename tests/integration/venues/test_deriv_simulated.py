"""Deriv's adapter against the simulated venue, over both APIs: what it tells is what the venue's books say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest

from libs.core.types import (
    SECOND,
    Action,
    Instrument,
    InstrumentKind,
    Mode,
    Order,
    OrderState,
    ReportKind,
    Side,
    VenueReport,
)
from libs.venues.base import Trading, VenueRefused
from libs.venues.credentials import Credentials
from libs.venues.registry import make_market_data, make_trading
from services.simulator.app import Simulator
from services.simulator.settings import SimulatorOptions

SYMBOL = "1HZ100V"


class Ledger:
    """A PrivateSink that keeps what it is told."""

    def __init__(self) -> None:
        self.reports: list[VenueReport] = []
        self.transfers: list[tuple[str, Decimal, str]] = []
        self.resumes: list[str] = []

    async def report(self, report: VenueReport) -> None:
        self.reports.append(report)

    async def transfer(self, asset: str, amount: Decimal, ts_event: int, identity: str) -> None:
        self.transfers.append((asset, amount, identity))

    async def resumed(self, detail: str) -> None:
        self.resumes.append(detail)


async def eventually(condition: Callable[[], object], what: str, deadline_s: float = 20.0) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"did not happen: {what}"
        await asyncio.sleep(0.02)


class House:
    """A simulator and adapters of one of its two APIs."""

    def __init__(self, api: str, simulator: Simulator) -> None:
        self.api, self.simulator, self.made = api, simulator, list[Any]()
        facts = simulator.describe()
        options = {"ws": facts["deriv_options_ws_url"], "rest": facts["deriv_options_rest_url"]}
        self.urls = options if api == "options" else {"ws": facts["deriv_url"]}
        self.token = facts["token"]

    def market(self) -> Any:
        self.made.append(make_market_data("deriv", api=self.api, endpoint="simulator", endpoints=self.urls))
        return self.made[-1]

    def trading(self, endpoint: str = "simulator", **changes: Any) -> Trading:
        given = {"credentials": Credentials(token=self.token, app_id="1089")} | changes
        trading = make_trading("deriv", api=self.api, endpoint=endpoint, endpoints=self.urls, **given)
        self.made.append(trading)
        return trading

    @property
    def account(self) -> Any:
        return self.simulator.deriv.venue.account

    async def instrument(self) -> Instrument:
        (instrument,) = await self.market().instruments([SYMBOL])
        assert instrument.kind is InstrumentKind.MULTIPLIER
        return instrument  # type: ignore[no-any-return]


@pytest.fixture(params=["v3", "options"])
async def house(request: pytest.FixtureRequest) -> AsyncIterator[House]:
    running = Simulator(SimulatorOptions(seed=11))
    await running.start()
    house = House(request.param, running)
    yield house
    for adapter in house.made:
        await adapter.aclose()
    await running.stop()


def entry(instrument: Instrument, side: Side, stake: str = "10", **changes: Any) -> Order:
    given: dict[str, Any] = {
        "intent_id": f"intent-{side}-{stake}",
        "action": Action.ENTER,
        "worst_price": Decimal(10**9) if side is Side.BUY else Decimal("0.01"),
    }
    return Order(
        id="o",
        ts_event=time.time_ns(),
        revision=1,
        state=OrderState.SENT,
        mode=Mode.LIVE,
        venue="deriv",
        account="acc",
        symbol=instrument.symbol,
        strategy="s",
        side=side,
        quantity=Decimal(stake),
        position_id="p",
        reason="entry",
        **given | changes,
    )


def leaving(instrument: Instrument, contract: str) -> Order:
    return entry(instrument, Side.SELL, intent_id="exit-1", action=Action.EXIT, venue_order_id=contract)


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
async def test_a_multiplier_is_bought_watched_and_sold(house: House, side: Side) -> None:
    instrument, trading = await house.instrument(), house.trading()
    cash, currency = await trading.balance()
    assert (cash, currency) == (house.account.balance, "USD")
    acknowledged, filled = await trading.submit(entry(instrument, side), instrument)
    contract = acknowledged.venue_order_id
    (held,) = await trading.open_positions()
    assert (held.id, held.symbol, held.side, held.quantity) == (contract, SYMBOL, side, Decimal(10))
    assert held.opened == acknowledged.ts_event
    assert await trading.watch(contract) == []
    assert (filled.kind, filled.quantity, filled.detail) == (ReportKind.FILLED, Decimal(10), "")
    assert filled.price is not None
    assert (filled.fee, filled.balance_after) == (Decimal("0.14"), cash - 10)
    found = await trading.resolve(entry(instrument, side))
    assert found is not None
    assert [(r.venue_order_id, r.trade_id) for r in found] == [(contract, filled.trade_id)]
    (sold,) = await trading.close(leaving(instrument, contract), contract, instrument)
    assert sold.proceeds is not None
    assert sold.balance_after == cash - 10 + sold.proceeds == house.account.balance
    assert sold.price is not None
    assert await trading.open_positions() == []
    (closed,) = await trading.watch(contract)
    assert (closed.kind, closed.proceeds) == (ReportKind.CLOSED, sold.proceeds)


async def test_a_rise_of_five_ticks_settles_by_itself(house: House) -> None:
    instrument, trading = await house.instrument(), house.trading(product="rise_fall", duration=5)
    cash, _ = await trading.balance()
    acknowledged, _ = await trading.submit(entry(instrument, Side.BUY), instrument)
    closed: list[Any] = []
    deadline = time.monotonic() + 20
    while not closed and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
        closed = await trading.watch(acknowledged.venue_order_id)
    after, _ = await trading.balance()
    assert [report.kind for report in closed] == [ReportKind.CLOSED]
    assert after == cash - 10 + closed[0].proceeds
    assert closed[0].detail in ("won", "lost")


async def test_stop_and_target_stay_with_the_venue_when_nobody_is_there(house: House) -> None:
    instrument, trading = await house.instrument(), house.trading()
    spot = Decimal(str(house.simulator.deriv.venue.market.feeds[SYMBOL].last().quote))
    order = entry(instrument, Side.BUY, stop_price=spot * Decimal("0.99"), target_price=spot * Decimal("1.02"))
    acknowledged, filled = await trading.submit(order, instrument)
    await trading.aclose()
    assert filled.detail == ""
    kept = house.account.open[int(acknowledged.venue_order_id)].terms
    assert Decimal("4.14") < kept.stop_loss < Decimal("5.2")
    assert Decimal("7.8") < kept.take_profit < Decimal("9.5")


async def test_the_private_stream_tells_a_sale_behind_our_back_and_our_own(house: House) -> None:
    instrument, trading, stranger = await house.instrument(), house.trading(), house.trading()
    ledger = Ledger()
    listening = asyncio.create_task(trading.listen(ledger))
    await eventually(lambda: ledger.resumes, "the stream to begin")
    first, _ = await trading.submit(entry(instrument, Side.BUY, "10"), instrument)
    second, _ = await trading.submit(entry(instrument, Side.BUY, "11"), instrument)
    (theirs,) = await stranger.close(leaving(instrument, first.venue_order_id), first.venue_order_id, instrument)
    (ours,) = await trading.close(leaving(instrument, second.venue_order_id), second.venue_order_id, instrument)
    await eventually(lambda: len(ledger.reports) >= 2, "both sales")
    told = {report.venue_order_id: report for report in ledger.reports}
    closed, filled = told[first.venue_order_id], told[second.venue_order_id]
    assert (closed.kind, closed.intent_id, closed.proceeds) == (ReportKind.CLOSED, "intent-buy-10", theirs.proceeds)
    assert (filled.kind, filled.id, filled.proceeds) == (ReportKind.FILLED, ours.id, ours.proceeds)
    assert len(ledger.reports) == 2
    listening.cancel()
    with suppress(asyncio.CancelledError):
        await listening


async def test_bars_and_prints_come_over_either_api(house: House) -> None:
    market = house.market()
    now_s = await market.server_time() // SECOND
    bars = await market.history_bars(SYMBOL, 60, 5, now_s * SECOND)
    prints = await market.history_trades(SYMBOL, now_s - 11, (now_s - 1) * SECOND)
    assert len(bars) == 5
    assert [trade.seq for trade in prints] == list(range(now_s - 10, now_s))


async def test_offers_tell_commission_and_stop_out_as_the_venue_prices_them(house: House) -> None:
    by_symbol = {row.symbol: row for row in await house.market().offers([SYMBOL, "R_50"])}
    row = by_symbol[SYMBOL]
    assert row.verified
    assert row.fee_rate == Decimal("0.00036")
    assert row.stop_out is not None
    assert abs(row.stop_out - (1 / Decimal(row.multipliers[0]) - row.fee_rate)) < Decimal("1e-4")
    assert by_symbol["R_50"].fee_rate == Decimal("0.00018")


async def test_money_that_is_not_play_money_is_only_traded_when_asked_for(house: House) -> None:
    if house.api == "v3":
        pytest.skip("v3 knows one account, by its token")
    with pytest.raises(VenueRefused, match="no active real account"):
        await house.trading(endpoint="live").balance()
    assert (await house.trading(endpoint="testnet").balance())[0] == house.account.balance
