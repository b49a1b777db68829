"""The accounts as the Options API knows them, and the one-time passwords that open a connection to one."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from services.simulator.deriv.accounts import CURRENCY, Account

Kind = Literal["demo", "real"]
OTP_SECS: Final = 120.0
MAX_OTPS: Final = 1_000


@dataclass(frozen=True, slots=True)
class OptionsAccount:
    """An account by the id that this API gives it; the demo one is the money that v3 knows by a loginid."""

    account_id: str
    kind: Kind
    account: Account

    def row(self) -> dict[str, Any]:
        """Return what the account list says of it."""
        return {
            "account_id": self.account_id,
            "account_type": self.kind,
            "balance": float(self.account.balance),
            "currency": CURRENCY,
            "group": "row",
            "status": "active",
        }


def demo_id(loginid: str) -> str:
    """Return the id that this API gives to the demo account of a v3 loginid: VRTC1859315 is DOT91859315."""
    return "DOT9" + loginid.removeprefix("VRTC")


def real_id(loginid: str) -> str:
    """Return the id of the real account of the same user, which v3 does not know."""
    return "ROT9" + loginid.removeprefix("VRTC")


class Directory:
    """The user's accounts and the passwords handed out for them."""

    def __init__(self, demo: Account, real: Account | None, open_real: Callable[[], Account]) -> None:
        """`open_real` makes the real account when the user asks for one."""
        self._demo = demo
        self._real = real
        self._open_real = open_real
        self._passwords: dict[str, tuple[OptionsAccount, float]] = {}

    def all(self) -> list[OptionsAccount]:
        """Return the accounts, the demo one first."""
        demo = OptionsAccount(demo_id(self._demo.loginid), "demo", self._demo)
        return [demo] if self._real is None else [demo, OptionsAccount(self._real.loginid, "real", self._real)]

    def find(self, account_id: str) -> OptionsAccount | None:
        """Return the account of an id, or None."""
        return next((held for held in self.all() if held.account_id == account_id), None)

    def open(self, kind: Kind) -> tuple[OptionsAccount, bool]:
        """Return the account of a kind and whether it was opened just now. Raises OSError when it cannot be kept."""
        new = kind == "real" and self._real is None
        if new:
            self._real = self._open_real()
        return next(held for held in self.all() if held.kind == kind), new

    def issue(self, held: OptionsAccount, now: float) -> str:
        """Return a password for one connection to an account, good for OTP_SECS from `now` (seconds)."""
        while len(self._passwords) >= MAX_OTPS:
            del self._passwords[next(iter(self._passwords))]
        password = secrets.token_urlsafe(24)
        self._passwords[password] = (held, now + OTP_SECS)
        return password

    def redeem(self, password: str, kind: Kind, now: float) -> OptionsAccount | None:
        """Return the account that a password opens at `now` (seconds), once; None when it opens none of that kind."""
        held, until = self._passwords.pop(password, (None, 0.0))
        return held if held is not None and held.kind == kind and now < until else None


def same(given: str, wanted: str) -> bool:
    """Compare a credential without telling by time how much of it was right."""
    return hmac.compare_digest(given.encode(), wanted.encode())
