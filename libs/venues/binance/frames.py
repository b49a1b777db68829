"""WebSocket frames put together to whole messages, never more than a bound in memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from libs.core.types import Nanos

MAX_MESSAGE: Final = 16 * 1024 * 1024
"""Bytes of one message, however many frames it comes in; the largest honest one (all symbols) is a third of it."""


class MessageListener(WSListener):
    """Hands whole messages to `take`; joins the rare fragmented one and drops a connection that never ends one."""

    def __init__(self, take: Callable[[bytes, Nanos], None], ended: Callable[[str], None]) -> None:
        self._take = take
        self._ended = ended
        self._parts: list[bytes] = []
        self._held = 0

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind == WSMsgType.TEXT and frame.fin:
            self._take(frame.get_payload_as_bytes(), time.time_ns())
        elif kind == WSMsgType.TEXT or kind == WSMsgType.BINARY or kind == WSMsgType.CONTINUATION:
            self._join(transport, frame)
        elif kind == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            self._ended(f"closed by Binance: {_one_line(frame)}")
            transport.disconnect()

    def _join(self, transport: WSTransport, frame: WSFrame) -> None:
        self._parts.append(frame.get_payload_as_bytes())
        self._held += max(1, frame.payload_size)
        if self._held > MAX_MESSAGE:
            self._parts, self._held = [], 0
            self._ended(f"Binance sent a message of more than {MAX_MESSAGE >> 20} MiB")
            transport.disconnect(graceful=False)
        elif frame.fin:
            whole, self._parts, self._held = b"".join(self._parts), [], 0
            self._take(whole, time.time_ns())

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._ended("the connection to Binance broke")


def _one_line(frame: WSFrame) -> str:
    try:
        reason = frame.get_close_reason()
    except UnicodeDecodeError:
        reason = ""
    return " ".join(reason.split()) if reason else str(frame.get_close_code())
