"""`conclave explain`: the decision passport, from the ticks that were known to the money that moved."""

from __future__ import annotations

import itertools
import json
import math
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.tree import Tree

from console.context import DEMO, CommandError, base_var, running_bus, running_var
from console.dashboard import make_console
from console.recorder import SESSIONS, collect, latest_session
from console.views import utc
from libs.core.types import (
    Bar,
    Event,
    Features,
    FeedHealth,
    Fill,
    Forecast,
    Order,
    Permit,
    Position,
    Signal,
    Ticks,
    Verdict,
    interval_token,
    to_json,
)
from libs.research.session import Message, SessionError, read_session

MIN_PREFIX = 6


@dataclass
class Passport:
    """Everything that belongs to one decision."""

    signal: Signal | None = None
    features: Features | None = None
    bar: Bar | None = None
    forecasts: list[Forecast] = field(default_factory=list)
    verdict: Verdict | None = None
    permit: Permit | None = None
    orders: list[Order] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)
    ticks: list[Ticks] = field(default_factory=list)
    health: list[FeedHealth] = field(default_factory=list)
    captured_ns: int = 0

    def events(self) -> list[Event]:
        """The chain in causal order."""
        singles = (self.bar, self.features, self.signal, self.verdict, self.permit)
        head: list[Event] = [*self.ticks, *self.health]
        chain: list[Event] = [event for event in singles if event is not None]
        return [*head, *chain[:2], *self.forecasts, *chain[2:], *self.orders, *self.fills, *self.positions]


class Archive:
    """All events by id, and those of an intent."""

    def __init__(self, messages: Iterable[Message]) -> None:
        self.by_id: dict[str, Any] = {}
        self.captured: dict[str, int] = {}
        self.by_intent: dict[str, list[Any]] = defaultdict(list)
        for message in messages:
            if message.subject.split(".", 1)[0] in ("applied", "dlq"):
                continue
            event = message.event()
            if event.id not in self.by_id:
                self.by_id[event.id] = event
                self.captured[event.id] = message.stream_ns
                intent = getattr(event, "intent_id", "") or (event.position_id if isinstance(event, Position) else "")
                if intent:
                    self.by_intent[intent].append(event)

    def find(self, prefix: str) -> Any:
        """The decision that an id or its beginning names.

        Raises:
            CommandError: too short, unknown or ambiguous.
        """
        if len(prefix) < MIN_PREFIX:
            raise CommandError(f"give at least {MIN_PREFIX} digits of the id")
        kinds = (Signal, Verdict, Permit, Order, Fill, Position)
        found = {
            self._decision_of(event): event
            for key, event in self.by_id.items()
            if isinstance(event, kinds) and (key.startswith(prefix) or _intent(event).startswith(prefix))
        }
        if not found:
            raise CommandError(f"no order, intent, signal or verdict begins with {prefix}; see `conclave orders`")
        if len(found) > 1:
            raise CommandError(f"{prefix} is the beginning of {len(found)} decisions; give more digits")
        return next(iter(found.values()))

    def _decision_of(self, event: Any) -> str:
        match event:
            case Verdict():
                return event.signal_id
            case Permit():
                return event.verdict.signal_id
            case Signal():
                return event.id
        intent = _intent(event)
        permit = self.by_id.get(intent)
        return permit.verdict.signal_id if isinstance(permit, Permit) else intent

    def passport(self, prefix: str) -> Passport:
        """The chain around the decision that `prefix` names."""
        event = self.find(prefix)
        decision = self._decision_of(event)
        made = Passport()
        made.signal = self._get(decision, Signal)
        for other in self.by_id.values():
            if isinstance(other, Verdict) and other.signal_id == decision:
                made.verdict = other
        intent = made.verdict.intent_id if made.verdict and made.verdict.intent_id else _intent(event)
        made.permit = self._get(intent, Permit)
        for item in self.by_intent.get(intent, ()):
            match item:
                case Order():
                    made.orders.append(item)
                case Fill():
                    made.fills.append(item)
                case Position():
                    made.positions.append(item)
        if made.orders:
            first = made.orders[0]
            made.captured_ns = self.captured[first.id]
            made.ticks = [t for key in first.ticks if (t := self._get(key, Ticks))]
            made.health = [h for key in first.ticks if (h := self._get(key, FeedHealth))]
        for cause in made.signal.cause if made.signal else ():
            found = self.by_id.get(cause)
            if isinstance(found, Features):
                made.features = found
                made.bar = next((bar for key in found.cause if (bar := self._get(key, Bar))), None)
            elif isinstance(found, Forecast):
                made.forecasts.append(found)
        return made

    def _get(self, key: str, kind: type[Any]) -> Any:
        found = self.by_id.get(key)
        return found if isinstance(found, kind) else None


