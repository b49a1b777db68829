"""Signals, verdicts and permits: from an idea to the signed right to act on it."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec

from libs.core.types.base import Event, Nanos, Side


class Action(StrEnum):
    """ENTER opens a position; EXIT reduces or closes one and never opens."""

    ENTER = "enter"
    EXIT = "exit"


SMOKE: Final = "smoke"
"""Strategy name of a connectivity trade: the smallest one the venue takes, opened and closed to prove the way there."""


class Signal(Event, tag="signal.v1", frozen=True, kw_only=True):
    """A strategy's wish. `id` = hash(strategy, params, venue, symbol, interval, side, bar time).

    Attributes:
        params_hash: identity of the strategy's parameters.
        action: enter or exit. side: side of the order wished for (an exit of a long position has side sell).
        price: close of the bar, quote currency. atr: ATR of the bar, quote currency (NaN never travels: None).
        sigma: forecast standard deviation of the next bar's log return, when an agent gave one.
        strength: 0 to 1. evidence: False marks exploration without statistical evidence (paper only).
        reason: one line for people. ts_recv: machine clock at arrival of the closing message, ns.
    """

    strategy: str
    params_hash: str
    venue: str
    symbol: str
    interval_s: int
    bar_time: Nanos
    side: Side
    action: Action
    price: float
    atr: float | None = None
    sigma: float | None = None
    strength: float = 1.0
    evidence: bool = False
    reason: str
    ts_recv: Nanos = 0


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One rule that a signal met. `ok` False refuses; `value` and `limit` are text for people, with units."""

    rule: str
    ok: bool
    value: str = ""
    limit: str = ""


class Verdict(Event, tag="verdict.v1", frozen=True, kw_only=True):
    """Risk's answer to one signal, with every reason. `intent_id` = hash(signal id, account); "" when there is none."""

    signal_id: str
    intent_id: str
    account: str
    strategy: str
    venue: str
    symbol: str
    side: Side
    action: Action
    approved: bool
    reasons: tuple[str, ...]
    checks: tuple[Check, ...]
    quantity: Decimal = Decimal(0)
    limits_hash: str
    exploring: bool = True


class Permit(Event, tag="permit.v1", frozen=True, kw_only=True):
    """A signed, expiring, single-use right to act. `id` is the intent id.

    Attributes:
        quantity: the largest allowed (base units for SPOT, stake for MULTIPLIER).
        worst_price: highest price to buy at, lowest to sell at.
        stop_price, target_price: protective levels to hold once filled; None for exits.
        position_id: for exits, the position to reduce; "" for entries.
        expires: data time after which it is void, ns.
        verdict: the whole verdict, so that the reason is as durable as the order.
        limits_hash: hash of the limits in force.
        key_id: which public key verifies it. signature: Ed25519 over `signing_bytes`.
        ts_recv: machine clock at arrival of the message that closed the bar, ns; 0 when unknown.
    """

    venue: str
    account: str
    symbol: str
    strategy: str
    side: Side
    action: Action
    quantity: Decimal
    worst_price: Decimal
    stop_price: Decimal | None = None
    target_price: Decimal | None = None
    position_id: str = ""
    expires: Nanos
    verdict: Verdict
    limits_hash: str
    key_id: str = ""
    signature: bytes = b""
    ts_recv: Nanos = 0

    def signing_bytes(self) -> bytes:
        """What the signature covers: every field but the signature itself, in wire encoding."""
        return _PLAIN.encode(msgspec.structs.replace(self, signature=b""))


class Approved(msgspec.Struct, frozen=True):
    """Proof in the type: only this carries a permit. The permit is unsigned until the risk service signs it."""

    verdict: Verdict
    permit: Permit


class Rejected(msgspec.Struct, frozen=True):
    """A refusal with its recorded reasons."""

    verdict: Verdict


_PLAIN = msgspec.msgpack.Encoder(decimal_format="string")
