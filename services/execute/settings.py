"""Execute's part of the configuration, as the stage's own config; what live trading needs before it may start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from libs.common import runtime
from libs.common.chassis import FatalError
from libs.common.credentials import credentials_for
from libs.common.secrets import SecretError
from libs.common.settings import AccountSettings, Settings, VenueSettings
from libs.core.fills.models import PaperCosts
from libs.core.stages.execute_state import ExecuteAccount, ExecuteConfig
from libs.core.types import Mode
from libs.venues.base import Trading
from libs.venues.credentials import Credentials
from libs.venues.registry import is_real, make_trading

CONFIRM = "CONCLAVE_CONFIRM_LIVE"
"""Set to 1 by `--confirm`: somebody has said that real orders may be sent."""


def execute_config(
    settings: Settings, cash: Mapping[str, Decimal], public_keys: Mapping[str, str] | None = None
) -> ExecuteConfig:
    """What the stage is built from.

    cash: what the venues of live accounts hold, in place of the configured capital. public_keys: PEM by key id.
    """
    trading = settings.trading
    paper = trading.paper
    return ExecuteConfig(
        accounts=tuple(
            ExecuteAccount(
                id=account.id,
                venue=account.venue,
                currency=account.currency,
                capital=cash.get(account.id, account.capital),
            )
            for account in trading.accounts
        ),
        mode=Mode(trading.mode),
        costs=PaperCosts(
            latency_ms=paper.latency_ms,
            slippage_bps=paper.slippage_bps,
            spread_bps=paper.spread_bps,
            fee_bps=dict(paper.fee_bps),
        ),
        equity_every_s=trading.equity_every_s,
        public_keys=dict(public_keys or {}),
        accept_exploring=not settings.spends_real_money,
    )


def venue_of(settings: Settings, name: str) -> VenueSettings:
    """The settings of an account's venue (the configuration has checked that there is one)."""
    return next(venue for venue in settings.data.venues if venue.name == name)


def live_tradings(settings: Settings, var: Path) -> dict[str, Trading]:
    """The order adapter of every account, by account id; {} in paper mode.

    Raises:
        FatalError: live trading was not confirmed, credentials are missing, or a venue takes no orders; one line.
    """
    if settings.trading.mode != "live":
        return {}
    if os.environ.get(CONFIRM) != "1":
        raise FatalError(
            "trading.mode is live, which sends real orders, and nobody confirmed it; "
            f"start with --confirm (or set {CONFIRM}=1), or set trading.mode to paper"
        )
    return {account.id: _trading(settings, account, var) for account in settings.trading.accounts}


def _trading(settings: Settings, account: AccountSettings, var: Path) -> Trading:
    venue = venue_of(settings, account.venue)
    urls = runtime.venue_urls(var, venue.name, venue.endpoint, venue.urls, venue.api)
    if venue.endpoint == "simulator":
        if not urls:
            raise FatalError(f"account {account.id}: no simulator is running in {var}; start it with conclave up")
        if is_real(venue.name, urls):
            raise FatalError(f"account {account.id}: data.venues.urls of {venue.name} are real; set endpoint: live")
    try:
        return make_trading(
            venue.name,
            api=venue.api,
            endpoint=venue.endpoint,
            endpoints=urls,
            credentials=Credentials(**credentials_for(venue, var)),
            currency=account.currency,
            product=account.product,
            duration=account.duration,
            duration_unit=account.duration_unit,
            simulator=venue.endpoint == "simulator",
        )
    except (ValueError, SecretError) as err:
        raise FatalError(f"account {account.id}: {err}") from None