def _intent(event: Any) -> str:
    if isinstance(event, Permit):
        return event.id
    if isinstance(event, Position):
        return event.position_id
    return str(getattr(event, "intent_id", ""))


async def run_explain(identity: str, session: Path | None, as_json: bool) -> None:
    """Find and print the passport."""
    passport = (await _archive(session)).passport(identity)
    if as_json:
        chain = [json.loads(to_json(event)) for event in passport.events()]
        sys.stdout.write(json.dumps({"chain": chain, "stages_ms": stage_times(passport)}) + "\n")
        return
    make_console().print(passport_tree(passport))


async def _archive(session: Path | None) -> Archive:
    if session is None:
        try:
            running_var()
        except CommandError:
            found = latest_session(base_var() / SESSIONS) or latest_session(base_var() / DEMO / SESSIONS)
            if found is None:
                raise
            session = found
        else:
            async with running_bus("explain") as (bus, _):
                return Archive([message async for message in collect(bus, 0)])
    try:
        return Archive(read_session(session)[1])
    except SessionError as err:
        raise CommandError(str(err)) from None


def stage_times(passport: Passport) -> dict[str, float]:
    """Milliseconds of the machine clock from one stage's output to the next."""
    marks: list[tuple[str, int]] = []
    if passport.bar is not None and passport.bar.ts_recv:
        marks.append(("received", passport.bar.ts_recv))
    singles = (("ingest", passport.bar), ("features", passport.features), ("predict", passport.signal))
    marks += [(name, event.ts_init) for name, event in singles if event is not None]
    if passport.permit is not None:
        marks.append(("risk", passport.permit.ts_init))
    elif passport.verdict is not None:
        marks.append(("risk", passport.verdict.ts_init))
    if passport.orders:
        marks.append(("execute", passport.orders[0].ts_init))
        marks.append(("in the ledger", passport.captured_ns))
    return {
        after[0]: round((after[1] - before[1]) / 1e6, 3)
        for before, after in itertools.pairwise(marks)
        if before[1] and after[1]
    }


def passport_tree(passport: Passport) -> Tree:
    """The chain for people."""
    subject = passport.signal or passport.verdict or (passport.orders[0] if passport.orders else None)
    tree = Tree(f"[bold]decision {subject.id[:12] if subject else ''}[/bold]")
    _market_branch(tree, passport)
    _forecast_branch(tree, passport)
    _decision_branch(tree, passport)
    _order_branch(tree, passport)
    times = tree.add("[bold]time in each stage[/bold], ms")
    for name, value in stage_times(passport).items():
        times.add(f"{name} {value:.3f}")
    return tree


def _market_branch(tree: Tree, passport: Passport) -> None:
    branch = tree.add("[bold]market[/bold], as known when the order was planned")
    for ticks in passport.ticks:
        last = ticks.items[-1] if ticks.items else None
        branch.add(f"ticks {ticks.id[:12]} {utc(ticks.ts_event)} {len(ticks.items)} items, last {last}")
    for health in passport.health:
        branch.add(f"feed health {health.score:.2f}, {health.state.value}, stale {health.staleness_s:.1f} s")
    if (bar := passport.bar) is not None:
        ohlc = f"O {bar.open:g} H {bar.high:g} L {bar.low:g} C {bar.close:g} V {bar.volume:g}"
        branch.add(f"bar {interval_token(bar.interval_s)} of {utc(bar.open_time)} {ohlc}")


