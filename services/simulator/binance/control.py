"""Control messages of a stream connection: what a client asks for and the exact answer it gets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

METHODS: Final = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
MAX_STREAMS: Final = 1_024
_ID_TEXT: Final = re.compile(r"[A-Za-z0-9_-]{1,36}")  # the venue's own client sends UUIDs with hyphens
_NO_ID: Final = object()


class _Refused(Exception):
    """The request is answered with an error. `code` is the venue's: 0, 1, 2 or 3."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Session:
    """What one connection has subscribed to and whether it wants the combined wrapper."""

    def __init__(self, streams: Iterable[str] = (), *, combined: bool = False) -> None:
        self.streams: dict[str, None] = dict.fromkeys(streams)
        self.combined = combined

    def handle(self, frame: str | bytes) -> bytes:
        """Act on one frame and return the answer; nothing a client can send raises."""
        request_id: object = _NO_ID
        try:
            try:
                request = msgspec.json.decode(frame)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                raise _Refused(3, _where_json_breaks(frame)) from None
            if not isinstance(request, dict):
                raise _Refused(2, "Invalid request: expected a JSON object")
            if "id" in request:
                request_id = _checked_id(request["id"])
            answer = {"result": self._act(request)}
        except _Refused as refusal:
            answer = {"code": refusal.code, "msg": str(refusal)}
        if request_id is not _NO_ID:
            answer["id"] = request_id
        return msgspec.json.encode(answer)

    def _act(self, request: dict[str, Any]) -> Any:
        if "method" not in request:
            raise _Refused(2, "Invalid request: missing field `method`")
        method, params = request["method"], request.get("params", [])
        if not isinstance(method, str) or method not in METHODS:
            known = ", ".join(f"`{name}`" for name in METHODS)
            raise _Refused(2, f"Invalid request: unknown variant `{method}`, expected one of {known}")
        if not isinstance(params, list):
            raise _Refused(2, "Invalid request: params must be an array")
        if method == "LIST_SUBSCRIPTIONS":
            if params:
                raise _Refused(2, "Invalid request: too many parameters")
            return list(self.streams)
        if method in ("SET_PROPERTY", "GET_PROPERTY"):
            return self._property(params, writing=method == "SET_PROPERTY")
        if not params:
            raise _Refused(2, "Invalid request: missing parameters")
        if not all(isinstance(name, str) for name in params):
            raise _Refused(2, "Invalid request: stream names must be strings")
        if method == "UNSUBSCRIBE":
            for name in params:
                self.streams.pop(name, None)
        else:
            wanted = self.streams | dict.fromkeys(params)
            if len(wanted) > MAX_STREAMS:
                raise _Refused(2, f"Invalid request: more than {MAX_STREAMS} streams on one connection")
            self.streams = wanted
        return None

    def _property(self, params: list[Any], *, writing: bool) -> bool | None:
        expected = 2 if writing else 1
        if len(params) > expected:
            raise _Refused(2, "Invalid request: too many parameters")
        if len(params) < expected:
            raise _Refused(2, "Invalid request: missing parameters")
        if not isinstance(params[0], str):
            raise _Refused(2, "Invalid request: property name must be a string")
        if params[0] != "combined":
            raise _Refused(0, "Unknown property")
        if not writing:
            return self.combined
        if not isinstance(params[1], bool):
            raise _Refused(1, "Invalid value type: expected Boolean")
        self.combined = params[1]
        return None


def _checked_id(value: object) -> object:
    if value is None or (isinstance(value, str) and _ID_TEXT.fullmatch(value)):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63:
        return value
    raise _Refused(2, "Invalid request: request ID must be a 64-bit signed integer, a string of up to 36 or null")


def _where_json_breaks(frame: str | bytes) -> str:
    try:
        json.loads(frame)
    except json.JSONDecodeError as error:
        return f"Invalid JSON: expected value at line {error.lineno} column {error.colno}"
    except (ValueError, RecursionError):
        return "Invalid JSON: expected value at line 1 column 1"
    return "Invalid JSON: not strict JSON"
