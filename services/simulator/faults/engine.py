"""Faults as a plan has them: every draw from its seed, every strike written down."""

from __future__ import annotations

import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from services.simulator.clock import NANOSECONDS
from services.simulator.faults.armed import Armed
from services.simulator.faults.base import CallFault, Cut, Send
from services.simulator.faults.line import Line
from services.simulator.faults.plan import CALLS, FRAMES, QUIET, FaultKind, Plan
from services.simulator.record import Record

KEPT_STRIKES: Final = 1_000


class PlannedFaults:
    """Implements `Faults`. A plan can be added to and taken back while the venues run.

    With the same plan and the same occasions in the same order the same faults happen.
    """

    def __init__(self, plan: Plan, record: Record, *, now: Callable[[], float] | None = None) -> None:
        """`now` in seconds, never backwards: the clock of after_s, at_s and lasts_s, which begins here.

        The machine's monotonic clock when not given.
        """
        self._record = record
        self._now = now or time.monotonic
        self._began = self._now()
        self._lines: weakref.WeakSet[Line] = weakref.WeakSet()
        self._armed: list[Armed] = []
        self._frames: list[Armed] = []
        self._calls: list[Armed] = []
        self._outages: list[Armed] = []
        self._quiet: list[Armed] = []
        self._holes: list[Armed] = []
        self._jumps: list[Armed] = []
        self._told: set[int] = set()
        self._numbers = 0
        self.total = 0
        self.struck: deque[dict[str, Any]] = deque(maxlen=KEPT_STRIKES)
        self.add(plan)

    # --- the plan ----------------------------------------------------------------------------------------------

    def add(self, plan: Plan) -> None:
        """Take up the rules of `plan` beside those that hold; their clocks begin now."""
        for index, rule in enumerate(plan.rules):
            armed = Armed(rule, self._numbers, f"{plan.seed}/{index}", self._now)
            self._numbers += 1
            self._armed.append(armed)
            kind = rule.fault
            if kind in FRAMES:
                self._frames.append(armed)
            elif kind in CALLS:
                self._calls.append(armed)
                if kind is FaultKind.MAINTENANCE and rule.lasts_s is not None:
                    self._outages.append(armed)
            elif kind in QUIET:
                self._quiet.append(armed)
            elif kind is FaultKind.HOLE:
                self._holes.append(armed)
            else:
                self._jumps.append(armed)

    def heal(self) -> None:
        """Take back every rule, and send what lines still hold."""
        for rules in (
            self._armed,
            self._frames,
            self._calls,
            self._outages,
            self._quiet,
            self._holes,
            self._jumps,
        ):
            rules.clear()
        for line in list(self._lines):
            line.heal()

    def state(self) -> dict[str, Any]:
        """Rules with what came of them, and the newest strikes, oldest first."""
        rules = [
            {"number": armed.number, **armed.rule.shown(), "seen": armed.seen, "injected": armed.hits}
            for armed in self._armed
        ]
        return {"rules": rules, "total": self.total, "injected": list(self.struck)}

    # --- what the venues ask -----------------------------------------------------------------------------------

    def line(self, venue: str, channel: str, send: Send, cut: Cut) -> Send:
        line = Line(self, venue, channel, send, cut, now=self._now)
        self._lines.add(line)
        return line

    def call(self, venue: str, name: str) -> CallFault | None:
        for armed in self._calls:
            if armed.rule.concerns(venue, name) and armed.strikes():
                self._strike(armed, venue, name)
                rule = armed.rule
                return CallFault(CALLS[rule.fault], rule.delay_s if rule.fault is FaultKind.LATE else 0.0, rule.code)
        return None

    def clock_offset_ns(self, venue: str) -> int:
        if not self._jumps:
            return 0
        holding = [armed for armed in self._jumps if armed.rule.concerns(venue, "clock") and armed.goes_on()]
        for armed in holding:
            self._tell_once(armed, venue, "clock")
        return int(sum(armed.rule.offset_s for armed in holding) * NANOSECONDS)

    def silent(self, venue: str, what: str) -> bool:
        for armed in self._quiet:
            if not self._about(armed, venue, what):
                continue
            if armed.goes_on():
                self._tell_once(armed, venue, what)
                return True
            if armed.rule.drawn and armed.strikes():
                self._strike(armed, venue, what)
                return True
        return False

    def skips(self, venue: str, stream: str) -> bool:
        for armed in self._holes:
            if armed.rule.concerns(venue, stream) and armed.strikes():
                self._strike(armed, venue, stream)
                return True
        return False

    # --- what the lines ask ------------------------------------------------------------------------------------

    def cuts(self, venue: str, channel: str) -> bool:
        """Whether maintenance goes on at `venue`, so that the line is cut."""
        for armed in self._outages:
            if armed.goes_on() and armed.rule.concerns(venue, channel):
                self._strike(armed, venue, channel)
                return True
        return False

    def frame(self, venue: str, channel: str, frame: bytes) -> Armed | None:
        """The rule that strikes this frame, now on record."""
        for armed in self._frames:
            rule = armed.rule
            if not rule.concerns(venue, channel) or (rule.contains and rule.contains.encode() not in frame):
                continue
            if armed.strikes():
                self._strike(armed, venue, channel)
                return armed
        return None

    # --- what is written down ----------------------------------------------------------------------------------

    def _about(self, armed: Armed, venue: str, what: str) -> bool:
        if armed.rule.fault is FaultKind.STALE_BOOK:
            return what == "book" and armed.rule.concerns(venue, what)
        return armed.rule.concerns(venue, what)

    def _tell_once(self, armed: Armed, venue: str, name: str) -> None:
        """On record when a rule of the clock is first felt."""
        if not armed.rule.drawn and armed.number not in self._told:
            self._told.add(armed.number)
            armed.hits += 1
            self._strike(armed, venue, name)

    def _strike(self, armed: Armed, venue: str, name: str) -> None:
        self.total += 1
        at_s = round(self._now() - self._began, 3)
        fault = str(armed.rule.fault)
        self.struck.append({"at_s": at_s, "venue": venue, "name": name, "fault": fault, "rule": armed.number})
        seq = (self._record.last(venue, "fault", name) or 0) + 1
        self._record.write(venue, "fault", name, seq, time.time_ns(), fault=fault, rule=armed.number)
