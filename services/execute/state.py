"""What execute remembers lies in the ledger: the stage's state is rebuilt from the ORDERS and CONTROL streams."""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.common.bus import Bus, Received
from libs.core.stages.execute_ledger import LedgerFold, is_known
from libs.core.stages.execute_state import ExecuteConfig, ExecuteState
from libs.core.types import Control, Event, Instrument, Permit, WireError, decode

LEDGER = ("permit.>", "order.>", "fill.>", "position.>", "account.>", "recon.>")
COMMANDS = ("ctl.halt", "ctl.reduce_only", "ctl.rearm", "ctl.flatten")


@dataclass(slots=True)
class Rebuilt:
    """The state of before, and what was published but not acted on: `commands`, then `permits`, in stream order."""

    state: ExecuteState
    events: int = 0
    commands: list[Received] = field(default_factory=list)
    permits: list[Received] = field(default_factory=list)


async def rebuild(bus: Bus, config: ExecuteConfig) -> Rebuilt:
    """Fold the whole ledger."""
    fold = LedgerFold(config)
    asked: list[Received] = []
    count = 0
    async for received in bus.read([*LEDGER, *COMMANDS]):
        event: Event = received.event
        count += 1
        fold.take(event)
        if isinstance(event, Permit | Control):
            asked.append(received)
    state = fold.finish()
    open_ = [received for received in asked if not is_known(state, received.event)]
    return Rebuilt(
        state,
        count,
        commands=[received for received in open_ if isinstance(received.event, Control)],
        permits=[received for received in open_ if isinstance(received.event, Permit)],
    )


async def kept_instruments(bus: Bus) -> list[Instrument]:
    """Every Instrument in the bucket, which outlives the stream; a value that is none counts as nothing."""
    found: list[Instrument] = []
    for key in await bus.kv_keys("instruments"):
        data = await bus.kv_get("instruments", key)
        try:
            event = decode(data) if data else None
        except WireError:
            continue
        if isinstance(event, Instrument):
            found.append(event)
    return found


async def instruments(bus: Bus) -> list[Received]:
    """The newest captured Instrument of every symbol."""
    newest: dict[str, Received] = {}
    async for received in bus.read(["md.instrument.>"]):
        if isinstance(received.event, Instrument):
            newest[received.subject] = received
    return list(newest.values())
