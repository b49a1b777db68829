"""A venue under test: its simulator, what an adapter of it must hold, and the truth to compare with."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import pytest
from acceptance_ledger import Ledger
from fast_time import faster

from libs.core.types import (
    SECOND,
    Action,
    FeedState,
    Instrument,
    Mode,
    Order,
    OrderState,
    ReportKind,
    Side,
    VenueReport,
    stable_id,
)
from libs.venues.base import (
    Holds,
    MarketData,
    Trading,
    VenueError,
    VenueRefused,
    VenueUnavailable,
    VenueUnresolved,
)
from services.simulator.app import Simulator
from services.simulator.faults.engine import PlannedFaults
from services.simulator.faults.plan import plan_of
from services.simulator.settings import SimulatorOptions

T = TypeVar("T")
CaseT = TypeVar("CaseT", bound=Callable[..., Any])


class Part(StrEnum):
    """What not every venue has; a case that needs one is optional."""

    SIMULATOR = "simulator"  # faults can be asked for and the truth can be looked up
    QUOTES = "quotes"
    BOOK = "book"
    KLINES = "klines"
    CONTRACTS = "contracts"  # positions are contracts
    ASSETS = "assets"  # positions are balances
    SHORT = "short"  # can open short
    TRANSFERS = "transfers"  # money can be moved from outside
    PRIVATE = "private stream"


def needs(*parts: Part) -> Callable[[CaseT], CaseT]:
    """Mark a case as one for venues with these parts."""

    def mark(case: CaseT) -> CaseT:
        case.needs = parts  # type: ignore[attr-defined]
        return case

    return mark


async def eventually(condition: Callable[[], object], what: str, within_s: float = 60.0) -> None:
    """Wait for a condition, in the seconds of the (faster) world."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, f"did not happen within {within_s:g} s: {what}"
        await asyncio.sleep(0.05)


class Tape:
    """A FeedSink that keeps what arrives, by symbol."""

    def __init__(self) -> None:
        self.trades: dict[str, list[Any]] = {}
        self.quotes: dict[str, list[Any]] = {}
        self.books: dict[str, list[tuple[list[Any], list[Any], int, int]]] = {}
        self.klines: list[Any] = []
        self.clocks: list[tuple[int, int, FeedState]] = []
        self.statuses: list[tuple[str, str, str]] = []
        self.rejects: list[str] = []

    def trade(self, symbol: str, trade: Any, recv_ns: int) -> None:
        self.trades.setdefault(symbol, []).append(trade)

    def quote(self, symbol: str, quote: Any, recv_ns: int) -> None:
        self.quotes.setdefault(symbol, []).append(quote)

    def book(self, symbol: str, bids: Any, asks: Any, first_id: int, last_id: int, ts: int, *told: Any) -> None:
        self.books.setdefault(symbol, []).append((list(bids), list(asks), first_id, last_id))

    def kline(self, bar: Any, recv_ns: int) -> None:
        self.klines.append(bar)

    def clock(self, ts_event: int, recv_ns: int, *, extrapolate: bool, speed: float, state: FeedState) -> None:
        self.clocks.append((ts_event, recv_ns, state))

    def status(self, symbol: str, event: str, detail: str) -> None:
        self.statuses.append((symbol, event, detail))

    def reject(self, symbol: str, payload: bytes, reason: str) -> None:
        assert isinstance(payload, bytes)
        self.rejects.append(reason)

    def seqs(self, symbol: str) -> list[int]:
        return [trade.seq for trade in self.trades.get(symbol, [])]

    def events(self) -> list[str]:
        return [event for _, event, _ in self.statuses]


class Letters:
    """A PrivateSink that keeps what arrives."""

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

    def kinds(self, intent_id: str) -> list[ReportKind]:
        return [report.kind for report in self.reports if report.intent_id == intent_id]


