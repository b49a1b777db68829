"""Secrets from the environment, a file that it names, var/secrets, or the encrypted store; never from the config."""

from __future__ import annotations

import os
from pathlib import Path

from libs.common.vault import KEY_NAME, VAULT_NAME, Vault, VaultError, names_in


class SecretError(Exception):
    """A secret is missing or unreadable; the text is one line for people."""


def read_secret(name: str, var: Path) -> str | None:
    """`NAME`, else the file in `NAME_FILE`, else `<var>/secrets/NAME`, else the encrypted store; None without any.

    Raises:
        SecretError: a file is named and cannot be read, or the encrypted store holds it and cannot be opened.
    """
    found = _read_plain(name, var)
    return found if found is not None else _read_vault(name, var)


def vault_key() -> str | None:
    """The key of the encrypted store, from CONCLAVE_SECRETS_KEY or the file that CONCLAVE_SECRETS_KEY_FILE names.

    Raises:
        SecretError: the named file cannot be read.
    """
    return _from_environment(KEY_NAME)


def _read_vault(name: str, var: Path) -> str | None:
    path = var / VAULT_NAME
    try:
        if not path.exists() or name not in names_in(path):
            return None
        key = vault_key()
        if key is None:
            raise SecretError(f"{name} is in the encrypted store {path}; set {KEY_NAME} or {KEY_NAME}_FILE to open it")
        return Vault(path, key).get(name)
    except VaultError as err:
        raise SecretError(str(err)) from None


def _read_plain(name: str, var: Path) -> str | None:
    found = _from_environment(name)
    return found if found is not None else _from_file(name, var / "secrets" / name)


def _from_environment(name: str) -> str | None:
    if value := os.environ.get(name):
        return value
    named = os.environ.get(f"{name}_FILE")
    if not named:
        return None
    if not Path(named).exists():
        raise SecretError(f"{name}_FILE names {named}, which does not exist")
    return _from_file(name, Path(named))


def _from_file(name: str, path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as err:
        raise SecretError(f"{name} cannot be read from {path}: {err}") from None


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(text)
    draft.replace(path)
