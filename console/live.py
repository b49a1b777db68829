"""`conclave live`: real orders, after consent, credentials, a connectivity trade, and only on arms with evidence."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import json
import time
from pathlib import Path

import yaml
from rich.console import Console

from console.context import ROOT, CommandError, default_config
from console.dashboard import make_console
from console.demo import make_folder, run_stack
from console.smoke import SmokeFailed, connectivity_trade
from console.summary import print_summary
from libs.common.bus import NatsBus
from libs.common.credentials import credentials_for
from libs.common.embedded.stack import Stack, StackOptions
from libs.common.evidence import Arm, configured_arms, only_arms, passing_arms
from libs.common.secrets import write_private
from libs.common.settings import Settings, load_settings

ACCEPTED = "accepted-risk.json"
RUN_CONFIG = "config.live.yaml"
DISCLAIMER = """\
Live trading sends real orders and can lose all the money in the account, faster than you can watch.
Simulated and past results say little about future ones. Leveraged contracts lose their whole stake at the stop-out.
This software comes without any warranty; nobody but you answers for its orders, nor checks that you may trade there.
Keep in the account only what you can afford to lose, and know how to halt: conclave halt --reason WHY --flatten."""

NAMES = {
    "deriv": "DERIV_TOKEN",
    "binance": "BINANCE_API_KEY and BINANCE_SECRET_KEY (or BINANCE_PRIVATE_KEY)",
    "alpaca": "ALPACA_API_KEY and ALPACA_SECRET_KEY",
}


async def run_live(config: Path | None, *, confirm: bool, accept_risk: bool) -> int:
    """The embedded stack in live mode; 0 also when there was nothing to trade after the connectivity trade."""
    console = make_console()
    path = config or default_config()
    settings = load_settings(path)
    var = settings.platform.var if settings.platform.var.is_absolute() else ROOT / settings.platform.var
    if not confirm:
        raise CommandError("live trading needs --confirm: orders will be real at every venue whose endpoint is live")
    make_folder(var)
    check_consent(var, accept_risk, console)
    live = settings.model_copy(update={"trading": settings.trading.model_copy(update={"mode": "live"})})
    check_credentials(live, var)
    arms = passing_arms(configured_arms(live), var, time.time_ns())
    chosen = only_arms(live, arms)
    run_config = var / RUN_CONFIG
    run_config.write_text(yaml.safe_dump(chosen.model_dump(mode="json"), sort_keys=False), encoding="utf-8")
    simulator: dict[str, str] | None = (
        {} if any(venue.endpoint == "simulator" and not venue.urls for venue in live.data.venues) else None
    )
    options = StackOptions(run_config, var, ROOT, simulator, confirm_live=True, ports=live.platform.http_ports)

    failures: list[str] = []

    async def first(stack: Stack, bus: NatsBus, stop: asyncio.Event) -> bool:
        try:
            return await _prove_the_way(chosen, arms, stack, bus, stop, console)
        except SmokeFailed as err:
            failures.append(str(err))  # said after the stack has drained
            return False

    stack = Stack(chosen, options)
    title = "conclave · live"
    outcome = await run_stack(stack, console, None, var, title=title, ends=False, record=False, first=first)
    print_summary(outcome.summary, console)
    if failures:
        raise CommandError(failures[0])
    return 0


async def _prove_the_way(
    settings: Settings, arms: list[Arm], stack: Stack, bus: NatsBus, stop: asyncio.Event, console: Console
) -> bool:
    for account in settings.trading.accounts:
        console.print(f"[bold]connectivity trade[/bold] of {account.id} at {account.venue}: the smallest one")
        said = await connectivity_trade(settings, account, stack.var, bus, stop, console)
        console.print(f"  [green]{said}[/green]")
    if not arms:
        console.print(
            "no arm (strategy, symbol, interval) has a passing evidence verdict on record, so nothing is traded live; "
            "paper trading needs none: conclave paper"
        )
        return False
    listed = ", ".join(f"{arm.strategy} on {arm.symbol} {arm.interval}" for arm in arms)
    console.print(f"trading live the {len(arms)} arms with a passing verdict: {listed}")
    return True


def check_consent(var: Path, accept: bool, console: Console) -> None:
    """The disclaimer must have been accepted once, in this wording.

    Raises:
        CommandError: it was not.
    """
    path, wording = var / ACCEPTED, hashlib.sha256(DISCLAIMER.encode()).hexdigest()[:16]
    try:
        accepted = json.loads(path.read_text(encoding="utf-8")).get("wording") == wording
    except (OSError, ValueError, AttributeError):
        accepted = False
    if accepted:
        return
    console.print(DISCLAIMER)
    if not accept:
        raise CommandError("the risk has not been accepted; read the above, then start once with --accept-risk")
    stamp = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    write_private(path, json.dumps({"wording": wording, "accepted": stamp}))
    console.print(f"accepted at {stamp}; recorded in {path}")


def check_credentials(settings: Settings, var: Path) -> None:
    """Every account that trades live has credentials.

    Raises:
        CommandError: one has none; says which variables to set.
        SecretError: one cannot be read.
    """
    venues = {venue.name: venue for venue in settings.data.venues}
    for account in settings.trading.accounts:
        venue = venues[account.venue]
        if venue.endpoint == "simulator" or credentials_for(venue, var).keys() & {"token", "key"}:
            continue
        known = NAMES.get(venue.name, "BROKER_API_KEY and BROKER_SECRET_KEY")
        raise CommandError(
            f"account {account.id} at {venue.name} has no credentials; set {known} in the environment, "
            f"as NAME_FILE, in {var / 'secrets'}, or with `conclave secrets set`"
        )
