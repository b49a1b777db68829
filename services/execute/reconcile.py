"""Comparing the ledger with the live venue: every position, order and balance, and a halt where they differ."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal

import structlog

from libs.core.portfolio.accounting import AccountBook
from libs.core.stages.execute_state import ExecuteState
from libs.core.types import Control, ControlKind, Event, Nanos, Reconciliation, ReconciliationKind, stable_id
from libs.venues.base import Holds, Trading, VenueError
from services.execute import metrics

log = structlog.get_logger("execute")

ACTOR = "reconciliation"
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Difference:
    """Venue minus ledger. `assets` by name, without those that agree; ids of contracts only one side knows."""

    assets: dict[str, Decimal] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.assets or self.unknown or self.missing)

    def __str__(self) -> str:
        parts = [f"{amount.normalize():+f} {asset}" for asset, amount in self.assets.items()]
        parts += [f"contract {contract} is not in the ledger" for contract in self.unknown]
        parts += [f"contract {contract} is not at the venue" for contract in self.missing]
        return ", ".join(parts) or "none"

    def is_reported(self, event: Reconciliation | None) -> bool:
        """Whether `event` told of just this."""
        return event is not None and (self.assets, self.unknown, self.missing) == (
            event.assets,
            event.unknown,
            event.missing,
        )


@dataclass(slots=True)
class Look:
    """The newest comparison of an account: state agreed, different or waiting; the moment in ns UTC."""

    state: str = "waiting"
    detail: str = "not compared yet"
    at: Nanos = 0
    expected: dict[str, str] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)


class _Later(Exception):
    """It cannot be compared now; the text says why."""


class Reconciler:
    """Compares one account with its venue.

    Args:
        state: the stage's state. record: hands an event to the stage; returns once the ledger has it.
        command: publishes a command. now: the venue's data clock, ns UTC.
        again_s: a difference counts when it is there a second time this much later: a fill may be on its way to us.
    """

    def __init__(
        self,
        account: str,
        trading: Trading,
        state: Callable[[], ExecuteState],
        record: Callable[[Event], Awaitable[None]],
        command: Callable[[Control], Awaitable[None]],
        now: Callable[[], Nanos],
        *,
        again_s: float,
    ) -> None:
        self._account, self._trading, self._state = account, trading, state
        self._record, self._command, self._now, self._again_s = record, command, now, again_s
        self._wake = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self.last = Look()
        metrics.DIFFERENCES.labels(account)
        self.rearmed = ""

    def wake(self) -> None:
        """Compare soon: something happened."""
        self._wake.set()

    async def run(self, every_s: float) -> None:
        """Compare every `every_s` seconds, and when woken, until cancelled."""
        while True:
            settled = await self.look()
            self._wake.clear()
            try:
                async with asyncio.timeout(every_s if settled else min(self._again_s, every_s)):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def look(self) -> bool:
        """Compare once and act on it; False when that was not possible yet."""
        async with self._one_at_a_time:
            try:
                await self._look()
            except (_Later, VenueError) as err:
                self.last.state, self.last.detail = "waiting", str(err)
                return False
            finally:
                metrics.AGREES.labels(self._account).set(self.last.state == "agreed")
            return True

    async def _look(self) -> None:
        begun = self._now()
        found, book = await self._compare()
        if found or book.beside is None:
            await asyncio.sleep(self._again_s)
            again, book = await self._compare()
            if again != found:
                raise _Later("the difference changes; looking again")
        reported = self._state().differences.get(self._account)
        if book.beside is None:
            await self._adopt(book, found, "what the account holds when it is taken up", begun)
        elif not found:
            if reported is not None:
                await self._tell(ReconciliationKind.AGREED, found, "ledger and venue agree again")
                log.warning("ledger and venue agree again; the halt stays until re-armed", account=self._account)
        elif not found.is_reported(reported):
            await self._stop(found)
        elif not self._halted():
            why = f"re-armed with a difference: {self.rearmed or 'no reason is known'}"
            await self._adopt(book, found, why, begun)
        else:
            self._say("different", str(found))
            return
        self._say("different" if self._state().differences.get(self._account) else "agreed", str(found))

    def _say(self, state: str, detail: str) -> None:
        self.last.state, self.last.detail = state, detail if state == "different" else "ledger and venue agree"

    async def _compare(self) -> tuple[Difference, AccountBook]:
        before = self._snapshot()
        book = self._state().books[self._account]
        held: dict[str, Decimal]
        there: set[str] = set()
        if self._trading.holds is Holds.CONTRACTS:
            there = {position.id for position in await self._trading.open_positions()}
            cash, currency = await self._trading.balance()
            held = {currency: cash}
        else:
            held = await self._trading.balances()
        if self._snapshot() != before:
            raise _Later("fills came in while the venue was asked")
        expected = book.expected
        names = sorted(held.keys() | expected.keys())
        assets = {name: held.get(name, ZERO) - expected.get(name, ZERO) for name in names}
        ours = {holding.venue_position_id for holding in book.holdings.values()} - {""}
        known = ours | set(book.strangers)
        self.last.at = time.time_ns()
        self.last.expected = {name: str(amount) for name, amount in expected.items()}
        self.last.held = {name: str(amount) for name, amount in held.items() if amount or name in expected}
        metrics.STRANGERS.labels(self._account).set(len(there - ours))
        found = Difference(
            {name: amount for name, amount in assets.items() if amount},
            tuple(sorted(there - known)),
            tuple(sorted(ours - there)) if self._trading.holds is Holds.CONTRACTS else (),
        )
        return found, book

    def _snapshot(self) -> object:
        """What must stand still while the venue is asked."""
        state = self._state()
        book = state.books.get(self._account)
        if book is None:
            raise _Later("the account is not open yet: its venue has not told the time")
        if any(working.order.account == self._account for working in state.working.values()):
            raise _Later("orders are under way")
        return dict(book.moved), dict(book.beside or {}), sorted(book.holdings)

    async def _adopt(self, book: AccountBook, found: Difference, why: str, at: Nanos) -> None:
        """Dated by the first look: a transfer that is told later and happened before it was seen by both."""
        beside = dict(book.beside or {})
        for asset, amount in found.assets.items():
            beside[asset] = beside.get(asset, ZERO) + amount
        strangers = tuple(sorted({*book.strangers, *found.unknown}))
        if found.unknown:
            log.warning("positions at the venue that no order of ours explains are left alone", ids=found.unknown)
        told = Difference({name: beside[name] for name in sorted(beside) if beside[name]}, strangers, found.missing)
        log.warning("the venue's balances are taken as they are", account=self._account, why=why, found=str(found))
        await self._tell(ReconciliationKind.BASELINE, told, why, at)

    async def _stop(self, found: Difference) -> None:
        """First the halt, then the record of what it is for: re-armed means that a person has seen this difference."""
        log.error("ledger and venue differ", account=self._account, difference=str(found))
        metrics.DIFFERENCES.labels(self._account).inc()
        if self._account not in self._state().halts:
            now = time.time_ns()
            await self._command(
                Control(
                    id=stable_id("control", "halt", self._account, ACTOR, now),
                    ts_event=now,
                    ts_init=now,
                    kind=ControlKind.HALT,
                    scope=self._account,
                    reason=f"ledger and venue differ: {found}",
                    actor=ACTOR,
                )
            )
            if self._account not in self._state().halts:
                raise _Later("the halt is not in force yet")
        await self._tell(ReconciliationKind.DIFFERENCE, found, f"ledger and venue differ: {found}")

    def _halted(self) -> bool:
        return bool({"*", self._account} & self._state().halts.keys())

    async def _tell(self, kind: ReconciliationKind, found: Difference, detail: str, at: Nanos = 0) -> None:
        now = at or self._now()
        book = self._state().books[self._account]
        await self._record(
            Reconciliation(
                id=stable_id("reconciliation", book.venue, self._account, kind.value, now, str(found)),
                ts_event=now,
                kind=kind,
                venue=book.venue,
                account=self._account,
                assets=found.assets,
                unknown=found.unknown,
                missing=found.missing,
                detail=detail,
            )
        )
