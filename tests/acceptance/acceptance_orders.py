"""Cases of orders: what is sent happens once, whatever happens to the answer, and the books agree to the last digit."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

import pytest
from acceptance_ledger import Ledger, held
from acceptance_world import House, Part, eventually, filled, needs, patiently, place, position_of, truth_of

from libs.core.types import Instrument, Order, ReportKind, Side, VenueReport
from libs.venues.base import Trading, VenueError, VenueRefused


async def agree(house: House, trading: Trading, ledger: Ledger) -> None:
    """Ledger, adapter and venue name the same balances, to the last digit."""
    if Part.SIMULATOR in house.parts:
        assert held(ledger.balances) == held(house.truth_balances())
    assert held(ledger.balances) == held(await patiently(trading.balances))
    if Part.CONTRACTS in house.parts:
        assert {position.id for position in await patiently(trading.open_positions)} == set(ledger.positions)


async def open_one(
    house: House, trading: Trading, ledger: Ledger, instrument: Instrument, side: Side = Side.BUY
) -> tuple[Order, list[VenueReport]]:
    """A position, counted in the ledger."""
    order = house.entry(instrument, side)
    reports = await place(trading, order, instrument)
    assert filled(reports) > 0
    ledger.take(order, instrument, reports)
    return order, reports


async def trade_again(
    house: House, trading: Trading, ledger: Ledger, instrument: Instrument
) -> tuple[Order, list[VenueReport]]:
    """Orders work again, at the latest when what the venue asked us to wait for is over."""
    end = time.monotonic() + 150.0
    while True:
        assert time.monotonic() < end, "no order worked any more"
        await asyncio.sleep(2.0)
        order = house.entry(instrument)
        reports = await place(trading, order, instrument)
        ledger.take(order, instrument, reports)
        if filled(reports):
            return order, reports


async def close_one(
    house: House,
    trading: Trading,
    ledger: Ledger,
    instrument: Instrument,
    entry: Order,
    reports: list[VenueReport],
) -> list[VenueReport]:
    """The position of `entry` closed again, counted in the ledger."""
    order = house.exit(entry, instrument, house.sellable(instrument, reports), position_of(reports))
    ended = await place(trading, order, instrument, position_of(reports))
    ledger.take(order, instrument, ended)
    return ended


class OrderCases:
    """T: orders."""

    async def test_t01_bought_once_within_limits(self, house: House) -> None:
        """An entry fills up to its quantity at its worst price or better, and the balance shows exactly that"""
        trading, instrument = house.trading(), await house.instrument()
        ledger = await house.ledger(trading)
        order, reports = await open_one(house, trading, ledger, instrument)
        assert 0 < filled(reports) <= order.quantity
        prices = [report.price for report in reports if report.kind is ReportKind.FILLED]
        assert all(price is not None and price <= order.worst_price for price in prices)
        assert {report.intent_id for report in reports} == {order.intent_id}
        await agree(house, trading, ledger)

    async def test_t02_a_round_trip_adds_up(self, house: House) -> None:
        """Entry and exit change the balances by what was reported, to the last digit"""
        trading, instrument = house.trading(), await house.instrument()
        ledger = await house.ledger(trading)
        entry, reports = await open_one(house, trading, ledger, instrument)
        assert filled(await close_one(house, trading, ledger, instrument, entry, reports)) > 0
        await agree(house, trading, ledger)

    @needs(Part.SHORT)
    async def test_t03_a_short_round_trip_adds_up(self, house: House) -> None:
        """The same for a position that gains when the price falls"""
        trading, instrument = house.trading(), await house.instrument()
        ledger = await house.ledger(trading)
        entry, reports = await open_one(house, trading, ledger, instrument, Side.SELL)
        assert filled(await close_one(house, trading, ledger, instrument, entry, reports)) > 0
        await agree(house, trading, ledger)

    @needs(Part.SIMULATOR)
    async def test_t04_beyond_the_limit_nothing_happens(self, house: House) -> None:
        """An entry whose worst price the market does not meet fills nothing and does not rest"""
        trading, instrument = house.trading(), await house.instrument()
        ledger = await house.ledger(trading)
        order = house.entry(instrument, worst_price=house.out_of_reach(instrument, Side.BUY))
        reports = await place(trading, order, instrument)
        assert filled(reports) == 0
        assert house.truth_executed() == 0
        assert house.truth_working() == 0
        await agree(house, trading, ledger)

    async def test_t05_too_small_is_refused(self, house: House) -> None:
        """An order below the venue's minimum is refused with proof and without effect"""
        trading, instrument = house.trading(), await house.instrument()
        ledger = await house.ledger(trading)
        with pytest.raises(VenueRefused):
            await trading.submit(house.entry(instrument, quantity=house.too_small(instrument)), instrument)
        await agree(house, trading, ledger)

    @needs(Part.SIMULATOR)
    async def test_t06_too_dear_is_refused(self, house: House) -> None:
        """An order beyond the balance is refused with proof and without effect"""
        trading, instrument = house.trading(), await house.instrument()
        house.impoverish()
        ledger = await house.ledger(trading)
        with pytest.raises(VenueRefused):
            await trading.submit(house.entry(instrument), instrument)
        assert house.truth_executed() == 0
        await agree(house, trading, ledger)

    @needs(Part.CONTRACTS)
    async def test_t07_what_is_gone_is_reported_closed(self, house: House) -> None:
        """Closing a contract that is over reports what it paid instead of failing"""
        trading, instrument = house.trading(), await house.instrument()
        ledger = await house.ledger(trading)
        entry, reports = await open_one(house, trading, ledger, instrument)
        await close_one(house, trading, ledger, instrument, entry, reports)
        again = house.exit(entry, instrument, filled(reports), position_of(reports))
        (over,) = await trading.close(again, position_of(reports), instrument)
        assert over.kind is ReportKind.CLOSED
        ledger.take(again, instrument, [over])
        assert [report.kind for report in await trading.watch(position_of(reports))] == [ReportKind.CLOSED]
        await agree(house, trading, ledger)

    @needs(Part.ASSETS, Part.SIMULATOR)
    async def test_t08_a_part_fills_and_the_rest_is_cancelled(self, house: House) -> None:
        """An entry larger than the book within its limit fills in part: a report for each trade, then CANCELLED"""
        trading, instrument = house.trading(), await house.instrument()
        quantity, limit = house.more_than_there_is(instrument)
        ledger = await house.ledger(trading)
        order = house.entry(instrument, quantity=quantity, worst_price=limit)
        reports = await place(trading, order, instrument)
        ledger.take(order, instrument, reports)
        assert 0 < filled(reports) < quantity
        assert reports[-1].kind is ReportKind.CANCELLED
        assert all(r.price <= limit for r in reports if r.kind is ReportKind.FILLED and r.price is not None)
        assert house.truth_working() == 0
        await agree(house, trading, ledger)

    @needs(Part.ASSETS)
    async def test_t09_nothing_is_left_to_cancel(self, house: House) -> None:
        """Cancelling an order that has ended is harmless and says what became of it"""
        trading, instrument = house.trading(), await house.instrument()
        ledger = await house.ledger(trading)
        entry, reports = await open_one(house, trading, ledger, instrument)
        with suppress(VenueRefused):
            ledger.take(entry, instrument, await trading.cancel(entry))
        assert filled(reports) == ledger.filled[entry.intent_id]
        await agree(house, trading, ledger)


