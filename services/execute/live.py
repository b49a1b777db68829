"""Live orders: sent once, reported back to the stage, and asked for at the venue whenever their fate is unknown."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import structlog

from libs.core.stages.execute_state import ExecuteState, market_key
from libs.core.types import Action, Order, OrderState, ReportKind, VenueReport, stable_id
from libs.venues.base import Trading, VenueError, VenueRefused, VenueUnavailable, VenueUnresolved
from services.execute import metrics

log = structlog.get_logger("execute")

WATCH_EVERY_S = 1.0
RESOLVE_FIRST_S = 1.0
RESOLVE_MOST_S = 30.0

Report = Callable[[VenueReport], Awaitable[None]]
Spawn = Callable[[Coroutine[Any, Any, Any], str], asyncio.Task[Any]]


class LiveDesk:
    """Carries orders of every account to its venue."""

    def __init__(
        self,
        tradings: Mapping[str, Trading],
        state: Callable[[], ExecuteState],
        report: Report,
        spawn: Spawn,
        hand_over: Callable[[Order], Awaitable[None]],
    ) -> None:
        self._tradings, self._state, self._report = tradings, state, report
        self._spawn, self._hand_over = spawn, hand_over
        self._resolving: set[str] = set()
        self._busy: set[asyncio.Task[Any]] = set()

    def send(self, order: Order) -> None:
        """Place a sent order in its own task."""
        task = self._spawn(self._place(order), f"place-{order.intent_id[:8]}")
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)

    async def settle(self, timeout_s: float) -> None:
        """Wait for orders on their way; what takes longer is resolved after the next start."""
        if self._busy:
            await asyncio.wait(set(self._busy), timeout=timeout_s)

    async def take_up(self, orders: list[Order]) -> None:
        """After a restart: whatever is not final is asked for at the venue before anything new is sent for it."""
        for order in orders:
            if order.state is not OrderState.PLANNED:
                await self._report(_report(order, ReportKind.UNRESOLVED, "the executor restarted"))
            self._resolve_later(order)

    async def compare(self) -> None:
        """Say which open positions of the venues no order of ours explains; they are left alone."""
        ours = {contract for _, contract in self._open_contracts()}
        for account, trading in self._tradings.items():
            try:
                strangers = [(held, symbol) for held, symbol in await trading.open_positions() if held not in ours]
            except VenueError as err:
                log.warning("the venue's positions are not known", account=account, error=str(err))
                continue
            metrics.STRANGERS.labels(account).set(len(strangers))
            if strangers:
                log.warning("positions at the venue that are not in the ledger", account=account, positions=strangers)

    async def watch(self) -> None:
        """Ask after every open position until cancelled: the venue may close one by itself."""
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            for account, contract in self._open_contracts():
                try:
                    reports = await self._tradings[account].watch(contract)
                except VenueError as err:
                    log.debug("position not seen", account=account, position=contract, error=str(err))
                    continue
                for report in reports:
                    await self._report(report)

    def _open_contracts(self) -> list[tuple[str, str]]:
        return [
            (book.account, holding.venue_position_id)
            for book in self._state().books.values()
            if book.account in self._tradings
            for holding in book.holdings.values()
            if holding.venue_position_id
        ]

    async def _place(self, order: Order) -> None:
        begun = time.monotonic()
        try:
            reports = await self._ask(order)
        except (VenueRefused, VenueUnavailable) as err:
            reports = [_report(order, ReportKind.REJECTED, str(err))]
        except VenueUnresolved as err:
            reports = [_report(order, ReportKind.UNRESOLVED, str(err))]
        except Exception as err:  # not known to be refused, so unresolved: the venue will be asked
            log.exception("an order's fate is unknown", intent=order.intent_id)
            reports = [_report(order, ReportKind.UNRESOLVED, f"{type(err).__name__}: {err}")]
        log.info("venue answered", intent=order.intent_id, seconds=round(time.monotonic() - begun, 3))
        for report in reports:
            await self._report(report)
        if any(report.kind is ReportKind.UNRESOLVED for report in reports):
            self._resolve_later(order)

    async def _ask(self, order: Order) -> list[VenueReport]:
        instrument = self._state().markets[market_key(order.venue, order.symbol)].instrument
        if instrument is None:
            raise VenueRefused(f"{order.symbol} is not known to be tradable")
        trading = self._tradings[order.account]
        if order.action is Action.ENTER:
            return await trading.submit(order, instrument)
        if not order.venue_order_id:
            raise VenueRefused("the venue's id of the position is not known")
        return await trading.close(order, order.venue_order_id, instrument)

    def _resolve_later(self, order: Order) -> None:
        if order.intent_id not in self._resolving:
            self._resolving.add(order.intent_id)
            self._spawn(self._resolve(order), f"resolve-{order.intent_id[:8]}")

    async def _resolve(self, order: Order) -> None:
        wait_s = RESOLVE_FIRST_S
        while (answer := await self._tradings[order.account].resolve(order)) is None:
            await asyncio.sleep(wait_s * random.uniform(0.8, 1.2))
            wait_s = min(2 * wait_s, RESOLVE_MOST_S)
        self._resolving.discard(order.intent_id)
        if order.state is OrderState.PLANNED and not answer:
            await self._hand_over(order)
            return
        log.info("order resolved", intent=order.intent_id, found=len(answer))
        for report in answer or [_report(order, ReportKind.REJECTED, "proven never placed")]:
            await self._report(report)


def _report(order: Order, kind: ReportKind, detail: str) -> VenueReport:
    """Our own word on an order where the venue has none."""
    return VenueReport(
        id=stable_id("report", order.intent_id, order.revision, kind.value, detail),
        cause=(order.id,),
        ts_event=order.ts_event,
        kind=kind,
        intent_id=order.intent_id,
        venue_order_id=order.venue_order_id,
        detail=detail,
    )
