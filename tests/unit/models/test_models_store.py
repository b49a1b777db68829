"""Every store keeps what it is given under its SHA-256; a bucket behind S3 is asked with signatures that it accepts."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from models_world import KEY, REGION, SECRET, S3Server

from libs.common.bus import MemoryBus, NatsBus
from libs.common.models import ArtifactStore, ArtifactStoreError, FolderStore, open_store
from libs.common.models.s3 import S3Store
from libs.common.models.sigv4 import signed_headers

BLOBS = [b"", b"a", bytes(range(256)) * 2000]


@pytest.fixture(params=["memory", "bus", "folder", "s3"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ArtifactStore]:
    secrets = {"S3_ACCESS_KEY": KEY, "S3_SECRET_KEY": SECRET}
    if request.param == "bus":
        bus = await NatsBus.connect(request.getfixturevalue("nats_server").url, "store")
        yield open_store("bus", bus, secrets.get)
        await bus.close()
    elif request.param == "s3":
        async with S3Server() as server:
            opened = open_store(server.url, MemoryBus(), secrets.get, REGION)
            yield opened
            await opened.aclose()
    else:
        where = "bus" if request.param == "memory" else str(tmp_path / "models")
        yield open_store(where, MemoryBus(), secrets.get)


async def test_what_was_put_is_found_by_its_hash(store: ArtifactStore) -> None:
    names = [await store.put(blob) for blob in BLOBS]
    assert len(set(names)) == len(BLOBS)
    assert [await store.put(blob) for blob in BLOBS] == names
    assert await store.list() == sorted(names)
    assert [await store.get(name) for name in names] == BLOBS
    assert await store.get("0" * 64) is None


async def test_a_wrong_key_is_one_clear_line() -> None:
    async with S3Server() as server:
        store = S3Store(server.url.removeprefix("s3+"), KEY, "another secret", REGION)
        for ask in (store.put(b"a"), store.get("0" * 64), store.list()):
            with pytest.raises(ArtifactStoreError, match=r"answered 403 SignatureDoesNotMatch; check S3_ACCESS_KEY"):
                await ask
        await store.aclose()
        elsewhere = S3Store(server.url.removeprefix("s3+"), KEY, SECRET, "us-east-1")
        with pytest.raises(ArtifactStoreError, match=r"model\.store_region"):
            await elsewhere.put(b"a")
        await elsewhere.aclose()


async def test_a_bucket_that_is_full_absent_or_away_is_one_clear_line() -> None:
    async with S3Server() as server:
        store = S3Store(server.url.removeprefix("s3+"), KEY, SECRET, REGION)
        server.full = True
        with pytest.raises(ArtifactStoreError, match=r"model not kept: .* answered 507 InsufficientStorage"):
            await store.put(b"a")
        await store.aclose()
        other = S3Store(server.url.removeprefix("s3+").replace("bucket", "pail"), KEY, SECRET, REGION)
        with pytest.raises(ArtifactStoreError, match="there is no such bucket"):
            await other.list()
        await other.aclose()
    gone = S3Store(server.url.removeprefix("s3+"), KEY, SECRET, REGION)
    with pytest.raises(ArtifactStoreError, match="cannot be reached"):
        await gone.get("0" * 64)
    await gone.aclose()


def test_the_signature_is_that_of_the_published_example() -> None:
    """docs.aws.amazon.com, Signature Version 4 for S3, example GET Object."""
    headers = signed_headers(
        "GET",
        "https://examplebucket.s3.amazonaws.com/test.txt",
        b"",
        key="AKIAIOSFODNN7EXAMPLE",
        secret="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        region="us-east-1",
        now=datetime(2013, 5, 24, tzinfo=UTC),
        headers={"Range": "bytes=0-9"},
    )
    assert headers["authorization"].endswith(
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


def test_a_store_that_cannot_be_is_refused_at_once() -> None:
    with pytest.raises(ArtifactStoreError, match="S3_ACCESS_KEY and S3_SECRET_KEY"):
        open_store("s3+https://host/bucket", MemoryBus(), lambda _: None)
    with pytest.raises(ArtifactStoreError, match="names no bucket"):
        open_store("s3+https://host/", MemoryBus(), lambda _: "given")


async def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ArtifactStoreError, match="model not kept"):
        await FolderStore(tmp_path / "file" / "models").put(b"a")
    with pytest.raises(ArtifactStoreError, match="no SHA-256"):
        await FolderStore(tmp_path).get("../../etc/passwd")


async def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ArtifactStoreError, match="No space left on device"):
        await FolderStore(tmp_path).put(b"a")
    assert list(tmp_path.iterdir()) == []