def _forecast_branch(tree: Tree, passport: Passport) -> None:
    if passport.features is not None:
        features = passport.features
        from libs.core.features.sets import SETS

        names = next((s.names for s in SETS.values() if s.hash == features.set_hash), ())
        branch = tree.add(f"[bold]features[/bold] {features.id[:12]}, set {features.set_hash[:8]}")
        for name, value in zip(names, features.unpack(), strict=False):
            branch.add(f"{name} {value:.6g}" if math.isfinite(value) else f"{name} not known")
    branch = tree.add("[bold]votes[/bold]")
    for forecast in passport.forecasts:
        said = f"abstains: {forecast.abstention.value} {forecast.detail}" if forecast.abstention else _said(forecast)
        vote = branch.add(f"{forecast.agent} (model {forecast.model_id}): {said}")
        for share in forecast.votes:
            vote.add(f"weight {share.weight:.2f} {share.agent}: up {share.p_up:.3f}, down {share.p_down:.3f}")
    if not passport.forecasts:
        branch.add("none asked: the strategy trades on features alone")


def _said(forecast: Forecast) -> str:
    parts = []
    if forecast.p_up is not None and forecast.p_down is not None:
        parts.append(f"up {forecast.p_up:.3f}, down {forecast.p_down:.3f}, confidence {forecast.confidence:.2f}")
    if forecast.sigma is not None:
        parts.append(f"sigma {forecast.sigma:.6f}")
    if forecast.state is not None:
        parts.append(f"state {forecast.state}, probabilities {forecast.p_state}")
    if forecast.disagreement is not None:
        parts.append(f"disagreement {forecast.disagreement:.2f}")
    return "; ".join(parts)


def _decision_branch(tree: Tree, passport: Passport) -> None:
    if (signal := passport.signal) is not None:
        marked = "" if signal.evidence else " (exploring, no evidence)"
        tree.add(
            f"[bold]signal[/bold] {signal.id[:12]} {signal.strategy} {signal.action.value} {signal.side.value} "
            f"{signal.symbol} at {signal.price:g}{marked}: {signal.reason}"
        )
    if (verdict := passport.verdict) is not None:
        word = "approved" if verdict.approved else "rejected: " + ", ".join(verdict.reasons)
        branch = tree.add(f"[bold]verdict[/bold] {verdict.id[:12]} {word}, limits {verdict.limits_hash[:8]}")
        for check in verdict.checks:
            branch.add(f"{'✓' if check.ok else '✗'} {check.rule}: {check.value} (limit {check.limit})")
    if (permit := passport.permit) is not None:
        tree.add(
            f"[bold]permit[/bold] {permit.id[:12]} up to {permit.quantity.normalize():f}, "
            f"worst {permit.worst_price:f}, stop {permit.stop_price}, target {permit.target_price}, "
            f"until {utc(permit.expires)}, key {permit.key_id}"
        )


def _order_branch(tree: Tree, passport: Passport) -> None:
    branch = tree.add("[bold]order[/bold]" + ("" if passport.orders else ": none"))
    for order in passport.orders:
        branch.add(f"{utc(order.ts_event)} {order.state.value}: {order.reason} {order.venue_order_id}")
    for fill in passport.fills:
        branch.add(
            f"[bold]fill[/bold] {fill.quantity.normalize():f} at {fill.price:f}; fee {fill.fee:f}, "
            f"spread {fill.spread_cost:f}, slippage {fill.slippage_cost:f}, latency {fill.latency_ms:g} ms, "
            f"realised {fill.realised:+f} {fill.currency}"
        )