class House:
    """One venue under test. The subclasses say what is special about it.

    Attributes:
        title: name in the table. parts: what it has beyond what each must have. symbol, other: two markets.
        entries, exits: the venue's own names of the calls that trade. speed: seconds per second.
    """

    title = ""
    parts: frozenset[Part] = frozenset()
    symbol = ""
    other = ""
    unknown = "NOSUCHTHING"
    entries: tuple[str, ...] = ()
    exits: tuple[str, ...] = ()
    histories: tuple[str, ...] = ()
    speed = 50.0
    bar_s = 60

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.orders = 0
        self.found: frozenset[str] | None = None
        self._open: list[Any] = []

    # --- what a venue gives --------------------------------------------------------------------------------------

    def make_market_data(self) -> MarketData:
        raise NotImplementedError

    def make_trading(self, **changes: Any) -> Trading:
        raise NotImplementedError

    def quantity(self, instrument: Instrument) -> Decimal:
        """A small quantity that the venue takes."""
        raise NotImplementedError

    # --- what can be known of a simulator ------------------------------------------------------------------------

    simulator: Simulator

    @property
    def faults(self) -> PlannedFaults:
        return self.simulator.faults

    @property
    def venue(self) -> str:
        """The simulator's name of the venue."""
        raise NotImplementedError

    def truth_balances(self) -> dict[str, Decimal]:
        """What the account holds, by asset, from the simulator itself."""
        raise NotImplementedError

    def truth_executed(self) -> int:
        """How many orders of the account led to an execution since the start."""
        raise NotImplementedError

    def truth_prints(self, symbol: str) -> dict[int, tuple[Decimal, int]]:
        """Price and time by sequence of every print on record."""
        raise NotImplementedError

    def overruns(self) -> int:
        """How often the venue had to say that a limit was exceeded."""
        raise NotImplementedError

    def record(self, kind: str) -> list[dict[str, Any]]:
        """Lines of the truth record."""
        self.simulator.record.flush()
        lines = (json.loads(line) for line in (self.folder / "record.jsonl").read_text().splitlines())
        return [line for line in lines if line["venue"] == self.venue and line["kind"] == kind]

    def plan(self, *rules: dict[str, Any], seed: int = 1) -> None:
        """Let things go wrong at this venue from now on."""
        self.faults.add(plan_of({"seed": seed, "rules": [{"venue": self.venue, **rule} for rule in rules]}, "case"))

    def heal(self) -> None:
        self.faults.heal()

    # --- orders --------------------------------------------------------------------------------------------------

    def now(self) -> int:
        return time.time_ns()

    def entry(self, instrument: Instrument, side: Side = Side.BUY, **changes: Any) -> Order:
        """An order that is willing to pay the market's price, unless `changes` say otherwise."""
        self.orders += 1
        name = hashlib.sha256(f"{self.title}/{self.orders}/{time.time_ns()}".encode()).hexdigest()[:32]
        given: dict[str, Any] = {
            "side": side,
            "quantity": self.quantity(instrument),
            "worst_price": self.far(instrument, side),
        }
        return self._order(name, instrument, Action.ENTER, "entry", given | changes)

    def exit(
        self, cause: Order, instrument: Instrument, quantity: Decimal, venue_order_id: str, side: Side | None = None
    ) -> Order:
        """The order that ends the position of the entry `cause`; with `side`, another attempt after an exit."""
        name = stable_id("exit", cause.intent_id)[:32]
        side = side or cause.side.opposite
        given = {
            "side": side,
            "quantity": quantity,
            "worst_price": self.far(instrument, side),
            "venue_order_id": venue_order_id if Part.CONTRACTS in self.parts else "",
        }
        return self._order(name, instrument, Action.EXIT, "exit", given)

    def far(self, instrument: Instrument, side: Side) -> Decimal:
        """A limit that the market does not reach."""
        return Decimal(10**9) if side is Side.BUY else Decimal("0.01")

    def _order(self, name: str, instrument: Instrument, action: Action, reason: str, given: dict[str, Any]) -> Order:
        return Order(
            id=f"{name}-1",
            ts_event=self.now(),
            intent_id=name,
            revision=1,
            state=OrderState.SENT,
            mode=Mode.LIVE,
            venue=instrument.venue,
            account="acceptance",
            symbol=instrument.symbol,
            strategy="acceptance",
            action=action,
            position_id=name,
            reason=reason,
            **given,
        )

    async def ledger(self, trading: Trading) -> Ledger:
        """A ledger that opens with what the venue says now."""
        _, currency = await patiently(trading.balance)
        ledger = Ledger(await patiently(trading.balances), currency, contracts=trading.holds is Holds.CONTRACTS)
        ledger.positions = {position.id: position.quantity for position in await patiently(trading.open_positions)}
        self.found = frozenset(ledger.positions)
        return ledger

    # --- lives ---------------------------------------------------------------------------------------------------

    def make_simulator(self) -> Any:
        """What takes the venue's place, not started yet."""
        return Simulator(SimulatorOptions(seed=11, state_dir=self.folder))

    @asynccontextmanager
    async def life(self) -> AsyncIterator[None]:
        """Start what is needed, and close at the end whatever was opened in between."""
        loose: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: loose.append(_shown(context)))
        with faster(self.speed):
            self.simulator = self.make_simulator()
            await self.simulator.start()
            try:
                yield
            finally:
                await self.close()
                await self.simulator.stop()
        gc.collect()  # a future tells of an exception that nobody took when it goes
        assert loose == [], f"exceptions that nobody took, the first: {loose[0]}"

    async def close(self) -> None:
        for each in self._open:
            await each.aclose()
        self._open.clear()

    def market_data(self) -> MarketData:
        """A market data adapter that is closed with the test."""
        adapter = self.make_market_data()
        self._open.append(adapter)
        return adapter

    def trading(self, **changes: Any) -> Trading:
        """An order adapter that is closed with the test."""
        adapter = self.make_trading(**changes)
        self._open.append(adapter)
        return adapter

    async def instrument(self) -> Instrument:
        adapter = self.market_data()
        (found,) = await adapter.instruments([self.symbol])
        return found


