"""Parameters of a call: their kinds, and the venue's words for what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import msgspec

from services.simulator.binance.exchange.api import ApiError

Params = dict[str, Any]
Kind = Callable[[str, str], Any]
"""Reads the text of the parameter with this name; raises ApiError."""

DIGITS: Final = "^[0-9]{1,20}$"
DECIMAL: Final = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
CLIENT_ID: Final = "^[a-zA-Z0-9-_]{1,36}$"
RECV_WINDOW: Final = r"^[0-9]{1,5}(\.[0-9]{1,3})?$"
SYMBOLS: Final = '^\\[("[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}){0,1}\\]$'
TIME_ZONE: Final = r"^([+-]?)([0-9]{1,2})(?::([0-9]{2}))?$"
MAX_RECV_WINDOW_MS: Final = 60_000
_MAX_LONG: Final = 2**63 - 1


def illegal(name: str, legal: str) -> ApiError:
    """The text does not match the pattern."""
    return ApiError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


def invalid(name: str) -> ApiError:
    """The value is of the right form and makes no sense."""
    return ApiError(-1130, f"Data sent for parameter '{name}' is not valid.")


def missing(name: str) -> ApiError:
    """A mandatory parameter was not sent."""
    return ApiError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def bad_combination() -> ApiError:
    """Parameters that exclude each other came together."""
    return ApiError(-1128, "Combination of optional parameters invalid.")


def matching(pattern: str) -> Kind:
    """Texts of one pattern."""
    compiled = re.compile(pattern)

    def read(name: str, text: str) -> str:
        if not compiled.fullmatch(text):
            raise illegal(name, pattern)
        return text

    return read


def text(name: str, value: str) -> str:
    """Any text."""
    return value


def integer(name: str, value: str) -> int:
    """A whole number that fits 64 bits."""
    number = int(_digits(name, value))
    if number > _MAX_LONG:
        raise ApiError(-1108, f"Parameter '{name}' overflowed.")
    return number


def signed_integer(name: str, value: str) -> int:
    """A whole number, perhaps below zero."""
    return -integer(name, value[1:]) if value.startswith("-") else integer(name, value)


def time_ms(name: str, value: str) -> int:
    """A time in ms; one given in microseconds is understood."""
    number = integer(name, value)
    # No millisecond stamp of this millennium has that many digits.
    return number // 1_000 if number >= 10**15 else number


def limit(name: str, value: str) -> int:
    """A number of rows, at least one."""
    number = integer(name, value)
    if number < 1:
        raise invalid(name)
    return number


def decimal(name: str, value: str) -> Decimal:
    """A plain decimal without sign and exponent."""
    return Decimal(_plain(name, value))


def boolean(name: str, value: str) -> bool:
    """true or false."""
    if value.lower() not in ("true", "false"):
        raise invalid(name)
    return value.lower() == "true"


def recv_window(name: str, value: str) -> Decimal:
    """How long a request stays good, ms with up to three decimals."""
    window = Decimal(_window(name, value))
    if window > MAX_RECV_WINDOW_MS:
        raise ApiError(-1131, "recvWindow must be less than 60000.")
    return window


def one_of(values: Collection[str], code: int = 0, words: str = "") -> Kind:
    """One of the named values; `code` and `words` where the venue has its own for this parameter."""

    def read(name: str, value: str) -> str:
        if value not in values:
            raise ApiError(code, words) if code else invalid(name)
        return value

    return read


def symbols(name: str, value: str) -> list[str]:
    """A JSON array of symbols, each once."""
    try:
        wanted = msgspec.json.decode(value, type=list[str])
    except msgspec.DecodeError:
        raise illegal(name, SYMBOLS) from None
    if len(set(wanted)) != len(wanted):
        raise ApiError(-1151, "Symbol is present multiple times in the list.")
    return wanted


def time_zone(name: str, value: str) -> int:
    """An offset from UTC such as 8, -5:30 or +08:00, between -12:00 and +14:00, as ms."""
    matched = re.fullmatch(TIME_ZONE, value.strip())
    if matched is None:
        raise invalid(name)
    minutes = int(matched[2]) * 60 + int(matched[3] or 0)
    minutes = -minutes if matched[1] == "-" else minutes
    if not -12 * 60 <= minutes <= 14 * 60:
        raise invalid(name)
    return minutes * 60_000


client_id: Final = matching(CLIENT_ID)
_digits: Final = matching(DIGITS)
_plain: Final = matching(DECIMAL)
_window: Final = matching(RECV_WINDOW)


@dataclass(frozen=True)
class Param:
    """One parameter; `unique` ones of a call exclude each other."""

    name: str
    kind: Kind = text
    mandatory: bool = False


def need(name: str, kind: Kind = text) -> Param:
    """A mandatory parameter."""
    return Param(name, kind, mandatory=True)


def may(name: str, kind: Kind = text) -> Param:
    """A parameter that may be left out."""
    return Param(name, kind)


def read(
    declared: Sequence[Param], sent: Mapping[str, str], exclusive: Sequence[Sequence[str]] = (), ignored: int = 0
) -> Params:
    """Read what was sent against what the call knows; `ignored` counts further parameters that were read elsewhere.

    Raises ApiError: missing, empty, malformed, excluding each other, unknown, in this order.
    """
    values: Params = {}
    for param in declared:
        value = sent.get(param.name)
        if value is None:
            if param.mandatory:
                raise missing(param.name)
        elif value == "":
            raise ApiError(-1105, f"Parameter '{param.name}' was empty.")
        else:
            values[param.name] = param.kind(param.name, value)
    if any(sum(name in values for name in group) > 1 for group in exclusive):
        raise bad_combination()
    unread = sent.keys() - {param.name for param in declared}
    if unread and not declared and not ignored:
        raise ApiError(-1101, f"Too many parameters; expected '0' and received '{len(unread)}'.")
    if unread:
        known = len(sent) - len(unread) + ignored
        text_ = f"Not all sent parameters were read; read '{known}' parameter(s) but was sent '{known + len(unread)}'."
        raise ApiError(-1104, text_)
    return values
