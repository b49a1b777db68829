"""What can be wrong with the store; each class says what follows from it, each text is one line for people."""

from __future__ import annotations

from urllib.parse import urlsplit

import asyncpg


class StoreError(Exception):
    """Root: the store cannot be used as asked."""


class StoreUnreachable(StoreError):
    """No connection, or it broke: try again later; the bus keeps the data."""


class StoreRefused(StoreError):
    """Wrong user, password, database or rights: a person must change the configuration."""


class StoreFull(StoreError):
    """No space left: try again later; a person must make room."""


class StoreMismatch(StoreError):
    """The database's schema and this program do not belong together."""


class RowRefused(StoreError):
    """A value that no column can hold: drop the message, keep the rest."""


def checked(url: str) -> None:
    """Raises StoreRefused when `url` is no URL of a PostgreSQL server."""
    try:
        parts = urlsplit(url)
        if parts.scheme in ("postgres", "postgresql") and (parts.port is None or parts.port):
            return
    except ValueError as err:
        raise StoreRefused(f"platform.database_url is no PostgreSQL URL: {err}") from None
    raise StoreRefused(
        "platform.database_url is no PostgreSQL URL; write postgresql://user:password@host:port/database"
    )


def place(url: str) -> str:
    """host:port/database of a URL, without user and password."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"


def explained(err: BaseException, url: str) -> StoreError:
    """The store error that follows from whatever asyncpg or the network raised."""
    where, user = place(url), urlsplit(url).username or "(none)"
    said = " ".join(str(err).split()) or type(err).__name__
    match err:
        case StoreError():
            return err
        case asyncpg.ClientConfigurationError():
            return StoreRefused(f"store {where}: platform.database_url cannot be used: {said}")
        case asyncpg.InvalidPasswordError() | asyncpg.InvalidAuthorizationSpecificationError():
            return StoreRefused(
                f"store {where} refused the login of user {user}; check user and password in platform.database_url"
            )
        case asyncpg.InvalidCatalogNameError():
            return StoreRefused(f"store {where}: no such database; create it or correct platform.database_url")
        case asyncpg.InsufficientPrivilegeError():
            return StoreRefused(f"store {where}: user {user} lacks a right: {said}")
        case asyncpg.DiskFullError() | asyncpg.OutOfMemoryError():
            return StoreFull(f"store {where} is full: {said}; make room, the bus keeps the data until then")
        case asyncpg.PostgresError() if _is_refusal(err):
            return RowRefused(f"store {where} refused a row: {said}")
        case asyncpg.DataError() | ValueError() | OverflowError() | TypeError():
            return RowRefused(f"store {where} refused a row: {said}")
        case asyncpg.InternalClientError() | OSError() | asyncpg.InterfaceError() | asyncpg.PostgresConnectionError():
            return StoreUnreachable(f"store {where} cannot be reached ({said}); is PostgreSQL running?")
        case asyncpg.OperatorInterventionError() | asyncpg.InsufficientResourcesError():
            return StoreUnreachable(f"store {where} does not serve now ({said})")
    return StoreError(f"store {where}: {said}")


def _is_refusal(err: asyncpg.PostgresError) -> bool:
    """Class 22 (data) and 23 (integrity) blame the row."""
    return str(getattr(err, "sqlstate", "") or "")[:2] in ("22", "23")
