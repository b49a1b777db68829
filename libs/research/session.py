"""A recorded session: every message that the streams held, in one compressed file."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from libs.core.types import decode

FORMAT = "conclave-session-1"


class Message(msgspec.Struct, frozen=True, array_like=True):
    """One message: where it travelled, its publisher's numbers, capture time (machine clock, ns), wire payload."""

    subject: str
    epoch: int
    seq: int
    stream_ns: int
    payload: bytes

    def event(self) -> Any:
        """The decoded message. Raises WireError."""
        return decode(self.payload)


class Meta(msgspec.Struct, frozen=True, kw_only=True):
    """What a session is: when it began and ended (machine clock, ns).

    facts: what the report needs besides the messages, as plain JSON values.
    """

    format: str = FORMAT
    started_ns: int
    ended_ns: int
    facts: dict[str, Any] = {}


class SessionError(Exception):
    """A file that is no session of ours; the text is one line for people."""


_encoder = msgspec.msgpack.Encoder()
_message_decoder = msgspec.msgpack.Decoder(Message)


def write_session(path: Path, meta: Meta, messages: Iterable[Message]) -> int:
    """Write a session; it appears under its name only when it is complete. Returns the number of messages."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    count = 0
    with gzip.open(draft, "wb", compresslevel=1) as out:
        _put(out, _encoder.encode(meta))
        for message in messages:
            _put(out, _encoder.encode(message))
            count += 1
    draft.replace(path)
    return count


def _put(out: gzip.GzipFile, frame: bytes) -> None:
    out.write(len(frame).to_bytes(4, "little"))
    out.write(frame)


def read_session(path: Path) -> tuple[Meta, Iterator[Message]]:
    """The session's facts and an iterator over its messages.

    Raises:
        SessionError: missing, not a session, or cut short (also while iterating).
    """
    frames = _frames(path)
    try:
        meta = msgspec.msgpack.decode(next(frames), type=Meta)
    except (StopIteration, msgspec.DecodeError, msgspec.ValidationError):
        raise SessionError(f"{path} is not a recorded session") from None
    if meta.format != FORMAT:
        raise SessionError(f"{path} is a session of format {meta.format}; this version reads {FORMAT}")
    return meta, (_message_decoder.decode(frame) for frame in frames)


def _frames(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path, "rb") as source:
            while head := source.read(4):
                frame = source.read(int.from_bytes(head, "little"))
                if len(head) < 4 or len(frame) < int.from_bytes(head, "little"):
                    raise EOFError
                yield frame
    except FileNotFoundError:
        raise SessionError(f"{path} does not exist") from None
    except (OSError, EOFError):
        raise SessionError(f"{path} is not a recorded session, or was cut short") from None
