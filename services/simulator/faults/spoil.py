"""Frames as a broken line or a broken server would send them; each result is certainly not what was meant."""

from __future__ import annotations

import random
from typing import Any, Final

import msgspec

_NOISE: Final = b"\x00\x01\x02\x07\x1b"
"""Control characters: valid UTF-8, and allowed nowhere in JSON."""

_WRONG: Final[tuple[Any, ...]] = ({}, [], [[]], {"value": []})
"""Only shapes: another number in place of a number would be a lie that nobody could tell from the truth."""

_WRONG_FRAMES: Final = (b"[]", b"null", b"17", b'"text"', b"{}")


def corrupted(frame: bytes, rng: random.Random) -> bytes:
    """Overwrite a stretch of the frame with control characters."""
    spoilt = bytearray(frame)
    length = min(len(spoilt), rng.randint(1, 8))
    start = rng.randint(0, len(spoilt) - length)
    spoilt[start : start + length] = bytes(rng.choice(_NOISE) for _ in range(length))
    return bytes(spoilt)


def truncated(frame: bytes, rng: random.Random) -> bytes:
    """Keep a beginning of the frame, at a boundary between characters."""
    cut = rng.randint(1, max(1, len(frame) - 1))
    return frame[:cut].decode(errors="ignore").encode() or b"{"


def wrong_types(frame: bytes, rng: random.Random) -> bytes:
    """Put lists and objects where values belong, in one to three places, or replace the whole."""
    try:
        message = msgspec.json.decode(frame)
    except msgspec.DecodeError:
        return b"[]"
    places = list(_places(message))
    if not places or rng.random() < 0.1:
        return rng.choice(_WRONG_FRAMES)
    for holder, key in rng.sample(places, min(len(places), rng.randint(1, 3))):
        holder[key] = rng.choice(_WRONG)
    return msgspec.json.encode(message)


def oversized(size: int) -> bytes:
    """Valid JSON of `size` bytes, at least two."""
    return b'"' + b"x" * (size - 2) + b'"'


def _places(value: Any) -> Any:
    """Every place that holds a number or a text, except in what only echoes the request."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("echo_req", "passthrough"):
                continue
            if isinstance(inner, (dict, list)):
                yield from _places(inner)
            else:
                yield value, key
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            if isinstance(inner, (dict, list)):
                yield from _places(inner)
            else:
                yield value, index
