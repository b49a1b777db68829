"""One HTTP session with Binance: answers told apart into success, refusal, not sent, and nobody knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import aiohttp
from yarl import URL

from libs.venues.base import VenueError, VenueUnavailable, VenueUnresolved
from libs.venues.binance import codec
from libs.venues.binance.frames import MAX_MESSAGE
from libs.venues.binance.limits import Limits
from libs.venues.binance.outcome import outcome

TIMEOUT_S: Final = 10.0
"""The matching engine's own timeout."""


class Http:
    """Opened at the first call. What a call is allowed to cost is decided before it comes here."""

    def __init__(self, base_url: str, limits: Limits) -> None:
        self._base = base_url.rstrip("/")
        self._limits = limits
        self._session: aiohttp.ClientSession | None = None

    async def get(self, call: str, params: Mapping[str, str | int]) -> bytes:
        """The answer to a public call.

        Raises:
            VenueRefused: the venue's no, with its code. VenueUnavailable: anything else.
        """
        subject = params.get("symbol", params.get("symbols", ""))
        try:
            return await self._ask(
                "GET", call, {str(k): str(v) for k, v in params.items()}, f"{call} {subject}".strip()
            )
        except VenueUnresolved as err:
            raise VenueUnavailable(str(err)) from err

    async def signed(self, verb: str, path: str, query: str, key: str, *, timeout_s: float) -> bytes:
        """The answer to a call whose `query` is encoded and signed; errors never hold the query.

        Raises:
            VenueRefused: no effect. VenueUnavailable: not sent. VenueUnresolved: sent, and no proof either way.
        """
        return await self._ask(verb, path, query, path, {"X-MBX-APIKEY": key}, timeout_s)

    async def _ask(
        self,
        verb: str,
        path: str,
        query: Mapping[str, str] | str,
        name: str,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> bytes:
        address = f"{self._base}/api/v3/{path}"
        # What is signed is the encoded text, so it must travel exactly as it is.
        url = URL(f"{address}?{query}", encoded=True) if isinstance(query, str) else URL(address).with_query(query)
        if self._session is None:
            self._session = aiohttp.ClientSession()
        try:
            async with self._session.request(
                verb, url, headers=headers, timeout=aiohttp.ClientTimeout(total=timeout_s), allow_redirects=False
            ) as answer:
                body = await _bounded(answer)
        except aiohttp.ClientConnectorError as err:
            raise VenueUnavailable(f"no connection to Binance at {self._base}: {err.os_error}") from err
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as err:
            reason = "timeout" if isinstance(err, TimeoutError) else type(err).__name__
            raise VenueUnresolved(f"no answer from Binance at {self._base} to {name}: {reason}") from None
        self._limits.observe_headers(answer.headers)
        if answer.status == 200:
            return body
        raise self._outcome(name, answer, body)

    def _outcome(self, name: str, answer: aiohttp.ClientResponse, body: bytes) -> VenueError:
        after = answer.headers.get("Retry-After", "")
        wait_s = float(after) if after.isascii() and after.isdigit() else 0.0
        try:
            refusal = codec.refusal.decode(body)
        except codec.UNREADABLE:
            return outcome(name, answer.status, None, "", wait_s, self._limits)
        return outcome(name, answer.status, refusal.code, refusal.msg, wait_s, self._limits)

    async def aclose(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    """The body; raises ValueError when it is too large to be an honest one."""
    parts: list[bytes] = []
    size = 0
    async for part in answer.content.iter_any():
        size += len(part)
        if size > 2 * MAX_MESSAGE:
            raise ValueError("too large")
        parts.append(part)
    return b"".join(parts)
