"""Cases of the private stream: what happens to the account is told, and what was missed is asked for."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from acceptance_orders import agree, close_one, open_one
from acceptance_world import House, Letters, Part, eventually, filled, listening, needs, position_of, truth_of

from libs.core.types import ReportKind
from libs.venues.base import VenueError, VenueRefused


class PrivateCases:
    """P: the private stream."""

    @needs(Part.PRIVATE)
    async def test_p01_it_begins_by_saying_so(self, house: House) -> None:
        """The stream says that it is complete from here on before anything else"""
        trading, letters = house.trading(), Letters()
        async with listening(trading, letters):
            assert len(letters.resumes) == 1
            assert letters.reports == []

    @needs(Part.PRIVATE)
    async def test_p02_answer_and_stream_tell_the_same(self, house: House) -> None:
        """What answers and stream tell of a round trip, counted together, is counted once"""
        trading, instrument, letters = house.trading(), await house.instrument(), Letters()
        ledger = await house.ledger(trading)
        async with listening(trading, letters):
            entry, reports = await open_one(house, trading, ledger, instrument)
            ended = await close_one(house, trading, ledger, instrument, entry, reports)
            last = {report.trade_id for report in ended if report.kind is ReportKind.FILLED}
            await eventually(lambda: last <= {r.trade_id for r in letters.reports}, "the exit is told by the stream")
        order = house.exit(entry, instrument, filled(reports), position_of(reports))
        orders = {entry.intent_id: entry, order.intent_id: order, position_of(reports): order}
        ledger.hear(orders, instrument, letters.reports)
        await agree(house, trading, ledger)

    @needs(Part.PRIVATE, Part.CONTRACTS)
    async def test_p03_what_the_venue_ends_is_told(self, house: House) -> None:
        """A contract that the venue settles by itself is told as CLOSED with what it paid"""
        trading = house.trading(product="rise_fall", duration=3, duration_unit="t")
        instrument, letters = await house.instrument(), Letters()
        ledger = await house.ledger(trading)
        async with listening(trading, letters):
            entry, reports = await open_one(house, trading, ledger, instrument)
            contract = position_of(reports)
            await eventually(
                lambda: any(r.kind is ReportKind.CLOSED and r.venue_order_id == contract for r in letters.reports),
                "the settlement is told",
            )
        ledger.hear({contract: entry}, instrument, [r for r in letters.reports if r.kind is ReportKind.CLOSED])
        await agree(house, trading, ledger)

    @needs(Part.PRIVATE, Part.SIMULATOR)
    async def test_p04_a_cut_is_told_and_nothing_is_lost(self, house: House) -> None:
        """After a cut the stream says that it is complete again, and asking finds what it missed"""
        trading, instrument, letters = house.trading(), await house.instrument(), Letters()
        ledger = await house.ledger(trading)
        async with listening(trading, letters):
            house.plan(
                {"fault": "timeout", "match": list(house.entries), "nth": 1},
                {"fault": "close", "match": "trade"},
            )
            order = house.entry(instrument)
            with pytest.raises(VenueError):
                await trading.submit(order, instrument)
            house.heal()
            await eventually(lambda: len(letters.resumes) >= 2, "the stream is complete again", 120.0)
            ledger.take(order, instrument, await truth_of(trading, order))
        ledger.hear({order.intent_id: order}, instrument, letters.reports)
        assert (ledger.filled.get(order.intent_id, Decimal(0)) > 0) == (house.truth_executed() == 1)
        await agree(house, trading, ledger)

    @needs(Part.PRIVATE, Part.TRANSFERS)
    async def test_p05_money_from_outside_is_told(self, house: House) -> None:
        """A deposit is told with its amount and an identity, and the balances agree again"""
        trading, letters = house.trading(), Letters()
        ledger = await house.ledger(trading)
        async with listening(trading, letters):
            amount = await house.deposit()
            await eventually(lambda: letters.transfers, "the deposit is told")
        assert [moved for _, moved, _ in letters.transfers] == [amount]
        for asset, moved, identity in letters.transfers:
            assert identity
            ledger.transfer(asset, moved, identity)
        await agree(house, trading, ledger)

    @needs(Part.PRIVATE, Part.SIMULATOR)
    async def test_p06_silence_about_fills_is_no_loss(self, house: House) -> None:
        """While the venue keeps quiet about fills, answers and resolver still give the whole truth"""
        trading, instrument, letters = house.trading(), await house.instrument(), Letters()
        ledger = await house.ledger(trading)
        async with listening(trading, letters):
            house.plan({"fault": "silent", "match": "fills"})
            entry, reports = await open_one(house, trading, ledger, instrument)
            await close_one(house, trading, ledger, instrument, entry, reports)
            ledger.take(entry, instrument, await truth_of(trading, entry))
            house.heal()
        await agree(house, trading, ledger)

    @needs(Part.PRIVATE, Part.SIMULATOR)
    async def test_p07_wrong_credentials_are_refused(self, house: House) -> None:
        """Wrong credentials end the stream and a question with a refusal that does not show them"""
        trading = house.trading(credentials=house.wrong_credentials())
        async with asyncio.timeout(60.0):
            with pytest.raises(VenueRefused) as listened:
                await trading.listen(Letters())
            with pytest.raises(VenueRefused) as asked:
                await trading.balance()
        for text in (str(listened.value), str(asked.value)):
            assert "\n" not in text
            assert house.WRONG not in text

    @needs(Part.PRIVATE, Part.SIMULATOR)
    async def test_p08_told_twice_and_out_of_order(self, house: House) -> None:
        """Doubled and swapped messages of the private line change nothing in the books"""
        trading, instrument, letters = house.trading(), await house.instrument(), Letters()
        ledger = await house.ledger(trading)
        async with listening(trading, letters):
            house.plan(
                {"fault": "duplicate", "match": "trade", "probability": 0.5},
                {"fault": "reorder", "match": "trade", "probability": 0.3, "delay_s": 0.5},
                seed=7,
            )
            entry, reports = await open_one(house, trading, ledger, instrument)
            await close_one(house, trading, ledger, instrument, entry, reports)
            await asyncio.sleep(2.0)
            house.heal()
        order = house.exit(entry, instrument, filled(reports), position_of(reports))
        orders = {entry.intent_id: entry, order.intent_id: order, position_of(reports): order}
        ledger.hear(orders, instrument, letters.reports)
        await agree(house, trading, ledger)
