"""One WebSocket towards a client: frames that wait to be sent, and the ways it may end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from services.simulator.deriv.session import Ends

IDLE_SECS: Final = 120.0
MAX_WAITING_FRAMES: Final = 20_000
_MAX_REQUEST_BYTES: Final = 1 << 20
_FINAL_TEXT: Final = b"\x81"


class Connection:
    """Sends what is given to it in order; a client that reads too slowly is cut off, as on the real venue."""

    def __init__(self, request: web.Request) -> None:
        self.socket = web.WebSocketResponse(compress=False, max_msg_size=_MAX_REQUEST_BYTES)
        self.ends = Ends(cut=self.cut, cut_within=self.cut_within, close=self.close)
        self._request = request
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue(MAX_WAITING_FRAMES)

    def send(self, frame: bytes) -> None:
        """Queue one text frame."""
        if self._waiting.full():
            self.cut()
        else:
            self._waiting.put_nowait(frame)

    def cut(self) -> None:
        """Drop the connection now, without a word."""
        if self._request.transport is not None:
            self._request.transport.abort()

    def cut_within(self, frame: bytes) -> None:
        """Send the head of a frame that announces all of it, half of it, and then nothing more."""
        transport = self._request.transport
        if transport is None:
            return
        size = len(frame)
        length = (
            bytes([size])
            if size < 126
            else b"\x7e" + size.to_bytes(2)
            if size < 1 << 16
            else b"\x7f" + size.to_bytes(8)
        )
        transport.write(_FINAL_TEXT + length + frame[: size // 2])
        transport.close()

    def close(self) -> None:
        """Say goodbye after the frames that wait."""
        if not self._waiting.full():
            self._waiting.put_nowait(None)

    async def serve(self, answer: Callable[[bytes | str], None]) -> None:
        """Read frames until the client leaves, is silent for IDLE_SECS, or the connection ends."""
        writer = asyncio.create_task(self._write())
        try:
            await self._read(answer)
        finally:
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await writer

    async def _read(self, answer: Callable[[bytes | str], None]) -> None:
        while True:
            try:
                message = await self.socket.receive(timeout=IDLE_SECS)
            except TimeoutError:
                await self.socket.close(code=WSCloseCode.GOING_AWAY, message=b"idle")
                return
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return
            answer(message.data)

    async def _write(self) -> None:
        while (frame := await self._waiting.get()) is not None:
            await self.socket.send_frame(frame, WSMsgType.TEXT)
        await self.socket.close(code=WSCloseCode.SERVICE_RESTART)
