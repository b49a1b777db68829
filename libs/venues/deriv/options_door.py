"""The door of the Options API: which account, and a one-time password for each connection."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec

from libs.venues.budget import Priority
from libs.venues.credentials import Credentials
from libs.venues.deriv.limits import Bucket, Limits
from libs.venues.errors import VenueRefused, VenueUnavailable
from libs.venues.pace import is_loopback

TIMEOUT_S: Final = 10.0
LONGEST: Final = 1024 * 1024
"""Bytes of an answer; more is none."""


class _Account(msgspec.Struct):
    account_id: str
    account_type: str
    status: str = "active"
    currency: str = ""


class _Accounts(msgspec.Struct):
    data: list[_Account]


class _Password(msgspec.Struct):
    url: str


class _PasswordAnswer(msgspec.Struct):
    data: _Password


class _Problem(msgspec.Struct):
    code: str = ""
    message: str = ""


class _Problems(msgspec.Struct):
    errors: list[_Problem] = []


class OptionsDoor:
    """Chooses the account once, and asks for a new password for every connection."""

    def __init__(self, rest: str, credentials: Credentials, limits: Limits, *, account_type: str = "") -> None:
        """`account_type`: demo, real, or "" = either, demo first."""
        self._rest = rest.rstrip("/")
        self._credentials = credentials
        self._limits = limits
        self._account_type = account_type
        self._account_id = ""
        self._session: aiohttp.ClientSession | None = None

    async def url(self) -> str:
        """The address of the next connection, good for one use within two minutes.

        Raises:
            VenueRefused: the token, the application or the account is not accepted. VenueUnavailable: try later.
        """
        if not self._account_id:
            self._account_id = self._choose((await self._ask("GET", "/accounts", _Accounts)).data)
        answer = await self._ask("POST", f"/accounts/{quote(self._account_id, safe='')}/otp", _PasswordAnswer)
        address: str = answer.data.url
        if not _is_socket(address):
            raise VenueUnavailable("Deriv's one-time password came without an address to connect to; try again")
        return address

    def _choose(self, accounts: list[_Account]) -> str:
        """The account to trade; play money wins over real money wherever nobody said which."""
        wanted, kind = self._credentials.account_id, self._account_type
        fitting = [row for row in accounts if row.status == "active" and kind in ("", row.account_type)]
        if wanted:
            if any(row.account_id == wanted for row in fitting):
                return wanted
            raise VenueRefused(
                f"Deriv has no active {kind or 'options'} account {wanted} for this token; check DERIV_ACCOUNT_ID "
                f"(it has: {_named(accounts)})",
                "AccountNotFound",
            )
        demo = [row for row in fitting if row.account_type == "demo"]
        for group in (demo, fitting):
            if len(group) == 1:
                return group[0].account_id
            if group:
                raise VenueRefused(
                    f"several Deriv accounts fit: {_named(group)}; set DERIV_ACCOUNT_ID to one of them", "ManyAccounts"
                )
        raise VenueRefused(
            f"this Deriv token has no active {kind or 'options'} account (it has: {_named(accounts)}); open one or "
            "change the endpoint",
            "AccountNotFound",
        )

    async def _ask(self, method: str, path: str, answer: type[Any]) -> Any:
        """The decoded body of a successful answer."""
        await self._limits.take(Bucket.REST, Priority.EXIT)
        try:
            async with self._open().request(method, self._rest + path) as response:
                body = await response.content.read(LONGEST)
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as err:
            raise VenueUnavailable(f"no answer from Deriv at {self._rest}: {err or type(err).__name__}") from err
        if status >= 400:
            raise self._problem(status, body)
        try:
            return msgspec.json.decode(body, type=answer, strict=False)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as err:
            raise VenueUnavailable(f"Deriv's answer to {path.rpartition('/')[2]} cannot be read: {err}") from err

    def _problem(self, status: int, body: bytes) -> Exception:
        try:
            problems = msgspec.json.decode(body, type=_Problems, strict=False).errors
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            problems = []
        first = problems[0] if problems else _Problem()
        told = " ".join(first.message.split())[:300] or "no reason given"
        if status == 429:
            self._limits.refused(Bucket.REST)
        if status == 429 or status >= 500:
            return VenueUnavailable(f"Deriv answered {status}: {told}")
        if status in (401, 403):
            text = f"Deriv refused the login ({status}: {told}); check DERIV_TOKEN and DERIV_APP_ID"
            return VenueRefused(text, first.code or str(status))
        self._account_id = ""
        return VenueRefused(f"Deriv refused the login ({status}: {told})", first.code or str(status))

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            headers = {"Authorization": f"Bearer {self._credentials.token}"}
            if self._credentials.app_id:
                headers["Deriv-App-ID"] = self._credentials.app_id
            self._session = aiohttp.ClientSession(
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
                trust_env=not is_loopback(self._rest),
            )
        return self._session

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


def _is_socket(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in ("ws", "wss") and bool(parts.hostname)
    except ValueError:
        return False


def _named(accounts: list[_Account]) -> str:
    return ", ".join(f"{row.account_id} ({row.account_type})" for row in accounts[:10]) or "none"
