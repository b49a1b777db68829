"""The two signing rules against the venue's own published examples, and credentials that stay where they are."""

from __future__ import annotations

import base64
from urllib.parse import parse_qsl, unquote

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from libs.venues.binance.signing import Ed25519Signer, HmacSigner, signed_params, signed_query, signer_of
from libs.venues.credentials import Credentials

KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"


def pem_of(private: Ed25519PrivateKey) -> str:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def test_rest_signs_the_text_as_it_is_sent() -> None:
    query = signed_query(
        {
            "symbol": "LTCBTC",
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "1",
            "price": "0.1",
            "recvWindow": 5000,
            "timestamp": 1499827319559,
        },
        HmacSigner(KEY, SECRET),
    )
    assert query.endswith("&signature=c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71")


def test_the_websocket_api_signs_sorted_raw_text() -> None:
    params = signed_params(
        {
            "symbol": "BTCUSDT",
            "side": "SELL",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "0.01000000",
            "price": "52000.00",
            "newOrderRespType": "ACK",
            "recvWindow": 100,
            "timestamp": 1645423376532,
        },
        HmacSigner(KEY, SECRET),
    )
    assert params["apiKey"] == KEY
    assert params["signature"] == "cc15477742bd704c29492d96c7ead9414dfd8e0ec4a00f947bb5bb454ddbd08a"


def test_what_is_not_ascii_is_encoded_before_rest_signs_it_and_after_the_websocket_api_does() -> None:
    signer = HmacSigner("k", "s")
    text, _, signature = signed_query({"symbol": "币安人生USDT"}, signer).rpartition("&signature=")
    assert text == "symbol=%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT"
    assert signature == signer.sign(text)
    assert signed_params({"symbol": "币安人生USDT"}, signer)["signature"] == signer.sign("apiKey=k&symbol=币安人生USDT")


def test_an_ed25519_signature_is_base64_and_travels_encoded() -> None:
    private = Ed25519PrivateKey.generate()
    signer = Ed25519Signer("k", pem_of(private))
    text, _, signature = signed_query({"timestamp": 1}, signer).rpartition("&signature=")
    private.public_key().verify(base64.b64decode(unquote(signature)), text.encode())
    assert not set(signature) & set("+/=")
    assert dict(parse_qsl(f"signature={signature}"))["signature"] == signer.sign("timestamp=1")


def test_a_private_key_wins_over_a_secret() -> None:
    pem = pem_of(Ed25519PrivateKey.generate())
    assert signer_of(Credentials(key="k", secret="s", private_key=pem)).logs_on
    assert not signer_of(Credentials(key="k", secret="s")).logs_on


@pytest.mark.parametrize("given", [{}, {"key": "k"}, {"secret": "s"}, {"private_key": "p"}])
def test_half_a_key_is_no_key(given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="BINANCE_API_KEY") as caught:
        signer_of(Credentials(**given))
    assert "\n" not in str(caught.value)


def test_a_private_key_that_is_none_is_not_shown() -> None:
    with pytest.raises(ValueError, match="Ed25519") as caught:
        signer_of(Credentials(key="k", private_key="hush-hush"))
    assert "hush" not in str(caught.value)
    assert "\n" not in str(caught.value)
