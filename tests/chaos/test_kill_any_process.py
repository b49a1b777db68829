"""Every process of the house is killed while it trades: all is back, nothing is lost, nothing is doubled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from chaos_house import PLANTED, House
from chaos_truth import (
    Truth,
    bars_that_differ,
    holes_in_bars,
    orders_that_differ,
    prints_that_differ,
    signals_without_verdict,
    stored_up_to,
)

from console.control import post_admin
from console.recorder import collect, record_session
from console.stages import make_stage
from libs.common.models import ModelCache
from libs.common.models.cache import models_folder
from libs.core.types import Action, Bar, Features, Fill, Permit, Signal, Ticks, Verdict
from libs.research.replay import Recording, replay
from libs.research.session import read_session

HALTED = "BTCUSDT"
"""A symbol whose trading a person stops before risk is killed; the planted one trades on."""


@pytest.fixture
async def house(var: Path) -> AsyncIterator[House]:
    made = House(var)
    try:
        await made.start()
        yield made
    finally:
        await made.stop()


def of(kind: type, **wanted: Any) -> Any:
    """A condition: an event of the planted symbol and this kind with these values."""
    return lambda event: (
        isinstance(event, kind)
        and event.symbol == PLANTED
        and all(getattr(event, name) == value for name, value in wanted.items())
    )


MOMENTS = (
    ("execute", of(Permit), "a permit"),
    ("ingest", of(Ticks), "a tick"),
    ("features", of(Bar), "a bar"),
    ("predict", of(Features), "a feature vector"),
    ("risk", of(Signal), "a signal"),
    ("simulator", of(Ticks), "a tick"),
    ("nats", of(Bar), "a bar"),
    ("postgres", of(Bar), "a bar"),
    ("execute", of(Fill, action=Action.ENTER), "an entry fill, with its position open"),
)
"""Whom to kill the moment which message is seen: the one it is about to act on, or has just made."""


@pytest.mark.xdist_group("stack")
@pytest.mark.timeout(480)
async def test_every_process_may_be_killed_while_the_house_trades(house: House) -> None:
    await asyncio.to_thread(
        post_admin, house.var, "risk", "halt", {"scope": HALTED, "reason": "must survive the kill of risk"}
    )
    halted_ns = time.time_ns()
    for name, moment, words in MOMENTS:
        await house.flow.next(moment, words)
        await house.kill(name)
    await house.flow.next(of(Fill, action=Action.EXIT), "a position closed after everything was killed once")

    # A signal of this moment has its verdict a moment later; from there the ledger is compared with itself.
    await everything_is_stored(house)
    codes = await house.stack.stop_services()
    assert set(codes.values()) == {0}, f"did not drain: {codes}"
    captured = [message async for message in collect(house.bus, house.started_ns)]
    events = [m.event() for m in captured if m.subject.split(".", 1)[0] not in ("applied", "dlq")]
    assert not [m.event().reason for m in captured if m.subject.startswith("dlq.")], "dead letters"
    assert not signals_without_verdict(events)
    capital = {account.id: Decimal(account.capital) for account in house.settings.trading.accounts}
    assert not orders_that_differ(events, capital)
    assert_halt_held(events, halted_ns)
    await assert_replays(house)


async def everything_is_stored(house: House) -> None:
    connection = await asyncpg.connect(house.stack.database_url)
    try:
        truth = Truth(house.var / "run" / "simulator" / "record.jsonl")
        deadline = time.monotonic() + 30
        while not await stored_up_to(connection, truth):
            assert time.monotonic() < deadline, f"the store never reached {truth.reached}"
            await asyncio.sleep(0.1)
        assert len(truth.prints) > 100
        for wrong in (
            await prints_that_differ(connection, truth),
            await bars_that_differ(connection, truth),
            await holes_in_bars(connection),
        ):
            assert not wrong, f"{len(wrong)} differences: {wrong[:10]}"
    finally:
        await connection.close()


def assert_halt_held(events: list[Any], halted_ns: int) -> None:
    entries = [p for p in events if isinstance(p, Permit) and p.symbol == HALTED and p.action is Action.ENTER]
    assert not [permit for permit in entries if permit.ts_init > halted_ns]
    asked = [v for v in events if isinstance(v, Verdict) and v.symbol == HALTED and v.action is Action.ENTER]
    for verdict in asked:
        assert verdict.ts_init < halted_ns or "halted" in " ".join(verdict.reasons), verdict.reasons


async def assert_replays(house: House) -> None:
    session = await record_session(house.bus, house.var / "sessions", house.started_ns, {})
    _, messages = read_session(session)
    recording = Recording(messages)
    models = ModelCache(models_folder(house.var))
    report = await asyncio.to_thread(replay, recording, partial(make_stage, artifacts=models))
    assert report.ok, f"{report.difference} {report.problems}"
    for stage in ("features", "predict", "risk", "execute"):
        assert report.runs[stage] >= 2, f"{stage} was started {report.runs[stage]} times"
    assert report.equal["Fill"] > 0
