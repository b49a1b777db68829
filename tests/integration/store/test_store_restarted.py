"""A server that was killed between two batches: the store says so before it takes the next one."""

from __future__ import annotations

import signal

import pytest

from libs.common.store import Batch, Store, StoreUnreachable


async def test_a_killed_server_is_noticed_even_when_nothing_was_being_written(own_cluster, own_url, until) -> None:
    store = Store(own_url)
    await store.open()
    await store.write(Batch())
    own_cluster.stop(signal.SIGKILL)
    own_cluster.start()
    await until(lambda: store.pool.get_size() == 0, "the pool has lost its connections")
    # The server's log may end before the last commits: nothing may follow before someone has asked how far it got.
    with pytest.raises(StoreUnreachable):
        await store.write(Batch())
    await store.open()
    assert (await store.captured()).resume_ns("MARKET") == 0
    await store.write(Batch())
    await store.close()
