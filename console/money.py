"""With what money an account trades, in the words of every table: what is simulated never reads as live."""

from __future__ import annotations

from collections.abc import Mapping

from console.context import CommandError, running_var
from libs.common import runtime
from libs.common.settings import Settings
from libs.core.types import Mode

Endpoints = Mapping[str, str]
"""Venue to the endpoint of its settings: simulator, testnet or live."""

SIMULATED = "simulated money"
_AT_A_VENUE = {"simulator": SIMULATED, "testnet": "play money"}


def money(mode: Mode, venue: str, endpoints: Endpoints) -> str:
    """paper, simulated money or play money; live, also where nobody knows which endpoint it is."""
    return mode.value if mode is Mode.PAPER else _AT_A_VENUE.get(endpoints.get(venue, ""), mode.value)


def marked(account: str, mode: Mode, venue: str, endpoints: Endpoints) -> str:
    """The account, and with what it trades unless that is paper."""
    return account if mode is Mode.PAPER else f"{account} ({money(mode, venue, endpoints)})"


def mode_title(settings: Settings) -> str:
    """The mode of a whole stack: paper, simulated money, or live as soon as one account may be."""
    if settings.trading.mode == "live" and not settings.spends_real_money:
        return SIMULATED
    return settings.trading.mode


def endpoints_of(settings: Settings) -> dict[str, str]:
    """The endpoint of every venue of a configuration."""
    return {venue.name: venue.endpoint for venue in settings.data.venues}


def running_endpoints() -> dict[str, str]:
    """The endpoints of the stack that runs on this machine; {} where it does not say."""
    try:
        told = runtime.read_stack(running_var()).get("endpoints", {})
    except CommandError:
        return {}
    return dict(told) if isinstance(told, dict) else {}