FAULTS: dict[str, dict[str, Any]] = {
    "timeout": {},
    "late": {"delay_s": 25},
    "cut_call": {},
    "lost": {},
    "internal": {},
    "rate_limit": {},
    "reject": {},
    "maintenance": {"lasts_s": 6},
    "expired": {},
}


async def entry_under(house: House, fault: str) -> None:
    """An entry whose call meets `fault`; afterwards everything is known and the next order works."""
    trading, instrument = house.trading(), await house.instrument()
    ledger = await house.ledger(trading)
    house.plan({"fault": fault, "match": list(house.entries), "nth": 1, **FAULTS[fault]})
    order = house.entry(instrument)
    reports = await place(trading, order, instrument)
    assert house.faults.total >= 1, "the fault did not happen"
    house.heal()
    ledger.take(order, instrument, reports)
    assert house.truth_executed() == (1 if filled(reports) else 0)
    await agree(house, trading, ledger)
    await trade_again(house, trading, ledger, instrument)
    await agree(house, trading, ledger)


def over(reports: list[VenueReport]) -> bool:
    """Whether a position was closed."""
    return any(report.kind in (ReportKind.FILLED, ReportKind.CLOSED) for report in reports)


async def exit_under(house: House, fault: str) -> None:
    """An exit whose call meets `fault`; it is tried again, as the executor does, until the position is over."""
    trading, instrument = house.trading(), await house.instrument()
    ledger = await house.ledger(trading)
    entry, reports = await open_one(house, trading, ledger, instrument)
    opened = house.sellable(instrument, reports)
    house.plan({"fault": fault, "match": list(house.exits), "nth": 1, **FAULTS[fault]})
    order = house.exit(entry, instrument, opened, position_of(reports))
    ended = await place(trading, order, instrument, position_of(reports))
    assert house.faults.total >= 1, "the fault did not happen"
    house.heal()
    ledger.take(order, instrument, ended)
    await agree(house, trading, ledger)
    end = time.monotonic() + 150.0
    while not over(ended):
        assert time.monotonic() < end, "the position cannot be closed any more"
        await asyncio.sleep(2.0)
        order = house.exit(order, instrument, opened, position_of(reports), side=order.side)
        ended = await place(trading, order, instrument, position_of(reports))
        ledger.take(order, instrument, ended)
    await agree(house, trading, ledger)
    assert ledger.filled[entry.intent_id] > 0
    assert house.truth_positions() == set(ledger.positions)


