"""`conclave status`: services, feeds, accounts, rate limits and halts of the running stack."""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.request
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from console.context import running_bus, running_var
from console.dashboard import make_console
from console.money import Endpoints, money, running_endpoints
from console.views import ledger, table, utc
from libs.common import runtime
from libs.common.bus import Bus
from libs.common.embedded.stack import SERVICES, ready_reasons
from libs.core.types import AccountState, FeedHealth, Instrument, to_json

KILL_BUCKET: Final = "kill"
SPENDERS: Final = ("ingest", "execute")
"""Services that talk to venues, and so spend from rate limits."""

BUDGET: Final = "conclave_venue_budget_"


@dataclass(frozen=True)
class Spent:
    """A rate limit as a service spends from it."""

    service: str
    venue: str
    budget: str
    used: float
    limit: float
    waiting: float
    blocked_seconds: float


@dataclass(frozen=True)
class Status:
    """The stack as it stands. `services`: why each is not ready; `live`: how live accounts compare with the venue."""

    services: dict[str, list[str]]
    feeds: list[FeedHealth]
    accounts: list[AccountState]
    live: dict[str, dict[str, Any]]
    budgets: list[Spent]
    halts: dict[str, str]
    endpoints: Endpoints


async def run_status(as_json: bool) -> None:
    """Print it, for people or as JSON."""
    status = await read_status()
    if not as_json:
        _show(status, make_console())
        return
    facts = {
        "services": {name: {"ready": not reasons, "reasons": reasons} for name, reasons in status.services.items()},
        "feeds": [json.loads(to_json(health)) for health in status.feeds],
        "accounts": [
            {**json.loads(to_json(account)), "money": money(account.mode, account.venue, status.endpoints)}
            for account in status.accounts
        ],
        "live": status.live,
        "budgets": msgspec.to_builtins(status.budgets),
        "halts": status.halts,
    }
    sys.stdout.write(json.dumps(facts) + "\n")


async def read_status() -> Status:
    """Ask services, ledger and kill switch. Raises CommandError: no stack runs."""
    urls = {name: facts.get("http", "") for name, facts in runtime.read_services(running_var()).items()}
    services = {
        name: (await asyncio.to_thread(ready_reasons, urls[name])) if name in urls else ["not started"]
        for name in SERVICES
    }
    async with running_bus() as (bus, _):
        accounts: list[AccountState] = list((await ledger(bus, "account.>", "account")).values())
        feeds = await _newest_feeds(bus)
        halts = {key: await bus.kv_get(KILL_BUCKET, key) for key in await bus.kv_keys(KILL_BUCKET)}
    budgets = [row for name in SPENDERS if name in urls for row in await asyncio.to_thread(_budgets, name, urls[name])]
    live = await asyncio.to_thread(_live, urls["execute"]) if "execute" in urls else {}
    shown = {key: (value or b"").decode(errors="replace") for key, value in halts.items()}
    return Status(services, feeds, accounts, live, budgets, shown, running_endpoints())


async def _newest_feeds(bus: Bus) -> list[FeedHealth]:
    newest: dict[str, FeedHealth] = {}
    subjects: set[str] = set()
    async for item in bus.read(["md.instrument.>"]):
        if isinstance(item.event, Instrument):
            subjects.add(item.subject.replace("md.instrument.", "md.health."))
    for subject in sorted(subjects):
        found = await bus.last(subject)
        if found is not None:
            newest[subject] = found.event
    return list(newest.values())


def _budgets(service: str, url: str) -> list[Spent]:
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for family in text_string_to_metric_families(_get(f"{url}/metrics")):
        if family.name.startswith(BUDGET):
            for sample in family.samples:
                key = sample.labels["venue"], sample.labels["budget"]
                rows.setdefault(key, {})[family.name.removeprefix(BUDGET)] = sample.value
    return [Spent(service, venue, budget, **values) for (venue, budget), values in rows.items()]


def _live(url: str) -> dict[str, dict[str, Any]]:
    try:
        found = json.loads(_get(f"{url}/info") or "{}").get("live", {})
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _get(url: str) -> str:
    """The body of an answer; "" when the service does not answer, which its own line already says."""
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def _show(status: Status, console: Console) -> None:
    out = table("services", "service", "state", "reasons")
    for name, reasons in status.services.items():
        out.add_row(name, "[green]ready[/green]" if not reasons else "[red]not ready[/red]", "; ".join(reasons))
    console.print(out)
    out = table("feeds", "venue", "symbol", "state", "score", "stale s", "gaps", "late", "rejected", "detail")
    for h in status.feeds:
        counts = (f"{h.gaps}", f"{h.late}", f"{h.rejected}")
        out.add_row(h.venue, h.symbol, h.state.value, f"{h.score:.2f}", f"{h.staleness_s:.1f}", *counts, h.detail)
    console.print(out)
    out = table("accounts", "account", "money", "equity", "today", "drawdown", "trades today")
    for a in status.accounts:
        drawdown = 1 - a.equity / a.peak_equity if a.peak_equity else 0
        today = f"{a.equity - a.day_start_equity:+,.2f}"
        kind = money(a.mode, a.venue, status.endpoints)
        out.add_row(a.account, kind, f"{a.equity:,.2f} {a.currency}", today, f"{drawdown:.2%}", f"{a.trades_today}")
    console.print(out)
    if status.live:
        out = table(
            "accounts at their venues", "account", "venue", "private stream", "ledger against venue", "compared"
        )
        for account, facts in status.live.items():
            told = (str(facts.get(name, "–")) for name in ("venue", "private_stream", "ledger"))
            out.add_row(account, *told, utc(int(facts.get("compared_at") or 0)))
        console.print(out)
    if status.budgets:
        out = table("rate limits", "service", "venue", "limit", "used", "of", "waiting", "blocked s")
        for b in status.budgets:
            blocked = f"[red]{b.blocked_seconds:.0f}[/red]" if b.blocked_seconds else "–"
            out.add_row(
                b.service,
                b.venue,
                b.budget.removeprefix(f"{b.venue} "),
                f"{b.used:g}",
                f"{b.limit:g}",
                f"{b.waiting:g}",
                blocked,
            )
        console.print(out)
    for scope, what in status.halts.items():
        console.print(f"[red]stopped[/red] {scope}: {what}")
