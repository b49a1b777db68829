"""One HTTP session with Alpaca within its limit: answers told apart into success, refusal, not sent, nobody knows."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec

from libs.venues.alpaca import codec
from libs.venues.budget import Budget, Priority
from libs.venues.checked import line
from libs.venues.credentials import Credentials
from libs.venues.errors import VenueError, VenueRefused, VenueUnavailable, VenueUnresolved
from libs.venues.pace import is_loopback

TIMEOUT_S: Final = 10.0
PER_MINUTE: Final = 200
SILENCE_S: Final = 60.0
MOST_SILENCE_S: Final = 3_600.0
MOST_BYTES: Final = 32 << 20
NOT_FOUND: Final = "404"
UNPROCESSABLE: Final = "422"

T = TypeVar("T")


class AlpacaRest:
    """Opened at the first call. `name` says whose limit its budget is."""

    def __init__(self, base_url: str, credentials: Credentials, name: str) -> None:
        self._base = base_url.rstrip("/")
        self._headers = {"APCA-API-KEY-ID": credentials.key, "APCA-API-SECRET-KEY": credentials.secret}
        self._session: aiohttp.ClientSession | None = None
        self.budget = Budget(f"alpaca {name}", PER_MINUTE, 60.0)

    async def get(
        self,
        path: str,
        decoder: msgspec.json.Decoder[T],
        params: Mapping[str, str | int] | None = None,
        *,
        priority: Priority = Priority.DATA,
    ) -> T:
        """The answer to a question. Raises VenueRefused (code: the HTTP status) or VenueUnavailable."""
        query = {name: str(value) for name, value in (params or {}).items()}
        try:
            body = await self._ask("GET", path, priority, params=query)
            return decoder.decode(body)
        except VenueUnresolved as err:
            raise VenueUnavailable(str(err)) from err
        except codec.UNREADABLE as err:
            raise VenueUnavailable(f"Alpaca's answer to {path} cannot be read: {line(err)}") from err

    async def effect(
        self, verb: str, path: str, priority: Priority, body: Mapping[str, str] | None = None, *, deadline: float
    ) -> bytes:
        """The answer to a call that changes something; not sent after `deadline` (monotonic seconds).

        Raises:
            VenueRefused: no effect. VenueUnavailable: not sent. VenueUnresolved: sent, and no proof either way.
        """
        return await self._ask(verb, path, priority, json=body, deadline=deadline)

    async def _ask(
        self, verb: str, path: str, priority: Priority, *, deadline: float | None = None, **content: Any
    ) -> bytes:
        patience_s = 60.0 if deadline is None else max(0.0, deadline - time.monotonic())
        await self.budget.take(priority, patience_s=patience_s)
        if self._session is None:
            trusts = not is_loopback(self._base)
            self._session = aiohttp.ClientSession(headers=self._headers, trust_env=trusts)
        try:
            async with self._session.request(
                verb,
                f"{self._base}{path}",
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
                allow_redirects=False,
                **content,
            ) as answer:
                body = await _bounded(answer)
        except aiohttp.ClientConnectorError as err:
            raise VenueUnavailable(f"no connection to Alpaca at {self._base}: {err.os_error}") from err
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as err:
            reason = "timeout" if isinstance(err, TimeoutError) else type(err).__name__
            raise VenueUnresolved(f"no answer from Alpaca at {urlsplit(self._base).netloc}: {reason}") from None
        self._observe(answer.headers)
        if 200 <= answer.status < 300:
            return body
        raise self._outcome(verb, path, answer, body)

    def _observe(self, headers: Mapping[str, str]) -> None:
        limit, left = _number(headers.get("X-Ratelimit-Limit")), _number(headers.get("X-Ratelimit-Remaining"))
        if limit:
            if limit != self.budget.limit:
                self.budget.resize(limit)
            if left is not None:
                self.budget.observe(max(0, limit - left))

    def _outcome(self, verb: str, path: str, answer: aiohttp.ClientResponse, body: bytes) -> VenueError:
        status, call = answer.status, f"{verb} {path}"
        if status == 429:
            reset = _number(answer.headers.get("X-Ratelimit-Reset"))
            wait_s = reset - time.time() if reset else SILENCE_S
            wait_s = min(max(wait_s, 1.0), MOST_SILENCE_S)
            self.budget.block(wait_s)
            return VenueUnavailable(f"Alpaca's rate limit is reached; no call for {wait_s:.0f} s")
        try:
            said = codec.refusal.decode(body)
        except codec.UNREADABLE:
            said = codec.Refusal()
        if 400 <= status < 500:
            return VenueRefused(f"Alpaca refused {call}: {line(said.message) or status} ({said.code})", str(status))
        return VenueUnresolved(f"Alpaca answered {call} with status {status}")

    async def aclose(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _number(told: str | None) -> int | None:
    return int(told) if told is not None and told.isascii() and told.isdigit() and len(told) < 16 else None


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    """The body; raises ValueError when it is too large to be an honest one."""
    parts: list[bytes] = []
    left = MOST_BYTES
    async for part in answer.content.iter_any():
        left -= len(part)
        if left < 0:
            raise ValueError("too large")
        parts.append(part)
    return b"".join(parts)
