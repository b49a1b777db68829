"""Whatever a venue's stream loses, repeats or breaks, every print is published once, in order, and bars agree."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "integration" / "ingest"))

from ingest_house import FakeVenue, Running, at

from libs.common.bus.memory import MemoryBroker
from libs.core.types import SECOND, Quote, Trade

FAULTS = ["lose", "repeat", "swap", "absurd", "malformed", "quote", "outage", "kill", "breathe"]
ACTIONS = st.sampled_from(["deliver", "deliver", "deliver", *FAULTS])


async def live_through(actions: list[str]) -> tuple[list[Trade], Running]:
    venue, broker = FakeVenue(listed=("BTCUSDT",)), MemoryBroker()
    ingest = await Running([venue], broker, tick_batch_ms=0).start()
    await ingest.settled("BTCUSDT")
    number = 0

    def fresh() -> Trade:
        nonlocal number
        number += 1
        return at(number * 0.31, number, 100 + number % 7, number % 4)

    venue.deliver("BTCUSDT", fresh())
    for action in [*actions, "breathe"]:
        match action:
            case "deliver":
                venue.deliver("BTCUSDT", fresh(), fresh())
            case "lose":
                venue.happen("BTCUSDT", fresh())
            case "repeat":
                for trade in venue.prints["BTCUSDT"][-3:]:
                    venue.feed.trade("BTCUSDT", trade, time.time_ns())
            case "swap":
                first, second = fresh(), fresh()
                venue.happen("BTCUSDT", first, second)
                for trade in (second, first):
                    venue.feed.trade("BTCUSDT", trade, time.time_ns())
            case "absurd":
                venue.feed.trade("BTCUSDT", at(number * 0.31, number + 1, 1e12), time.time_ns())
            case "malformed":
                venue.feed.reject("BTCUSDT", b"{", "malformed")
            case "quote":
                venue.feed.quote("BTCUSDT", Quote(venue.now, 99, 1, 101, 1, number), time.time_ns())
            case "outage":
                venue.feed.status("*", "disconnect", "test")
                venue.happen("BTCUSDT", fresh(), fresh())
                venue.feed.status("*", "reconnect", "test")
            case "kill":
                # What never was on the bus is not known to the next run: then that run is the first.
                await ingest.until(lambda run=ingest: bool(printed(run)))
                await ingest.kill()
                venue.happen("BTCUSDT", fresh())
                ingest = await Running([venue], broker, tick_batch_ms=0).start()
            case "breathe":
                await asyncio.sleep(0)
    venue.deliver("BTCUSDT", fresh(), fresh())
    truth = venue.prints["BTCUSDT"]
    await ingest.until(lambda: len(printed(ingest)) >= len(truth))
    await ingest.stop()
    return truth, ingest


def printed(ingest: Running) -> list[Trade]:
    return [item for item in ingest.items() if isinstance(item, Trade)]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ACTIONS, max_size=25))
def test_every_print_once_in_order_and_bars_that_agree(actions: list[str]) -> None:
    truth, ingest = asyncio.run(live_through(actions))
    assert printed(ingest) == truth
    for interval, seconds in (("1s", 1), ("5s", 5)):
        bars = ingest.bars(interval)
        opens = [bar.open_time for bar in bars]
        assert not opens or opens == list(range(opens[0], opens[-1] + 1, seconds * SECOND))
        for bar in bars:
            inside = [t for t in truth if bar.open_time <= t.ts_event < bar.ts_event]
            assert bar.trades == len(inside)
            if inside:
                assert (bar.open, bar.close, bar.last_seq) == (inside[0].price, inside[-1].price, inside[-1].seq)
                assert bar.volume == sum(t.size for t in inside)
