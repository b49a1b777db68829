"""A rule that waits for its occasions: what it has seen, what it has drawn, how long it still goes on."""

from __future__ import annotations

import random
from collections.abc import Callable

from services.simulator.faults.plan import QUIET, QUIET_S, FaultKind, Rule


class Armed:
    """State of one rule. Its draws depend on its seed and its occasions alone, not on other rules."""

    def __init__(self, rule: Rule, number: int, seed: str, now: Callable[[], float]) -> None:
        """`number` names it among all; `now` in seconds, never backwards; the rule's clock begins here."""
        self.rule = rule
        self.number = number
        self.rng = random.Random(seed)
        self.seen = 0
        self.hits = 0
        self._begun = 0
        self._now = now
        self._born = now()
        self._going_on_until = float("-inf")
        self._lasts = rule.lasts_s
        if rule.fault is FaultKind.STALL:
            self._lasts = None  # the length of one stall, not of a time in which every frame begins one
        elif rule.fault in QUIET and rule.drawn:
            self._lasts = rule.lasts_s or QUIET_S

    def strikes(self) -> bool:
        """Whether it happens on this occasion, which is counted."""
        self.seen += 1
        if not self._holds() or not self._drawn():
            return False
        self.hits += 1
        return True

    def goes_on(self) -> bool:
        """Whether it is under way at this moment, without an occasion of its own."""
        return self._now() < self._going_on_until if self.rule.drawn else self._holds()

    def _holds(self) -> bool:
        age = self._now() - self._born
        begins = self.rule.begins_s
        if age < begins:
            return False
        return self.rule.drawn or self._lasts is None or age < begins + self._lasts

    def _drawn(self) -> bool:
        if self._now() < self._going_on_until:
            return True
        # Every occasion spends one draw, so that what happens later does not hang on how much is left of the count.
        wanted = self._wanted()
        if not wanted or (self.rule.most is not None and self._begun >= self.rule.most):
            return False
        self._begun += 1
        if self.rule.drawn and self._lasts is not None:
            self._going_on_until = self._now() + self._lasts
        return True

    def _wanted(self) -> bool:
        if self.rule.probability is not None:
            return self.rng.random() < self.rule.probability
        return self.rule.nth is None or self.seen in self.rule.nth
