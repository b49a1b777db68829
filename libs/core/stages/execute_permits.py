"""From a permit to a planned order, or to a recorded refusal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from libs.core.portfolio.holding import Holding
from libs.core.stages import execute_remains as remains
from libs.core.stages.execute_desk import Desk, cited, opens_short
from libs.core.types import (
    Action,
    ControlKind,
    InstrumentKind,
    Nanos,
    Order,
    OrderState,
    Permit,
    stable_id,
)
from libs.core.types.money import quantity_on_grid, smallest_trade

Verifier = Callable[[Permit], str | None]
"""None when the permit's signature is good, else why not."""


def verifier_of(keys: Mapping[str, str]) -> Verifier:
    """A verifier over fixed public keys (PEM by key id); the words of its refusals are those of the key folder's.

    Raises:
        ValueError: one of them is no Ed25519 public key.
    """
    known: dict[str, Ed25519PublicKey] = {}
    for key_id, pem in keys.items():
        key = load_pem_public_key(pem.encode())
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError(f"key {key_id} is no Ed25519 public key")
        known[key_id] = key

    def verify(permit: Permit) -> str | None:
        if not permit.signature or not permit.key_id:
            return "unsigned"
        if permit.key_id not in known:
            return "foreign"
        try:
            known[permit.key_id].verify(permit.signature, permit.signing_bytes())
        except InvalidSignature:
            return "altered"
        return None

    return verify


def digest(permit: Permit) -> str:
    """Identity of one exact permit, signature included: another permit of the same intent has another digest."""
    return stable_id("permit", permit.signing_bytes().hex(), permit.signature.hex())


def take(desk: Desk, permit: Permit, verify: Verifier) -> None:
    """Plan an order for a good permit; record why not for any other. The same permit again changes nothing."""
    state, mark = desk.state, digest(permit)
    if state.used.get(permit.id) == mark or mark in state.refused:
        return
    refusal = _not_for_us(desk, permit, verify)
    if refusal is None and permit.id in state.used:
        refusal = "used: this intent has had its permit"
    if refusal is not None:
        # Not under its own intent id: whoever forges a permit must not be able to block or end the real order.
        state.refused[mark] = None
        desk.out.append(_order(desk, permit, mark, OrderState.REJECTED, refusal, permit.quantity))
        return
    state.used[permit.id] = mark
    refusal = _refusal(desk, permit)
    if refusal is not None:
        desk.out.append(_order(desk, permit, permit.id, OrderState.REJECTED, refusal, permit.quantity))
        if (held := _exited(desk, permit)) is not None:
            remains.sweep(desk, desk.state.books[permit.account], held, permit.id)
        return
    holding = _exited(desk, permit)
    quantity = _quantity(desk, permit)
    if holding is not None:
        holding.exit_intent = permit.id
    desk.plan(
        _order(desk, permit, permit.id, OrderState.PLANNED, permit.action.value, quantity),
        expires=permit.expires,
        ttl=time_to_live(permit),
        recv=permit.ts_recv,
    )


def time_to_live(permit: Permit) -> Nanos:
    """How long a permit was valid when it was made, ns."""
    return max(permit.expires - permit.ts_event, 0)


def _not_for_us(desk: Desk, permit: Permit, verify: Verifier) -> str | None:
    if not permit.signature:
        return "unsigned: the permit carries no signature"
    problem = verify(permit)
    if problem is not None:
        return f"{problem}: the signature of the permit is not accepted"
    if not any(a.id == permit.account and a.venue == permit.venue for a in desk.config.accounts):
        return f"foreign: account {permit.account} at {permit.venue} is not ours"
    return None


def _refusal(desk: Desk, permit: Permit) -> str | None:
    if not permit.verdict.approved or permit.verdict.intent_id != permit.id:
        return "verdict: the permit's verdict does not approve this intent"
    if permit.account not in desk.state.books:
        return f"clock: the time at {permit.venue} is not known yet"
    if desk.has_expired(permit.venue, permit.expires, time_to_live(permit), permit.ts_recv):
        late = (desk.now(permit.venue) - permit.expires) / 1e9
        return f"expired: {late:.3f} s after its end in data time"
    instrument = desk.view(permit.venue, permit.symbol).instrument
    if instrument is None or instrument.kind is InstrumentKind.QUOTE_ONLY:
        return f"instrument: {permit.symbol} is not known to be tradable at {permit.venue}"
    if permit.action is Action.ENTER:
        return _entry_refusal(desk, permit)
    return _exit_refusal(desk, permit)


