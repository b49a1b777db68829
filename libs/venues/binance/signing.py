"""Signatures: REST signs the encoded text as it travels, the WebSocket API sorted raw text: two functions."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from typing import Final, Protocol
from urllib.parse import quote, urlencode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from libs.venues.credentials import Credentials

Value = str | int
Params = Mapping[str, Value]

MISSING: Final = (
    "orders at binance need a key; set BINANCE_API_KEY and BINANCE_SECRET_KEY, or BINANCE_PRIVATE_KEY (Ed25519)"
)


class Signer(Protocol):
    """An API key. `logs_on`: whether a session may be logged on with it, which HMAC keys may not."""

    key: str
    logs_on: bool

    def sign(self, text: str) -> str:
        """The signature of `text` as the venue spells it, not yet percent-encoded."""


class HmacSigner:
    """HMAC-SHA256, in hex."""

    logs_on = False

    def __init__(self, key: str, secret: str) -> None:
        self.key = key
        self._secret = secret.encode()

    def sign(self, text: str) -> str:
        return hmac.digest(self._secret, text.encode(), "sha256").hex()


class Ed25519Signer:
    """Ed25519, in base64."""

    logs_on = True

    def __init__(self, key: str, pem: str) -> None:
        """Raises ValueError when `pem` is no Ed25519 key."""
        self.key = key
        try:
            private = load_pem_private_key(pem.encode(), password=None)
        except (ValueError, TypeError):
            private = None
        if not isinstance(private, Ed25519PrivateKey):
            raise ValueError("the private key for binance is no unencrypted Ed25519 key in PEM; make a new one")
        self._private = private

    def sign(self, text: str) -> str:
        return base64.b64encode(self._private.sign(text.encode())).decode()


def signer_of(credentials: Credentials) -> Signer:
    """Ed25519 where a private key is given, else HMAC.

    Raises:
        ValueError: neither is given, or the private key is none; in one line without its content.
    """
    if not credentials.key or not (credentials.private_key or credentials.secret):
        raise ValueError(MISSING)
    if credentials.private_key:
        return Ed25519Signer(credentials.key, credentials.private_key)
    return HmacSigner(credentials.key, credentials.secret)


def signed_query(params: Params, signer: Signer) -> str:
    """REST: percent-encode, sign exactly that text, append the signature last."""
    text = urlencode(params, quote_via=quote)
    return f"{text}&signature={quote(signer.sign(text), safe='')}"


def signed_params(params: Params, signer: Signer) -> dict[str, Value]:
    """WebSocket API: apiKey among the parameters, sorted by name, joined raw."""
    known = {**params, "apiKey": signer.key}
    payload = "&".join([f"{name}={known[name]}" for name in sorted(known)])
    known["signature"] = signer.sign(payload)
    return known
