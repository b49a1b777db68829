"""Commands from people and risk: halt, reduce-only, re-arm, flatten."""

from __future__ import annotations

from libs.core.stages.execute_desk import Desk
from libs.core.stages.execute_permits import halted
from libs.core.types import Action, Control, ControlKind, Mode, OrderState

BRAKES = (ControlKind.HALT, ControlKind.REDUCE_ONLY)


def take(desk: Desk, control: Control) -> None:
    """Obey a command once."""
    state = desk.state
    if control.id in state.controls or control.kind not in (*BRAKES, ControlKind.REARM, ControlKind.FLATTEN):
        return
    state.controls[control.id] = None
    if control.kind is ControlKind.FLATTEN:
        _flatten(desk, control)
        return
    remember(desk, control)
    if control.kind in BRAKES:
        _stop_planned_entries(desk, control)


def remember(desk: Desk, control: Control) -> None:
    """Keep or lift a brake; re-arming everything lifts every brake."""
    halts = desk.state.halts
    if control.kind in BRAKES:
        halts[control.scope] = control.kind
    elif control.kind is ControlKind.REARM and control.scope == "*":
        halts.clear()
    elif control.kind is ControlKind.REARM:
        halts.pop(control.scope, None)


def covers(scope: str, symbol: str, strategy: str, account: str) -> bool:
    """Whether a command for `scope` speaks of an order or position."""
    return scope in ("*", symbol, strategy, account)


def _stop_planned_entries(desk: Desk, control: Control) -> None:
    for working in list(desk.state.working.values()):
        order = working.order
        if order.state is not OrderState.PLANNED or order.action is not Action.ENTER:
            continue
        reason = halted(desk, order.symbol, order.strategy, order.account)
        if reason is not None:
            desk.fail(working, OrderState.CANCELLED, f"halted before it was sent: {reason}", (control.id,))


def _flatten(desk: Desk, control: Control) -> None:
    why = f"flatten: {control.reason} ({control.actor})"
    for working in list(desk.state.working.values()):
        order = working.order
        if not covers(control.scope, order.symbol, order.strategy, order.account):
            continue
        if order.action is Action.ENTER and (order.state is OrderState.PLANNED or order.mode is Mode.PAPER):
            desk.fail(working, OrderState.CANCELLED, why, (control.id,))
        else:
            working.flatten = why
    for book in desk.state.books.values():
        for holding in list(book.holdings.values()):
            if covers(control.scope, holding.symbol, holding.strategy, book.account):
                holding.flatten = why
                desk.exit_position(book, holding, "flatten", why, (control.id,))
