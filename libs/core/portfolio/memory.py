"""What risk remembers of markets and accounts, how events change it, and the views that rules look at."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from libs.core.portfolio.limits import DAY, AccountSpec, AccountView, MarketView, Pending
from libs.core.portfolio.rules import sound
from libs.core.types import (
    AccountState,
    Action,
    Bar,
    BarFlag,
    FeedHealth,
    Fill,
    Instrument,
    InstrumentKind,
    Nanos,
    Order,
    Permit,
    Position,
    Quote,
    Ticks,
    Trade,
)

ZERO = Decimal(0)
REMEMBERED_INTENTS = 1000
"""Settled intents kept so that a message delivered again cannot bring them back; far more than a day's trades."""


class SymbolMemory(msgspec.Struct):
    """One symbol: contract, last price with its data time, last quote, health. Prices in quote currency."""

    instrument: Instrument | None = None
    price: float | None = None
    price_ts: Nanos = 0
    price_interval_s: int = 0
    has_ticks: bool = False
    bid: float | None = None
    ask: float | None = None
    health: FeedHealth | None = None

    def ticks(self, event: Ticks) -> None:
        """Take the newest sound price of a batch: the last trade, or the middle of the last quote."""
        for item in event.items:
            if isinstance(item, Trade):
                self._price(item.price, item.ts_event)
            elif isinstance(item, Quote) and sound(item.bid) and sound(item.ask) and item.bid <= item.ask:
                self.bid, self.ask = item.bid, item.ask
                self._price((item.bid + item.ask) / 2, item.ts_event)

    def _price(self, price: float, ts: Nanos) -> None:
        if sound(price) and (ts >= self.price_ts or not self.has_ticks):
            self.price, self.price_ts, self.price_interval_s, self.has_ticks = price, ts, 0, True

    def bar(self, event: Bar) -> None:
        """Take the close of a bar as the price of a symbol that has no ticks; history is no price."""
        if self.has_ticks or event.flags & BarFlag.HISTORY or not sound(event.close):
            return
        if event.ts_event >= self.price_ts:
            self.price, self.price_ts, self.price_interval_s = event.close, event.ts_event, event.interval_s

    def view(self, now: Nanos) -> MarketView:
        """The symbol as the rules see it at `now`."""
        return MarketView(
            now=now,
            instrument=self.instrument,
            price=self.price,
            price_ts=self.price_ts,
            price_interval_s=self.price_interval_s,
            bid=self.bid,
            ask=self.ask,
            health=self.health,
        )


class DayTally(msgspec.Struct):
    """What fills have said about one UTC day, before the account's own state says it."""

    day: int = -1
    entries: dict[str, None] = {}
    realised: dict[str, Decimal] = {}
    fills: dict[str, None] = {}

    def fill(self, event: Fill) -> None:
        """Count a fill once; one of an earlier day is history."""
        day = event.ts_event // DAY
        if day > self.day:
            self.day, self.entries, self.realised, self.fills = day, {}, {}, {}
        if day < self.day or event.id in self.fills:
            return
        self.fills[event.id] = None
        if event.action is Action.ENTER:
            self.entries[event.intent_id] = None
        self.realised[event.symbol] = self.realised.get(event.symbol, ZERO) + event.realised


