"""API keys, the two ways of signing, and the clock that a signed request has to keep."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from services.simulator.binance.exchange.api import ApiError

DEFAULT_RECV_WINDOW_MS: Final = Decimal(5_000)
AHEAD_MS: Final = 1_000
_KEY: Final = re.compile(r"[\w-]{1,128}", re.ASCII)


class Verifier(Protocol):
    """One kind of key. `logon`: whether session.logon accepts it."""

    logon: bool

    def verifies(self, payload: bytes, signature: str) -> bool:
        """Whether `signature` was made for `payload` by the owner of the key."""


class HmacKey:
    """HMAC-SHA256 in hexadecimal digits of either case."""

    logon = False

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def verifies(self, payload: bytes, signature: str) -> bool:
        expected = hmac.new(self._secret, payload, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected.encode(), signature.lower().encode("utf-8", "replace"))


class Ed25519Key:
    """Ed25519 in base64."""

    logon = True

    def __init__(self, public: Ed25519PublicKey) -> None:
        self._public = public

    def verifies(self, payload: bytes, signature: str) -> bool:
        try:
            self._public.verify(base64.b64decode(signature, validate=True), payload)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True


class RsaKey:
    """RSA, PKCS#1 v1.5 with SHA-256, in base64."""

    logon = False

    def __init__(self, public: RSAPublicKey) -> None:
        self._public = public

    def verifies(self, payload: bytes, signature: str) -> bool:
        try:
            raw = base64.b64decode(signature, validate=True)
            self._public.verify(raw, payload, padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True


def public_key(pem: bytes) -> Verifier:
    """Read an Ed25519 or RSA public key in PEM. Raises ValueError, in one line, for anything else."""
    try:
        key = load_pem_public_key(pem)
    except (ValueError, TypeError) as error:
        raise ValueError("not a public key in PEM; give one made with `openssl pkey -pubout`") from error
    if isinstance(key, Ed25519PublicKey):
        return Ed25519Key(key)
    if isinstance(key, RSAPublicKey) and 2_048 <= key.key_size <= 4_096:
        return RsaKey(key)
    raise ValueError("the venue takes Ed25519 keys, and RSA keys of 2048 to 4096 bits")


def new_key_pair() -> str:
    """Make an Ed25519 private key, PKCS#8 in PEM."""
    private = Ed25519PrivateKey.generate()
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def verifier_of(private_pem: str) -> Verifier:
    """The verifying half of an Ed25519 private key in PEM. Raises ValueError for anything else."""
    private = load_pem_private_key(private_pem.encode(), None)
    if not isinstance(private, Ed25519PrivateKey):
        raise ValueError("not an Ed25519 private key in PEM")
    return Ed25519Key(private.public_key())


class Keys:
    """Which account each API key belongs to, and how it signs."""

    def __init__(self) -> None:
        self._keys: dict[str, tuple[int, Verifier]] = {}

    def add(self, key: str, verifier: Verifier, account: int) -> None:
        """Register a key."""
        self._keys[key] = (account, verifier)

    def remove(self, key: str) -> None:
        """Revoke a key: from now on it is refused like an unknown one."""
        self._keys.pop(key, None)

    def find(self, key: str | None) -> tuple[int, Verifier]:
        """Return account and verifier. Raises ApiError -2014 (no key) or -2015 (not a key of ours)."""
        if not key or not _KEY.fullmatch(key):
            raise ApiError(-2014, "API-key format invalid.", 401)
        known = self._keys.get(key)
        if known is None:
            raise refused_key()
        return known

    def check(self, key: str | None, payload: bytes, signature: str) -> int:
        """Return the account whose key made `signature`. Raises ApiError -2014, -2015 or -1022."""
        account, verifier = self.find(key)
        if not verifier.verifies(payload, signature):
            raise ApiError(-1022, "Signature for this request is not valid.")
        return account


def refused_key() -> ApiError:
    """The key is unknown, revoked or has not the right."""
    return ApiError(-2015, "Invalid API-key, IP, or permissions for action.", 401)


def rest_payload(query: str, body: str) -> tuple[bytes, str | None]:
    """Return what a REST request has to sign - query and body as transmitted, joined by nothing - and its signature.

    The signature comes back as transmitted too, percent-encoded.
    """
    parts, signature = [], None
    for text in (query, body):
        kept = []
        for pair in text.split("&"):
            name, _, value = pair.partition("=")
            if name == "signature":
                signature = signature or value
            else:
                kept.append(pair)
        parts.append("&".join(kept))
    return "".join(parts).encode(), signature


def socket_payload(params: Mapping[str, Any]) -> bytes:
    """Return what a request of the WebSocket API has to sign: everything but the signature, sorted, not encoded."""
    pairs = sorted((name, value) for name, value in params.items() if name != "signature")
    return "&".join(f"{name}={value}" for name, value in pairs).encode()


def check_time(timestamp_ms: Decimal, window_ms: Decimal, server_ms: Decimal) -> None:
    """Refuse what was sent too long ago or comes from the future. Raises ApiError -1021. All in ms."""
    if timestamp_ms >= server_ms + AHEAD_MS:
        raise ApiError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if server_ms - timestamp_ms > window_ms:
        raise ApiError(-1021, "Timestamp for this request is outside of the recvWindow.")