class FaultyEntryCases:
    """T1x: an entry, and something happens to its call."""

    @needs(Part.SIMULATOR)
    async def test_t10_entry_timeout(self, house: House) -> None:
        """An entry is executed and never answered: unresolved, found, counted once"""
        await entry_under(house, "timeout")

    @needs(Part.SIMULATOR)
    async def test_t11_entry_late(self, house: House) -> None:
        """An entry is answered after everybody gave up: counted once"""
        await entry_under(house, "late")

    @needs(Part.SIMULATOR)
    async def test_t12_entry_cut(self, house: House) -> None:
        """An entry is executed and the connection cut in the answer: found, counted once"""
        await entry_under(house, "cut_call")

    @needs(Part.SIMULATOR)
    async def test_t13_entry_lost(self, house: House) -> None:
        """An entry never arrives: unresolved until it is certain, then proven to have had no effect"""
        await entry_under(house, "lost")

    @needs(Part.SIMULATOR)
    async def test_t14_entry_internal_error(self, house: House) -> None:
        """An entry is executed and answered with "unknown error": found, counted once"""
        await entry_under(house, "internal")

    @needs(Part.SIMULATOR)
    async def test_t15_entry_rate_limited(self, house: House) -> None:
        """An entry is refused for the rate: no effect, and the next one works"""
        await entry_under(house, "rate_limit")

    @needs(Part.SIMULATOR)
    async def test_t16_entry_refused(self, house: House) -> None:
        """An entry is refused: tried again with a new price or given up, bought at most once"""
        await entry_under(house, "reject")

    @needs(Part.SIMULATOR)
    async def test_t17_entry_in_maintenance(self, house: House) -> None:
        """An entry meets a maintenance window: no effect, and the next one works"""
        await entry_under(house, "maintenance")

    @needs(Part.SIMULATOR)
    async def test_t18_entry_login_expired(self, house: House) -> None:
        """An entry meets an ended login: no effect, and the next one logs in anew"""
        await entry_under(house, "expired")


