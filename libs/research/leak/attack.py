"""The attack: change what comes after, cut it off, begin later, interrupt, repeat; a clean subject does not notice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from libs.core.features.catalogue import CUMULATIVE
from libs.core.features.driver import MAX_FILL
from libs.core.types import SECOND
from libs.research.leak.agree import RTOL, relative_errors, size_of
from libs.research.leak.series import History

Floats = NDArray[np.float64]

MOMENTS: Final = 50
"""Random moments of each kind of attack; a test that runs often takes fewer."""

STARTS: Final = 5
"""Later starts that are compared with the first one."""

FORESEEN: Final = 10_000
"""Bars among which the moments lie after which everything is scrambled."""

STEPPED: Final = 2_500
"""Bars beyond the warm-up that are taken one by one."""


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """What one value of a subject promises.

    Attributes:
        memory: bars after which a later start gives the same value within 1e-9; CUMULATIVE = only its differences do.
        warmup: leading bars without a value. low, high: bounds that it never leaves.
        fed: it reads inputs beside bars and may have no value where they are missing.
    """

    name: str
    memory: int
    warmup: int
    low: float = -np.inf
    high: float = np.inf
    fed: bool = False


class Subject(Protocol):
    """What can be attacked: features today; an agent or a strategy says in numbers what it would say in words."""

    @property
    def name(self) -> str: ...
    @property
    def values(self) -> Sequence[Value]: ...

    def rows(self, history: History) -> Floats:
        """Values at each bar, bars x values, from a fresh start; NaN where there is none or the bar is refused."""

    def steps(self, history: History, restarts: Sequence[int]) -> Floats:
        """The same bar by bar; before each bar of `restarts` it is replaced by one restored from its snapshot."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Where a value was caught: the bar, what was done, what it was and what it became."""

    value: str
    attack: str
    bar: int
    open_time: int
    expected: float
    got: float

    def __str__(self) -> str:
        when = datetime.fromtimestamp(self.open_time / SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S")
        return f"{self.attack} at bar {self.bar} ({when} UTC): {self.got:.17g} instead of {self.expected:.17g}"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What the attack has to say of one value: `finding` is the first offending bar, None when it is clean.

    `reached`: the history was long enough to check its memory.
    """

    value: Value
    finding: Finding | None
    reached: bool


def length_for(subject: Subject, spare: int = 1_200) -> int:
    """Bars of a history on which every memory of the subject shows."""
    longest = max((value.memory for value in subject.values), default=0)
    return max(longest, *(value.warmup for value in subject.values)) + spare


def attack(subject: Subject, history: History, seed: int, moments: int = MOMENTS) -> list[Report]:
    """Attack every value of a subject; one report each, in their order."""
    return Attack(subject, history, seed, moments).reports()


class Attack:
    """One subject under attack on one history; keeps the first finding of each value."""

    def __init__(self, subject: Subject, history: History, seed: int, moments: int = MOMENTS) -> None:
        self._subject, self._history, self._moments = subject, history, moments
        self._rng = np.random.default_rng(seed)
        self._found: dict[int, Finding] = {}
        self._reached: set[int] = set()
        self._rows = subject.rows(history)
        self._sizes = [size_of(column) for column in self._rows.T]

    def reports(self) -> list[Report]:
        """Run everything."""
        self.bounds()
        self.future()
        self.later_start()
        self.flat_window()
        self.interruptions()
        self.repeats()
        return [
            Report(value=value, finding=self._found.get(column), reached=column in self._reached)
            for column, value in enumerate(self._subject.values)
        ]

    def bounds(self) -> None:
        """Values stay within their bounds; none before the warm-up, and after it always one unless inputs lack."""
        ordinal = ordinals(self._history)
        whole = np.asarray(~np.isnan(self._history.extras).any(axis=0))
        for column, value in enumerate(self._subject.values):
            got = self._rows[:, column]
            outside = np.isinf(got) | (got < value.low) | (got > value.high)
            self._note(column, self._history, outside, got, np.clip(got, value.low, value.high), "out of bounds")
            early = ~np.isnan(got) & (ordinal < value.warmup)
            self._note(column, self._history, early, got, np.full(len(got), np.nan), "before its warm-up")
            needed = whole_for(self._history, whole, value) if value.fed else ordinal >= value.warmup
            self._note(column, self._history, np.isnan(got) & needed, got, np.zeros(len(got)), "no value")

    def future(self) -> None:
        """Nothing at a bar depends on what comes after it: not on its content, and not on whether there is any."""
        history = self._history.part(0, min(len(self._history), FORESEEN))
        for at in self._rng.integers(0, len(history) - 1, self._moments):
            end = int(at) + 1
            scrambled = self._subject.rows(history.scrambled(int(at), self._rng))
            self._same(scrambled[:end], self._rows[:end], f"sees the future (all after bar {at} was scrambled)")
            alone = self._subject.rows(history.part(0, end))
            self._same(alone, self._rows[:end], f"knows where the series ends (it was cut after bar {at})")

    def later_start(self) -> None:
        """A run that began later agrees once the memory has passed; a cumulative value in its differences."""
        finite = [value.memory for value in self._subject.values]
        for memory in sorted(set(finite)):
            last = len(self._history) - max(memory, max(value.warmup for value in self._subject.values)) - 2
            if last < 1:
                continue
            for start in self._rng.integers(1, last + 1, min(STARTS, self._moments)):
                self._began(self._history, int(start), memory, "another value after a later start,")

    def flat_window(self) -> None:
        """A window in which nothing happened gives the neutral value exactly, whatever was before it."""
        for memory in sorted({value.memory for value in self._subject.values if _window(value)}):
            at = len(self._history) - memory - 12
            if at > 0:
                self._began(self._history.flat_from(at), at, memory, "noise in a flat window,", windows=True)

    def interruptions(self) -> None:
        """Bar by bar equals all at once, across restarts from a snapshot too; after a hole too long it starts over."""
        longest = max(value.warmup for value in self._subject.values) + STEPPED
        history = self._history.part(0, min(len(self._history), longest))
        hole = int(self._rng.integers(len(history) // 4, len(history)))
        history = history.with_hole(hole, MAX_FILL + 7)
        expected = self._subject.rows(history)
        fresh = self._subject.rows(history.part(hole, len(history)))
        self._same(
            np.concatenate([expected[:hole], fresh]), expected, "remembers what was before a hole too long", history
        )
        self._same(self._subject.steps(history, ()), expected, "another value bar by bar", history)
        restarts = sorted({int(at) for at in self._rng.integers(0, len(history), self._moments)})
        self._same(self._subject.steps(history, restarts), expected, "another value after a snapshot", history)

    def repeats(self) -> None:
        """Repeated and late bars are refused and leave no trace."""
        count = min(len(self._history), max(value.warmup for value in self._subject.values) + 400)
        history = self._history.part(0, count)
        places = np.sort(self._rng.integers(1, count, 20))
        rows = np.insert(np.arange(count), places, [int(self._rng.integers(0, place)) for place in places])
        extra = np.ones(len(rows), dtype=bool)
        extra[np.unique(rows, return_index=True)[1]] = False
        for at in np.flatnonzero(extra):  # the first of two is the one that counts
            extra[at] = rows[at] <= rows[:at].max()
        got = self._subject.rows(history.picked(rows))
        expected = np.full_like(got, np.nan)
        expected[~extra] = self._rows[:count]
        self._same(got, expected, "takes a repeated or late bar", history.picked(rows))

    def _began(self, history: History, start: int, memory: int, attack: str, *, windows: bool = False) -> None:
        """Compare what has this memory (only `windows`, if so) with a run that began at bar `start`."""
        whole, part = self._subject.rows(history), history.part(start, len(history))
        late = self._subject.rows(part)
        passed = ordinals(part)
        supplied = np.cumsum(~np.isnan(part.extras).any(axis=0)) - 1
        for column, value in enumerate(self._subject.values):
            if value.memory != memory or (windows and not _window(value)):
                continue
            old, new = whole[start:, column], late[:, column]
            if memory == CUMULATIVE:
                old, new = _changes(old), _changes(new)
                ripe = passed > value.warmup
            else:
                ripe = (np.minimum(passed, supplied) if value.fed else passed) >= memory
            if not ripe.any():
                continue
            self._reached.add(column)
            # Differences of large sums keep the rounding of the sums.
            rounding = 16.0 * np.finfo(float).eps * np.nanmax(np.abs(whole[:, column]), initial=0.0)
            errors = relative_errors(new, old, self._sizes[column], rounding if memory == CUMULATIVE else 0.0)
            off = np.where(np.isnan(old) | np.isnan(new), np.isnan(old) != np.isnan(new), errors > RTOL)
            beyond = "in its differences" if memory == CUMULATIVE else f"beyond its memory of {memory}"
            what = f"{attack} {beyond} (one run began at bar 0, the other at {start})"
            self._note(column, part, off & ripe, new, old, what, start)

    def _same(self, got: Floats, expected: Floats, attack: str, history: History | None = None) -> None:
        """Bit for bit, NaN equal to NaN."""
        off = (got != expected) & ~(np.isnan(got) & np.isnan(expected))
        for column in np.flatnonzero(off.any(axis=0)):
            at = int(column)
            self._note(at, history or self._history, off[:, at], got[:, at], expected[:, at], attack)

    def _note(
        self,
        column: int,
        history: History,
        off: NDArray[np.bool_],
        got: Floats,
        expected: Floats,
        attack: str,
        before: int = 0,
    ) -> None:
        """Keep the first offending bar of a value; `before`: bars in front of those that are compared."""
        if column in self._found or not off.any():
            return
        bar = int(off.argmax())
        self._found[column] = Finding(
            value=self._subject.values[column].name,
            attack=attack,
            bar=before + bar,
            open_time=int(history.bars.open_time[bar]),
            expected=float(expected[bar]),
            got=float(got[bar]),
        )


def ordinals(history: History) -> NDArray[np.int64]:
    """Bars since the start of the engine at each bar, the flat ones that stand in for missing ones among them."""
    numbers = history.numbers
    starts = np.concatenate([[True], np.diff(numbers) > MAX_FILL + 1])
    begun = np.maximum.accumulate(np.where(starts, numbers, 0))
    return np.asarray(numbers - begun, dtype=np.int64)


def whole_for(history: History, whole: NDArray[np.bool_], value: Value) -> NDArray[np.bool_]:
    """Bars at which a value that reads other inputs must be there: as far back as it looks nothing was missing."""
    ordinal = ordinals(history)
    if value.memory == CUMULATIVE:
        reach = ordinal.copy()
    else:
        reach = np.full(len(ordinal), max(value.memory, value.warmup), dtype=np.int64)
    broken = ~whole
    broken[1:] |= np.diff(ordinal) != 1
    since = np.arange(len(whole)) - np.maximum.accumulate(np.where(broken, np.arange(len(whole)), -1))
    since[np.maximum.accumulate(np.where(broken, 1, 0)) == 0] = len(whole) + 1
    return (since > np.minimum(reach, ordinal)) & (ordinal >= value.warmup)


def _window(value: Value) -> bool:
    """Whether all it knows is a window: a recursion needs many times its warm-up to forget."""
    return not value.fed and 0 <= value.memory <= 1.25 * value.warmup + 2


def _changes(values: Floats) -> Floats:
    return np.diff(values, prepend=np.nan)
