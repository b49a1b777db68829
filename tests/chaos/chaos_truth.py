"""What must hold after any crash: the store against the simulator's own record, and the ledger against itself."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from libs.core.types import (
    SECOND,
    AccountState,
    Action,
    Fill,
    Nanos,
    Order,
    OrderState,
    Permit,
    Position,
    Signal,
    Verdict,
    interval_seconds,
)

PRINTS = ("tick", "trade")
Key = tuple[str, str, int]
"""venue, symbol and sequence of a print"""
BarKey = tuple[str, int, Nanos]
"""symbol, interval in seconds and opening time"""


class Truth:
    """The simulator's record: every print and kline that it sent."""

    def __init__(self, path: Path) -> None:
        self.prints: dict[Key, float] = {}
        self.stamps: dict[Key, Nanos] = {}
        self.klines: dict[BarKey, tuple[float, ...]] = {}
        self.reached: dict[tuple[str, str], int] = {}
        for raw in path.read_bytes().splitlines(keepends=True):
            if not raw.endswith(b"\n"):
                continue
            line = msgspec.json.decode(raw)
            if line["kind"] in PRINTS:
                venue, symbol = line["venue"], line["symbol"]
                self.prints[venue, symbol, line["seq"]] = float(line["price"])
                self.stamps[venue, symbol, line["seq"]] = line["ts"]
                self.reached[venue, symbol] = max(self.reached.get((venue, symbol), 0), line["seq"])
            elif line["kind"] == "bar":
                bar: BarKey = (line["symbol"], interval_seconds(line["interval"]), line["open_time"])
                self.klines[bar] = tuple(float(line[name]) for name in "ohlcv")


async def stored_up_to(connection: asyncpg.Connection, truth: Truth) -> bool:
    """Whether the store has reached the newest print of every symbol in `truth`."""
    rows = await connection.fetch("SELECT venue, symbol, max(seq) AS seq FROM ticks GROUP BY venue, symbol")
    reached = {(row["venue"], row["symbol"]): row["seq"] for row in rows}
    return all(reached.get(key, 0) >= seq for key, seq in truth.reached.items())


async def prints_that_differ(connection: asyncpg.Connection, truth: Truth) -> list[str]:
    """Recorded prints that the store lacks, holds twice or with another price."""
    rows = await connection.fetch("SELECT venue, symbol, seq, price FROM ticks")
    times = Counter((row["venue"], row["symbol"], row["seq"]) for row in rows)
    stored = {(row["venue"], row["symbol"], row["seq"]): row["price"] for row in rows}
    wrong = [f"{key} of {truth.stamps[key] / SECOND:.3f} is missing" for key in truth.prints if key not in stored]
    wrong += [f"{key} is there {count} times" for key, count in times.items() if count > 1]
    wrong += [
        f"{key} at {stored[key]}, sent at {price}"
        for key, price in truth.prints.items()
        if stored.get(key, price) != price
    ]
    return wrong


async def bars_that_differ(connection: asyncpg.Connection, truth: Truth) -> list[str]:
    """Recorded klines that the store's bars lack or contradict."""
    rows = await connection.fetch("SELECT * FROM bars WHERE venue = 'binance'")
    stored = {
        (row["symbol"], row["interval_s"], row["open_time"]): tuple(
            row[name] for name in ("open", "high", "low", "close", "volume")
        )
        for row in rows
    }
    newest = {key[:2]: max(k[2] for k in stored if k[:2] == key[:2]) for key in stored}
    wrong = []
    for key, kline in truth.klines.items():
        if key[:2] not in newest or key[2] > newest[key[:2]]:
            continue  # its bar has yet to close here
        if key not in stored:
            wrong.append(f"bar {key} is missing")
        elif not all(math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9) for a, b in zip(stored[key], kline, strict=True)):
            wrong.append(f"bar {key}: stored {stored[key]}, sent {kline}")
    return wrong


async def holes_in_bars(connection: asyncpg.Connection) -> list[str]:
    """Missing opening times between the first and the last bar of each series, and series marked incomplete."""
    rows = await connection.fetch("SELECT venue, symbol, interval_s, open_time, flags FROM bars ORDER BY open_time")
    series: dict[tuple[str, str, int], list[Nanos]] = defaultdict(list)
    wrong = []
    for row in rows:
        series[row["venue"], row["symbol"], row["interval_s"]].append(row["open_time"])
    for key, times in series.items():
        expected = range(times[0], times[-1] + 1, key[2] * SECOND)
        missing = sorted(set(expected) - set(times))
        if missing or len(times) != len(set(times)):
            wrong.append(f"{key}: {len(times)} bars, {len(missing)} holes, first at {missing[:3]}")
    return wrong


