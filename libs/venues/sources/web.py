"""Questions to a web API that answers with JSON: within its limit, of bearable size, and no key in any error."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec

from libs.core.types import Nanos
from libs.venues.budget import Budget, Priority
from libs.venues.checked import line
from libs.venues.errors import VenueError, VenueRefused, VenueUnavailable
from libs.venues.pace import is_loopback

TIMEOUT_S: Final = 30.0
MOST_BYTES: Final = 64 << 20
SILENCE_S: Final = 60.0
MOST_SILENCE_S: Final = 86_400.0
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

T = TypeVar("T")
Complaint = Callable[[bytes], str]
"""What an error answer says, "" where that cannot be read."""


class Web:
    """One HTTP session with a source, opened at the first question."""

    def __init__(
        self,
        name: str,
        base_url: str,
        budget: Budget,
        complaint: Complaint,
        *,
        key: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`key` appears in no error, wherever it travels: some sources repeat it in what they complain about."""
        self.name, self.budget = name, budget
        self._base = base_url.rstrip("/")
        self._complaint, self._key = complaint, key
        self._headers = dict(headers or {})
        self._session: aiohttp.ClientSession | None = None

    async def get(self, path: str, params: Mapping[str, str | int], kind: type[T]) -> T:
        """The answer as `kind`.

        Raises:
            VenueRefused: with the HTTP status as code. VenueUnavailable: no network, the limit, or unreadable.
        """
        body = await self._ask(path, params)
        try:
            return msgspec.json.decode(body, type=kind, strict=False)
        except UNREADABLE as err:
            said = self.without_key(self._complaint(body) or err)
            raise VenueUnavailable(f"{self.name}'s answer cannot be read: {said}") from None

    def without_key(self, said: object) -> str:
        """What it said as a short line."""
        return line(str(said).replace(self._key, "…") if self._key else said)

    async def _ask(self, path: str, params: Mapping[str, str | int]) -> bytes:
        # Nobody trades by this limit, so nothing of it has to be kept for exits.
        await self.budget.take(Priority.EXIT, patience_s=2 * self.budget.window_s)
        if self._session is None:
            self._session = aiohttp.ClientSession(headers=self._headers, trust_env=not is_loopback(self._base))
        where = urlsplit(self._base).netloc
        try:
            async with self._session.get(
                f"{self._base}{path}",
                params={name: str(value) for name, value in params.items()},
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
                allow_redirects=False,
            ) as answer:
                body = await _bounded(answer)
        except aiohttp.ClientConnectorError as err:
            raise VenueUnavailable(f"no network: no connection to {self.name} at {where}: {err.os_error}") from None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as err:
            reason = "timeout" if isinstance(err, TimeoutError) else type(err).__name__
            raise VenueUnavailable(f"no answer from {self.name} at {where}: {reason}") from None
        if answer.status == 200:
            return body
        raise self._outcome(answer, body)

    def _outcome(self, answer: aiohttp.ClientResponse, body: bytes) -> VenueError:
        said = self.without_key(self._complaint(body)) or f"status {answer.status}"
        if answer.status == 429:
            after = answer.headers.get("Retry-After", "")
            wait_s = float(after) if after.isascii() and after.isdigit() else SILENCE_S
            self.budget.block(min(wait_s, MOST_SILENCE_S))
            return VenueUnavailable(f"{self.name}'s rate limit is reached: {said}")
        if 400 <= answer.status < 500:
            return VenueRefused(f"{self.name} refused: {said}", str(answer.status))
        return VenueUnavailable(f"{self.name} is out of order: {said}")

    async def aclose(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def machine_now() -> Nanos:
    """This machine's clock, for sources that have none of their own."""
    return time.time_ns()


def complaint_at(*names: str) -> Complaint:
    """Reads the complaint of an error answer: the first of `names` (a.b = within) that is there."""

    def read(body: bytes) -> str:
        try:
            said: Any = msgspec.json.decode(body)
        except UNREADABLE:
            return ""
        for name in names:
            found = said
            for part in name.split("."):
                found = found.get(part) if isinstance(found, dict) else None
            if found:
                return line(found)
        return ""

    return read


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
