"""How a value of a request is checked: a check returns why the value is refused, None when it is not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Check = Callable[[Any], str | None]


def integer(low: int | None = None, high: int | None = None) -> Check:
    """A whole number within the bounds."""

    def check(value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int):
            return f"Expected integer - got {kind(value)}."
        return _range(value, low, high)

    return check


def number(low: float | None = None, high: float | None = None) -> Check:
    """A number within the bounds."""

    def check(value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"Expected number - got {kind(value)}."
        return _range(value, low, high)

    return check


def _range(value: float, low: float | None, high: float | None) -> str | None:
    if low is not None and value < low:
        return f"{value} < minimum({low})"
    if high is not None and value > high:
        return f"{value} > maximum({high})"
    return None


def text(pattern: str) -> Check:
    """A string in which `pattern` is found."""
    compiled = re.compile(pattern)

    def check(value: Any) -> str | None:
        if not isinstance(value, str):
            return f"Expected string - got {kind(value)}."
        return None if compiled.search(value) else f"String does not match {pattern}"

    return check


def one_of(*allowed: Any) -> Check:
    """One of these scalars."""

    def check(value: Any) -> str | None:
        if not isinstance(value, bool | list | dict) and value in allowed:
            return None
        return f"Not in enum list: {', '.join(str(item) for item in allowed)}."

    return check


def list_of(item: Check, most: int = 1000) -> Check:
    """An array of at most `most` items, each of which passes."""

    def check(value: Any) -> str | None:
        if not isinstance(value, list):
            return f"Expected array - got {kind(value)}."
        if len(value) > most:
            return f"Too many items: {len(value)}/{most}."
        return next((reason for reason in map(item, value) if reason), None)

    return check


def either(first: Check, second: Check) -> Check:
    """What passes one of both; the reason is the first's."""

    def check(value: Any) -> str | None:
        reason = first(value)
        return reason and (None if second(value) is None else reason)

    return check


def kind(value: Any) -> str:
    """JSON's name for what a value is."""
    kinds = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return kinds.get(type(value), "null")


@dataclass(frozen=True)
class Rule:
    """An object with known properties; anything else in it is refused."""

    properties: Mapping[str, Check]
    required: frozenset[str]

    def __call__(self, value: Any) -> str | None:
        if not isinstance(value, dict):
            return f"Expected object - got {kind(value)}."
        unknown = sorted(value.keys() - self.properties.keys())
        if unknown:
            return f"Properties not allowed: {', '.join(unknown)}."
        details = self.failures(value)
        return None if not details else f"{next(iter(details))}: {next(iter(details.values()))}"

    def failures(self, value: Mapping[str, Any]) -> dict[str, str]:
        """Return property -> reason for everything missing or ill-formed (unknown ones are not in it)."""
        failures = dict.fromkeys(sorted(self.required - value.keys()), "Missing property.")
        for name, check in self.properties.items():
            reason = check(value[name]) if name in value else None
            if reason:
                failures[name] = reason
        return failures


def null(value: Any) -> str | None:
    """null alone."""
    return None if value is None else f"Expected null - got {kind(value)}."
