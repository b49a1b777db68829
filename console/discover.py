"""`conclave discover`: what the configured venues offer, each symbol verified with the venue itself."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import Progress

from console.context import ROOT, CommandError, default_config, is_alive
from console.dashboard import make_console
from console.views import table
from libs.common import runtime
from libs.common.credentials import credentials_for
from libs.common.settings import VenueSettings, load_settings
from libs.venues.base import Discovery, Offering, VenueError
from libs.venues.credentials import Credentials
from libs.venues.registry import make_market_data
from services.simulator.app import Simulator
from services.simulator.settings import SimulatorOptions


async def run_discover(config: Path | None, venues: list[str], symbols: list[str], as_json: bool) -> None:
    """Ask every configured venue (or those named) what it offers (on `symbols`) and print it."""
    settings = load_settings(config or default_config())
    var = settings.platform.var if settings.platform.var.is_absolute() else ROOT / settings.platform.var
    known = [venue.name for venue in settings.data.venues]
    if strange := [name for name in venues if name not in known]:
        raise CommandError(f"the configuration names no venue {', '.join(strange)}; it names {', '.join(known)}")
    chosen = [venue for venue in settings.data.venues if not venues or venue.name in venues]
    found: dict[str, list[Offering]] = {}
    async with _doors(chosen, var) as doors:
        for venue in chosen:
            found[venue.name] = await _ask(venue, doors[venue.name], symbols)
    if as_json:
        sys.stdout.write(json.dumps({name: [_plain(row) for row in rows] for name, rows in found.items()}) + "\n")
        return
    console = make_console()
    for venue in chosen:
        _show(venue, found[venue.name], console)


@dataclass(frozen=True)
class Door:
    """How a venue is reached."""

    urls: dict[str, str]
    credentials: Credentials


@asynccontextmanager
async def _doors(venues: list[VenueSettings], var: Path) -> AsyncIterator[dict[str, Door]]:
    """The door of each venue; that of a simulator of our own where one is wanted and none runs."""
    doors = {
        v.name: Door(runtime.venue_urls(var, v.name, v.endpoint, v.urls, v.api), Credentials(**credentials_for(v, var)))
        for v in venues
    }
    # What a simulator that has ended said of itself leads nowhere.
    runs = is_alive(int(runtime.read_simulator(var).get("pid", os.getpid())))
    homeless = [v for v in venues if v.endpoint == "simulator" and not v.urls and not (runs and doors[v.name].urls)]
    if not homeless:
        yield doors
        return
    simulator = Simulator(SimulatorOptions())
    await simulator.start()
    try:
        facts = simulator.describe()
        keys = Credentials(token=facts["token"], key=facts["key"], secret=facts["secret"])
        yield doors | {v.name: Door(runtime.simulator_urls(facts, v.name, v.api), keys) for v in homeless}
    finally:
        await simulator.stop()


async def _ask(venue: VenueSettings, door: Door, symbols: list[str]) -> list[Offering]:
    try:
        market = make_market_data(
            venue.name,
            api=venue.api,
            endpoint=venue.endpoint,
            endpoints=door.urls,
            simulator=venue.endpoint == "simulator",
            credentials=door.credentials,
        )
    except ValueError as err:
        raise CommandError(str(err)) from None
    try:
        if not isinstance(market, Discovery):
            raise CommandError(f"{venue.name} does not tell what it offers")
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(f"asking {venue.name}", total=None)

            def step(done: int, total: int) -> None:
                progress.update(task, completed=done, total=total)

            return await market.offers(symbols or None, step)
    except VenueError as err:
        raise CommandError(f"{venue.name}: {err}") from None
    finally:
        await market.aclose()


def _show(venue: VenueSettings, rows: list[Offering], console: Console) -> None:
    headings = ("symbol", "name", "submarket", "spot", "multipliers", "fee", "size", "stop-out", "reason")
    out = table(f"{venue.name} ({venue.endpoint})", *headings)
    for row in rows:
        out.add_row(
            row.symbol,
            row.name.removesuffix(" Index"),
            row.group,
            _text(row.price),
            f"{row.multipliers[0]} to {row.multipliers[-1]}" if row.multipliers else "-",
            "-" if row.fee_rate is None else f"{row.fee_rate * 100:.4f} %",
            _size(row),
            "-" if row.stop_out is None else f"{row.stop_out * 100:.2f} %",
            "[green]ok[/green]" if row.verified else f"[yellow]{row.note}[/yellow]",
        )
    console.print(out)
    verified = sum(row.verified for row in rows)
    levered = sum(bool(row.multipliers) for row in rows)
    console.print(f"{venue.name}: {len(rows)} symbols, {verified} verified, {levered} with multipliers")
    console.print("[dim]fee: of the notional, at entry; size: stake or base units; stop-out: move of the price[/dim]")


def _size(row: Offering) -> str:
    if row.min_size is None:
        return "-"
    least = f", {_text(row.min_notional)} in value" if row.min_notional else ""
    return f"{_text(row.min_size)} to {_text(row.max_size)}{least}"


def _text(number: Decimal | None) -> str:
    return "-" if number is None else f"{number.normalize():f}"


_plain: Callable[[Offering], Any] = msgspec.to_builtins
