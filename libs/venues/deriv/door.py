"""How to get to a socket of Deriv's: v3 by its address and a login, the Options API by a one-time password."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from libs.venues.credentials import Credentials
from libs.venues.deriv.limits import Limits

SHARED_APP_ID: Final = "1089"
"""Deriv's shared test id, used where nobody named one; it works with v3 alone."""


class Door(Protocol):
    """Yields the address of the next connection."""

    async def url(self) -> str:
        """Where to connect now. Raises VenueUnavailable, VenueRefused (the credentials are not accepted)."""

    async def aclose(self) -> None:
        """Close what it keeps open."""


class Address:
    """A door that is always the same: v3, and the public side of the Options API."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def url(self) -> str:
        return self._url

    async def aclose(self) -> None:
        return None


def with_app_id(url: str, app_id: str) -> str:
    """A v3 address with its application id: the one it names, else `app_id`, else the shared one."""
    if "app_id=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}app_id={app_id or SHARED_APP_ID}"


def public_door(urls: Mapping[str, str], api: str, app_id: str = "") -> Door:
    """The door to market data. `urls`: "ws"."""
    if api == "options":
        return Address(f"{urls['ws'].rstrip('/')}/public")
    return Address(with_app_id(urls["ws"], app_id))


def private_door(
    urls: Mapping[str, str], api: str, credentials: Credentials, limits: Limits, *, account_type: str = ""
) -> Door:
    """The door to an account. `urls`: "ws" (v3) or "rest" (options); `account_type` demo, real or "" = either."""
    if api == "options":
        from libs.venues.deriv.options_door import OptionsDoor  # v3 does without an HTTP client

        return OptionsDoor(urls["rest"], credentials, limits, account_type=account_type)
    return Address(with_app_id(urls["ws"], credentials.app_id))
