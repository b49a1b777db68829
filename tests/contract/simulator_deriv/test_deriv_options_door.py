"""The Options API from outside: accounts, one-time passwords, sockets, and the same faults as v3."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import pytest

from services.simulator.clock import NANOSECONDS, ReplayClock
from services.simulator.deriv.server import DerivServer, make_server
from services.simulator.faults.base import CallFault, CallFaultKind, NoFaults
from services.simulator.record import Record
from services.simulator.state import State

ANCHOR = 1_795_000_000
DEADLINE_SECS = 10.0
APP = {"Authorization": "Bearer demo-token", "Deriv-App-ID": "33abc"}
STATE = State(seed=7, anchor_epoch=ANCHOR, loginid="VRTC1859315", token="demo-token", key="k", secret="s")
ORDER = {
    "contract_type": "MULTUP",
    "currency": "USD",
    "underlying_symbol": "1HZ100V",
    "amount": 10,
    "basis": "stake",
    "multiplier": 100,
}


class Once(NoFaults):
    """One fault for the next call of a name."""

    def __init__(self) -> None:
        self.next: dict[str, CallFault] = {}

    def call(self, venue: str, name: str) -> CallFault | None:
        return self.next.pop(name, None)


class House:
    """A Deriv server on a clock of its own, with a client."""

    def __init__(self, folder: Path, http: aiohttp.ClientSession) -> None:
        self.folder = folder
        self.http = http
        self.clock = ReplayClock(ANCHOR * NANOSECONDS)
        self.faults = Once()
        self.server: DerivServer

    async def start(self, **options: Any) -> None:
        self.server = make_server(
            STATE, clock=self.clock, record=Record(None), state_dir=self.folder, faults=self.faults, **options
        )
        await self.server.start()

    def wait(self, seconds: float) -> None:
        self.clock.advance(self.clock.now_ns() + int(seconds * NANOSECONDS))

    async def rest(self, method: str, path: str, headers: Any = APP, **given: Any) -> tuple[int, Any]:
        async with self.http.request(method, self.server.options_rest_url + path, headers=headers, **given) as answer:
            return answer.status, await answer.json()

    async def otp_url(self, account_id: str) -> str:
        status, body = await self.rest("POST", f"/accounts/{account_id}/otp")
        assert status == 200
        url: str = body["data"]["url"]
        return url

    async def enter(self, account_id: str) -> aiohttp.ClientWebSocketResponse:
        return await self.http.ws_connect(await self.otp_url(account_id))


async def ask(socket: aiohttp.ClientWebSocketResponse, **request: Any) -> Any:
    await socket.send_json(request)
    async with asyncio.timeout(DEADLINE_SECS):
        return await socket.receive_json()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with aiohttp.ClientSession() as http:
        house = House(tmp_path, http)
        await house.start()
        yield house
        await house.server.stop()


@pytest.fixture
def response_schema(schema_folder: Path) -> Any:
    def check(name: str, body: Any) -> None:
        schema = json.loads((schema_folder.parent / "options-v1" / name / "response.json").read_text())
        jsonschema.Draft7Validator(schema).validate(body)

    return check


async def test_accounts_are_listed_and_a_real_one_can_be_opened(house: House, response_schema: Any) -> None:
    status, body = await house.rest("GET", "/accounts")
    response_schema("get_accounts", body)
    assert (status, [row["account_id"] for row in body["data"]]) == (200, ["DOT91859315"])
    wish = {"currency": "USD", "group": "row", "account_type": "real"}
    status, body = await house.rest("POST", "/accounts", json=wish)
    response_schema("create_account", body)
    assert (status, body["data"][0]["account_type"]) == (201, "real")
    status, again = await house.rest("POST", "/accounts", json=wish)
    response_schema("create_account", again)
    assert (status, again["data"]["account_id"]) == (200, body["data"][0]["account_id"])
    status, body = await house.rest("POST", "/accounts", json={**wish, "currency": "EUR"})
    assert (status, body["errors"][0]["code"]) == (400, "ValidationError")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Deriv-App-ID": "33abc"},
        {"Authorization": "Bearer wrong", "Deriv-App-ID": "33abc"},
        {"Authorization": "demo-token", "Deriv-App-ID": "33abc"},
        {"Authorization": "Bearer demo-token"},
    ],
)
async def test_rest_needs_the_token_and_the_app_id(house: House, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/accounts"), ("POST", "/accounts/DOT91859315/otp")):
        status, body = await house.rest(method, path, headers=headers)
        assert (status, body["errors"][0]["code"]) == (401, "Unauthorized")


async def test_password_opens_one_connection_once_and_for_two_minutes(house: House, response_schema: Any) -> None:
    status, body = await house.rest("POST", "/accounts/DOT91859315/otp")
    response_schema("websocket", body)
    url = body["data"]["url"]
    assert url.startswith(house.server.options_ws_url + "/demo?otp=")
    socket = await house.http.ws_connect(url)
    assert (await ask(socket, balance=1))["balance"]["loginid"] == "DOT91859315"
    with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
        await house.http.ws_connect(url)
    late = await house.otp_url("DOT91859315")
    house.wait(121)
    for refused in (
        late,
        house.server.options_ws_url + "/demo",
        (await house.otp_url("DOT91859315")).replace("demo", "real"),
    ):
        with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
            await house.http.ws_connect(refused)
    status, body = await house.rest("POST", "/accounts/DOT1/otp")
    assert (status, body["errors"][0]["code"]) == (400, "AccountNotFound")


async def test_public_socket_needs_nothing(house: House) -> None:
    socket = await house.http.ws_connect(house.server.options_ws_url + "/public")
    assert "tick" in await ask(socket, ticks="R_100")
    assert (await ask(socket, portfolio=1))["error"]["code"] == "AuthorizationRequired"


async def test_real_and_demo_are_different_money_kept_apart_over_a_restart(house: House) -> None:
    _, body = await house.rest("POST", "/accounts", json={"currency": "USD", "group": "row", "account_type": "real"})
    real_id = body["data"][0]["account_id"]
    real, demo = await house.enter(real_id), await house.enter("DOT91859315")
    bought = {}
    for name, socket in (("real", real), ("demo", demo)):
        bought[name] = (await ask(socket, buy="1", price=10, parameters=ORDER))["buy"]
        portfolio = (await ask(socket, portfolio=1))["portfolio"]["contracts"]
        assert [row["contract_id"] for row in portfolio] == [bought[name]["contract_id"]]
    assert len({bought[name][key] for name in bought for key in ("contract_id", "transaction_id")}) == 4
    foreign = await ask(real, sell=bought["demo"]["contract_id"], price=0)
    assert "error" in foreign
    assert bought["real"]["balance_after"] == bought["demo"]["balance_after"] == 9_990
    await house.server.stop()
    await house.start()
    _, body = await house.rest("GET", "/accounts")
    assert {row["account_id"]: row["balance"] for row in body["data"]} == {"DOT91859315": 9_990, real_id: 9_990}
    again = await house.enter(real_id)
    third = (await ask(again, buy="1", price=10, parameters=ORDER))["buy"]
    assert third["contract_id"] not in {row["contract_id"] for row in bought.values()}


async def test_events_of_one_account_are_not_told_to_the_other(house: House) -> None:
    await house.server.stop()
    await house.start(real_account=True)
    _, body = await house.rest("GET", "/accounts")
    real, demo = [await house.enter(row["account_id"]) for row in reversed(body["data"])]
    for socket in (real, demo):
        await ask(socket, transaction=1, subscribe=1)
    assert "buy" in await ask(real, buy="1", price=10, parameters=ORDER)
    async with asyncio.timeout(DEADLINE_SECS):
        assert (await real.receive_json())["transaction"]["action"] == "buy"
    assert (await ask(demo, ping=1))["msg_type"] == "ping"  # nothing came before it


async def test_demo_balance_is_reset_and_the_account_tells(house: House, response_schema: Any) -> None:
    socket = await house.enter("DOT91859315")
    await ask(socket, buy="1", price=10, parameters=ORDER)
    await ask(socket, transaction=1, subscribe=1)
    status, body = await house.rest("POST", "/accounts/DOT91859315/reset-demo-balance")
    response_schema("reset_demo_balance", body)
    assert (status, body["data"]["balance"]) == (200, 10_000)
    async with asyncio.timeout(DEADLINE_SECS):
        told = (await socket.receive_json())["transaction"]
    assert (told["action"], told["amount"], told["balance"]) == ("deposit", 10, 10_000)
    rows = (await ask(socket, statement=1, action_type="deposit"))["statement"]["transactions"]
    assert [row["amount"] for row in rows] == [10]
    status, body = await house.rest("POST", "/accounts/DOT1/reset-demo-balance")
    assert (status, body["errors"][0]["code"]) == (404, "AccountNotFound")


async def test_real_balance_is_not_reset(house: House) -> None:
    await house.server.stop()
    await house.start(real_account=True)
    _, body = await house.rest("GET", "/accounts")
    real_id = body["data"][1]["account_id"]
    status, body = await house.rest("POST", f"/accounts/{real_id}/reset-demo-balance")
    assert (status, body["errors"][0]["code"]) == (403, "AccessDenied")


async def test_migration_status_follows_what_v3_says(house: House, response_schema: Any) -> None:
    status, body = await house.rest("GET", "/legacy/migration-status")
    response_schema("legacy_migration_status", body)
    assert (status, body) == (200, {"status": "pending"})
    house.server.venue.migrate()
    assert await house.rest("GET", "/legacy/migration-status") == (200, {"status": "complete"})


async def test_logout_ends_what_the_password_opened(house: House) -> None:
    socket = await house.enter("DOT91859315")
    assert (await ask(socket, logout=1))["logout"] == 1
    assert (await ask(socket, balance=1))["error"]["code"] == "AuthorizationRequired"


async def test_rest_is_limited_by_user(house: House) -> None:
    for _ in range(80):
        status, _ = await house.rest("GET", "/accounts")
        assert status == 200
    status, body = await house.rest("GET", "/accounts")
    assert (status, body["errors"][0]["code"]) == (429, "RateLimit")
    house.wait(61)
    assert (await house.rest("GET", "/accounts"))[0] == 200


# --- faults ----------------------------------------------------------------------------------------------------

OTP = "POST /trading/v1/options/accounts/{account_id}/otp"


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (CallFaultKind.REJECT, 400),
        (CallFaultKind.EXPIRED, 401),
        (CallFaultKind.RATE_LIMIT, 429),
        (CallFaultKind.INTERNAL, 500),
        (CallFaultKind.MAINTENANCE, 503),
    ],
)
async def test_rest_call_can_be_refused(house: House, kind: CallFaultKind, status: int, options_error: Any) -> None:
    house.faults.next[OTP] = CallFault(kind)
    seen, body = await house.rest("POST", "/accounts/DOT91859315/otp")
    assert seen == status
    options_error(body)


@pytest.fixture
def options_error(schema_folder: Path) -> Any:
    api = json.loads((schema_folder.parent / "options-v1" / "rest-api-openapi.json").read_text())
    root = {"$ref": "#/components/schemas/Error", "components": api["components"]}
    return lambda body: jsonschema.Draft202012Validator(root).validate(body)


async def test_rest_call_can_be_cut_late_or_lost(house: House) -> None:
    reset = "POST /trading/v1/options/accounts/{account_id}/reset-demo-balance"
    socket = await house.enter("DOT91859315")
    await ask(socket, buy="1", price=10, parameters=ORDER)
    house.faults.next[reset] = CallFault(CallFaultKind.CLOSE)
    with pytest.raises(aiohttp.ClientConnectionError):
        await house.rest("POST", "/accounts/DOT91859315/reset-demo-balance")
    assert (await ask(socket, balance=1))["balance"]["balance"] == 10_000
    house.faults.next[OTP] = CallFault(CallFaultKind.LATE, delay_s=0.05)
    began = asyncio.get_running_loop().time()
    assert (await house.rest("POST", "/accounts/DOT91859315/otp"))[0] == 200
    assert asyncio.get_running_loop().time() - began >= 0.05
    house.faults.next[OTP] = CallFault(CallFaultKind.LOST)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await house.rest("POST", "/accounts/DOT91859315/otp")


async def test_expired_login_closes_the_socket_as_only_a_new_password_helps(house: House) -> None:
    socket = await house.enter("DOT91859315")
    house.faults.next["portfolio"] = CallFault(CallFaultKind.EXPIRED)
    assert (await ask(socket, portfolio=1))["error"]["code"] == "AuthorizationRequired"
    async with asyncio.timeout(DEADLINE_SECS):
        assert (await socket.receive()).type == aiohttp.WSMsgType.CLOSE
    again = await house.enter("DOT91859315")
    assert "portfolio" in await ask(again, portfolio=1)


async def test_unanswered_buy_is_found_in_the_portfolio(house: House) -> None:
    socket = await house.enter("DOT91859315")
    house.faults.next["buy"] = CallFault(CallFaultKind.TIMEOUT)
    await socket.send_json({"buy": "1", "price": 10, "parameters": ORDER, "req_id": 1})
    answer = await ask(socket, portfolio=1, req_id=2)
    assert answer["req_id"] == 2
    assert len(answer["portfolio"]["contracts"]) == 1
