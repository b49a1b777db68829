"""The execute stage's state rebuilt from the ledger: the ORDERS and CONTROL streams, folded in their order.

A fill is the fact. What must follow from it (order, position, account) is derived again, struck out when the ledger
has it, and whatever is left was lost in a crash between two publishes and is published first of all.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from libs.core.portfolio.accounting import AccountBook
from libs.core.stages import execute_control as control
from libs.core.stages import execute_reconcile
from libs.core.stages import execute_remains as remains
from libs.core.stages.execute_desk import Desk
from libs.core.stages.execute_permits import digest, time_to_live
from libs.core.stages.execute_state import ExecuteConfig, ExecuteState, Working
from libs.core.types import (
    SECOND,
    AccountState,
    Action,
    Control,
    ControlKind,
    Event,
    Fill,
    Mode,
    Order,
    OrderState,
    Permit,
    Position,
    Reconciliation,
    encode,
)


class LedgerFold:
    """Takes the ledger's events one by one; `finish` gives the state in which to go on."""

    def __init__(self, config: ExecuteConfig) -> None:
        self._config = config
        self._desk = Desk(config, ExecuteState())
        self._state = self._desk.state
        self._permits: dict[str, Permit] = {}
        self._flattens: list[Control] = []
        self._lacking: dict[str, Event] = {}
        self._ours = {account.id: account for account in config.accounts}

    def take(self, event: Event) -> None:
        """The next event of the ledger; others are ignored."""
        if isinstance(event, Permit):
            self._permits[event.id] = self._permits.get(event.id, event)
        elif isinstance(event, Control):
            self._control(event)
        elif isinstance(event, Reconciliation):
            self._reconciliation(event)
        elif isinstance(event, Order | Fill | Position | AccountState) and event.account in self._ours:
            if event.mode is not self._config.mode:
                self._of_other_mode(event)
                return
            self._lacking.pop(event.id, None)
            if isinstance(event, Order):
                self._order(event)
            elif isinstance(event, Fill):
                self._fill(event)
            elif isinstance(event, Position):
                self._position(event)
            else:
                self._account(event)

    def finish(self) -> ExecuteState:
        """The state; prices are unknown in it, so nothing is valued until the market speaks."""
        for working in list(self._state.working.values()):
            if working.order.state is OrderState.FILLED or working.order.filled != working.dealt[0]:
                self._without_fill(working)
        for book in self._state.books.values():
            for holding in book.holdings.values():
                holding.mark = None
        for command in self._flattens:
            if not self._still_open_for(command):
                self._state.controls[command.id] = None
        self._state.resumed, self._state.now = self._state.now, {}
        self._state.unsent = [encode(event) for event in self._lacking.values()]
        return self._state

    def _of_other_mode(self, event: Event) -> None:
        """Paper and live books never mix; but a permit that was used in one mode is used."""
        if isinstance(event, Order) and event.revision == 0:
            self._mark_used(event)

    def _mark_used(self, order: Order) -> bool:
        """Remember whose permit an order's first revision consumed; False when it was a refusal or is no news."""
        permit = self._permits.get(order.permit_id)
        if order.permit_id and order.intent_id != order.permit_id:
            self._state.refused[order.intent_id] = None
            return False
        if order.intent_id in self._state.used:
            return False
        self._state.used[order.intent_id] = digest(permit) if permit else ""
        return True

    def _order(self, order: Order) -> None:
        self._desk.advance(order.venue, order.ts_event)
        if order.revision == 0:
            self._first_revision(order)
            return
        ended = self._state.ended.get(order.intent_id)
        if ended is not None and order.id == ended.order.id:
            ended.order = order
        working = self._state.working.get(order.intent_id)
        if working is None or order.revision < working.order.revision:
            return
        working.order = order
        if order.state is OrderState.SENT:
            working.sent = order.ts_event
        if order.state is OrderState.SENT and order.mode is Mode.PAPER:
            self._derive(lambda: self._desk.acknowledge(working))
        elif order.state is OrderState.ACKNOWLEDGED:
            self._desk.start_waiting(working, order.ts_event)
        elif order.state in (OrderState.CANCELLED, OrderState.REJECTED):
            self._ended(working)

    def _first_revision(self, order: Order) -> None:
        if not self._mark_used(order) or order.state is not OrderState.PLANNED:
            return
        permit = self._permits.get(order.permit_id)
        working = Working(order=order, planned_init=order.ts_init)
        if permit is not None:
            working.expires, working.ttl, working.recv = permit.expires, time_to_live(permit), permit.ts_recv
        self._state.working[order.intent_id] = working
        holding = self._desk.holding(order)
        if order.action is Action.EXIT and holding is not None:
            holding.exit_intent = order.intent_id

    def _ended(self, working: Working) -> None:
        order = working.order
        self._desk.retire(working)
        holding = self._desk.holding(order)
        if order.action is Action.ENTER or holding is None or holding.exit_intent != order.intent_id:
            return
        holding.exit_intent = ""
        if not order.permit_id:
            self._state.retry[holding.position_id] = order.ts_event + round(self._config.exit_retry_s * SECOND)
        book = self._state.books[order.account]
        event = book.position(holding, self._desk.now(order.venue), 0, (order.id,))
        self._lacking[event.id] = event

    def _fill(self, fill: Fill) -> None:
        if fill.trade_id.startswith(remains.REMAINS):
            if fill.account in self._state.books:
                self._derive(lambda: remains.settle(self._desk, fill))
            return
        working = self._state.working.get(fill.intent_id) or self._state.ended.get(fill.intent_id)
        if working is None or fill.trade_id in working.trades:
            return
        if fill.account not in self._state.books:
            account = self._ours[fill.account]
            self._state.books[fill.account] = AccountBook.opened_with(
                account.id, account.venue, fill.mode, account.currency, account.capital
            )
        self._derive(lambda: self._desk.settle(working, fill))

    def _derive(self, step: Callable[[], None]) -> None:
        self._desk.out = []
        step()
        self._lacking.update({event.id: event for event in self._desk.out})

    def _reconciliation(self, event: Reconciliation) -> None:
        book = self._state.books.get(event.account)
        if book is not None and book.mode is Mode.LIVE and event.id not in self._state.reconciled:
            self._derive(lambda: execute_reconcile.follow(self._desk, book, event))

    def _position(self, position: Position) -> None:
        book = self._state.books.get(position.account)
        if book is None:
            return
        holding = book.holdings.get(position.position_id)
        if holding is not None:
            holding.revision = max(holding.revision, position.revision + 1)
        elif position.mode is Mode.LIVE:
            book.remember_closed(position.position_id, position.revision + 1)

    def _account(self, event: AccountState) -> None:
        self._desk.advance(event.venue, event.ts_event)
        book = self._state.books.get(event.account)
        if book is None:
            book = AccountBook.opened_with(event.account, event.venue, event.mode, event.currency, event.balance)
            self._state.books[event.account] = book
        if event.revision + 1 >= book.revision:
            book.adopt(event)

    def _control(self, command: Control) -> None:
        if command.kind is ControlKind.FLATTEN:
            self._flattens.append(command)
            return
        control.remember(self._desk, command)
        self._state.controls[command.id] = None

    def _still_open_for(self, command: Control) -> bool:
        """Whether a command to flatten came after the decision to open something that is open without an exit."""
        return any(
            holding.entered_init < command.ts_init
            and control.covers(command.scope, holding.symbol, holding.strategy, book.account)
            for book in self._state.books.values()
            for holding in book.holdings.values()
        ) or any(
            working.planned_init < command.ts_init
            and working.order.action is Action.ENTER
            and control.covers(command.scope, working.order.symbol, working.order.strategy, working.order.account)
            for working in self._state.working.values()
        )

    def _without_fill(self, working: Working) -> None:
        """An order called filled whose fill the ledger lacks waits on paper; live, the venue must be asked."""
        state = OrderState.ACKNOWLEDGED if working.order.mode is Mode.PAPER else OrderState.UNRESOLVED
        working.order = msgspec.structs.replace(working.order, state=state, filled=working.dealt[0])
        self._desk.start_waiting(working, working.order.ts_event)


def is_known(state: ExecuteState, event: Event) -> bool:
    """Whether a permit or command of the streams was acted on before the restart."""
    if isinstance(event, Permit):
        mark = digest(event)
        return state.used.get(event.id) == mark or mark in state.refused
    return event.id in state.controls
