"""One seeded run: orders on several markets while a fault plan holds; then heal, resolve, compare with the truth."""

from __future__ import annotations

import asyncio
import random
import time
from decimal import Decimal
from typing import Any

import msgspec
from acceptance_ledger import Ledger, held
from acceptance_market import exact
from acceptance_orders import over
from acceptance_world import House, Letters, Part, Tape, filled, patiently, position_of, running

from libs.core.types import Instrument, Order, Side, VenueReport
from libs.venues.base import Trading, VenueRefused, VenueUnavailable, VenueUnresolved
from tests.soak.mischief import draw_plan

TROUBLE_S = 150.0
"""How long faults hold at most, in the seconds of the world."""

CALM_S = 300.0
"""How long everything may take to be known once they are over."""


class Outcome(msgspec.Struct):
    """What a run came to; `differences` is empty when nothing was lost or doubled."""

    seed: int
    venue: str
    orders: int = 0
    executed: int = 0
    unresolved: int = 0
    faults: int = 0
    world_s: float = 0.0
    differences: list[str] = []
    plan: list[dict[str, Any]] = []


class Trader:
    """Places orders on one market, one at a time; while the fate of one is unknown it asks and does nothing else."""

    def __init__(self, run: Run, instrument: Instrument, rng: random.Random, count: int) -> None:
        self.run, self.instrument, self.rng, self.left = run, instrument, rng, count
        self.entry: Order | None = None
        self.attempt: Order | None = None
        self.opened: list[VenueReport] = []

    async def work(self) -> None:
        """Until every order is placed and known."""
        while self.left > 0 and not self.run.is_calm:
            self.left -= 1
            await self.one()
            await asyncio.sleep(self.rng.uniform(0.1, 2.0))

    async def one(self) -> None:
        """An entry, or the exit of what the last one opened."""
        run = self.run
        if self.entry is None:
            side = self.rng.choice((Side.BUY, Side.SELL)) if Part.SHORT in run.house.parts else Side.BUY
            order = run.house.entry(self.instrument, side)
            reports = await self.place(order)
            if filled(reports) > 0:
                self.entry, self.opened = order, reports
                run.orders.setdefault(position_of(reports), order)
        else:
            position = position_of(self.opened)
            quantity = run.house.sellable(self.instrument, self.opened)
            side = self.entry.side.opposite
            self.attempt = run.house.exit(self.attempt or self.entry, self.instrument, quantity, position, side)
            if over(await self.place(self.attempt, position)):
                self.entry = self.attempt = None

    async def place(self, order: Order, position: str = "") -> list[VenueReport]:
        run, trading = self.run, self.run.trading
        run.outcome.orders += 1
        run.orders[order.intent_id] = order
        if position:
            run.orders[position] = order
        try:
            if position:
                reports = await trading.close(order, position, self.instrument)
            else:
                reports = await trading.submit(order, self.instrument)
        except (VenueRefused, VenueUnavailable):
            reports = []
        except VenueUnresolved:
            run.outcome.unresolved += 1
            reports = await self.resolve(order)
        run.ledger.take(order, self.instrument, reports)
        return reports

    async def resolve(self, order: Order) -> list[VenueReport]:
        while True:
            found = await self.run.trading.resolve(order)
            if found is not None:
                return found
            if self.run.is_overdue:
                self.run.differ(f"the fate of {order.reason} {order.intent_id} stayed unknown")
                return []
            await asyncio.sleep(2.0)


