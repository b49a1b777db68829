"""A WebSocket of Alpaca: messages as bytes whether they come as text or binary, errors as ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from libs.venues.checked import line
from libs.venues.errors import VenueUnavailable
from libs.venues.pace import is_loopback

ANSWER_S: Final = 10.0
PING_S: Final = 20.0
MAX_MESSAGE: Final = 4 << 20


class Socket:
    """One life."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, message: Any) -> None:
        """Raises VenueUnavailable."""
        try:
            await self._connection.send(msgspec.json.encode(message).decode())
        except ConnectionClosed as err:
            raise VenueUnavailable(f"the connection to Alpaca broke: {line(err)}") from err

    async def next(self, within_s: float) -> bytes:
        """The next message. Raises VenueUnavailable when it broke or `within_s` pass in silence."""
        try:
            async with asyncio.timeout(within_s):
                message = await self._connection.recv()
        except TimeoutError as err:
            raise VenueUnavailable(f"Alpaca was silent for {within_s:g} s") from err
        except ConnectionClosed as err:
            raise VenueUnavailable(f"the connection to Alpaca broke: {line(err)}") from err
        return message.encode() if isinstance(message, str) else message

    async def is_answering(self) -> None:
        """Ask for a sign of life. Raises VenueUnavailable."""
        try:
            async with asyncio.timeout(ANSWER_S):
                await (await self._connection.ping())
        except (TimeoutError, ConnectionClosed) as err:
            raise VenueUnavailable("Alpaca does not answer pings") from err


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Socket]:
    """Connected within; raises VenueUnavailable."""
    try:
        connection = await connect(
            url,
            open_timeout=ANSWER_S,
            ping_interval=PING_S,
            ping_timeout=PING_S,
            close_timeout=1.0,
            max_size=MAX_MESSAGE,
            proxy=None if is_loopback(url) else True,
        )
    except (OSError, TimeoutError, InvalidHandshake, InvalidURI, EOFError) as err:
        raise VenueUnavailable(f"no connection to Alpaca at {url}: {line(err) or type(err).__name__}") from err
    try:
        yield Socket(connection)
    finally:
        await connection.close()
