"""A whole simulator: keys of its own and of yours, and an account that outlives it."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from services.simulator.app import Simulator
from services.simulator.settings import SimulatorOptions
from services.simulator.state import SimulatorStateError

RESTING = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.001",
    "price": "50000",
}


async def signed(
    http: aiohttp.ClientSession,
    facts: dict[str, Any],
    key: str,
    private: Ed25519PrivateKey,
    method: str,
    path: str,
    **more: Any,
) -> Any:
    query = urlencode({"timestamp": int(time.time() * 1_000), **more})
    signature = quote(base64.b64encode(private.sign(query.encode())), safe="")
    url = f"{facts['binance_rest_url']}/api/v3/{path}?{query}&signature={signature}"
    async with http.request(method, url, headers={"X-MBX-APIKEY": key}) as answer:
        body = await answer.json()
        assert answer.status == 200, body
        return body


async def test_orders_and_keys_outlive_the_process(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    mine = Ed25519PrivateKey.generate()
    pem = tmp_path / "mine.pem"
    pem.write_bytes(mine.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    options = SimulatorOptions(state_dir=tmp_path / "state", public_key=pem)
    first = Simulator(options)
    await first.start()
    facts = first.describe()
    own = load_pem_private_key(facts["ed25519_secret"].encode(), None)
    assert isinstance(own, Ed25519PrivateKey)
    placed = await signed(http, facts, facts["ed25519_key"], own, "POST", "order", **RESTING)
    bought = await signed(
        http,
        facts,
        facts["registered_key"],
        mine,
        "POST",
        "order",
        symbol="BTCUSDT",
        side="BUY",
        type="MARKET",
        quantity="0.01",
    )
    before = await signed(http, facts, facts["registered_key"], mine, "GET", "account")
    await first.stop()

    second = Simulator(options)
    await second.start()
    facts = second.describe()
    orders = await signed(http, facts, facts["ed25519_key"], own, "GET", "openOrders")
    assert [order["orderId"] for order in orders] == [placed["orderId"]]
    after = await signed(http, facts, facts["registered_key"], mine, "GET", "account")
    assert after["balances"] == before["balances"]
    later = await signed(http, facts, facts["ed25519_key"], own, "POST", "order", **RESTING)
    assert later["orderId"] > bought["orderId"]
    await second.stop()


def test_a_file_that_is_no_public_key_is_refused_in_one_line(tmp_path: Path) -> None:
    pem = tmp_path / "mine.pem"
    pem.write_text("nonsense")
    with pytest.raises(SimulatorStateError, match=r"^[^\n]*mine.pem: not a public key[^\n]*$"):
        Simulator(SimulatorOptions(public_key=pem))
