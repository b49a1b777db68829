"""Ways to spoil a frame: bytes, and values, members and nesting of the JSON in it, seeded."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Final, NamedTuple

LONG: Final = 100_000
"""Characters or brackets of what is absurdly long."""

SELDOM: Final = 0.003
"""Share of mutations that put in something of LONG: each costs as much as hundreds of others."""

ODD: Final = tuple(
    text.encode()
    for text in (
        *(
            "null",
            "true",
            "false",
            "[]",
            "{}",
            '""',
            "0",
            "-0",
            "1",
            "-1",
            "0.1",
            '"0"',
            '"-1"',
            '"1"',
            "[[]]",
            "[null]",
        ),
        *("NaN", "Infinity", "-Infinity", '"nan"', '"inf"', '"-inf"', '"sNaN"', "1e999", "-1e999", '"1e999"', "1e-999"),
        *("9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551616", "1e18", "4e9"),
        *('"0E-99999"', '"1E+99999"', '"9E999999999999999999"', '"0x10"', '"1_000"', '"١٢"', '" 1"', '"1,5"', '"--1"'),
        *(
            '"1e30"',
            '"1E+28"',
            '"1e-30"',
            '"123456789012345678901234567.89"',
            '"1.000000000000000000000000001"',
            '"1e15"',
        ),
        *('{"a":1}', '[1,"2",null]', '[["1","2"]]', '{"code":-1003,"msg":"x"}', '{"code":"RateLimit"}', '"\\ud800"'),
        *('"1e30"', '"1e29"', '"1e-30"', '"123456789012345678901234567890"', '"1.0000000000000000000000000001"'),
        *('"\\u0000"', '"a\\nb"', '"NEW"', '"TRADE"', '"FILLED"', '"BTCUSDT"', '"R_100"', '"open"', "1700000000000"),
        *("1700000000", "999999999999999", "0.00000001", '"0.00000001"', '"99999999999999999999.99999999"', "1.5"),
    )
)
HUGE: Final = (
    b"9" * LONG,
    b"-" + b"9" * 5_000,
    b'"' + b"9" * LONG + b'"',
    b'"' + b"x" * LONG + b'"',
    b"0." + b"1" * LONG,
    b"1" + b"0" * 4_500,
    b'"1' + b"0" * 4_500 + b'"',
    b"[" * LONG,
    b"[" * LONG + b"]" * LONG,
    b'{"a":' * (LONG // 5) + b"1" + b"}" * (LONG // 5),
    b"[" * 900 + b"]" * 900,
)
BAD_TEXT: Final = (
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\x00",
    b"\xef\xbb\xbf",
    b"\\ud83d",
    b"\\",
    b'"',
)

_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[-+.\w]+|[\[\]{},:]')


class Span(NamedTuple):
    """A value in a frame, and where the member or item it belongs to begins (its key, or itself)."""

    begin: int
    end: int
    member: int


def spans_of(frame: bytes) -> list[Span]:
    """Every value of the JSON in `frame`, containers included."""
    found: list[Span] = []
    opened: list[tuple[int, int]] = []
    member = -1
    tokens = list(_TOKEN.finditer(frame))
    for at, token in enumerate(tokens):
        text = token.group()
        is_key = text[:1] == b'"' and at + 1 < len(tokens) and tokens[at + 1].group() == b":"
        if is_key:
            member = token.start()
            continue
        begin = token.start() if member < 0 else member
        if text in (b"[", b"{"):
            opened.append((token.start(), begin))
            member = -1
        elif text in (b"]", b"}"):
            if opened:
                start, began = opened.pop()
                found.append(Span(start, token.end(), began))
            member = -1
        elif text == b",":
            member = -1
        elif text != b":":
            found.append(Span(token.start(), token.end(), begin))
            member = -1
    return found


class Seed:
    """A frame as it was told, and where its values are."""

    def __init__(self, frame: bytes) -> None:
        self.frame = frame
        self.spans = spans_of(frame)

    def mutated(self, rng: random.Random) -> bytes:
        """The frame, spoiled; one in thirty stays as it was."""
        draw = rng.random()
        if draw < 1 / 30:
            return self.frame
        if draw < 0.65 and self.spans:
            frame = self._values(rng)
            return frame if not frame or rng.random() < 0.9 else rng.choice(BYTES)(frame, rng)
        return rng.choice(BYTES)(self.frame, rng)

    def _values(self, rng: random.Random) -> bytes:
        """One to three values replaced, removed, doubled or exchanged; from the back, so that places stay right."""
        frame, limit = self.frame, len(self.frame)
        chosen = sorted((rng.choice(self.spans) for _ in range(rng.choice((1, 1, 1, 2, 3)))), reverse=True)
        for span in chosen:
            if span.end <= limit:
                frame, limit = self._value(frame, span, rng), span.member
        return frame

    def _value(self, frame: bytes, span: Span, rng: random.Random) -> bytes:
        way = rng.random()
        if way < 0.7:
            return frame[: span.begin] + self._other(rng, frame[span.begin : span.end]) + frame[span.end :]
        end = span.end
        if way < 0.85:  # gone, with the comma after it
            end += frame[end : end + 1] == b","
            return frame[: span.member] + frame[end:]
        key = frame[span.member : span.begin]  # twice, the first time or the second time odd
        odd, told = key + self._other(rng, b"0"), frame[span.member : end]
        pair = (odd, told) if rng.random() < 0.5 else (told, odd)
        return frame[: span.member] + b",".join(pair) + frame[end:]

    def _other(self, rng: random.Random, told: bytes) -> bytes:
        way = rng.random()
        if way < SELDOM:
            return rng.choice(HUGE)
        if way < 0.55:
            return rng.choice(ODD)
        if way < 0.75:
            span = rng.choice(self.spans)
            return self.frame[span.begin : min(span.end, span.begin + LONG)]
        if way < 0.85:
            return told[1:-1] if told[:1] == b'"' else b'"' + told.replace(b'"', b"") + b'"'
        if way < 0.95:
            return b"[" + told + b"]" if rng.random() < 0.5 else b'{"a":' + told + b"}"
        return b"%d" % rng.randrange(-(2**70), 2**70)


# --- bytes ---------------------------------------------------------------------------------------------------------


def _flipped(frame: bytes, rng: random.Random) -> bytes:
    spoiled = bytearray(frame)
    for _ in range(rng.randrange(1, 9)):
        spoiled[rng.randrange(len(spoiled))] ^= 1 << rng.randrange(8)
    return bytes(spoiled)


def _cut(frame: bytes, rng: random.Random) -> bytes:
    return frame[: rng.randrange(len(frame))]


def _doubled(frame: bytes, rng: random.Random) -> bytes:
    begin = rng.randrange(len(frame))
    end = min(len(frame), begin + rng.randrange(1, 64))
    return frame[:end] + frame[begin:]


def _badly_spelt(frame: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(frame) + 1)
    return frame[:at] + rng.choice(BAD_TEXT) + frame[at:]


def _overwritten(frame: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(frame))
    return frame[:at] + rng.randbytes(rng.randrange(1, 16)) + frame[at + rng.randrange(16) :]


def _nothing_of_it(frame: bytes, rng: random.Random) -> bytes:
    if rng.random() < 10 * SELDOM:
        return rng.choice(HUGE)
    return rng.choice((b"", b" ", rng.choice(ODD), rng.randbytes(rng.randrange(1, 64))))


BYTES: Final[tuple[Callable[[bytes, random.Random], bytes], ...]] = (
    _flipped,
    _cut,
    _doubled,
    _badly_spelt,
    _overwritten,
    _nothing_of_it,
)
