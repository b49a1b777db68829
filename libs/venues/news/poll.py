"""Asks one feed over HTTP: only for what changed, no more bytes than allowed, and not for ever."""

from __future__ import annotations

import asyncio
from typing import Final

import aiohttp

from libs.venues.news.entry import Refused

TIMEOUT_S: Final = 20.0
MOST_REDIRECTS: Final = 5
AGENT: Final = "conclave (news reader)"


class FeedUnavailable(Exception):
    """Nobody answers, or not with a feed now; the text is one line, and asking again later is right."""


class FeedPoller:
    """One feed. Remembers what its server told about the last version, so that an unchanged feed costs no bytes."""

    def __init__(self, url: str, session: aiohttp.ClientSession, most_bytes: int) -> None:
        self._url, self._session, self._most = url, session, most_bytes
        self._known: dict[str, str] = {}

    async def poll(self) -> bytes | None:
        """The document, or None when it is the one already read.

        Raises:
            FeedUnavailable: no answer in time, or a status other than 200 and 304.
            Refused: the answer is larger than allowed, unpacked.
        """
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                self._session.get(
                    self._url, headers={"User-Agent": AGENT, **self._known}, max_redirects=MOST_REDIRECTS
                ) as answer,
            ):
                if answer.status == 304:
                    return None
                if answer.status != 200:
                    raise FeedUnavailable(f"HTTP {answer.status}")
                document = await self._body(answer)
                tags = (("If-None-Match", "ETag"), ("If-Modified-Since", "Last-Modified"))
                self._known = {ask: answer.headers[told] for ask, told in tags if told in answer.headers}
                return document
        except TimeoutError:
            raise FeedUnavailable(f"no answer within {TIMEOUT_S:g} s") from None
        except (aiohttp.ClientError, ValueError) as err:
            raise FeedUnavailable(str(err).splitlines()[0][:200] if str(err) else type(err).__name__) from None

    async def _body(self, answer: aiohttp.ClientResponse) -> bytes:
        parts, size = [], 0
        async for part in answer.content.iter_chunked(65_536):
            size += len(part)
            if size > self._most:
                raise Refused(f"the feed is larger than {self._most:,} bytes")
            parts.append(part)
        return b"".join(parts)
