"""The table at the end of a demo: what happened, in numbers, from the recorded session."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from console.dashboard import training_line
from console.money import Endpoints, marked
from console.views import is_execution
from libs.core.types import (
    AccountState,
    Bar,
    Features,
    Fill,
    Forecast,
    Instrument,
    Mode,
    Order,
    OrderState,
    Permit,
    Signal,
    Ticks,
    Training,
    TrainingState,
    Verdict,
)
from libs.research.session import Message

STAGES = ("ingest", "features", "predict", "risk", "execute", "end to end", "order to fill")


@dataclass
class Summary:
    """What one session amounts to. Latencies in milliseconds of the machine clock, by stage."""

    endpoints: Endpoints = field(default_factory=dict)
    ticks: Counter[str] = field(default_factory=Counter)
    bars: Counter[str] = field(default_factory=Counter)
    spoken: Counter[str] = field(default_factory=Counter)
    abstained: Counter[tuple[str, str]] = field(default_factory=Counter)
    signals: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    approved: int = 0
    orders: dict[str, Order] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    written_off: list[Fill] = field(default_factory=list)
    first_account: dict[str, AccountState] = field(default_factory=dict)
    last_account: dict[str, AccountState] = field(default_factory=dict)
    latency_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    signal_ids: set[str] = field(default_factory=set)
    verdict_ids: set[str] = field(default_factory=set)
    planted: set[tuple[str, str]] = field(default_factory=set)
    heard: Counter[str] = field(default_factory=Counter)
    voted: Counter[str] = field(default_factory=Counter)
    trainings: dict[str, Training] = field(default_factory=dict)

    @property
    def unanswered(self) -> set[str]:
        """Signals without a recorded verdict."""
        return self.signal_ids - self.verdict_ids

    @property
    def planted_unfilled(self) -> set[tuple[str, str]]:
        """Venue and symbol of what is planted and had no order that went the whole way."""
        return self.planted - {(fill.venue, fill.symbol) for fill in self.fills}


def summarise(messages: Iterable[Message], endpoints: Endpoints) -> Summary:
    """Read a session once."""
    summary = Summary(endpoints)
    times: dict[str, dict[tuple[str, str, int, int], tuple[int, int]]] = defaultdict(dict)
    signals: dict[str, Signal] = {}
    permits: dict[str, Permit] = {}
    planned: dict[str, tuple[Order, int]] = {}
    for message in messages:
        if message.subject.split(".", 1)[0] in ("applied", "dlq", "ctl"):
            continue
        event: Any = message.event()
        match event:
            case Ticks():
                summary.ticks[f"{event.venue} {event.symbol}"] += len(event.items)
            case Bar():
                summary.bars[f"{event.venue} {event.symbol}"] += 1
                if event.ts_recv:
                    key = (event.venue, event.symbol, event.interval_s, event.open_time)
                    times["bar"][key] = (event.ts_recv, event.ts_init)
            case Features():
                key = (event.venue, event.symbol, event.interval_s, event.bar_time)
                times["feat"][key] = (event.ts_init, event.ts_recv)
            case Forecast():
                _forecast(summary, event)
            case Training():
                summary.trainings[event.run] = event
            case Signal():
                summary.signal_ids.add(event.id)
                summary.signals[f"{event.strategy} {event.symbol}"] += 1
                signals[event.id] = event
            case Verdict():
                summary.verdict_ids.add(event.signal_id)
                summary.approved += event.approved
                for reason in ("approved",) if event.approved else event.reasons:
                    summary.verdicts[reason] += 1
            case Permit():
                permits[event.id] = event
            case Order():
                known = summary.orders.get(event.intent_id)
                if known is None or event.revision >= known.revision:
                    summary.orders[event.intent_id] = event
                if event.state is OrderState.PLANNED:
                    planned[event.intent_id] = (event, message.stream_ns)
            case Fill():
                (summary.fills if is_execution(event) else summary.written_off).append(event)
            case AccountState():
                summary.first_account.setdefault(event.account, event)
                summary.last_account[event.account] = event
            case Instrument() if event.planted:
                summary.planted.add((event.venue, event.symbol))
    _latencies(summary, times, signals, permits, planned)
    return summary


def _forecast(summary: Summary, forecast: Forecast) -> None:
    if forecast.shadow:
        return
    if forecast.abstention is None:
        summary.spoken[forecast.agent] += 1
    else:
        summary.abstained[forecast.agent, str(forecast.abstention)] += 1
    kind, _, identity = forecast.model_id.partition(":")
    if identity and not kind.rpartition(".")[2].isdigit():  # agents that learn online have a version there, not a kind
        summary.heard[kind] += 1
        summary.voted[kind] += forecast.abstention is None


def _latencies(
    summary: Summary,
    times: dict[str, dict[tuple[str, str, int, int], tuple[int, int]]],
    signals: dict[str, Signal],
    permits: dict[str, Permit],
    planned: dict[str, tuple[Order, int]],
) -> None:
    def add(stage: str, nanos: int) -> None:
        summary.latency_ms[stage].append(nanos / 1e6)

    for key, (received, made) in times["bar"].items():
        add("ingest", made - received)
        if key in times["feat"]:
            add("features", times["feat"][key][0] - made)
    for signal in signals.values():
        key = (signal.venue, signal.symbol, signal.interval_s, signal.bar_time)
        for candidate in (key, (*key[:3], signal.bar_time - signal.interval_s * 1_000_000_000)):
            if candidate in times["feat"] and times["feat"][candidate][1]:
                add("predict", signal.ts_init - times["feat"][candidate][0])
                break
    for permit in permits.values():
        cause = signals.get(permit.verdict.signal_id)
        if cause is not None:
            add("risk", permit.ts_init - cause.ts_init)
        if permit.id in planned:
            order, captured = planned[permit.id]
            add("execute", order.ts_init - permit.ts_init)
            if order.ts_recv:
                add("end to end", captured - order.ts_recv)
    filled: set[str] = set()
    for fill in summary.fills:
        if fill.mode is Mode.LIVE and fill.intent_id in planned and fill.intent_id not in filled:
            filled.add(fill.intent_id)
            add("order to fill", fill.ts_init - planned[fill.intent_id][0].ts_init)


def quantile(values: Sequence[float], share: float) -> float:
    """The empirical quantile (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def print_summary(summary: Summary, console: Console) -> None:
    """The table for people."""
    table = Table(title="summary", box=box.SIMPLE_HEAD, title_justify="left", show_header=False)
    table.add_column("what", style="bold", no_wrap=True)
    table.add_column("numbers")
    table.add_row("ticks", _counts(summary.ticks, "none"))
    table.add_row("bars", _counts(summary.bars, "none"))
    for agent in sorted({*summary.spoken, *(agent for agent, _ in summary.abstained)}):
        silent = {reason: n for (name, reason), n in summary.abstained.items() if name == agent}
        table.add_row(f"forecasts, {agent}", f"{summary.spoken[agent]:,}")
        table.add_row("  abstained", _counts(Counter(silent), "never"))
    table.add_row("trained models that voted", _voters(summary))
    for training in summary.trainings.values():
        table.add_row("training", training_line(training))
        if training.state is TrainingState.FAILED and training.line:
            table.add_row("  not made", escape(training.line))
    table.add_row("signals", _counts(summary.signals, "none"))
    table.add_row("verdicts", _counts(summary.verdicts, "none"))
    states = Counter(order.state.value for order in summary.orders.values())
    table.add_row("orders", _counts(states, "none"))
    by_symbol = Counter(_planted(fill, summary) for fill in summary.fills)
    table.add_row("fills", _counts(by_symbol, "none"))
    if summary.written_off:
        table.add_row("written off", f"too little to be sold: {_written_off(summary.written_off)}")
    for account, last in summary.last_account.items():
        first = summary.first_account[account]
        table.add_row(
            f"P&L, {marked(account, last.mode, last.venue, summary.endpoints)}",
            f"{last.equity - first.equity:+,.2f} {last.currency} {_costs(summary.fills, last)} "
            f"(equity {last.equity:,.2f})",
        )
    console.print(table)
    _print_latency(summary, console)


def _voters(summary: Summary) -> str:
    rows = [f"{kind} on {summary.voted[kind]:,} of {bars:,} bars" for kind, bars in sorted(summary.heard.items())]
    return ", ".join(rows) or "none served"


def _written_off(remains: Iterable[Fill]) -> str:
    left: defaultdict[str, Decimal] = defaultdict(Decimal)
    for fill in remains:
        left[fill.symbol] += fill.quantity
    return ", ".join(f"{symbol} {quantity.normalize():f}" for symbol, quantity in left.items())


def _costs(fills: Iterable[Fill], account: AccountState) -> str:
    """What the venue took, or what the paper venue modelled; at a venue spread and slippage lie in the prices."""
    ours = [fill for fill in fills if fill.account == account.account]
    if account.mode is Mode.PAPER:
        modelled = sum((fill.fee + fill.spread_cost + fill.slippage_cost for fill in ours), Decimal(0))
        return f"after costs of {modelled:,.2f}"
    in_kind: defaultdict[str, Decimal] = defaultdict(Decimal)
    for fill in ours:
        if fill.fee_asset:
            in_kind[fill.fee_asset] += fill.fee_quantity
    taken = ", ".join(f"{amount.normalize():f} {asset}" for asset, amount in in_kind.items())
    fees = sum((fill.fee for fill in ours), Decimal(0))
    return f"after fees of {fees:,.2f}" + (f", {taken} of them in kind" if taken else "")


def _print_latency(summary: Summary, console: Console) -> None:
    table = Table(title="latency, ms", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("stage", style="bold")
    for name in ("p50", "p99", "n"):
        table.add_column(name, justify="right")
    for stage in STAGES:
        values = summary.latency_ms.get(stage)
        if values:
            table.add_row(stage, f"{quantile(values, 0.5):.2f}", f"{quantile(values, 0.99):.2f}", f"{len(values):,}")
    console.print(table)


def _counts(counts: Counter[str], none: str) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in counts.most_common()) or none


def _planted(fill: Fill, summary: Summary) -> str:
    unsaid = (fill.venue, fill.symbol) in summary.planted and "PLANTED" not in fill.symbol
    return f"{fill.symbol} (PLANTED)" if unsaid else fill.symbol
