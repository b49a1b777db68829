"""The desk of the execute stage: its state, and the few ways in which orders and books may change."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import msgspec

from libs.core.fills.models import executable_from
from libs.core.portfolio.accounting import DAY, PRICE_STEP, AccountBook
from libs.core.portfolio.holding import Holding
from libs.core.stages import execute_market as market
from libs.core.stages import execute_remains as remains
from libs.core.stages.execute_state import ExecuteConfig, ExecuteState, MarketView, Working, market_key
from libs.core.types import (
    SECOND,
    Action,
    Event,
    Fill,
    Instrument,
    InstrumentKind,
    Mode,
    Nanos,
    Order,
    OrderState,
    Side,
    stable_id,
)
from libs.core.types.money import to_step

ZERO = Decimal(0)
REWIND: Nanos = 60 * SECOND
"""A venue's clock this far behind the ledger does not lag: it plays other data."""
ENDED_MOST = 256
"""Live orders that ended are remembered, so many of them: their executions may be told after their end."""


class Desk:
    """State and configuration, with the outputs of the input being applied."""

    def __init__(self, config: ExecuteConfig, state: ExecuteState) -> None:
        self.config, self.state = config, state
        self.out: list[Event] = []
        self.ts_init: Nanos = 0

    def now(self, venue: str) -> Nanos:
        """Newest data time known at `venue`, 0 before the first."""
        return self.state.now.get(venue, 0)

    def advance(self, venue: str, data: Nanos, machine: Nanos = 0) -> None:
        """The data clock of `venue` reached `data`; `machine` is the machine's clock when that arrived, 0 = unknown."""
        if venue in self.state.resumed and data:
            self._resume(venue, self.state.resumed.pop(venue), data)
        if data > self.state.now.get(venue, 0):
            self.state.now[venue] = data
        if machine > self.state.machine.get(venue, 0):
            self.state.machine[venue] = machine

    def _resume(self, venue: str, newest: Nanos, data: Nanos) -> None:
        """After a restart the venue's clock goes on where the ledger ended, or far behind it: another recording."""
        if data >= newest - REWIND:
            self.state.now[venue] = newest
            return
        self.state.now[venue] = data
        for working in list(self.state.working.values()):
            if working.order.venue == venue and working.order.mode is Mode.PAPER:
                self.fail(working, OrderState.CANCELLED, "the venue's clock went back: another recording is played")
        for book in self.state.books.values():
            if book.venue == venue:
                book.equity_due = 0
                for holding in book.holdings.values():
                    holding.opened = min(holding.opened, data)
                    self.state.retry.pop(holding.position_id, None)

    def view(self, venue: str, symbol: str) -> MarketView:
        """What is known of a symbol."""
        key = market_key(venue, symbol)
        if key not in self.state.markets:
            self.state.markets[key] = MarketView()
        return self.state.markets[key]

    def has_expired(self, venue: str, expires: Nanos, ttl: Nanos, recv: Nanos) -> bool:
        """Whether a permit is void: its time has passed in data time and, where the machine's is known, there too."""
        if not expires or self.now(venue) <= expires:
            return False
        machine = self.state.machine.get(venue, 0)
        return not recv or not machine or machine - recv >= ttl

    def holding(self, order: Order) -> Holding | None:
        """The open position that `order` exits."""
        book = self.state.books.get(order.account)
        return book.holdings.get(order.position_id) if book else None

    def in_market(self, venue: str, symbol: str) -> list[Working]:
        """Working orders of one symbol, oldest first."""
        return [w for w in self.state.working.values() if w.order.symbol == symbol and w.order.venue == venue]

    def holdings_in(self, venue: str, symbol: str) -> list[tuple[AccountBook, Holding]]:
        """Open positions of one symbol in all accounts."""
        return [
            (book, holding)
            for book in self.state.books.values()
            if book.venue == venue
            for holding in book.holdings.values()
            if holding.symbol == symbol
        ]

    # ---- orders

    def plan(self, order: Order, **terms: Any) -> Working:
        """Take in a planned order, to be handed over once the ledger holds it."""
        working = Working(order=order, planned_init=order.ts_init, **terms)
        self.state.working[order.intent_id] = working
        self.out.append(order)
        return working

    def revise(self, working: Working, state: OrderState, cause: tuple[str, ...] = (), **changes: Any) -> Order:
        """The next revision of an order; a final one leaves the working orders."""
        old = working.order
        revision = old.revision + 1
        working.order = msgspec.structs.replace(
            old,
            id=stable_id(old.intent_id, revision),
            cause=(old.id, *cause),
            ts_event=max(old.ts_event, self.now(old.venue)),
            ts_init=self.ts_init,
            revision=revision,
            state=state,
            **changes,
        )
        self.out.append(working.order)
        if state is OrderState.SENT:
            working.sent = working.order.ts_event
        if state.is_final:
            self.retire(working)
        return working.order

    def retire(self, working: Working) -> None:
        """A final order leaves the working ones; a live one is remembered for a while."""
        state, intent = self.state, working.order.intent_id
        state.working.pop(intent, None)
        if working.order.mode is not Mode.LIVE:
            return
        state.ended.pop(intent, None)
        state.ended[intent] = working
        while len(state.ended) > ENDED_MOST:
            del state.ended[next(iter(state.ended))]

    def fail(self, working: Working, state: OrderState, reason: str, cause: tuple[str, ...] = ()) -> None:
        """An order ends without a further fill. A failed exit gives its position a new revision, and so a new exit."""
        order = self.revise(working, state, cause, reason=reason)
        holding = self.holding(order)
        if order.action is Action.ENTER:
            if holding is not None and working.flatten:
                self._flatten_entered(working, holding, (order.id,))
            return
        if holding is None or holding.exit_intent != order.intent_id:
            return
        holding.exit_intent = ""
        if not order.permit_id:
            self.state.retry[holding.position_id] = order.ts_event + round(self.config.exit_retry_s * SECOND)
        book = self.state.books[order.account]
        self.out.append(book.position(holding, self.now(order.venue), self.ts_init, (order.id,)))
        if working.flatten:
            self.exit_position(book, holding, "flatten", working.flatten, (order.id,))

    def acknowledge(self, working: Working, cause: tuple[str, ...] = (), **changes: Any) -> None:
        """The venue has the order: from here its latency runs."""
        order = self.revise(working, OrderState.ACKNOWLEDGED, cause, **changes)
        self.start_waiting(working, order.ts_event)

    def start_waiting(self, working: Working, accepted: Nanos) -> None:
        """An accepted order waits for the first price that its latency allows."""
        view = self.view(working.order.venue, working.order.symbol)
        working.accepted = accepted
        working.executable_from = executable_from(accepted, self.config.costs.latency_ms)
        working.bar_from = view.bar_end

    # ---- fills

    def book(self, working: Working, fill: Fill) -> None:
        """Publish a fill and what follows from it: order, position, account."""
        self.out.append(fill)
        self.settle(working, fill)

    def settle(self, working: Working, fill: Fill) -> None:
        """What follows from a fill that is (or is about to be) in the ledger."""
        order = working.order
        book = self.state.books[order.account]
        self.advance(order.venue, fill.ts_event)
        stop, target = order.stop_price, order.target_price
        if order.action is Action.EXIT:
            stop = target = None
        # Assets of one kind are all the same: only a contract is known to the venue by an id of its own.
        holding = book.apply(fill, stop, target, "" if fill.base_asset else order.venue_order_id)
        if order.action is Action.ENTER:
            holding.entered_init = working.planned_init
        quantity, money = working.dealt
        working.dealt = quantity, money = quantity + fill.quantity, money + fill.price * fill.quantity
        working.trades[fill.trade_id] = None
        average = fill.price if quantity == fill.quantity else to_step(money / quantity, PRICE_STEP, ROUND_HALF_UP)
        ended = self.revise(
            working, _state_after(order, fill, quantity), (fill.id,), filled=quantity, average_price=average
        )
        if ended.state.is_final and holding.exit_intent == order.intent_id:
            holding.exit_intent = ""
        self.show(book, holding, fill)
        if working.flatten and order.action is Action.ENTER and ended.state.is_final:
            self._flatten_entered(working, holding, (ended.id,))

    def show(self, book: AccountBook, holding: Holding, fill: Fill) -> None:
        """Position and account as they are after a fill."""
        if holding.quantity == 0:
            self.state.retry.pop(holding.position_id, None)
        now = max(fill.ts_event, self.now(book.venue))
        self.out.append(book.position(holding, now, self.ts_init, (fill.id,)))
        self.mark(book)
        self.out.append(book.state(now, self.ts_init, (fill.id,)))

    def _flatten_entered(self, working: Working, holding: Holding, cause: tuple[str, ...]) -> None:
        """What an entry opened that should not have been any more is closed again."""
        holding.flatten = working.flatten
        self.exit_position(self.state.books[working.order.account], holding, "flatten", working.flatten, cause)

    # ---- exits of our own

    def exit_position(
        self,
        book: AccountBook,
        holding: Holding,
        kind: str,
        reason: str,
        cause: tuple[str, ...],
        trigger: Decimal | None = None,
    ) -> Working | None:
        """Plan the closing of a whole position; None when its exit is under way or was tried in this revision.

        `trigger`: level at which it fires, where no later price can say so (inside a bar, the venue's stop-out).
        """
        intent = stable_id(holding.position_id, kind, holding.revision)
        if holding.exit_intent or intent in self.state.used:
            return None
        quantity = remains.sellable(self, book, holding)
        if not quantity:
            remains.sweep(self, book, holding, cause[-1] if cause else "")
            return None
        holding.exit_intent = intent
        self.state.used[intent] = ""
        view = self.view(book.venue, holding.symbol)
        order = Order(
            id=stable_id(intent, 0),
            cause=cause,
            ts_event=self.now(book.venue),
            ts_init=self.ts_init,
            intent_id=intent,
            revision=0,
            state=OrderState.PLANNED,
            mode=book.mode,
            venue=book.venue,
            account=book.account,
            symbol=holding.symbol,
            strategy=holding.strategy,
            side=holding.side.opposite,
            action=Action.EXIT,
            quantity=quantity,
            worst_price=ZERO,
            stop_price=trigger,
            position_id=holding.position_id,
            venue_order_id=holding.venue_position_id,
            reason=reason,
            exploring=holding.exploring,
            ticks=cited(view),
        )
        return self.plan(order)

    # ---- valuation

    def mark(self, book: AccountBook) -> None:
        """Value every open position of a book by the newest prices."""
        for holding in book.holdings.values():
            price = self.mark_of(book, holding)
            if price is not None:
                holding.mark = price

    def mark_of(self, book: AccountBook, holding: Holding) -> Decimal | None:
        view = self.view(book.venue, holding.symbol)
        if view.instrument is None:
            return None
        return market.mark(view, view.instrument, holding.side, max(view.last_ts, view.quote_ts))

    def value_accounts(self, venue: str) -> None:
        """Open the books of `venue` with its first dated event; then an AccountState when due, if it has news."""
        now = self.now(venue)
        if not now:
            return
        every = round(self.config.equity_every_s * SECOND)
        for account in self.config.accounts:
            if account.venue != venue:
                continue
            book = self.state.books.get(account.id)
            if book is None:
                mode = self.config.mode
                book = AccountBook.opened_with(account.id, venue, mode, account.currency, account.capital)
                self.state.books[account.id] = book
            if now < book.equity_due and now // DAY == book.day:
                continue
            self.mark(book)
            if book.is_marked:
                book.roll_day(now)
                book.equity_due = now + every
                if book.is_news():
                    self.out.append(book.state(now, self.ts_init, ()))


def _state_after(order: Order, fill: Fill, filled: Decimal) -> OrderState:
    """A contract is dealt whole, assets are when all of them are; doubt stays until the venue has been asked."""
    if not fill.base_asset or filled >= order.quantity:
        return OrderState.FILLED
    if order.state.is_final:
        return OrderState.CANCELLED
    return OrderState.UNRESOLVED if order.state is OrderState.UNRESOLVED else OrderState.PARTLY_FILLED


def cited(view: MarketView) -> tuple[str, ...]:
    """Ids of the newest price message and the newest health message, as an order cites them."""
    return tuple(identity for identity in (view.tick_id, view.health_id) if identity)


def opens_short(instrument: Instrument, side: Side, action: Action) -> bool:
    """A spot account cannot sell what it does not hold."""
    return instrument.kind is InstrumentKind.SPOT and action is Action.ENTER and side is Side.SELL
