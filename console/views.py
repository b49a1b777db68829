"""`conclave positions`, `orders`, `trades`: the ledger, for people or as JSON."""

from __future__ import annotations

import csv as csv_module
import datetime as dt
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from console.context import CommandError, running_bus
from console.dashboard import make_console, order_cells
from console.money import Endpoints, marked, money, running_endpoints
from libs.common.bus import Bus
from libs.core.types import (
    Event,
    Fill,
    Order,
    Position,
    to_json,
)


async def ledger(bus: Bus, pattern: str, key: str) -> dict[str, Any]:
    """The newest event per `key` of a ledger subject, oldest change first."""
    newest: dict[str, Any] = {}
    async for item in bus.read([pattern]):
        newest.pop(getattr(item.event, key), None)
        newest[getattr(item.event, key)] = item.event
    return newest


def print_json(events: Sequence[Event]) -> None:
    """A JSON array of events."""
    sys.stdout.write("[" + ",".join(to_json(event).decode() for event in events) + "]\n")


def utc(nanos: int) -> str:
    """A moment as people read it."""
    return dt.datetime.fromtimestamp(nanos / 1e9, tz=dt.UTC).strftime("%Y-%m-%d %H:%M:%S") if nanos else "–"


def table(title: str, *columns: str) -> Table:
    """A plain table."""
    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in columns:
        made.add_column(column, no_wrap=column not in ("reason", "reasons", "detail"))
    return made


async def run_positions(as_json: bool) -> None:
    """Open positions."""
    async with running_bus() as (bus, _):
        endpoints = running_endpoints()
        held: list[Position] = [p for p in (await ledger(bus, "position.>", "position_id")).values() if p.is_open]
    if as_json:
        print_json(held)
        return
    out = table(
        "open positions", "id", "account", "symbol", "strategy", "side", "quantity", "entry", "stop", "unrealised"
    )
    for p in held:
        account = marked(p.account, p.mode, p.venue, endpoints)
        cells = (p.position_id[:8], account, p.symbol, p.strategy, p.side.value, f"{p.quantity.normalize():f}")
        stop = f"{p.stop_price:f}" if p.stop_price is not None else "–"
        out.add_row(*cells, f"{p.entry_price:f}", stop, f"{p.unrealised:+,.2f} {p.currency}")
    make_console().print(out if held else "no open positions")


async def run_orders(as_json: bool) -> None:
    """Orders, newest first."""
    async with running_bus() as (bus, _):
        found: list[Order] = list(reversed((await ledger(bus, "order.>", "intent_id")).values()))
    if as_json:
        print_json(found)
        return
    out = table("orders", "time", "id", "symbol", "side", "quantity", "price", "state", "reason")
    for order in found:
        out.add_row(*order_cells(order))
    make_console().print(out if found else "no orders yet")


async def run_trades(since: str | None, csv: Path | None, as_json: bool) -> None:
    """Fills with costs."""
    start = _since(since)
    async with running_bus() as (bus, _):
        endpoints = running_endpoints()
        fills: list[Fill] = [fill for fill in (await ledger(bus, "fill.>", "id")).values() if fill.ts_event >= start]
    if csv is not None:
        _write_csv(csv, fills, endpoints)
        make_console().print(f"{len(fills)} trades written to {csv}")
        return
    if as_json:
        print_json(fills)
        return
    out = table("trades", "time", "account", "symbol", "side", "quantity", "price", "costs", "realised", "reason")
    for fill in fills:
        costs = fill.fee + fill.spread_cost + fill.slippage_cost
        account = marked(fill.account, fill.mode, fill.venue, endpoints)
        where = (utc(fill.ts_event), account, fill.symbol, fill.side.value, f"{fill.quantity.normalize():f}")
        price = f"{fill.price:f}" if is_execution(fill) else "written off"
        out.add_row(*where, price, f"{costs:,.4f}", f"{fill.realised:+,.2f} {fill.currency}", fill.reason)
    make_console().print(out if fills else "no trades")


def is_execution(fill: Fill) -> bool:
    """Whether anything was dealt; what is left of a position and cannot be sold leaves the books at no price."""
    return fill.price > 0


def _since(text: str | None) -> int:
    if text is None:
        return 0
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"--since {text!r} is no ISO date or time; write for example 2026-11-20T14:00") from None
    return int(moment.replace(tzinfo=moment.tzinfo or dt.UTC).timestamp() * 1e9)


_CSV_FIELDS = (
    *("time", "money", "account", "mode", "venue", "symbol", "strategy", "side", "action"),
    *("quantity", "price", "currency"),
    *("fee", "spread_cost", "slippage_cost", "realised", "reason", "exploring", "intent_id", "position_id", "id"),
)


def _write_csv(path: Path, fills: Sequence[Fill], endpoints: Endpoints) -> None:
    try:
        with path.open("w", newline="", encoding="utf-8") as out:
            writer = csv_module.writer(out)
            writer.writerow(_CSV_FIELDS)
            for fill in fills:
                row = [getattr(fill, name) for name in _CSV_FIELDS[2:]]
                known = (utc(fill.ts_event), money(fill.mode, fill.venue, endpoints))
                writer.writerow([*known, *(getattr(value, "value", value) for value in row)])
    except OSError as err:
        raise CommandError(f"{path} cannot be written: {err.strerror}") from None