class FaultyExitCases:
    """T2x: an exit, and something happens to its call."""

    @needs(Part.SIMULATOR)
    async def test_t20_exit_timeout(self, house: House) -> None:
        """An exit is executed and never answered: unresolved, found, counted once"""
        await exit_under(house, "timeout")

    @needs(Part.SIMULATOR)
    async def test_t21_exit_late(self, house: House) -> None:
        """An exit is answered after everybody gave up: counted once"""
        await exit_under(house, "late")

    @needs(Part.SIMULATOR)
    async def test_t22_exit_cut(self, house: House) -> None:
        """An exit is executed and the connection cut in the answer: found, counted once"""
        await exit_under(house, "cut_call")

    @needs(Part.SIMULATOR)
    async def test_t23_exit_lost(self, house: House) -> None:
        """An exit never arrives: proven to have had no effect, and the second attempt closes"""
        await exit_under(house, "lost")

    @needs(Part.SIMULATOR)
    async def test_t24_exit_internal_error(self, house: House) -> None:
        """An exit is executed and answered with "unknown error": found, counted once"""
        await exit_under(house, "internal")

    @needs(Part.SIMULATOR)
    async def test_t25_exit_rate_limited(self, house: House) -> None:
        """An exit is refused for the rate: no effect, and the second attempt closes"""
        await exit_under(house, "rate_limit")

    @needs(Part.SIMULATOR)
    async def test_t26_exit_refused(self, house: House) -> None:
        """An exit is refused: no effect, and the second attempt closes"""
        await exit_under(house, "reject")

    @needs(Part.SIMULATOR)
    async def test_t27_exit_in_maintenance(self, house: House) -> None:
        """An exit meets a maintenance window: no effect, and the second attempt closes"""
        await exit_under(house, "maintenance")

    @needs(Part.SIMULATOR)
    async def test_t28_exit_login_expired(self, house: House) -> None:
        """An exit meets an ended login: no effect, and the second attempt closes"""
        await exit_under(house, "expired")


class ResolverCases:
    """R: what became of an order, and whether the books agree."""

    async def test_r01_the_books_say_what_the_answer_said(self, house: House) -> None:
        """Resolving an order that was answered tells the same executions under the same identities"""
        trading, instrument = house.trading(), await house.instrument()
        ledger = await house.ledger(trading)
        order, reports = await open_one(house, trading, ledger, instrument)
        found = await truth_of(trading, order)
        assert {r.trade_id for r in found if r.kind is ReportKind.FILLED} == {
            r.trade_id for r in reports if r.kind is ReportKind.FILLED
        }
        ledger.take(order, instrument, found)
        await agree(house, trading, ledger)

    @needs(Part.SIMULATOR)
    async def test_r02_unknown_stays_unknown_until_certain(self, house: House) -> None:
        """An order that never arrived is unknown at first and proven absent later, never the other way round"""
        trading, instrument = house.trading(), await house.instrument()
        house.plan({"fault": "lost", "match": list(house.entries)})
        order = house.entry(instrument)
        sent = asyncio.create_task(place(trading, order, instrument))
        await eventually(lambda: house.faults.total, "the order is lost")
        assert await trading.resolve(order) is None
        assert await sent == []
        house.heal()
        assert await trading.resolve(order) == []
        assert house.truth_executed() == 0

    async def test_r03_many_orders_add_up(self, house: House) -> None:
        """After many orders every balance is what the reports add up to, to the last digit"""
        trading, instrument = house.trading(), await house.instrument()
        ledger = await house.ledger(trading)
        for _ in range(4):
            entry, reports = await open_one(house, trading, ledger, instrument)
            await close_one(house, trading, ledger, instrument, entry, reports)
        await open_one(house, trading, ledger, instrument)
        await agree(house, trading, ledger)

    async def test_r04_asking_again_is_harmless(self, house: House) -> None:
        """Everything told twice, by answer, by resolver and by watch, counts once"""
        trading, instrument = house.trading(), await house.instrument()
        ledger = await house.ledger(trading)
        entry, reports = await open_one(house, trading, ledger, instrument)
        ended = await close_one(house, trading, ledger, instrument, entry, reports)
        order = house.exit(entry, instrument, house.sellable(instrument, reports), position_of(reports))
        for again in (reports, ended, await truth_of(trading, order), await trading.watch(position_of(reports))):
            ledger.take(order if again is not reports else entry, instrument, again)
        await agree(house, trading, ledger)

    @needs(Part.SIMULATOR)
    async def test_r05_a_venue_that_is_away_leaves_it_unknown(self, house: House) -> None:
        """While the venue cannot be asked an order stays unknown, without an exception, and is found afterwards"""
        trading, instrument = house.trading(), await house.instrument()
        ledger = await house.ledger(trading)
        house.plan({"fault": "timeout", "match": list(house.entries), "nth": 1})
        order = house.entry(instrument)
        with pytest.raises(VenueError):
            await trading.submit(order, instrument)
        house.heal()
        house.plan({"fault": "maintenance", "lasts_s": 20}, {"fault": "lost"})
        assert await trading.resolve(order) is None
        house.heal()
        found = await truth_of(trading, order)
        assert filled(found) > 0
        ledger.take(order, instrument, found)
        assert house.truth_executed() == 1
        await agree(house, trading, ledger)

    @needs(Part.SIMULATOR)
    async def test_r06_a_clock_that_jumped_is_learned_anew(self, house: House) -> None:
        """After the venue's clock jumps back and forth, questions and orders work again without a restart"""
        trading, instrument = house.trading(), await house.instrument()
        ledger = await house.ledger(trading)
        for offset_s in (-15.0, 20.0):
            house.plan({"fault": "clock_jump", "offset_s": offset_s})
            entry, reports = await trade_again(house, trading, ledger, instrument)
            await patiently(trading.balances)
            house.heal()
            await agree(house, trading, ledger)
            await close_one(house, trading, ledger, instrument, entry, reports)
            await agree(house, trading, ledger)