class AccountMemory(msgspec.Struct):
    """One account: its last state, open positions, and permits and orders on their way.

    Attributes:
        peak: own high-water mark since a person re-armed it after a drawdown halt; None = the account's own counts.
        drawdown_halted: risk halted it for its drawdown and nobody has re-armed it since.
        settled: intents that can no longer take up exposure, oldest first, with the revision at which their position
            closed (-1 = they never had one): only a later one, of an execution that was told late, opens it again.
        last_entry: data time of the last approved entry by symbol, ns.
    """

    spec: AccountSpec
    state: AccountState | None = None
    positions: dict[str, Position] = {}
    pending: dict[str, Pending] = {}
    settled: dict[str, int] = {}
    today: DayTally = msgspec.field(default_factory=DayTally)
    last_entry: dict[str, Nanos] = {}
    peak: Decimal | None = None
    drawdown_halted: bool = False

    def account_state(self, event: AccountState) -> bool:
        """Take a newer revision; False when it is an old one."""
        if self.state is not None and event.revision <= self.state.revision:
            return False
        self.state = event
        if self.peak is not None and event.equity.is_finite():
            self.peak = max(self.peak, event.equity)
        return True

    def permit(self, event: Permit, notional: Decimal, risk: Decimal, cash: Decimal) -> None:
        """Reserve what a permit may take up until it is settled."""
        if event.action is Action.ENTER:
            self.last_entry[event.symbol] = max(event.ts_event, self.last_entry.get(event.symbol, 0))
        if event.id in self.settled or event.id in self.positions or event.id in self.pending:
            return
        enters = event.action is Action.ENTER
        whole = (event.quantity, notional, risk, cash) if enters else (ZERO, ZERO, ZERO, ZERO)
        self.pending[event.id] = Pending(
            intent_id=event.id,
            symbol=event.symbol,
            action=event.action,
            position_id=event.position_id or event.id,
            expires=event.expires,
            notional=whole[1],
            risk=whole[2],
            cash=whole[3],
            quantity=whole[0],
            full=whole,
        )

    def fill(self, event: Fill) -> None:
        """Count it for its day; a fee in kind was filled and is never held."""
        self.today.fill(event)
        known = self.pending.get(event.intent_id)
        if known is not None and event.action is Action.ENTER and event.taken_in_kind:
            taken = {**known.in_kind, event.id: event.taken_in_kind}
            self._reserve(msgspec.structs.replace(known, in_kind=taken))

    def order(self, event: Order, notional: Decimal, risk: Decimal, cash: Decimal) -> None:
        """Follow an order; the figures are what its whole quantity takes up, used when its permit was not seen."""
        known = self.pending.get(event.intent_id)
        if event.intent_id in self.settled or (known is not None and event.revision < known.revision):
            return
        enters = event.action is Action.ENTER
        if event.state.is_final and not (enters and event.filled > 0):
            self._settle(event.intent_id)
            return
        if known is None:
            if event.state.is_final and event.intent_id in self.positions:
                return
            held = self.positions.get(event.intent_id)
            whole = (event.quantity, notional, risk, cash) if enters else (ZERO, ZERO, ZERO, ZERO)
            known = Pending(
                intent_id=event.intent_id,
                symbol=event.symbol,
                action=event.action,
                position_id=event.position_id,
                expires=0,
                seen=held.quantity if held else ZERO,
                full=whole,
            )
        target = event.filled if event.state.is_final else event.quantity
        self._reserve(
            msgspec.structs.replace(
                known, state=event.state, revision=event.revision, quantity=target if enters else ZERO
            )
        )

    def position(self, event: Position) -> None:
        """Take a newer revision; what the position holds is no longer on its way."""
        old = self.positions.get(event.position_id)
        newest = self.settled.get(event.position_id, -1) if old is None else old.revision
        if event.revision <= newest:
            return
        if not event.is_open:
            self.positions.pop(event.position_id, None)
            self._settle(event.position_id, event.revision)
            return
        self.settled.pop(event.position_id, None)
        self.positions[event.position_id] = event
        known = self.pending.get(event.position_id)
        if known is not None and known.state is not None and known.state.is_final:
            # What is shown after an order has ended shows all of it, even if a part has been sold again.
            self.pending.pop(event.position_id)
        elif known is not None:
            self._reserve(msgspec.structs.replace(known, seen=max(known.seen, event.quantity)))

    def expire(self, now: Nanos, grace: Nanos) -> list[str]:
        """Free what unused permits had reserved, `grace` ns of data time after they became void; their intent ids.

        The executor's clock may run a little behind; a permit that it still takes comes back as an order and counts.
        """
        void = [key for key, p in self.pending.items() if p.state is None and _void_at(p, now, grace) <= now]
        for key in void:
            del self.pending[key]
        return void

    def next_expiry(self, now: Nanos, grace: Nanos) -> Nanos | None:
        """Data time at which `expire` would free something, 0 = at once; None when nothing waits."""
        return min((_void_at(p, now, grace) for p in self.pending.values() if p.state is None), default=None)

    def _reserve(self, pending: Pending) -> None:
        left = pending.quantity - pending.seen - sum(pending.in_kind.values(), ZERO)
        whole, notional, risk, cash = pending.full
        if pending.action is Action.ENTER and left <= 0:
            self.pending.pop(pending.intent_id, None)
            return
        part = left / whole if whole else ZERO
        self.pending[pending.intent_id] = msgspec.structs.replace(
            pending, notional=notional * part, risk=risk * part, cash=cash * part
        )

    def _settle(self, intent_id: str, revision: int = -1) -> None:
        self.pending.pop(intent_id, None)
        self.settled[intent_id] = max(revision, self.settled.get(intent_id, -1))
        while len(self.settled) > REMEMBERED_INTENTS:
            del self.settled[next(iter(self.settled))]

    def view(self, symbol: str, now: Nanos, halted: tuple[str, ...], reduce_only: tuple[str, ...]) -> AccountView:
        """The account as the rules see it when a signal for `symbol` arrives."""
        state, today = self.state, now // DAY
        # The executor may already be a moment past midnight when this clock is not.
        current = state if state is not None and state.day in (today, today + 1) else None
        tally = self.today if self.today.day in (today, today + 1) else DayTally()
        counted = max(current.trades_today if current else 0, len(tally.entries))
        on_their_way = sum(
            1 for p in self.pending.values() if p.action is Action.ENTER and p.intent_id not in tally.entries
        )
        told = current.realised_today_by_symbol.get(symbol, ZERO) if current else ZERO
        return AccountView(
            spec=self.spec,
            state=state,
            peak=self.high_water(),
            day_start=current.day_start_equity if current else (state.equity if state else ZERO),
            positions=tuple(self.positions.values()),
            pending=tuple(self.pending.values()),
            trades_today=counted + on_their_way,
            symbol_result=min(told, tally.realised.get(symbol, ZERO)) if told.is_finite() else told,
            last_entry=self.last_entry.get(symbol),
            halted=halted,
            reduce_only=reduce_only,
        )

    def high_water(self) -> Decimal:
        """The equity that drawdown is measured from."""
        if self.peak is not None:
            return self.peak
        return self.state.peak_equity if self.state else ZERO


def _void_at(permit: Pending, now: Nanos, grace: Nanos) -> Nanos:
    # More than a day ahead of the clock: it is of another timeline (a recording that was changed) and void at once.
    return 0 if now < permit.expires - DAY else permit.expires + grace


def reservation(
    instrument: Instrument | None, quantity: Decimal, worst: Decimal, stop: Decimal | None, entry_fee: Decimal
) -> tuple[Decimal, Decimal, Decimal]:
    """Notional, risk and cash of an entry filled at its worst price, account currency.

    An unknown contract counts as spot without a stop: more than it can be, never less for a buy.
    """
    if instrument is not None and instrument.kind is InstrumentKind.MULTIPLIER:
        notional = quantity * instrument.multiplier
        risk = quantity if stop is None or worst <= 0 else min(quantity, notional * abs(worst - stop) / worst)
        return notional, risk, quantity + notional * entry_fee
    notional = quantity * worst
    risk = notional if instrument is None or stop is None else quantity * abs(worst - stop)
    return notional, risk, notional * (1 + entry_fee)
