"""Commands from people and the events that stages apply besides market data."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from libs.core.types.base import Event, Nanos


class ControlKind(StrEnum):
    HALT = "halt"  # no new positions in the scope
    REDUCE_ONLY = "reduce_only"  # only exits in the scope
    REARM = "rearm"  # lift halt and reduce-only in the scope
    FLATTEN = "flatten"  # close every position in the scope
    PAUSE = "pause"
    RESUME = "resume"
    RELOAD = "reload"
    SMOKE = "smoke"  # a connectivity trade was made; an audit row, nobody acts on it
    STOP = "stop"  # drain and end the stack; an audit row, nobody acts on it


class Control(Event, tag="control.v1", frozen=True, kw_only=True):
    """A command with its author and reason; it is an audit row by itself.

    scope: "*" for everything, else a symbol, strategy, account or service name. actor: who asked (user, risk, cli).
    """

    kind: ControlKind
    scope: str = "*"
    reason: str
    actor: str


class TimePassed(Event, tag="time_passed.v1", frozen=True, kw_only=True):
    """The data clock of `venue` reached `ts_event` without another event saying so; applied inline and recorded."""

    venue: str


class Durable(Event, tag="durable.v1", frozen=True, kw_only=True):
    """The ledger holds the planned order of `intent_id`: only now may it be handed to a venue. Applied inline."""

    intent_id: str


class Started(Event, tag="started.v1", frozen=True, kw_only=True):
    """A stage began a run: what it was built from, so that a replay can build the same. `config` is JSON."""

    stage: str
    config: bytes


class Restored(Event, tag="restored.v1", frozen=True, kw_only=True):
    """A stage took up this state before its first input of the run.

    Attributes:
        snapshot: the state, or one part of it where it is too large for a message.
        part, parts: which part this is, from 0, of how many; they follow one another.
    """

    stage: str
    snapshot: bytes
    part: int = 0
    parts: int = 1


class Ref(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """An applied input that the streams hold: the publisher's (epoch, seq) on a subject."""

    subject: str
    epoch: int
    seq: int


class Inline(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """An applied input that no stream holds, in wire encoding."""

    payload: bytes


class Applied(Event, tag="applied.v1", frozen=True, kw_only=True):
    """The order in which a stage applied its inputs; `first` is the index of entries[0] in its run."""

    stage: str
    run: int
    first: int
    entries: tuple[Ref | Inline, ...]


class DeadLetter(Event, tag="dead_letter.v1", frozen=True, kw_only=True):
    """A message that could not be used, with the reason; published on dlq.<subject>."""

    subject: str
    reason: str
    payload: bytes
    ts_recv: Nanos = 0
