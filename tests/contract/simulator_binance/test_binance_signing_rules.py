"""Signed calls over REST: the key, the two places of parameters, the signature as transmitted, the clock."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.simulator.binance.keys import public_key


def now_ms() -> int:
    return int(time.time() * 1_000)


async def test_a_signed_call_is_answered(start: Any, trader: Any) -> None:
    status, account = await trader(await start())("GET", "account", omitZeroBalances="true")
    assert status == 200
    assert {row["asset"]: row["free"] for row in account["balances"]}["USDT"] == "10000.00000000"


@pytest.mark.parametrize(
    ("key", "code", "status"),
    [("", -2014, 401), ("no key at all!", -2014, 401), ("unknown", -2015, 401)],
)
async def test_a_wrong_key_is_refused(start: Any, trader: Any, key: str, code: int, status: int) -> None:
    client = trader(await start())
    answered, body = await client.raw("GET", "account", client.signed({}), **{"X-MBX-APIKEY": key})
    assert (answered, body["code"]) == (status, code)


@pytest.mark.parametrize("missing", ["timestamp", "signature"])
async def test_timestamp_and_signature_are_mandatory(start: Any, trader: Any, missing: str) -> None:
    client = trader(await start())
    query = "&".join(pair for pair in client.signed({}).split("&") if not pair.startswith(missing))
    status, body = await client.raw("GET", "account", query)
    text = f"Mandatory parameter '{missing}' was not sent, was empty/null, or malformed."
    assert (status, body) == (400, {"code": -1102, "msg": text})


async def test_the_signature_covers_query_and_body_as_transmitted(start: Any, trader: Any) -> None:
    client = trader(await start())
    query, body = f"symbol=BTCUSDT&side=BUY&type=MARKET&timestamp={now_ms()}", "quantity=0.001&newOrderRespType=ACK"
    digest = hmac.new(b"its-secret", (query + body).encode(), hashlib.sha256).hexdigest()
    for transmitted in (digest, digest.upper()):
        status, answer = await client.raw("POST", "order", query, f"{body}&signature={transmitted}")
        assert (status, answer.get("symbol")) == (200, "BTCUSDT")
    status, answer = await client.raw("POST", "order", f"{query}&signature={digest}", body)
    assert status == 200
    status, answer = await client.raw("POST", "order", f"{query}&signature={digest}", body + "0")
    assert (status, answer["code"]) == (400, -1022)


async def test_the_query_wins_over_the_body(start: Any, trader: Any) -> None:
    client = trader(await start())
    query = f"symbol=BTCUSDT&timestamp={now_ms()}"
    body = "symbol=NOSUCH&quantity=0.001&side=SELL&type=MARKET"
    digest = hmac.new(b"its-secret", (query + body).encode(), hashlib.sha256).hexdigest()
    status, answer = await client.raw("POST", "order", query, f"{body}&signature={digest}")
    assert (status, answer["symbol"]) == (200, "BTCUSDT")


async def test_what_is_encoded_after_signing_has_a_wrong_signature(start: Any, trader: Any) -> None:
    client = trader(await start())
    plain = f"symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.001&newClientOrderId=a-b&timestamp={now_ms()}"
    digest = hmac.new(b"its-secret", plain.encode(), hashlib.sha256).hexdigest()
    encoded = plain.replace("a-b", "a%2Db")
    assert (await client.raw("POST", "order", f"{encoded}&signature={digest}"))[1]["code"] == -1022
    digest = hmac.new(b"its-secret", encoded.encode(), hashlib.sha256).hexdigest()
    status, answer = await client.raw("POST", "order", f"{encoded}&signature={digest}")
    assert (status, answer["clientOrderId"]) == (200, "a-b")


AHEAD = "Timestamp for this request was 1000ms ahead of the server's time."
OUTSIDE = "Timestamp for this request is outside of the recvWindow."


@pytest.mark.parametrize(
    ("params", "text"),
    [
        (lambda: {"timestamp": now_ms() + 3_000}, AHEAD),
        (lambda: {"timestamp": now_ms() - 6_000}, OUTSIDE),
        (lambda: {"timestamp": now_ms() - 2_000, "recvWindow": "1500.123"}, OUTSIDE),
        (lambda: {"timestamp": now_ms() - 6_000, "recvWindow": 8_000}, ""),
        (lambda: {"timestamp": now_ms() * 1_000, "recvWindow": 5_000}, ""),
        (lambda: {"timestamp": now_ms() + 500}, ""),
    ],
)
async def test_the_clock_of_a_request_must_agree(
    start: Any, trader: Any, params: Callable[[], dict[str, Any]], text: str
) -> None:
    status, body = await trader(await start())("GET", "account", **params())
    assert (status, body) == (400, {"code": -1021, "msg": text}) if text else status == 200


async def test_a_clock_that_jumps_takes_the_checks_along(start: Any, trader: Any, faults: Any) -> None:
    simulator = await start()
    client = trader(simulator)
    faults.offset_ns = 60 * 10**9
    assert (await client("GET", "account"))[1] == {"code": -1021, "msg": OUTSIDE}
    assert (await client("GET", "account", timestamp=now_ms() + 60_000))[0] == 200
    async with client.http.get(simulator.rest_url + "/api/v3/time") as answer:
        assert abs((await answer.json())["serverTime"] - now_ms() - 60_000) < 2_000


async def test_ed25519_and_rsa_keys_sign_in_base64(start: Any, trader: Any, pair: Any) -> None:
    simulator = await start()
    private = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    simulator.add_key("rsa-key", public_key(pem))
    client = trader(simulator)
    for key, sign in (
        ("key-with-a-pair", pair.sign),
        ("rsa-key", lambda payload: private.sign(payload, padding.PKCS1v15(), hashes.SHA256())),
    ):
        query = urlencode({"symbol": "BTCUSDT", "timestamp": now_ms()})
        signature = quote(base64.b64encode(sign(query.encode())), safe="")
        assert (await client.raw("GET", "openOrders", f"{query}&signature={signature}", **{"X-MBX-APIKEY": key}))[
            0
        ] == 200
        status, body = await client.raw("GET", "openOrders", f"{query}0&signature={signature}", **{"X-MBX-APIKEY": key})
        assert (status, body["code"]) == (400, -1022)


def test_other_public_keys_are_refused_in_one_line() -> None:
    small = rsa.generate_private_key(public_exponent=65_537, key_size=1_024).public_key()
    pem = small.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for wrong in (pem, b"nonsense"):
        with pytest.raises(ValueError, match=r"^[^\n]+$"):
            public_key(wrong)