@asynccontextmanager
async def streaming(adapter: MarketData, symbols: list[str], tape: Tape) -> AsyncIterator[None]:
    """Market data into `tape`; it must not end by itself."""
    async with running(adapter.stream(symbols, tape)):
        yield


@asynccontextmanager
async def listening(trading: Trading, letters: Letters) -> AsyncIterator[None]:
    """The private stream into `letters`, complete from the start; it must not end by itself."""
    async with running(trading.listen(letters)):
        await eventually(lambda: letters.resumes, "the private stream begins")
        yield


@asynccontextmanager
async def running(work: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
        if task.done():
            await task
            pytest.fail("it ended by itself")
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, VenueError):
            await task


async def place(trading: Trading, order: Order, instrument: Instrument, position: str = "") -> list[VenueReport]:
    """Send an order once and find out what became of it, as the executor does; [] = proven to have had no effect."""
    try:
        if order.action is Action.EXIT:
            return await trading.close(order, position, instrument)
        return await trading.submit(order, instrument)
    except (VenueRefused, VenueUnavailable):
        return []
    except VenueUnresolved:
        return await truth_of(trading, order)


async def truth_of(trading: Trading, order: Order, within_s: float = 180.0) -> list[VenueReport]:
    """Ask until the fate of an order is known."""
    end = time.monotonic() + within_s
    while True:
        assert time.monotonic() < end, f"the fate of {order.reason} {order.intent_id} stayed unknown for {within_s:g} s"
        found = await trading.resolve(order)
        if found is not None:
            return found
        await asyncio.sleep(1.0)


async def patiently(ask: Callable[[], Awaitable[T]], within_s: float = 120.0) -> T:
    """Ask until the venue can be reached again."""
    end = time.monotonic() + within_s
    while True:
        try:
            return await ask()
        except VenueUnavailable as err:
            if time.monotonic() > end:
                raise AssertionError(f"the venue stayed out of reach for {within_s:g} s") from err
            await asyncio.sleep(1.0)


def _shown(context: dict[str, Any]) -> str:
    return f"{context['message']}: {context.get('exception')!r}"


def filled(reports: list[VenueReport]) -> Decimal:
    """Quantity executed by these reports, each execution once."""
    parts = {r.trade_id: r.quantity or Decimal(0) for r in reports if r.kind is ReportKind.FILLED}
    return sum(parts.values(), Decimal(0))


def position_of(reports: list[VenueReport]) -> str:
    return next(r.venue_order_id for r in reports if r.kind is ReportKind.FILLED)


def second(ns: int) -> int:
    return ns // SECOND
