"""Keys of a bucket, asked for by many at once: a key that is there is never missing from the list."""

from __future__ import annotations

import asyncio

from libs.common.bus import NatsBus


async def test_every_list_of_keys_is_whole(nats_server) -> None:
    bus = await NatsBus.connect(nats_server.url, "lists")
    await bus.kv_put("kill", "all", b"halted")
    await bus.kv_put("kill", "scope.R_100", b"halted")
    for _ in range(20):
        lists = await asyncio.gather(*(bus.kv_keys("kill") for _ in range(100)))
        assert all(sorted(keys) == ["all", "scope.R_100"] for keys in lists)
    assert await bus.kv_keys("settings") == []
    await bus.close()
