"""The ticks around the start and the end of a contract, by which its outcome can be checked."""

from __future__ import annotations

from typing import Any, Final

from services.simulator.deriv.contracts import Contract
from services.simulator.deriv.market import Feed, Tick
from services.simulator.deriv.symbols import Symbol

AROUND: Final = 3  # ticks either side of the start and the end of a contract that lasts a time
_TICK: Final = "highlight_tick"
_TIME: Final = "highlight_time"


def point(tick: Tick, symbol: Symbol) -> dict[str, Any]:
    """Return a tick with its epoch and its text."""
    return {"epoch": tick.epoch, "tick": tick.quote, "tick_display_value": symbol.text(tick.quote)}


def audit_details(contract: Contract, feed: Feed) -> dict[str, Any] | None:
    """Return `audit_details` of an expired contract that one tick decides; None while it runs and for the others."""
    if contract.path_dependent or contract.entry is None or contract.exit is None:
        return None
    start, end = contract.terms.date_start, contract.expiry
    marks = {start: (_TIME, "Start Time"), contract.entry.epoch: (_TICK, "Entry Spot")}
    if contract.terms.ticks:
        name = "End Time and Exit Spot"
        if contract.exit.epoch == contract.entry.epoch:
            name = f"Entry Spot and {name}"
        marks[contract.exit.epoch] = (_TICK, name)
        first = feed.epoch_back(start, 1 if feed.is_tick(start) else 0)
        return {"all_ticks": _rows(feed, first, contract.exit.epoch, marks)}
    first = feed.epoch_back(start, AROUND)
    ending = {end: (_TIME, "End Time"), contract.exit.epoch: (_TICK, "Exit Spot")}
    if contract.exit.epoch == end:
        ending = {end: (_TICK, "End Time and Exit Spot")}
    return {
        "contract_start": _rows(feed, first, contract.entry.epoch, marks),
        "contract_end": _rows(feed, feed.epoch_back(end, AROUND), end, ending),
    }


def _rows(feed: Feed, first: int, last: int, marks: dict[int, tuple[str, str]]) -> list[dict[str, Any]]:
    rows = {tick.epoch: point(tick, feed.symbol) for tick in feed.between(first, last)}
    for epoch, (flag, name) in marks.items():
        if first <= epoch <= last:
            rows[epoch] = {**rows.get(epoch, {"epoch": epoch}), "flag": flag, "name": name}
    return [rows[epoch] for epoch in sorted(rows)]
