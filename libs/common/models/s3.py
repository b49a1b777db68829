"""An S3-compatible bucket as artifact store: three calls, signed by ourselves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, urlencode, urlsplit
from xml.etree.ElementTree import ParseError

import aiohttp

from libs.common.models.sigv4 import signed_headers
from libs.common.models.store import SHA256, SUFFIX, ArtifactStoreError, digest

TIMEOUT_S: Final = 60.0
MOST_BYTES: Final = 512 * 1024**2
"""No model is larger; what is announces itself as something else."""


class S3Store:
    """Objects `<prefix>/<sha256>.model`, addressed by path: https://host/bucket/prefix."""

    def __init__(self, url: str, key: str, secret: str, region: str) -> None:
        parts = urlsplit(url)
        self._base = f"{parts.scheme}://{parts.netloc}"
        bucket, _, prefix = parts.path.strip("/").partition("/")
        self._bucket, self._prefix = f"/{quote(bucket)}", f"{prefix}/" if prefix else ""
        self._key, self._secret, self._region = key, secret, region
        self._session: aiohttp.ClientSession | None = None

    async def put(self, blob: bytes) -> str:
        sha256 = digest(blob)
        status, body = await self._ask("PUT", self._path(sha256), blob)
        if status not in (200, 201, 204):
            raise self._refused("model not kept", status, body)
        return sha256

    async def get(self, sha256: str) -> bytes | None:
        status, body = await self._ask("GET", self._path(sha256))
        if status == 404:
            return None
        if status != 200:
            raise self._refused("model not read", status, body)
        return body

    async def list(self) -> list[str]:
        found: list[str] = []
        token = ""
        while True:
            query = {"list-type": "2", "prefix": self._prefix} | ({"continuation-token": token} if token else {})
            status, body = await self._ask("GET", f"{self._bucket}?{urlencode(sorted(query.items()), quote_via=quote)}")
            if status != 200:
                raise self._refused("models not listed", status, body)
            keys, token = _listed(body)
            names = [key.removeprefix(self._prefix).removesuffix(SUFFIX) for key in keys if key.endswith(SUFFIX)]
            found += [name for name in names if SHA256.fullmatch(name)]
            if not token:
                return sorted(found)

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _path(self, sha256: str) -> str:
        if not SHA256.fullmatch(sha256):
            raise ArtifactStoreError(f"{sha256[:80]!r} is no SHA-256")
        return f"{self._bucket}/{quote(self._prefix)}{sha256}{SUFFIX}"

    async def _ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        from yarl import URL

        url = self._base + path
        headers = signed_headers(
            method, url, body, key=self._key, secret=self._secret, region=self._region, now=datetime.now(UTC)
        )
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        try:
            async with self._session.request(
                method, URL(url, encoded=True), data=body or None, headers=headers, allow_redirects=False
            ) as answer:
                got = bytearray()
                async for piece in answer.content.iter_chunked(1 << 16):
                    got += piece
                    if len(got) > MOST_BYTES:
                        raise ArtifactStoreError(f"{self._base}: an answer of more than {MOST_BYTES >> 20} MB")
                return answer.status, bytes(got)
        except (TimeoutError, aiohttp.ClientError, OSError) as err:
            raise ArtifactStoreError(f"{self._base} cannot be reached: {err or type(err).__name__}") from None

    def _refused(self, what: str, status: int, body: bytes) -> ArtifactStoreError:
        code = _tag(body, "Code")
        hint = {403: "check S3_ACCESS_KEY, S3_SECRET_KEY and model.store_region", 404: "there is no such bucket"}
        said = f" {code}" if code else ""
        why = f"; {hint[status]}" if status in hint else ""
        return ArtifactStoreError(f"{what}: {self._base}{self._bucket} answered {status}{said}{why}")


def _listed(body: bytes) -> tuple[list[str], str]:
    """Keys of a page, and where the next one begins ("" = nowhere)."""
    from xml.etree import ElementTree

    try:
        page = ElementTree.fromstring(body)
    except ParseError as err:
        raise ArtifactStoreError(f"models not listed: the answer is no listing: {err}") from None
    keys, token, more = [], "", False
    for element in page.iter():
        name, text = element.tag.rpartition("}")[2], element.text or ""
        if name == "Key":
            keys.append(text)
        elif name == "NextContinuationToken":
            token = text
        elif name == "IsTruncated":
            more = text == "true"
    return keys, token if more else ""


def _tag(body: bytes, name: str) -> str:
    """The text of an element of an error, "" when there is none."""
    _, found, rest = body[:4000].partition(f"<{name}>".encode())
    return rest.partition(b"<")[0].decode("ascii", "replace") if found else ""
