"""Faults of the simulated Deriv, one by one: what a client sees, and what the venue did all the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from services.simulator.clock import NANOSECONDS, LiveClock
from services.simulator.deriv.server import DerivServer, make_server
from services.simulator.faults.base import CallFault, CallFaultKind, Cut, NoFaults, Send
from services.simulator.record import Record
from services.simulator.settings import SimulatorOptions
from services.simulator.state import load_state

DEADLINE_SECS = 10.0


class Scripted(NoFaults):
    """Faults as a test lays them out: by the name of a call, by what is silent, by symbol."""

    def __init__(self) -> None:
        self.calls: dict[str, CallFault] = {}
        self.quiet: set[str] = set()
        self.holes: set[str] = set()
        self.jump_ns = 0
        self.asked: list[str] = []
        self.lines: list[str] = []

    def line(self, venue: str, channel: str, send: Send, cut: Cut) -> Send:
        self.lines.append(channel)
        return send

    def call(self, venue: str, name: str) -> CallFault | None:
        assert venue == "deriv"
        self.asked.append(name)
        return self.calls.pop(name, None)

    def clock_offset_ns(self, venue: str) -> int:
        return self.jump_ns

    def silent(self, venue: str, what: str) -> bool:
        return what in self.quiet

    def skips(self, venue: str, stream: str) -> bool:
        return stream in self.holes


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_SECS):
        while not condition():  # noqa: ASYNC110 - the other side of a socket
            await asyncio.sleep(0.01)


@pytest.fixture
def faults(desk: Any) -> Scripted:
    desk.venue.faults = Scripted()
    return desk.venue.faults


@pytest.fixture
def order(orders: Any) -> dict[str, Any]:
    return {"buy": "1", "price": 50, "parameters": orders["multiplier"], "req_id": 9}


@pytest.mark.parametrize("kind", [CallFaultKind.TIMEOUT, CallFaultKind.CLOSE])
def test_unanswered_buy_is_done_and_only_the_account_tells(
    desk: Any, faults: Scripted, order: Any, kind: CallFaultKind
) -> None:
    trader = desk.trader()
    trader.ask(transaction=1, subscribe=1)
    faults.calls["buy"] = CallFault(kind)
    told = trader.ask_all(**order)
    assert [message["msg_type"] for message in told] == ["transaction"]
    held = trader.ask(portfolio=1)["portfolio"]["contracts"]
    assert [row["transaction_id"] for row in held] == [told[0]["transaction"]["transaction_id"]]


def test_unanswered_call_keeps_its_stream(desk: Any, faults: Scripted) -> None:
    client = desk.client()
    faults.calls["ticks"] = CallFault(CallFaultKind.TIMEOUT)
    assert client.ask_all(ticks="1HZ100V", subscribe=1, req_id=4) == []
    desk.pass_seconds(1)
    assert [(message["msg_type"], message["req_id"]) for message in client.received] == [("tick", 4)]


async def test_late_answer_comes_after_its_delay(desk: Any, faults: Scripted, order: Any) -> None:
    trader = desk.trader()
    faults.calls["buy"] = CallFault(CallFaultKind.LATE, delay_s=0.05)
    assert trader.ask_all(**order) == []
    assert len(desk.venue.account.open) == 1
    before = len(trader.received)
    await until(lambda: len(trader.received) > before)
    assert trader.received[-1]["buy"]["contract_id"] in desk.venue.account.open


def test_internal_error_hides_a_buy_that_was_done(desk: Any, faults: Scripted, order: Any) -> None:
    trader = desk.trader()
    faults.calls["buy"] = CallFault(CallFaultKind.INTERNAL)
    answers = trader.ask_all(**order)
    assert [answer["error"]["code"] for answer in answers] == ["InternalServerError"]
    assert answers[0]["req_id"] == 9
    assert len(desk.venue.account.open) == 1


@pytest.mark.parametrize(
    ("kind", "code", "expected"),
    [
        (CallFaultKind.LOST, "", None),
        (CallFaultKind.REJECT, "", "PriceMoved"),
        (CallFaultKind.REJECT, "InsufficientBalance", "InsufficientBalance"),
        (CallFaultKind.RATE_LIMIT, "", "RateLimit"),
        (CallFaultKind.EXPIRED, "", "AuthorizationRequired"),
        (CallFaultKind.MAINTENANCE, "", "TradingDisabled"),
    ],
)
def test_refused_buy_is_not_done(
    desk: Any, faults: Scripted, order: Any, kind: CallFaultKind, code: str, expected: str | None
) -> None:
    trader = desk.trader()
    faults.calls["buy"] = CallFault(kind, code=code)
    answers = trader.ask_all(**order)
    assert [answer["error"]["code"] for answer in answers] == ([expected] if expected else [])
    assert not desk.venue.account.open
    assert desk.venue.account.balance == 10_000
    assert not desk.venue.refused


def test_expired_token_ends_the_login_and_a_new_one_heals_it(desk: Any, faults: Scripted) -> None:
    trader = desk.trader()
    trader.ask(balance=1, subscribe=1)
    faults.calls["portfolio"] = CallFault(CallFaultKind.EXPIRED)
    assert trader.ask(portfolio=1)["error"]["code"] == "AuthorizationRequired"
    assert trader.ask(balance=1)["error"]["code"] == "AuthorizationRequired"
    assert not trader.session.streams
    faults.calls["authorize"] = CallFault(CallFaultKind.EXPIRED)
    assert trader.ask(authorize="demo-token")["error"]["code"] == "InvalidToken"
    trader.log_in()
    assert "balance" in trader.ask(balance=1)


def test_maintenance_tells_who_follows_the_status(desk: Any, faults: Scripted) -> None:
    client = desk.client()
    client.ask(website_status=1, subscribe=1, req_id=3)
    faults.calls["ticks"] = CallFault(CallFaultKind.MAINTENANCE)
    news, refusal = client.ask_all(ticks="R_100")
    assert (news["website_status"]["site_status"], news["req_id"]) == ("updating", 3)
    assert refusal["error"]["code"] == "InternalServerError"
    assert client.ask(website_status=1)["website_status"]["site_status"] == "up"


def test_migration_is_told_by_the_status_and_v3_goes_on(desk: Any, faults: Scripted, order: Any) -> None:
    follower, trader = desk.client(), desk.trader()
    assert follower.ask(website_status=1, subscribe=1)["website_status"]["message"] != "migrated"
    faults.calls["website_status"] = CallFault(CallFaultKind.REJECT, code="migrated")
    assert trader.ask(website_status=1)["website_status"]["message"] == "migrated"
    assert follower.received[-1]["website_status"]["message"] == "migrated"
    assert follower.ask(website_status=1)["website_status"]["message"] == "migrated"
    assert "buy" in trader.ask(**order)


def test_silent_fills_say_nothing_until_they_are_asked(desk: Any, faults: Scripted, order: Any) -> None:
    trader = desk.trader()
    trader.ask(transaction=1, subscribe=1)
    trader.ask(proposal_open_contract=1, subscribe=1)
    faults.quiet.add("fills")
    assert [message["msg_type"] for message in trader.ask_all(**order)] == ["buy"]
    contract_id = trader.received[-1]["buy"]["contract_id"]
    desk.pass_seconds(3)
    assert [message["msg_type"] for message in trader.ask_all(sell=contract_id, price=0)] == ["sell"]
    assert trader.received[-1]["msg_type"] == "sell"
    known = trader.ask(proposal_open_contract=1, contract_id=contract_id)["proposal_open_contract"]
    assert known["is_sold"] == 1


def test_hole_is_missing_on_every_stream_and_kept_in_history(desk: Any, faults: Scripted) -> None:
    first, second = desk.client(), desk.client()
    for client in (first, second):
        client.ask(ticks="1HZ100V", subscribe=1)
    start = desk.venue.now()
    faults.holes.add("1HZ100V")
    desk.pass_seconds(1)
    faults.holes.clear()
    faults.quiet.add("1HZ100V")
    desk.pass_seconds(1)
    faults.quiet.clear()
    desk.pass_seconds(1)
    for client in (first, second):
        assert [message["tick"]["epoch"] for message in client.received] == [start, start + 3]
    times = first.ask(ticks_history="1HZ100V", end="latest", count=4)["history"]["times"]
    assert times == list(range(start, start + 4))


def test_clock_jump_shows_in_the_time_call_alone(desk: Any, faults: Scripted) -> None:
    client = desk.client()
    faults.jump_ns = -7 * NANOSECONDS
    assert client.ask(time=1)["time"] == desk.venue.now() - 7
    assert client.ask(ticks="R_100")["tick"]["epoch"] <= desk.venue.now()


def test_channel_is_data_until_login_and_then_trade(desk: Any, faults: Scripted) -> None:
    desk.client()
    assert faults.lines == ["data"]
    desk.trader()
    assert faults.lines == ["data", "data", "trade"]


# --- over sockets ----------------------------------------------------------------------------------------------


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[DerivServer]:
    clock = LiveClock()
    state = load_state(SimulatorOptions(token="demo-token"), clock.now_ns() // NANOSECONDS)
    server = make_server(state, clock=clock, record=Record(None), faults=Scripted())
    await server.start()
    yield server
    await server.stop()


Connect = Callable[[], Any]


@pytest.fixture
async def connect(server: DerivServer) -> AsyncIterator[Connect]:
    async with aiohttp.ClientSession() as http:
        yield lambda: http.ws_connect(f"{server.url}?app_id=1089", timeout=aiohttp.ClientWSTimeout(ws_close=0.1))


async def test_cut_comes_within_the_answer(server: DerivServer, connect: Connect) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        b"GET /websockets/v3?app_id=1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    async with asyncio.timeout(DEADLINE_SECS):
        await reader.readuntil(b"\r\n\r\n")
        server.venue.faults.calls["ping"] = CallFault(CallFaultKind.CLOSE)  # type: ignore[attr-defined]
        request = b'{"ping":1,"req_id":5}'
        writer.write(b"\x81" + bytes([0x80 | len(request)]) + bytes(4) + request)
        received = await reader.read()
    assert received[:1] == b"\x81"
    assert received[2:].startswith(b'{"ping":"pong"')
    assert len(received) - 2 == received[1] // 2
    writer.close()


async def test_close_under_a_client_is_seen_as_an_end_without_the_answer(server: DerivServer, connect: Connect) -> None:
    socket = await connect()
    server.venue.faults.calls["ping"] = CallFault(CallFaultKind.CLOSE)  # type: ignore[attr-defined]
    await socket.send_json({"ping": 1})
    async with asyncio.timeout(DEADLINE_SECS):
        assert (await socket.receive()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    await until(lambda: not server.venue.sessions)


async def test_maintenance_answers_and_then_closes(server: DerivServer, connect: Connect) -> None:
    socket = await connect()
    server.venue.faults.calls["ticks"] = CallFault(CallFaultKind.MAINTENANCE)  # type: ignore[attr-defined]
    await socket.send_json({"ticks": "R_100"})
    async with asyncio.timeout(DEADLINE_SECS):
        assert "error" in await socket.receive_json()
        assert (await socket.receive()).type == aiohttp.WSMsgType.CLOSE
    assert socket.close_code == 1012


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (CallFaultKind.REJECT, 400),
        (CallFaultKind.RATE_LIMIT, 429),
        (CallFaultKind.EXPIRED, 401),
        (CallFaultKind.MAINTENANCE, 503),
        (CallFaultKind.INTERNAL, 500),
    ],
)
async def test_connection_can_be_refused(
    server: DerivServer, connect: Connect, kind: CallFaultKind, status: int
) -> None:
    server.venue.faults.calls["connect"] = CallFault(kind)  # type: ignore[attr-defined]
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await connect()
    assert refused.value.status == status
    async with await connect() as socket:
        await socket.send_json({"ping": 1})
        assert (await socket.receive_json())["ping"] == "pong"


async def test_connection_can_be_held_open_without_an_answer(server: DerivServer, connect: Connect) -> None:
    server.venue.faults.calls["connect"] = CallFault(CallFaultKind.LOST)  # type: ignore[attr-defined]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await connect()


async def test_server_can_say_from_the_start_that_accounts_have_left(tmp_path: Path) -> None:
    clock = LiveClock()
    state = load_state(SimulatorOptions(), clock.now_ns() // NANOSECONDS)
    assert (
        make_server(state, clock=clock, record=Record(None), migrated=True).venue.site_status()["message"] == "migrated"
    )
