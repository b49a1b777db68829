"""A connectivity trade: the smallest one, opened, seen at the venue, closed, reconciled, and left in the audit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console

from console.context import CommandError
from console.control import post_admin
from console.views import ledger
from libs.common.bus import NatsBus, Received
from libs.common.settings import AccountSettings, Settings
from libs.core.types import (
    SMOKE,
    Control,
    ControlKind,
    Event,
    Fill,
    Instrument,
    InstrumentKind,
    Order,
    OrderState,
    Position,
    Verdict,
    stable_id,
)

PRICE_S = 60.0
OPEN_S = 30.0
CLOSE_S = 90.0
RECONCILE_S = 30.0
AGREED = "agreed"
FILTERS = ("md.instrument.>", "risk.verdict.>", "order.>", "fill.>", "position.>")


class SmokeFailed(Exception):
    """The connectivity trade did not go the whole way; the text is one line that says how far it went."""


class Witness:
    """What the bus says about connectivity trades since it began to listen."""

    def __init__(self) -> None:
        self.instruments: dict[tuple[str, str], Instrument] = {}
        self.verdicts: dict[str, Verdict] = {}
        self.orders: dict[str, Order] = {}
        self.fills: list[Fill] = []
        self.positions: dict[str, Position] = {}
        self._changed = asyncio.Event()

    async def take(self, received: Received) -> None:
        """Note one message."""
        event: Event = received.event
        match event:
            case Instrument():
                self.instruments[event.venue, event.symbol] = event
            case Verdict() if event.strategy == SMOKE:
                self.verdicts[event.signal_id] = event
            case Order() if event.strategy == SMOKE:
                self.orders[event.intent_id] = event
            case Fill() if event.strategy == SMOKE:
                self.fills.append(event)
            case Position() if event.strategy == SMOKE:
                self.positions[event.position_id] = event
            case _:
                return
        self._changed.set()

    async def until(self, condition: Callable[[], bool], seconds: float, stop: asyncio.Event) -> bool:
        """Wait for a condition; False when it takes longer or somebody stops."""
        end = time.monotonic() + seconds
        while not condition():
            if stop.is_set() or time.monotonic() > end:
                return False
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), 0.25)
            except TimeoutError:
                continue
        return True


async def connectivity_trade(
    settings: Settings, account: AccountSettings, var: Path, bus: NatsBus, stop: asyncio.Event, console: Console
) -> str:
    """Open and close the smallest position of `account`; returns what happened in one line, also in the audit.

    Raises:
        SmokeFailed: it did not go the whole way.
    """
    witness = Witness()
    begun = time.time_ns()
    subscription = await bus.subscribe(FILTERS, witness.take, begun - 3_600 * 10**9)
    try:
        for left in await _left_open(bus, account.id):
            witness.positions[left.position_id] = left
            closed = await _close(left.position_id, witness, var, stop)
            console.print(f"  closed what an earlier connectivity trade had left: {_fill_text(closed)}")
        instrument = await _tradable(settings, account, witness, stop)
        signal_id = await _wish(instrument, var, stop)
        intent = await _approved(signal_id, witness, stop)
        opened = await _filled(intent, witness, stop, "opened", OPEN_S)
        console.print(f"  opened: {_fill_text(opened)}")
        try:
            console.print(f"  seen at the venue: {await _reconciled(account.id, var, stop)}")
        finally:  # whatever was not seen, nothing may stay open
            closed = await _close(intent, witness, var, stop)
            console.print(f"  closed: {_fill_text(closed)}")
        agreed = await _reconciled(account.id, var, stop)
    finally:
        await subscription.close()
    result = sum((f.realised for f in witness.fills if f.position_id == intent), Decimal(0))
    said = (
        f"{account.id}: {instrument.symbol} opened at {opened.price.normalize():f}, closed at "
        f"{closed.price.normalize():f}, result {result:.4f} {closed.currency}; {agreed}"
    )
    now = time.time_ns()
    await bus.publish_durable(
        Control(
            id=stable_id("control", SMOKE, account.id, now),
            cause=(intent,),
            ts_event=now,
            ts_init=now,
            kind=ControlKind.SMOKE,
            scope=account.id,
            reason=said,
            actor="cli",
        )
    )
    return said


async def _left_open(bus: NatsBus, account: str) -> list[Position]:
    held = (await ledger(bus, "position.>", "position_id")).values()
    return [p for p in held if isinstance(p, Position) and p.is_open and p.strategy == SMOKE and p.account == account]


async def _tradable(settings: Settings, account: AccountSettings, witness: Witness, stop: asyncio.Event) -> Instrument:
    """The first configured symbol that the account can trade."""
    venue = next(venue for venue in settings.data.venues if venue.name == account.venue)

    def choice() -> Instrument | None:
        known = (witness.instruments.get((venue.name, s.symbol)) for s in venue.symbols)
        return next((i for i in known if i is not None and _fits(i, account)), None)

    await witness.until(lambda: choice() is not None, OPEN_S, stop)
    if (chosen := choice()) is None:
        raise SmokeFailed(
            f"{account.id}: none of the configured symbols of {venue.name} can be traded in {account.currency} now"
        )
    return chosen


def _fits(instrument: Instrument, account: AccountSettings) -> bool:
    tradable = instrument.kind is not InstrumentKind.QUOTE_ONLY and instrument.is_open
    return tradable and instrument.quote == account.currency


async def _wish(instrument: Instrument, var: Path, stop: asyncio.Event) -> str:
    end = time.monotonic() + PRICE_S
    # Asked for again after an answer that was lost, it is still the same trade.
    body = {"venue": instrument.venue, "symbol": instrument.symbol, "nonce": time.time_ns()}
    while True:
        try:
            answer = await asyncio.to_thread(post_admin, var, "risk", "smoke", body)
            return str(answer["signal_id"])
        except CommandError as err:
            if stop.is_set() or time.monotonic() > end:
                raise SmokeFailed(f"the connectivity trade could not be asked for: {err}") from None
        await asyncio.sleep(0.5)


async def _approved(signal_id: str, witness: Witness, stop: asyncio.Event) -> str:
    if not await witness.until(lambda: signal_id in witness.verdicts, OPEN_S, stop):
        raise SmokeFailed("risk gave no verdict on the connectivity trade")
    verdict = witness.verdicts[signal_id]
    if not verdict.approved:
        refused = "; ".join(f"{c.rule}: {c.value} (limit: {c.limit})" for c in verdict.checks if not c.ok)
        raise SmokeFailed(f"risk refused the connectivity trade: {refused}")
    return verdict.intent_id


async def _filled(intent: str, witness: Witness, stop: asyncio.Event, what: str, seconds: float) -> Fill:
    def over() -> bool:
        order = witness.orders.get(intent)
        return order is not None and order.state.is_final and (not order.filled or bool(_fills(witness, intent)))

    await witness.until(over, seconds, stop)
    order = witness.orders.get(intent)
    if order is None or not order.filled:
        state = order.state if order is not None else OrderState.PLANNED
        why = f": {order.reason}" if order is not None else ""
        raise SmokeFailed(
            f"the connectivity trade was not {what} within {seconds:g} s; its order is {state.value}{why}"
        )
    return _fills(witness, intent)[-1]


def _fills(witness: Witness, intent: str) -> list[Fill]:
    return [fill for fill in witness.fills if fill.intent_id == intent]


async def _close(intent: str, witness: Witness, var: Path, stop: asyncio.Event) -> Fill:
    """Ask for the exit until the position is closed, however it closes."""
    end = time.monotonic() + CLOSE_S
    while time.monotonic() < end and not stop.is_set():
        body = {"scope": SMOKE, "reason": "the connectivity trade was seen"}
        await asyncio.to_thread(post_admin, var, "risk", "flatten", body)
        if await witness.until(lambda: not witness.positions[intent].is_open, 10.0, stop):
            # What is left below the instrument's step is written off at no price: that is no execution.
            return next(f for f in reversed(witness.fills) if f.position_id == intent and f.price)
    held = witness.positions[intent]
    raise SmokeFailed(
        f"{held.account} still holds {held.quantity} {held.symbol} of the connectivity trade "
        f"(venue id {held.venue_position_id or 'unknown'}); close it at the venue"
    )


async def _reconciled(account: str, var: Path, stop: asyncio.Event) -> str:
    """Compare ledger and venue now, again until they agree."""
    end = time.monotonic() + RECONCILE_S
    while True:
        answer: dict[str, Any] = await asyncio.to_thread(post_admin, var, "execute", "reconciliation", {})
        found = answer.get(account, {})
        if found.get("ledger") == AGREED:
            return str(found.get("detail"))
        if stop.is_set() or time.monotonic() > end:
            raise SmokeFailed(f"ledger and venue do not agree on {account}: {found.get('detail', 'not compared')}")
        await asyncio.sleep(1.0)


def _fill_text(fill: Fill) -> str:
    what = f"{fill.side.value} {fill.quantity.normalize():f} {fill.symbol} at {fill.price.normalize():f}"
    return f"{what}, fee {fill.fee:.4f} {fill.currency}"
