"""An encrypted file of secrets: AES-256-GCM, a key from environment or file, each value bound to its name."""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VAULT_NAME: Final = "secrets.vault"
KEY_NAME: Final = "CONCLAVE_SECRETS_KEY"
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
VERSION: Final = 1


class VaultError(Exception):
    """The encrypted store cannot be used; the text is one line for people."""


class _File(msgspec.Struct):
    version: int
    secrets: dict[str, str]


def new_key() -> str:
    """A fresh key, as text that goes into CONCLAVE_SECRETS_KEY or the file that CONCLAVE_SECRETS_KEY_FILE names."""
    return base64.urlsafe_b64encode(AESGCM.generate_key(bit_length=8 * KEY_BYTES)).decode()


class Vault:
    """Secrets at rest. Names are readable, values are not; without the key nothing can be read or forged."""

    def __init__(self, path: Path, key: str) -> None:
        """Raises VaultError: `key` is none."""
        try:
            raw = base64.urlsafe_b64decode(key.strip())
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) != KEY_BYTES:
            raise VaultError(f"{KEY_NAME} is not a key; make one with `conclave secrets new-key`")
        self._path, self._cipher = path, AESGCM(raw)

    def get(self, name: str) -> str | None:
        """The secret, None when there is none. Raises VaultError: damaged, or another key's."""
        sealed = _read(self._path).secrets.get(name)
        if sealed is None:
            return None
        try:
            blob = base64.urlsafe_b64decode(sealed)
            return self._cipher.decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], name.encode()).decode()
        except (InvalidTag, ValueError):
            raise VaultError(f"{name} in {self._path} cannot be opened: {KEY_NAME} is another key's") from None

    def put(self, name: str, value: str) -> None:
        """Keep a secret under its name. Raises VaultError, OSError."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, value.encode(), name.encode())
        secrets = _read(self._path).secrets | {name: base64.urlsafe_b64encode(sealed).decode()}
        _write(self._path, secrets)


def names_in(path: Path) -> list[str]:
    """Names of what is kept, without a key. Raises VaultError: damaged."""
    return sorted(_read(path).secrets)


def remove_from(path: Path, name: str) -> bool:
    """Forget a secret; False when there was none. Raises VaultError, OSError."""
    secrets = _read(path).secrets
    if name not in secrets:
        return False
    _write(path, {kept: sealed for kept, sealed in secrets.items() if kept != name})
    return True


def _read(path: Path) -> _File:
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_File)
    except FileNotFoundError:
        return _File(VERSION, {})
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as err:
        raise VaultError(f"{path} cannot be read: {err}; restore it, or remove it and set the secrets again") from None
    if found.version != VERSION:
        raise VaultError(f"{path} is of version {found.version}, this program reads version {VERSION}")
    return found


def _write(path: Path, secrets: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(msgspec.json.encode(_File(VERSION, secrets)))
        out.flush()
        os.fsync(out.fileno())
    draft.replace(path)
