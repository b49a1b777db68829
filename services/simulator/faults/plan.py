"""What shall go wrong, as a file says it: rules of kind, place, occasion and parameters, and a seed for the draws."""

from __future__ import annotations

from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Final, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from services.simulator.faults.base import CallFaultKind

DELAY_S: Final = 1.0
STALL_S: Final = 3_600.0
QUIET_S: Final = 5.0
OVERSIZE_BYTES: Final = 32 << 20
JUMP_S: Final = 30.0


class PlanError(Exception):
    """The plan cannot be used; the text is one line: what is wrong and where."""


class FaultKind(StrEnum):
    """Everything that can be asked for. Kinds of calls bear the names of `CallFaultKind`."""

    # Frames on their way out, matched by channel ("data", "trade").
    DROP = "drop"
    DELAY = "delay"  # held for delay_s; what comes after it waits behind it
    DUPLICATE = "duplicate"
    REORDER = "reorder"  # sent after the frame that follows it, or after delay_s when none does
    CORRUPT = "corrupt"  # bytes overwritten so that it is no JSON any more
    TRUNCATE = "truncate"
    STALL = "stall"  # nothing is sent for lasts_s, the connection stays open; then everything held comes
    CLOSE = "close"
    OVERSIZE = "oversize"  # a frame of size_bytes in its place
    WRONG_TYPES = "wrong_types"  # JSON, with lists and objects where numbers and texts belong
    # Calls, matched by the venue's own name of the call.
    TIMEOUT = "timeout"
    LATE = "late"
    LOST = "lost"
    REJECT = "reject"
    RATE_LIMIT = "rate_limit"
    EXPIRED = "expired"
    MAINTENANCE = "maintenance"  # while it lasts every connection is cut as well
    INTERNAL = "internal"
    CUT_CALL = "cut_call"  # CallFaultKind.CLOSE: executed, then cut
    # The market and its clock.
    CLOCK_JUMP = "clock_jump"  # the clock is off by offset_s
    HOLE = "hole"  # an event of a numbered stream is lost inside the venue, matched by stream
    STALE_BOOK = "stale_book"
    SILENT = "silent"  # the venue keeps quiet about what is matched: "fills", or a stream


FRAMES: Final = frozenset(
    {
        FaultKind.DROP,
        FaultKind.DELAY,
        FaultKind.DUPLICATE,
        FaultKind.REORDER,
        FaultKind.CORRUPT,
        FaultKind.TRUNCATE,
        FaultKind.STALL,
        FaultKind.CLOSE,
        FaultKind.OVERSIZE,
        FaultKind.WRONG_TYPES,
    }
)
CALLS: Final[dict[FaultKind, CallFaultKind]] = {
    FaultKind.TIMEOUT: CallFaultKind.TIMEOUT,
    FaultKind.LATE: CallFaultKind.LATE,
    FaultKind.LOST: CallFaultKind.LOST,
    FaultKind.REJECT: CallFaultKind.REJECT,
    FaultKind.RATE_LIMIT: CallFaultKind.RATE_LIMIT,
    FaultKind.EXPIRED: CallFaultKind.EXPIRED,
    FaultKind.MAINTENANCE: CallFaultKind.MAINTENANCE,
    FaultKind.INTERNAL: CallFaultKind.INTERNAL,
    FaultKind.CUT_CALL: CallFaultKind.CLOSE,
}
QUIET: Final = frozenset({FaultKind.STALE_BOOK, FaultKind.SILENT})

_PARAMETERS: Final[dict[str, frozenset[FaultKind]]] = {
    "contains": FRAMES,
    "delay_s": frozenset({FaultKind.DELAY, FaultKind.REORDER, FaultKind.LATE}),
    "code": frozenset({FaultKind.REJECT}),
    "size_bytes": frozenset({FaultKind.OVERSIZE}),
    "offset_s": frozenset({FaultKind.CLOCK_JUMP}),
}


def _listed(value: object) -> object:
    return value if isinstance(value, (list, tuple)) else (value,)