def _entry_refusal(desk: Desk, permit: Permit) -> str | None:
    instrument = desk.view(permit.venue, permit.symbol).instrument
    if instrument is not None and opens_short(instrument, permit.side, permit.action):
        return f"short: a spot account cannot sell {permit.symbol} that it does not hold"
    if _quantity(desk, permit) <= 0:
        return f"quantity: {permit.quantity} is below what {permit.symbol} can be traded in"
    if permit.verdict.exploring and not desk.config.accept_exploring and instrument is not None:
        smallest = smallest_trade(instrument, permit.worst_price)
        if permit.quantity > smallest:
            return f"evidence: without it live money takes at most the smallest trade, {smallest.normalize():f}"
    blocked = halted(desk, permit.symbol, permit.strategy, permit.account)
    if blocked is not None:
        return f"halted: {blocked}"
    if any(
        w.order.state is OrderState.UNRESOLVED and w.order.account == permit.account
        for w in desk.in_market(permit.venue, permit.symbol)
    ):
        return f"unresolved: an order on {permit.symbol} waits for the venue's answer"
    return None


def _exit_refusal(desk: Desk, permit: Permit) -> str | None:
    holding = _held(desk, permit)
    if holding is None or holding.symbol != permit.symbol:
        return "position: it is not open"
    if permit.side is not holding.side.opposite:
        return f"position: a {holding.side.value} position is not closed by a {permit.side.value}"
    if holding.exit_intent:
        return "position: its exit is under way"
    if _quantity(desk, permit) <= 0:
        return "quantity: nothing to close that can be sold"
    return None


def _exited(desk: Desk, permit: Permit) -> Holding | None:
    """The position that a permit to exit speaks of."""
    if permit.action is not Action.EXIT or permit.account not in desk.state.books:
        return None
    return _held(desk, permit)


def _held(desk: Desk, permit: Permit) -> Holding | None:
    return desk.state.books[permit.account].holdings.get(permit.position_id)


def _quantity(desk: Desk, permit: Permit) -> Decimal:
    instrument = desk.view(permit.venue, permit.symbol).instrument
    if instrument is None:
        return permit.quantity
    holding = _exited(desk, permit)
    if holding is None:
        return quantity_on_grid(instrument, permit.quantity)
    quantity = min(permit.quantity, remains.sellable(desk, desk.state.books[permit.account], holding))
    return quantity_on_grid(instrument, quantity) if holding.base_asset else quantity


def halted(desk: Desk, symbol: str, strategy: str, account: str) -> str | None:
    """The command that forbids entries there, for people; None when none does."""
    for scope in ("*", symbol, strategy, account):
        kind = desk.state.halts.get(scope)
        if kind is not None:
            word = "halt" if kind is ControlKind.HALT else "reduce only"
            return f"{word} is in force for {scope}"
    return None


def _order(desk: Desk, permit: Permit, intent: str, state: OrderState, reason: str, quantity: Decimal) -> Order:
    entry = permit.action is Action.ENTER
    holding = None if entry or permit.account not in desk.state.books else _held(desk, permit)
    return Order(
        id=stable_id(intent, 0),
        cause=(permit.id,),
        ts_event=max(desk.now(permit.venue), permit.ts_event if state is OrderState.PLANNED else 0),
        ts_init=desk.ts_init,
        intent_id=intent,
        revision=0,
        state=state,
        mode=desk.config.mode,
        venue=permit.venue,
        account=permit.account,
        symbol=permit.symbol,
        strategy=permit.strategy,
        side=permit.side,
        action=permit.action,
        quantity=quantity,
        worst_price=permit.worst_price,
        stop_price=permit.stop_price if entry else None,
        target_price=permit.target_price if entry else None,
        position_id=intent if entry else permit.position_id,
        reason=reason,
        exploring=permit.verdict.exploring,
        venue_order_id=holding.venue_position_id if holding is not None else "",
        permit_id=permit.id,
        ticks=cited(desk.view(permit.venue, permit.symbol)) if state is OrderState.PLANNED else (),
        ts_recv=permit.ts_recv,
    )
