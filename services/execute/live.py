"""Live orders: sent once, reported back to the stage, and asked for at the venue whenever their fate is unknown."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import msgspec
import structlog

from libs.core.stages.execute_control import covers
from libs.core.stages.execute_state import ExecuteState, Working, market_key
from libs.core.types import Action, Control, ControlKind, Order, OrderState, ReportKind, VenueReport, stable_id
from libs.venues.base import Holds, Trading, VenueError, VenueRefused, VenueUnavailable, VenueUnresolved

log = structlog.get_logger("execute")

WATCH_EVERY_S = 1.0
RESOLVE_FIRST_S = 1.0
RESOLVE_MOST_S = 30.0
PATIENCE_S = 2.0
"""An order that the venue has taken and not ended is asked for after this long: nothing of ours rests."""

Report = Callable[[VenueReport], Awaitable[None]]
Spawn = Callable[[Coroutine[Any, Any, Any], str], asyncio.Task[Any]]


class LiveDesk:
    """Carries orders of every account to its venue, and sees each through to its end."""

    def __init__(
        self,
        tradings: Mapping[str, Trading],
        state: Callable[[], ExecuteState],
        report: Report,
        spawn: Spawn,
        hand_over: Callable[[Order], Awaitable[None]],
        *,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._tradings, self._state, self._report = tradings, state, report
        self._spawn, self._hand_over = spawn, hand_over
        self._patience_s = patience_s
        self._placing: set[str] = set()
        self._asking: dict[str, asyncio.Event] = {}
        self._busy: set[asyncio.Task[Any]] = set()

    def send(self, order: Order) -> None:
        """Place a sent order in its own task."""
        self._placing.add(order.intent_id)
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
            self._ask_about(order.intent_id, 0.0)

    async def resume(self, account: str) -> None:
        """The private stream of an account was not complete: ask after every order and position of it."""
        for working in list(self._state().working.values()):
            if working.order.account == account and working.order.state is not OrderState.PLANNED:
                self._ask_about(working.order.intent_id, 0.0)
        await self._look(account)

    def on_command(self, control: Control) -> None:
        """A halt or flatten takes back what entries still have at the venue."""
        if control.kind not in (ControlKind.HALT, ControlKind.FLATTEN):
            return
        for working in list(self._state().working.values()):
            order = working.order
            if order.action is Action.ENTER and _works(order) and covers(control.scope, *_scopes(order)):
                self._spawn(self._take_back(_as_sent(working)), f"cancel-{order.intent_id[:8]}")

    async def watch(self) -> None:
        """Ask after every open contract until cancelled: the venue may close one by itself."""
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            for account in self._tradings:
                await self._look(account)

    async def _look(self, account: str) -> None:
        trading = self._tradings[account]
        book = self._state().books.get(account)
        contracts = [h.venue_position_id for h in book.holdings.values() if h.venue_position_id] if book else []
        for contract in contracts:
            try:
                reports = await trading.watch(contract)
            except VenueError as err:
                log.debug("position not seen", account=account, position=contract, error=str(err))
                continue
            for report in reports:
                await self._report(report)

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
        self._placing.discard(order.intent_id)
        in_doubt = any(report.kind is ReportKind.UNRESOLVED for report in reports)
        self._ask_about(order.intent_id, 0.0 if in_doubt else self._patience_s)

    async def _ask(self, order: Order) -> list[VenueReport]:
        instrument = self._state().markets[market_key(order.venue, order.symbol)].instrument
        if instrument is None:
            raise VenueRefused(f"{order.symbol} is not known to be tradable")
        trading = self._tradings[order.account]
        if order.action is Action.ENTER:
            return await trading.submit(order, instrument)
        if not order.venue_order_id and trading.holds is Holds.CONTRACTS:
            raise VenueRefused("the venue's id of the position is not known")
        return await trading.close(order, order.venue_order_id, instrument)

    async def _cancel(self, order: Order) -> None:
        try:
            for report in await self._tradings[order.account].cancel(order):
                await self._report(report)
        except VenueError as err:
            log.warning("an order works at the venue and is not cancelled", intent=order.intent_id, error=str(err))

    def _ask_about(self, intent: str, after_s: float) -> None:
        """See an order through that has not ended: ask the venue, `after_s` from now, until it has."""
        if intent not in self._state().working or intent in self._placing:
            return
        asking = self._asking.get(intent)
        if asking is None:
            hurry = self._asking[intent] = asyncio.Event()
            self._spawn(self._see_through(intent, hurry, after_s), f"resolve-{intent[:8]}")
        elif not after_s:
            asking.set()

    async def _see_through(self, intent: str, hurry: asyncio.Event, wait_s: float) -> None:
        try:
            next_s = RESOLVE_FIRST_S
            while not await self._is_done(intent, hurry, wait_s):
                wait_s, next_s = next_s * random.uniform(0.8, 1.2), min(2 * next_s, RESOLVE_MOST_S)
        finally:
            del self._asking[intent]

    async def _is_done(self, intent: str, hurry: asyncio.Event, wait_s: float) -> bool:
        if wait_s:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await hurry.wait()
        hurry.clear()
        working = self._state().working.get(intent)
        if working is None:
            return True
        order = working.order
        answer = await self._resolved(_as_sent(working))
        if answer is None:
            return False
        if order.state is OrderState.PLANNED and not answer:
            await self._hand_over(order)
            return True
        log.info("order resolved", intent=intent, found=len(answer))
        for report in answer or [_report(order, ReportKind.REJECTED, "proven never placed")]:
            await self._report(report)
        still = self._state().working.get(intent)
        if still is None:
            return True
        if _works(still.order):
            # Nothing of ours rests at a venue.
            await self._cancel(_as_sent(still))
        return False

    async def _resolved(self, order: Order) -> list[VenueReport] | None:
        try:
            return await self._tradings[order.account].resolve(order)
        except VenueError as err:
            log.debug("not resolved yet", intent=order.intent_id, error=str(err))
            return None
        except Exception:  # one order that the adapter stumbles over must not end the care for all others
            log.exception("an order could not be asked about", intent=order.intent_id)
            return None

    async def _take_back(self, order: Order) -> None:
        await self._cancel(order)
        self._ask_about(order.intent_id, 0.0)


def _as_sent(working: Working) -> Order:
    """The order dated by its sending: a venue's books are searched around that moment, however late doubt came."""
    return msgspec.structs.replace(working.order, ts_event=working.sent) if working.sent else working.order


def _works(order: Order) -> bool:
    """Whether the venue has it and may still execute it."""
    return order.state in (OrderState.ACKNOWLEDGED, OrderState.PARTLY_FILLED)


def _scopes(order: Order) -> tuple[str, str, str]:
    return order.symbol, order.strategy, order.account


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