class Rule(BaseModel):
    """One thing that goes wrong.

    Attributes:
        fault: what. venue: where, `*` = everywhere. match: names it concerns, as globs: channels for frames, the
            venue's names for calls, streams for holes and silence.
        contains: frames alone: only those with this text in them.
        probability, nth: on which occasions: drawn, or by their numbers from 1; without either, on each.
        after_s: seconds after the plan was taken up before which nothing happens. at_s: the same, and once.
        lasts_s: with probability or nth, how long it goes on once it has happened; without, how long the rule holds.
        count: how often at most.
        delay_s, code (of a refusal, the venue's own), size_bytes, offset_s: of the kinds that have them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    fault: FaultKind
    venue: str = Field(default="*", min_length=1)
    match: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ("*",)
    contains: str = ""
    probability: float | None = Field(default=None, gt=0, le=1)
    nth: Annotated[tuple[Annotated[int, Field(ge=1)], ...] | None, BeforeValidator(_listed)] = None
    after_s: float = Field(default=0.0, ge=0)
    at_s: float | None = Field(default=None, ge=0)
    lasts_s: float | None = Field(default=None, gt=0)
    count: int | None = Field(default=None, ge=1)
    delay_s: float = Field(default=DELAY_S, gt=0, le=3_600)
    code: str = ""
    size_bytes: int = Field(default=OVERSIZE_BYTES, ge=2, le=1 << 30)
    offset_s: float = Field(default=JUMP_S)

    @model_validator(mode="before")
    @classmethod
    def _none_is_not_given(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if value is not None}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.probability is not None and self.nth is not None:
            raise ValueError("give probability or nth, not both")
        if self.at_s is not None and "after_s" in self.model_fields_set:
            raise ValueError("give at_s or after_s, not both")
        for name, kinds in _PARAMETERS.items():
            if name in self.model_fields_set and self.fault not in kinds:
                raise ValueError(f"{name} has no meaning for {self.fault}")
        if self.fault is FaultKind.CLOCK_JUMP and self.drawn:
            raise ValueError("clock_jump takes after_s or at_s, and lasts_s, but no occasions")
        if self.count and not self.drawn and (self.fault is FaultKind.CLOCK_JUMP or self.fault in QUIET):
            raise ValueError(f"count has no meaning for {self.fault} without probability or nth")
        return self

    @property
    def drawn(self) -> bool:
        """Whether it waits for an occasion rather than for the clock."""
        return self.probability is not None or self.nth is not None

    @property
    def begins_s(self) -> float:
        """Seconds after which it can happen."""
        return self.after_s if self.at_s is None else self.at_s

    @property
    def most(self) -> int | None:
        """How often at most; a rule for one moment happens once."""
        return 1 if self.count is None and self.at_s is not None and self.lasts_s is None else self.count

    def concerns(self, venue: str, name: str) -> bool:
        """Whether it is about `name` at `venue`."""
        return fnmatchcase(venue, self.venue) and any(fnmatchcase(name, glob) for glob in self.match)

    def shown(self) -> dict[str, Any]:
        """The rule as it was given, for people and programs."""
        given: dict[str, Any] = self.model_dump(mode="json", exclude_unset=True)
        return given


class Plan(BaseModel):
    """Rules in the order in which they are asked: the first that happens is the one that counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=0, ge=0, lt=2**63)
    rules: tuple[Rule, ...] = ()


def plan_of(given: object, source: str) -> Plan:
    """Check a plan that is {seed, rules}, a list of rules, or one rule. Raises PlanError, beginning with `source`."""
    if isinstance(given, list):
        given = {"rules": given}
    elif isinstance(given, dict) and "fault" in given:
        given = {"rules": [given]}
    try:
        return Plan.model_validate({} if given is None else given)
    except ValidationError as err:
        first = err.errors()[0]
        where = _place(first["loc"])
        text = first["msg"].removeprefix("Value error, ")
        shown = "" if isinstance(first["input"], (dict, list, Plan, Rule)) else f", not {first['input']!r}"
        raise PlanError(f"{source}: {f'{where}: ' if where else ''}{text}{shown}") from None


def load_plan(path: Path) -> Plan:
    """Read a plan from a YAML file. Raises PlanError."""
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise PlanError(f"{path}: {err.strerror}") from None
    except UnicodeDecodeError:
        raise PlanError(f"{path}: is not UTF-8 text") from None
    except yaml.YAMLError as err:
        mark = getattr(err, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark is not None else ""
        raise PlanError(f"{path}: is not YAML{line}: {getattr(err, 'problem', None) or 'unreadable'}") from None
    return plan_of(given, str(path))


def _place(location: tuple[int | str, ...]) -> str:
    """Where in the plan: `rule 2 probability`."""
    words = [f"rule {part + 1}" if isinstance(part, int) else part for part in location if part != "rules"]
    return " ".join(words)