def orders_that_differ(events: Iterable[Any], capital: dict[str, Decimal]) -> list[str]:
    """Where the ledger contradicts itself: doubled orders or fills, positions and balances that no fill explains."""
    kinds: dict[type, list[Any]] = defaultdict(list)
    for event in events:
        kinds[type(event)].append(event)
    wrong = []
    orders: Sequence[Order] = kinds[Order]
    fills: Sequence[Fill] = kinds[Fill]
    planned = Counter(o.intent_id for o in orders if o.state is OrderState.PLANNED)
    wrong += [f"intent {intent} planned {count} times" for intent, count in planned.items() if count != 1]
    wrong += [f"order {o.intent_id} was never planned" for o in orders if o.intent_id not in planned]
    revisions = Counter((o.intent_id, o.revision) for o in orders)
    wrong += [f"order revision {key} told {count} times" for key, count in revisions.items() if count > 1]
    per_intent = Counter(f.intent_id for f in fills)
    wrong += [f"intent {intent} filled {count} times" for intent, count in per_intent.items() if count != 1]
    permits = {permit.id: permit for permit in kinds[Permit]}
    for order in orders:
        if order.state is OrderState.PLANNED and order.action is Action.ENTER and order.permit_id not in permits:
            wrong.append(f"order {order.intent_id} has no permit")
    used = Counter(o.permit_id for o in orders if o.state is OrderState.PLANNED and o.permit_id)
    wrong += [f"permit {permit} used {count} times" for permit, count in used.items() if count > 1]
    return wrong + _positions(kinds[Position], fills) + _accounts(kinds[AccountState], kinds[Position], fills, capital)


def _positions(positions: Sequence[Position], fills: Sequence[Fill]) -> list[str]:
    held: dict[str, Decimal] = defaultdict(Decimal)
    for fill in fills:
        held[fill.position_id] += fill.quantity if fill.action is Action.ENTER else -fill.quantity
    wrong = [f"position {key}: fills leave {quantity}" for key, quantity in held.items() if quantity < 0]
    newest = _newest(positions, "position_id")
    for key, quantity in held.items():
        said = newest[key].quantity if key in newest else None
        if said != quantity:
            wrong.append(f"position {key}: fills leave {quantity}, it says {said}")
    wrong += [f"position {key} without a fill" for key in newest if key not in held]
    by_symbol = Counter((p.account, p.symbol, p.strategy) for p in newest.values() if p.is_open)
    return wrong + [f"{key} is open {count} times" for key, count in by_symbol.items() if count > 1]


def _accounts(
    accounts: Sequence[AccountState],
    positions: Sequence[Position],
    fills: Sequence[Fill],
    capital: dict[str, Decimal],
) -> list[str]:
    """Equity at cost: cash, and what is bound in open positions, is the capital and everything realised."""
    wrong = []
    newest = _newest(accounts, "account")
    open_now = [p for p in _newest(positions, "position_id").values() if p.is_open]
    for name, first in capital.items():
        state = newest.get(name)
        if state is None:
            wrong.append(f"account {name} never told its state")
            continue
        realised = sum((f.realised for f in fills if f.account == name), Decimal(0))
        bound = sum((_bound(p, fills) for p in open_now if p.account == name), Decimal(0))
        if state.balance + bound != first + realised:
            wrong.append(f"{name}: {state.balance} cash + {bound} bound is not {first} + {realised} realised")
        fees = sum((f.fee for f in fills if f.account == name), Decimal(0))
        if state.fees != fees:
            wrong.append(f"{name}: says {state.fees} fees, its fills {fees}")
    revisions = Counter((a.account, a.revision) for a in accounts)
    return wrong + [f"account revision {key} told {count} times" for key, count in revisions.items() if count > 1]


def _bound(position: Position, fills: Sequence[Fill]) -> Decimal:
    """Cash that an open position holds at cost: a multiplier's stake less the commission in it, a spot holding's price.

    Positions of this house are opened and closed in one fill each.
    """
    if not position.multiplier:
        return position.side.sign * position.quantity * position.entry_price
    return position.quantity - sum((f.fee for f in fills if f.position_id == position.position_id), Decimal(0))


def _newest(events: Sequence[Any], key: str) -> dict[str, Any]:
    newest: dict[str, Any] = {}
    for event in events:
        known = newest.get(getattr(event, key))
        if known is None or event.revision >= known.revision:
            newest[getattr(event, key)] = event
    return newest


def signals_without_verdict(events: Iterable[Any]) -> list[str]:
    """Signals that risk never answered, and answers given more than once."""
    events = list(events)
    answers = Counter(event.signal_id for event in events if isinstance(event, Verdict))
    wrong = [
        f"signal {e.id} of {e.symbol} has no verdict" for e in events if isinstance(e, Signal) and not answers[e.id]
    ]
    return wrong + [f"signal {key} has {count} verdicts" for key, count in answers.items() if count > 1]
