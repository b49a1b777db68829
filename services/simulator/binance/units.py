"""Times in microseconds for those who ask: the same answers and events with their times multiplied."""

from __future__ import annotations

from typing import Any, Final

import msgspec

_ANSWER_TIMES: Final = frozenset(
    {
        "serverTime",
        "time",
        "closeTime",
        "openTime",
        "transactTime",
        "transactionTime",
        "updateTime",
        "workingTime",
        "trailingTime",
        "timestamp",
        "authorizedSince",
        "connectedSince",
        "T",
    }
)
_EVENT_TIMES: Final[dict[str, tuple[str, ...]]] = {
    "trade": ("E", "T"),
    "aggTrade": ("E", "T"),
    "kline": ("E",),
    "24hrMiniTicker": ("E",),
    "24hrTicker": ("E", "O", "C"),
    "1hTicker": ("E", "O", "C"),
    "4hTicker": ("E", "O", "C"),
    "1dTicker": ("E", "O", "C"),
    "depthUpdate": ("E",),
    "avgPrice": ("E", "T"),
    "referencePrice": ("t",),
    "blockTrade": ("E", "T"),
    "serverShutdown": ("E",),
    "executionReport": ("E", "T", "O", "W", "D"),
    "outboundAccountPosition": ("E", "u"),
    "balanceUpdate": ("E", "T"),
    "listStatus": ("E", "T"),
    "externalLockUpdate": ("E", "T"),
    "eventStreamTerminated": ("E",),
}
_KLINE_ROW: Final = 12
_KLINE_TIMES: Final = (0, 6)


def _finer(value: Any) -> Any:
    return value * 1_000 if isinstance(value, int) and value > 0 else value


def answer_in_micros(value: Any) -> Any:
    """Return an answer with every time in microseconds; -1 (never) stays."""
    if isinstance(value, dict):
        return {key: _finer(inner) if key in _ANSWER_TIMES else answer_in_micros(inner) for key, inner in value.items()}
    if isinstance(value, list):
        if len(value) == _KLINE_ROW and isinstance(value[0], int):
            return [_finer(cell) if at in _KLINE_TIMES else cell for at, cell in enumerate(value)]
        return [answer_in_micros(inner) for inner in value]
    return value


def event_in_micros(event: Any) -> Any:
    """Return an event of a stream with its times in microseconds; what has none is returned as it is."""
    if isinstance(event, list):
        return [event_in_micros(inner) for inner in event]
    if not isinstance(event, dict):
        return event
    kind = event.get("e")
    times = _EVENT_TIMES.get(kind, ()) if isinstance(kind, str) else ()
    finer = {key: _finer(value) if key in times else value for key, value in event.items()}
    if kind == "kline":
        finer["k"] = {key: _finer(value) if key in ("t", "T") else value for key, value in event["k"].items()}
    return finer


def payload_in_micros(payload: bytes) -> bytes:
    """Return a stream payload with its times in microseconds."""
    return msgspec.json.encode(event_in_micros(msgspec.json.decode(payload)))