class BudgetCases:
    """B: the venue's limits."""

    @needs(Part.SIMULATOR)
    async def test_b01_a_burst_stays_within_the_limits(self, house: House) -> None:
        """Many questions at once are slowed down by us, and the venue never has to refuse one"""
        trading, adapter = house.trading(), house.market_data()
        asked = [adapter.server_time() for _ in range(150)] + [trading.balance() for _ in range(60)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert [
            answer for answer in answers if isinstance(answer, Exception) and not isinstance(answer, VenueError)
        ] == []
        assert house.overruns() == 0

    @needs(Part.SIMULATOR)
    async def test_b02_a_refusal_for_the_rate_is_heeded(self, house: House) -> None:
        """After the venue says that a limit is exceeded it is left in peace for a while"""
        trading = house.trading()
        await trading.balance()
        house.plan({"fault": "rate_limit", "match": list(house.balances_calls)})
        with pytest.raises(VenueError):
            await trading.balance()
        struck = house.faults.total
        with pytest.raises((VenueError, TimeoutError)):
            async with asyncio.timeout(0.5):
                await trading.balance()
        assert house.faults.total == struck
        assert any(budget.state().blocked_s > 0 for budget in trading.budgets())

    async def test_b03_limits_are_shown(self, house: House) -> None:
        """Both adapters say which limits they spend from and how much is used"""
        trading, adapter = house.trading(), house.market_data()
        await trading.balance()
        await adapter.server_time()
        for budgets in (trading.budgets(), adapter.budgets()):
            states = [budget.state() for budget in budgets]
            assert len({state.name for state in states}) == len(states) > 0
            assert all(0 <= state.used <= state.limit for state in states)
        assert sum(budget.state().used for budget in trading.budgets()) > 0

    @needs(Part.SIMULATOR)
    async def test_b04_data_cannot_starve_an_exit(self, house: House) -> None:
        """While questions for data wait for their turn an exit is sent at once"""
        trading, instrument = house.trading(), await house.instrument()
        ledger = await house.ledger(trading)
        entry, reports = await open_one(house, trading, ledger, instrument)
        crowd = [asyncio.create_task(trading.balance()) for _ in range(400)]
        try:
            await asyncio.sleep(1.0)
            async with asyncio.timeout(15.0):
                ended = await close_one(house, trading, ledger, instrument, entry, reports)
            assert filled(ended) > 0
        finally:
            for each in crowd:
                each.cancel()
            await asyncio.gather(*crowd, return_exceptions=True)
        assert house.overruns() == 0
