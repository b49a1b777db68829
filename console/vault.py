"""`conclave secrets`: the encrypted store of credentials, and the key that opens it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from console.context import CommandError, base_var
from console.dashboard import make_console
from libs.common.secrets import vault_key
from libs.common.vault import KEY_NAME, VAULT_NAME, Vault, VaultError, names_in, new_key, remove_from

NAME = re.compile(r"[A-Z][A-Z0-9_]{1,63}")


def run_new_key(out: Path | None) -> None:
    """Print a fresh key, or write it to a file that only its owner can read; an existing file is never overwritten."""
    if out is None:
        sys.stdout.write(new_key() + "\n")
        return
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise CommandError(f"{out} exists; a key that is overwritten is lost, and all it opens with it") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(new_key() + "\n")
    make_console().print(f"wrote {out}; point {KEY_NAME}_FILE at it, and keep a copy elsewhere")


def run_set(name: str) -> None:
    """Ask for a value without showing it (or read it from a pipe) and keep it encrypted."""
    if not NAME.fullmatch(name):
        raise CommandError(f"{name!r} is no name of a secret; write for example DERIV_TOKEN")
    key = vault_key()
    if key is None:
        raise CommandError(f"{KEY_NAME} is not set; make a key with `conclave secrets new-key --out FILE`")
    given = typer.prompt(name, hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    value = str(given).strip()
    if not value:
        raise CommandError("nothing was given; nothing was changed")
    with _one_line():
        Vault(_path(), key).put(name, value)
    make_console().print(f"{name} is kept, encrypted, in {_path()}")


def run_list() -> None:
    """Names only; values are never shown."""
    with _one_line():
        for name in names_in(_path()):
            sys.stdout.write(name + "\n")


def run_remove(name: str) -> None:
    """Forget one secret."""
    with _one_line():
        if not remove_from(_path(), name):
            raise CommandError(f"{_path()} holds no {name}")
    make_console().print(f"{name} is forgotten")


def _path() -> Path:
    return base_var() / VAULT_NAME


@contextmanager
def _one_line() -> Iterator[None]:
    """Problems of the store become one line and exit code 1."""
    try:
        yield
    except VaultError as err:
        raise CommandError(str(err)) from None