class Run:
    """The parts of one run."""

    def __init__(self, house: House, seed: int) -> None:
        self.house, self.seed = house, seed
        self.rng = random.Random(seed)
        self.outcome = Outcome(seed, house.title)
        self.orders: dict[str, Order] = {}
        self.letters, self.tape = Letters(), Tape()
        self.healed_at: float | None = None
        self.trading: Trading
        self.ledger: Ledger

    @property
    def is_calm(self) -> bool:
        return self.healed_at is not None

    @property
    def is_overdue(self) -> bool:
        return self.healed_at is not None and time.monotonic() - self.healed_at > CALM_S

    def differ(self, text: str) -> None:
        self.outcome.differences.append(text)

    async def go(self) -> Outcome:
        """Play it."""
        house = self.house
        async with house.life():
            began = time.monotonic()
            self.trading = house.trading()
            self.ledger = await house.ledger(self.trading)
            feed = house.market_data()
            instruments = await feed.instruments(list(house.soaked))
            count = self.rng.randint(10, 30)
            async with (
                running(self.listen()),
                running(feed.stream([row.symbol for row in instruments], self.tape)),
            ):
                self.outcome.plan = draw_plan(self.rng, house.entries + house.exits, house.streams)
                house.plan(*self.outcome.plan, seed=self.seed)
                traders = [
                    Trader(self, row, random.Random(f"{self.seed}/{row.symbol}"), count // len(instruments) + 1)
                    for row in instruments
                ]
                working = [asyncio.create_task(trader.work()) for trader in traders]
                await asyncio.wait(working, timeout=TROUBLE_S)
                self.outcome.faults = house.faults.total
                house.heal()
                self.healed_at = time.monotonic()
                await asyncio.gather(*working)
                await self.compare(instruments)
            self.outcome.world_s = round(time.monotonic() - began, 1)
        return self.outcome

    async def listen(self) -> None:
        """Follow the private stream; a login that is refused is tried again, as the executor does."""
        while True:
            try:
                await self.trading.listen(self.letters)
            except VenueRefused:
                await asyncio.sleep(5.0)

    async def compare(self, instruments: list[Instrument]) -> None:
        """Ledger, adapter and venue must name the same, order by order and to the last digit."""
        await self.hear(instruments)
        house, ledger = self.house, self.ledger
        truth = held(house.truth_balances())
        if held(ledger.balances) != truth:
            self.differ(f"ledger {shown(held(ledger.balances))}, venue {shown(truth)}")
        told = held(await patiently(self.trading.balances, CALM_S))
        if told != truth:
            self.differ(f"adapter says {shown(told)}, venue {shown(truth)}")
        self.outcome.executed = ledger.executions
        if ledger.executions != house.truth_executions():
            self.differ(f"{ledger.executions} executions in the ledger, {house.truth_executions()} at the venue")
        if Part.CONTRACTS in house.parts:
            positions = {position.id for position in await patiently(self.trading.open_positions, CALM_S)}
            if not positions == set(ledger.positions) == house.truth_positions():
                self.differ(
                    f"positions: ledger {sorted(ledger.positions)}, adapter {sorted(positions)}, "
                    f"venue {sorted(house.truth_positions())}"
                )
        if house.overruns():
            self.differ(f"{house.overruns()} calls above the venue's limits")
        for symbol, prints in self.tape.trades.items():
            recorded = house.truth_prints(symbol)
            lies = [p.seq for p in prints if recorded.get(p.seq) != (exact(p.price), p.ts_event)]
            if lies:
                self.differ(f"{len(lies)} prints of {symbol} that never were: {lies[:5]}")

    async def hear(self, instruments: list[Instrument]) -> None:
        """What the private stream told as well; and, of contracts, what became of those that the ledger holds."""
        by_symbol = {row.symbol: row for row in instruments}
        for report in self.letters.reports:
            order = self.orders.get(report.intent_id) or self.orders.get(report.venue_order_id)
            if order is not None:
                self.ledger.take(order, by_symbol[order.symbol], [report])
        for position in list(self.ledger.positions):
            order = self.orders[position]
            closed = await patiently(lambda position=position: self.trading.watch(position), CALM_S)  # type: ignore[misc]
            self.ledger.take(order, by_symbol[order.symbol], closed)


def shown(balances: dict[str, Decimal]) -> str:
    return ", ".join(f"{amount} {asset}" for asset, amount in sorted(balances.items()))
