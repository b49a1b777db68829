"""Cases of hostile input: no frame ends a stream, hangs a call, or is believed when it lies about its shape."""

from __future__ import annotations

import asyncio
from typing import Any

from acceptance_market import exact
from acceptance_orders import agree, open_one
from acceptance_world import House, Part, Tape, eventually, filled, needs, place, position_of, streaming

OVERSIZE = 17 << 20
"""Just above what a client needs to take; larger ones are refused by the same check."""


async def data_under(house: House, *rules: dict[str, Any], seed: int = 3) -> None:
    """Market data while `rules` hold: what is told is true, the stream lives, and afterwards it is as before."""
    adapter, tape = house.market_data(), Tape()
    async with streaming(adapter, [house.symbol], tape):
        await eventually(lambda: len(tape.seqs(house.symbol)) >= 2, "prints")
        house.plan(*({"match": "data", **rule} for rule in rules), seed=seed)
        await eventually(lambda: house.faults.total >= 3, "faults", 240.0)
        house.heal()
        back = len(tape.seqs(house.symbol))
        await eventually(lambda: len(tape.seqs(house.symbol)) >= back + 3, "prints again", 240.0)
    truth = house.truth_prints(house.symbol)
    for trade in tape.trades[house.symbol]:
        assert (exact(trade.price), trade.ts_event) == truth[trade.seq]


async def orders_under(house: House, *rules: dict[str, Any], seed: int = 3) -> None:
    """An entry and an exit while `rules` hold: every call ends, and the books agree afterwards."""
    trading, instrument = house.trading(), await house.instrument()
    ledger = await house.ledger(trading)
    first = house.entry(instrument)
    house.plan(*({"match": "trade", **rule} for rule in rules), seed=seed)
    async with asyncio.timeout(240.0):
        try:
            reports = await place_patiently(house, trading, first, instrument)
        finally:
            house.heal()
    ledger.take(first, instrument, reports)
    assert house.truth_executed() == (1 if filled(reports) else 0)
    if not filled(reports):
        first, reports = await open_one(house, trading, ledger, instrument)
    house.plan(*({"match": "trade", **rule} for rule in rules), seed=seed + 1)
    last = house.exit(first, instrument, house.sellable(instrument, reports), position_of(reports))
    async with asyncio.timeout(240.0):
        try:
            ended = await place_patiently(house, trading, last, instrument, position_of(reports))
        finally:
            house.heal()
    ledger.take(last, instrument, ended)
    await agree(house, trading, ledger)


async def place_patiently(house: House, trading: Any, order: Any, instrument: Any, position: str = "") -> Any:
    """As `place`, with the line healed once the order has had a minute of trouble."""
    loop = asyncio.get_running_loop()
    healing = loop.call_later(60.0, house.heal)
    try:
        return await place(trading, order, instrument, position)
    finally:
        healing.cancel()


class HostileCases:
    """X: what may come down the line."""

    @needs(Part.SIMULATOR)
    async def test_x01_data_garbage(self, house: House) -> None:
        """Market data with bytes overwritten: rejected, never believed"""
        await data_under(house, {"fault": "corrupt", "probability": 0.3})

    @needs(Part.SIMULATOR)
    async def test_x02_data_truncated(self, house: House) -> None:
        """Market data cut short: rejected, never believed"""
        await data_under(house, {"fault": "truncate", "probability": 0.3})

    @needs(Part.SIMULATOR)
    async def test_x03_data_wrong_types(self, house: House) -> None:
        """Market data with lists and objects for numbers: rejected, never believed"""
        await data_under(house, {"fault": "wrong_types", "probability": 0.4})

    @needs(Part.SIMULATOR)
    async def test_x04_data_oversized(self, house: House) -> None:
        """A frame too large for any purpose: the connection is replaced"""
        await data_under(house, {"fault": "oversize", "probability": 0.2, "count": 3, "size_bytes": OVERSIZE})

    @needs(Part.SIMULATOR)
    async def test_x05_data_doubled_and_swapped(self, house: House) -> None:
        """Market data doubled and out of order: every value told is true"""
        await data_under(
            house, {"fault": "duplicate", "probability": 0.3}, {"fault": "reorder", "probability": 0.3, "delay_s": 0.5}
        )

    @needs(Part.SIMULATOR)
    async def test_x06_data_dropped_and_delayed(self, house: House) -> None:
        """Market data lost and late: every value told is true"""
        await data_under(
            house, {"fault": "drop", "probability": 0.3}, {"fault": "delay", "probability": 0.2, "delay_s": 2}
        )

    @needs(Part.SIMULATOR)
    async def test_x07_data_cut_again_and_again(self, house: House) -> None:
        """A connection that is cut again and again: the stream lives"""
        await data_under(house, {"fault": "close", "probability": 0.5, "count": 3})

    @needs(Part.SIMULATOR)
    async def test_x11_orders_garbage(self, house: House) -> None:
        """Answers with bytes overwritten: every call ends, the books agree"""
        await orders_under(house, {"fault": "corrupt", "probability": 0.4})

    @needs(Part.SIMULATOR)
    async def test_x12_orders_truncated(self, house: House) -> None:
        """Answers cut short: every call ends, the books agree"""
        await orders_under(house, {"fault": "truncate", "probability": 0.4})

    @needs(Part.SIMULATOR)
    async def test_x13_orders_wrong_types(self, house: House) -> None:
        """Answers with lists and objects for values: every call ends, the books agree"""
        await orders_under(house, {"fault": "wrong_types", "probability": 0.4})

    @needs(Part.SIMULATOR)
    async def test_x14_orders_oversized(self, house: House) -> None:
        """An answer too large for any purpose: every call ends, the books agree"""
        await orders_under(house, {"fault": "oversize", "probability": 0.3, "count": 2, "size_bytes": OVERSIZE})

    @needs(Part.SIMULATOR)
    async def test_x15_orders_doubled_and_swapped(self, house: House) -> None:
        """Answers doubled and out of order: every call ends, the books agree"""
        await orders_under(
            house, {"fault": "duplicate", "probability": 0.4}, {"fault": "reorder", "probability": 0.4, "delay_s": 0.5}
        )

    @needs(Part.SIMULATOR)
    async def test_x16_orders_dropped_and_delayed(self, house: House) -> None:
        """Answers lost and late: every call ends, the books agree"""
        await orders_under(
            house, {"fault": "drop", "probability": 0.4}, {"fault": "delay", "probability": 0.3, "delay_s": 4}
        )

    @needs(Part.SIMULATOR)
    async def test_x17_orders_cut_again_and_again(self, house: House) -> None:
        """Connections cut again and again: every call ends, the books agree"""
        await orders_under(house, {"fault": "close", "probability": 0.4, "count": 3})
