"""Whatever comes down the line, a call at Deriv ends with an answer or a venue error, and the next one works."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from deriv_desk import GOOD, INSTRUMENT, Desk, order

from libs.core.types import ReportKind
from libs.venues.base import Trading, VenueUnavailable
from libs.venues.deriv import connection
from libs.venues.registry import make_market_data, make_trading

NOISE: list[str | bytes] = [
    b"",
    b"\x00\xff\xfe",
    "not json",
    "[]",
    "null",
    "{}",
    '{"msg_type":"buy"',
    '{"msg_type":"buy","req_id":"x"}',
    '{"msg_type":"buy","req_id":999999999999999999999999}',
    '{"msg_type":"tick","tick":{"symbol":"R_100","epoch":"soon","quote":{}}}',
    '{"msg_type":"proposal_open_contract","subscription":{"id":7},"proposal_open_contract":[]}',
    '{"msg_type":"transaction","subscription":{"id":"nobody"},"transaction":{"action":"sell","contract_id":1}}',
    '{"error":{"code":"RateLimit","message":"you"},"msg_type":"error"}',
    "[" * 200_000,
    json.dumps({"msg_type": "time", "time": 1, "junk": "x" * 300_000}),
]


@pytest.fixture
def desk(fake_deriv: Any) -> Desk:
    return Desk(fake_deriv)


@pytest.fixture
async def trading(desk: Desk) -> AsyncIterator[Trading]:
    urls = {"ws": f"ws://127.0.0.1:{desk.venue.port}/websockets/v3"}
    made = make_trading("deriv", endpoints=urls, credentials=GOOD)
    yield made
    await made.aclose()


async def test_noise_between_the_answers_changes_nothing(desk: Desk, trading: Trading) -> None:
    desk.venue.noise = NOISE
    *_, filled = await trading.submit(order(), INSTRUMENT)
    assert (filled.kind, filled.quantity) == (ReportKind.FILLED, Decimal(10))
    assert [row.id for row in await trading.open_positions()] == ["700"]
    assert len(desk.venue.paths) == 1


async def test_answers_that_come_twice_count_once(desk: Desk, trading: Trading) -> None:
    desk.venue.copies = 3
    await trading.submit(order(intent="a"), INSTRUMENT)
    await trading.submit(order(intent="b"), INSTRUMENT)
    assert len(desk.bought) == 2
    assert len(await trading.open_positions()) == 2


async def test_answers_in_another_order_find_their_questions(desk: Desk, trading: Trading) -> None:
    held: list[tuple[Any, dict[str, Any]]] = []
    honest = desk.venue._answer

    def late(ws: Any, request: dict[str, Any]) -> dict[str, Any] | None:
        answer = honest(ws, request)
        if not {"balance", "portfolio", "time"} & set(request):
            return answer  # type: ignore[no-any-return]
        held.append((ws, {"req_id": request["req_id"], "echo_req": request} | answer))
        if len(held) == 3:
            for socket, message in reversed(held):
                sending.append(asyncio.get_running_loop().create_task(socket.send(json.dumps(message))))
        return None

    sending: list[asyncio.Task[None]] = []
    await trading.submit(order(), INSTRUMENT)
    desk.venue._answer = late
    resolving = asyncio.create_task(trading.resolve(order(intent="other")))
    cash, held_now = await asyncio.gather(trading.balance(), trading.open_positions())
    resolving.cancel()
    with suppress(asyncio.CancelledError):
        await resolving
    assert cash == (Decimal("9285.5"), "USD")
    assert [row.id for row in held_now] == ["700"]


async def test_a_frame_too_large_ends_the_connection_and_the_next_call_works(desk: Desk, trading: Trading) -> None:
    desk.venue.noise = ["x" * (16 * 1024 * 1024)]
    with pytest.raises(VenueUnavailable):
        await trading.balance()
    desk.venue.noise = []
    assert (await trading.balance())[1] == "USD"
    assert len(desk.venue.paths) == 2


async def test_a_line_that_stalls_is_given_up(
    desk: Desk, trading: Trading, monkeypatch: pytest.MonkeyPatch, eventually: Any
) -> None:
    monkeypatch.setattr(connection, "ANSWER_S", 0.2)
    await trading.balance()
    (stalled,) = desk.venue.connections
    honest = desk.venue._answer
    desk.venue._answer = lambda ws, request: None if ws is stalled else honest(ws, request)
    with pytest.raises(VenueUnavailable, match="no answer"):
        await trading.balance()
    await eventually(lambda: stalled not in desk.venue.connections, "the stalled line to be dropped")
    assert (await trading.balance())[1] == "USD"


async def test_a_feed_survives_all_of_it(fake_deriv: Any, sink: Any, eventually: Any) -> None:
    adapter = make_market_data("deriv", endpoints={"ws": f"ws://127.0.0.1:{fake_deriv.port}/websockets/v3"})
    streaming = asyncio.create_task(adapter.stream(["R_100"], sink))
    await eventually(lambda: fake_deriv.subscriptions() and sink.trades, "the first price")
    for noise in NOISE:
        for ws in list(fake_deriv.connections):
            await ws.send(noise)
    told = len(sink.trades)
    await fake_deriv.publish()
    await eventually(lambda: len(sink.trades) > told, "a price after the noise")
    assert not streaming.done()
    assert all(reason for _, _, reason in sink.rejects)
    assert "disconnect" not in sink.events()
    streaming.cancel()
    with suppress(asyncio.CancelledError):
        await streaming
    await adapter.aclose()
