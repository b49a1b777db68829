"""What risk remembers across restarts: its snapshot, and everything that the ledger and the kill switch say since."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from libs.common.bus import Bus, Received
from libs.core.stages.risk import RiskConfig, RiskStage
from libs.core.types import (
    SECOND,
    Control,
    ControlKind,
    Nanos,
    Permit,
    Verdict,
    WireError,
    decode,
    encode,
    stream_of,
)

SNAPSHOTS, KEY = "snapshots", "risk"
KILL = "kill"
LEDGER = ("permit.>", "order.>", "fill.>", "position.>", "account.>")
COMMANDS = ("ctl.halt", "ctl.reduce_only", "ctl.rearm", "ctl.flatten")
KILL_KINDS = (ControlKind.HALT, ControlKind.REDUCE_ONLY, ControlKind.REARM)
OVERLAP_NS: Nanos = 10 * SECOND
"""Reading starts this much before what was last applied; what was applied is told apart by its number."""

FIRST_LOOK_BACK_NS: Nanos = 3_600 * SECOND
"""Without a saved state signals of the last hour are looked at; older ones could only be refused as stale."""


class Reached(msgspec.Struct):
    """How far the streams have been applied.

    numbers: subject to the (epoch, seq) of the newest message applied from it. stamps: stream to its capture time, ns
    by the bus server's clock.
    """

    numbers: dict[str, tuple[int, int]] = {}
    stamps: dict[str, Nanos] = {}

    def is_new(self, received: Received) -> bool:
        """Whether the message comes after everything applied from its subject."""
        last = self.numbers.get(received.subject)
        return last is None or (received.epoch, received.seq) > last

    def note(self, received: Received) -> None:
        """Remember a message as applied."""
        stream = stream_of(received.subject)
        self.numbers[received.subject] = (received.epoch, received.seq)
        self.stamps[stream] = max(self.stamps.get(stream, 0), received.stream_ns)

    def start(self, stream: str) -> Nanos:
        """Where to read a stream from; 0 when nothing of it has been applied."""
        return max(0, self.stamps.get(stream, 0) - OVERLAP_NS)


class Saved(msgspec.Struct, frozen=True):
    """A saved state and how far it had read."""

    reached: Reached
    stage: bytes


async def save(bus: Bus, saved: Saved) -> None:
    """Replace the saved state."""
    await bus.kv_put(SNAPSHOTS, KEY, msgspec.msgpack.encode(saved))


async def load(bus: Bus) -> Saved | None:
    """The newest saved state, or None when there is none that can be read."""
    data = await bus.kv_get(SNAPSHOTS, KEY)
    if not data:
        return None
    try:
        return msgspec.msgpack.decode(data, type=Saved)
    except msgspec.MsgspecError:
        return None


@dataclass
class Rebuilt:
    """A stage as far as the streams go.

    resumed: whether a saved state was the start. problem: why one was not taken up. folded: messages applied.
    unsaid: verdicts that permits carry and nobody has published.
    """

    stage: RiskStage
    reached: Reached = field(default_factory=Reached)
    resumed: bool = False
    problem: str = ""
    unsaid: list[Verdict] = field(default_factory=list)
    folded: int = 0

    def fold(self, received: Received) -> None:
        """Learn from a message that has not been applied yet."""
        if self.reached.is_new(received):
            self.stage.absorb(received.event)
            self.reached.note(received)
            self.folded += 1


async def rebuild(bus: Bus, config: RiskConfig) -> Rebuilt:
    """The stage from its snapshot and the streams: instruments, the kill switch, then ledger and commands in order.

    Nothing is decided on the way. A permit whose verdict was never published (a crash between the two) is found here.
    """
    rebuilt = Rebuilt(RiskStage(config))
    saved = await load(bus)
    if saved is not None:
        try:
            rebuilt.stage.restore(saved.stage)
            rebuilt.reached, rebuilt.resumed = saved.reached, True
        except ValueError as err:
            rebuilt.problem = str(err)
    stage = rebuilt.stage
    stage.forget_markets()
    async for received in bus.read(["md.instrument.>"]):
        stage.absorb(received.event)
    commands = [received async for received in bus.read(list(COMMANDS))]
    told = {received.event.id for received in commands}
    for control in await read_kill(bus):
        # The stream tells more than the bucket; the bucket counts where the stream has been lost.
        if control.kind is not ControlKind.REARM and control.id not in told:
            stage.absorb(control)
    said = set()
    async for received in bus.read(["risk.verdict.>"], rebuilt.reached.start("DECISIONS")):
        stage.absorb(received.event)
        said.add(received.event.id)
    permits = await _fold_ledger(bus, rebuilt, commands)
    rebuilt.unsaid = [permit.verdict for permit in permits if permit.verdict.id not in said]
    return rebuilt


async def _fold_ledger(bus: Bus, rebuilt: Rebuilt, commands: list[Received]) -> list[Permit]:
    """Fold ledger and commands in the order of their capture; the permits met on the way."""
    permits, waiting = [], list(reversed(commands))
    async for received in bus.read(list(LEDGER), rebuilt.reached.start("ORDERS")):
        # A re-arm measures drawdown from the equity of its moment.
        while waiting and waiting[-1].stream_ns <= received.stream_ns:
            rebuilt.fold(waiting.pop())
        if isinstance(received.event, Permit) and rebuilt.reached.is_new(received):
            permits.append(received.event)
        rebuilt.fold(received)
    while waiting:
        rebuilt.fold(waiting.pop())
    return permits


# The kill switch: one key per scope, its value the command in force there in wire encoding


def kill_key(scope: str) -> str:
    """The bucket key of a scope: letters, digits, - and _ stay, any other byte is written =XX; "all" for "*"."""
    if scope == "*":
        return "all"
    plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
    return "scope." + "".join(chr(b) if chr(b) in plain else f"={b:02X}" for b in scope.encode())


async def read_kill(bus: Bus) -> list[Control]:
    """The commands that the bucket holds; a value that is none of ours counts as nothing."""
    found = []
    for key in await bus.kv_keys(KILL):
        data = await bus.kv_get(KILL, key)
        try:
            control = decode(data or b"")
        except WireError:
            continue
        if isinstance(control, Control):
            found.append(control)
    return found


async def write_kill(bus: Bus, control: Control) -> None:
    """Put a command in force in the bucket; re-arming everything re-arms every key."""
    if control.kind not in KILL_KINDS:
        return
    keys = {kill_key(control.scope)}
    if control.kind is ControlKind.REARM and control.scope == "*":
        keys.update(await bus.kv_keys(KILL))
    for key in sorted(keys):
        if control.kind is ControlKind.REDUCE_ONLY and await _halted(bus, key):
            continue
        await bus.kv_put(KILL, key, encode(control))


async def _halted(bus: Bus, key: str) -> bool:
    data = await bus.kv_get(KILL, key)
    try:
        held = decode(data) if data else None
    except WireError:
        return False
    return isinstance(held, Control) and held.kind is ControlKind.HALT
