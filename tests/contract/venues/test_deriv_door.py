"""Deriv's doors: which account is opened, with a password that works once, and what a refusal says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from deriv_desk import GOOD, Desk

from libs.venues.base import Trading, VenueError, VenueRefused, VenueUnavailable
from libs.venues.credentials import Credentials
from libs.venues.registry import make_trading

Make = Callable[..., Trading]


@pytest.fixture
def paths(fake_deriv: Any) -> list[str]:
    """The address of every connection, with its query."""
    Desk(fake_deriv)
    kept: list[str] = fake_deriv.paths
    return kept


@pytest.fixture
async def make(deriv_door: Any) -> AsyncIterator[Make]:
    made: list[Trading] = []

    def one(endpoint: str = "simulator", credentials: Credentials = GOOD) -> Trading:
        urls = deriv_door.urls
        made.append(make_trading("deriv", api="options", endpoint=endpoint, endpoints=urls, credentials=credentials))
        return made[-1]

    yield one
    for trading in made:
        await trading.aclose()


def of_account(account_id: str) -> Credentials:
    return msgspec.structs.replace(GOOD, account_id=account_id)


async def test_every_connection_has_a_password_of_its_own(
    make: Make, deriv_door: Any, paths: list[str], fake_deriv: Any
) -> None:
    trading = make()
    assert await trading.balance() == (Decimal("9285.5"), "USD")
    await fake_deriv.drop()
    for _ in range(50):
        try:
            await trading.balance()
            break
        except VenueUnavailable:
            continue
    assert [path.rpartition("=")[2] for path in paths] == ["secret-0", "secret-1"]
    assert [path for _, path in deriv_door.seen].count("/trading/v1/options/accounts") == 1


@pytest.mark.parametrize(
    ("accounts", "endpoint", "wanted", "opened"),
    [
        (["DOT1"], "simulator", "", "DOT1"),
        (["ROT1"], "simulator", "", "ROT1"),
        (["ROT1", "DOT1"], "simulator", "", "DOT1"),
        (["ROT1", "DOT1"], "live", "", "ROT1"),
        (["ROT1", "DOT1"], "testnet", "", "DOT1"),
        (["DOT1", "DOT2"], "simulator", "DOT2", "DOT2"),
        (["ROT1", "ROT2", "DOT1"], "live", "ROT2", "ROT2"),
    ],
)
async def test_play_money_comes_first_unless_told_otherwise(
    make: Make, deriv_door: Any, paths: list[str], accounts: list[str], endpoint: str, wanted: str, opened: str
) -> None:
    deriv_door.accounts = [deriv_door.account(name, "real" if name[0] == "R" else "demo") for name in accounts]
    await make(endpoint, of_account(wanted)).balance()
    assert deriv_door.seen[-1][1].endswith(f"/accounts/{opened}/otp")
    assert f"/{'real' if opened[0] == 'R' else 'demo'}?" in paths[0]


@pytest.mark.parametrize(
    ("accounts", "endpoint", "wanted", "says"),
    [
        (["DOT1", "DOT2"], "simulator", "", "set DERIV_ACCOUNT_ID"),
        (["DOT1"], "live", "", "no active real account"),
        (["ROT1"], "testnet", "", "no active demo account"),
        (["ROT1", "DOT1"], "testnet", "ROT1", "check DERIV_ACCOUNT_ID"),
        (["DOT1"], "simulator", "DOT9", "check DERIV_ACCOUNT_ID"),
        ([], "simulator", "", "it has: none"),
        (["XOT1"], "simulator", "", "no active options account"),
    ],
)
async def test_an_account_that_is_not_certain_is_refused_in_one_line(
    make: Make, deriv_door: Any, accounts: list[str], endpoint: str, wanted: str, says: str
) -> None:
    kinds = {"R": "real", "D": "demo", "X": "demo"}
    deriv_door.accounts = [
        deriv_door.account(name, kinds[name[0]], "inactive" if name[0] == "X" else "active") for name in accounts
    ]
    with pytest.raises(VenueRefused, match=says) as refused:
        await make(endpoint, of_account(wanted)).balance()
    assert "\n" not in str(refused.value)
    assert not deriv_door.passwords


@pytest.mark.parametrize(
    "credentials", [Credentials(token="bad", app_id="app-1"), Credentials(token="good-token")], ids=["token", "app id"]
)
async def test_a_login_that_is_not_accepted_says_what_to_check(make: Make, credentials: Credentials) -> None:
    with pytest.raises(VenueRefused, match="DERIV_TOKEN and DERIV_APP_ID") as refused:
        await make(credentials=credentials).balance()
    assert refused.value.code == "Unauthorized"
    assert "bad" not in str(refused.value)


@pytest.mark.parametrize(
    ("call", "status", "body", "kind"),
    [
        ("accounts", 429, {"errors": [{"status": 429, "code": "RateLimit", "message": "slow"}]}, VenueUnavailable),
        ("otp", 500, {"errors": []}, VenueUnavailable),
        ("otp", 504, {"garbage": 1}, VenueUnavailable),
        ("otp", 404, {"errors": [{"code": "AccountNotFound", "message": "gone"}]}, VenueRefused),
        ("accounts", 200, {"data": 7}, VenueUnavailable),
        ("otp", 200, {"data": {"url": "javascript:alert(1)"}}, VenueUnavailable),
        ("otp", 200, {"data": {"url": "ws://[oops"}}, VenueUnavailable),
    ],
)
async def test_whatever_the_door_answers_is_a_venue_error(
    make: Make, deriv_door: Any, call: str, status: int, body: dict[str, Any], kind: type[VenueError]
) -> None:
    deriv_door.refuse[call] = (status, body)
    with pytest.raises(kind) as failed:
        await make().balance()
    assert "\n" not in str(failed.value)


async def test_a_door_that_is_not_there_is_unavailable_and_keeps_the_secret(make: Make, deriv_door: Any) -> None:
    trading = make()
    await deriv_door.stop()
    with pytest.raises(VenueUnavailable, match=r"127\.0\.0\.1") as failed:
        await trading.balance()
    assert "good-token" not in str(failed.value)


async def test_a_socket_that_is_not_there_does_not_tell_the_password(
    make: Make, deriv_door: Any, fake_deriv: Any
) -> None:
    trading = make()
    await fake_deriv.stop()
    with pytest.raises(VenueUnavailable) as failed:
        await trading.balance()
    await fake_deriv.start()
    assert "secret-0" not in str(failed.value)
