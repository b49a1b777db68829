"""Blobs by the SHA-256 of their bytes: on the bus, in a folder, or behind an S3-compatible URL."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

from libs.common.bus import Bus, BusError

OBJECTS: Final = "models"
"""The object store of the bus."""

SUFFIX: Final = ".model"
SHA256: Final = re.compile(r"[0-9a-f]{64}")
ACCESS_KEY: Final = "S3_ACCESS_KEY"
SECRET_KEY: Final = "S3_SECRET_KEY"  # the name of a variable


class ArtifactStoreError(Exception):
    """The store cannot be used; the text is one line for people."""


class ArtifactStore(Protocol):
    """Keeps blobs; one that was put never changes. Every method raises ArtifactStoreError when it cannot be done."""

    async def put(self, blob: bytes) -> str:
        """Keep a blob; its SHA-256, by which it is found again."""

    async def get(self, sha256: str) -> bytes | None:
        """What the store has under that name, or None; whoever takes it up checks it (`ModelCache.fetch`)."""

    async def list(self) -> list[str]:
        """SHA-256 of every blob."""

    async def aclose(self) -> None:
        """Give connections back."""


def open_store(where: str, bus: Bus, secret: Callable[[str], str | None], region: str = "us-east-1") -> ArtifactStore:
    """The store that `where` names: bus, s3+https://host/bucket/prefix, or a folder.

    Args:
        secret: looks up S3_ACCESS_KEY and S3_SECRET_KEY.

    Raises:
        ArtifactStoreError: a URL that is none, or no credentials for it.
    """
    if where == "bus":
        return BusStore(bus)
    if not where.startswith(("s3+https://", "s3+http://")):
        return FolderStore(Path(where))
    from libs.common.models.s3 import S3Store  # what speaks HTTP, only where it is used

    key, hidden = secret(ACCESS_KEY), secret(SECRET_KEY)
    if not key or not hidden:
        raise ArtifactStoreError(f"model.store {_place(where)} needs the secrets {ACCESS_KEY} and {SECRET_KEY}")
    if not urlsplit(where).path.strip("/"):
        raise ArtifactStoreError("model.store names no bucket; write s3+https://host/bucket or .../bucket/prefix")
    return S3Store(where.removeprefix("s3+"), key, hidden, region)


def digest(blob: bytes) -> str:
    """The name of a blob."""
    return hashlib.sha256(blob).hexdigest()


def write_whole(path: Path, blob: bytes) -> None:
    """A file that is there whole or not at all, also after a power cut.

    Raises:
        OSError: it cannot be written; nothing is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as out:
            out.write(blob)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


class BusStore:
    """In the object store of the bus."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def put(self, blob: bytes) -> str:
        sha256 = digest(blob)
        try:
            if await self._bus.object_get(OBJECTS, sha256) != blob:
                await self._bus.object_put(OBJECTS, sha256, blob)
        except BusError as err:
            raise ArtifactStoreError(f"model not kept: {err}") from None
        return sha256

    async def get(self, sha256: str) -> bytes | None:
        try:
            return await self._bus.object_get(OBJECTS, sha256)
        except BusError as err:
            raise ArtifactStoreError(f"model not read: {err}") from None

    async def list(self) -> list[str]:
        try:
            return [name for name in await self._bus.object_names(OBJECTS) if SHA256.fullmatch(name)]
        except BusError as err:
            raise ArtifactStoreError(f"models not listed: {err}") from None

    async def aclose(self) -> None:
        """The bus belongs to somebody else."""


class FolderStore:
    """Files `<sha256>.model` in a folder, for example one that machines share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, blob: bytes) -> str:
        sha256 = digest(blob)
        path = self._path(sha256)
        try:
            await asyncio.to_thread(write_whole, path, blob)
        except OSError as err:
            raise ArtifactStoreError(f"model not kept: {path}: {err.strerror or err}") from None
        return sha256

    async def get(self, sha256: str) -> bytes | None:
        try:
            return await asyncio.to_thread(self._path(sha256).read_bytes)
        except FileNotFoundError:
            return None
        except OSError as err:
            raise ArtifactStoreError(f"model not read: {self._path(sha256)}: {err.strerror or err}") from None

    async def list(self) -> list[str]:
        return sorted(path.stem for path in self._folder.glob(f"*{SUFFIX}") if SHA256.fullmatch(path.stem))

    async def aclose(self) -> None:
        """Nothing is held."""

    def _path(self, sha256: str) -> Path:
        if not SHA256.fullmatch(sha256):
            raise ArtifactStoreError(f"{sha256[:80]!r} is no SHA-256")
        return self._folder / f"{sha256}{SUFFIX}"


def _place(url: str) -> str:
    """The URL without what could be a login."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
