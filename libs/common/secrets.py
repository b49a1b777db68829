"""Secrets from the environment, from a file that the environment names, or from var/secrets; never from the config."""

from __future__ import annotations

import os
from pathlib import Path


class SecretError(Exception):
    """A secret is missing or unreadable; the text is one line for people."""


def read_secret(name: str, var: Path) -> str | None:
    """`NAME`, else the file in `NAME_FILE`, else `<var>/secrets/NAME`; None when there is none.

    Raises:
        SecretError: a file is named and cannot be read.
    """
    if value := os.environ.get(name):
        return value
    named = os.environ.get(f"{name}_FILE")
    path = Path(named) if named else var / "secrets" / name
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        if named:
            raise SecretError(f"{name}_FILE names {path}, which does not exist") from None
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
