"""The live terminal dashboard; plain lines where the output is no terminal."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from console.board import Board, SymbolRow
from console.money import money
from libs.core.types import FeedState, Forecast, ModelNote, Order, OrderState, Training, TrainingState, interval_token

_BLOCKS = "▁▂▃▄▅▆▇█"
_AGENTS = ("direction", "volatility", "regime", "meta")
_COUNCIL = ("trend", "pattern", "boosting", "direction", "digits", "sentiment", "volatility", "regime", "meta")
_TRAINED = ("trend", "pattern", "boosting", "digits", "sentiment")


def sparkline(values: Sequence[float], width: int = 24) -> str:
    """The last `width` values as block characters."""
    shown = [value for value in list(values)[-width:] if math.isfinite(value)]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    if high == low:
        return _BLOCKS[3] * len(shown)
    return "".join(_BLOCKS[int((value - low) / (high - low) * (len(_BLOCKS) - 1))] for value in shown)


def symbol_label(row: SymbolRow) -> Text:
    """The symbol; the planted one says so."""
    text = Text(row.symbol)
    if row.planted and "PLANTED" not in row.symbol:
        text.append(" PLANTED", style="bold magenta")
    elif row.planted:
        text.stylize("bold magenta")
    return text


def vote_text(forecast: Forecast | None) -> Text:
    """One agent's vote in a few characters."""
    if forecast is None:
        return Text("·", style="dim")
    if forecast.abstention is not None:
        return Text(forecast.abstention.value, style="dim")
    if forecast.p_up is not None and forecast.p_down is not None:
        up = forecast.p_up >= forecast.p_down
        share = max(forecast.p_up, forecast.p_down)
        return Text(f"{'▲' if up else '▼'} {share:.2f}", style="green" if up else "red")
    if forecast.state is not None and forecast.p_state:
        names = ("calm", "wild") if len(forecast.p_state) == 2 else ()
        name = names[forecast.state] if names else f"regime {forecast.state + 1}/{len(forecast.p_state)}"
        return Text(f"{name} {max(forecast.p_state):.2f}")
    if forecast.sigma is not None:
        return Text(f"σ {forecast.sigma * 1e4:.1f}bp")
    return Text("·", style="dim")


def dashboard(board: Board, services: Mapping[str, str], title: str) -> RenderableType:
    """The whole screen."""
    return Group(
        Panel(_header(board, services), title=title, box=box.ROUNDED, padding=(0, 1)),
        _market_table(board),
        *_council_table(board),
        _positions_table(board),
        _orders_table(board),
    )


def _header(board: Board, services: Mapping[str, str]) -> RenderableType:
    line = Text()
    for name, state in services.items():
        style = {"ready": "green", "down": "bold red"}.get(state, "yellow")
        line.append("● ", style=style)
        line.append(f"{name} ")
        if state != "ready":
            line.append(f"({state}) ", style=style)
    equity = Text()
    for account in board.accounts.values():
        change = account.equity - account.day_start_equity
        said = money(account.mode, account.venue, board.endpoints)
        equity.append(f"{account.account} [{said}] ", style="bold")
        equity.append(f"{account.equity:,.2f} {account.currency} ")
        equity.append(f"({change:+,.2f}) ", style="green" if change >= 0 else "red")
        equity.append(f"trades today {account.trades_today}   ", style="dim")
    counts = Text(
        f"bars {board.counts['Bar']:,}  forecasts {board.counts['Forecast']:,}  signals {board.counts['Signal']:,}  "
        f"verdicts {board.counts['Verdict']:,}  orders {len({o.intent_id for o in board.orders})} recent  "
        f"fills {board.counts['Fill']:,}",
        style="dim",
    )
    council = [Text(training_line(board.training), style="cyan")] if board.training else []
    return Group(line, equity, counts, *council)


def training_line(training: Training) -> str:
    """How far the trainer is, and how long it still needs."""
    of = f"{training.done} of {training.total} models"
    if training.state is TrainingState.DONE:
        return f"council trained: {of}"
    if training.state is TrainingState.FAILED:
        return f"council trained as far as it went: {of}, {training.failed} could not be made"
    left = f"about {training.left_s:.0f} s left" if training.left_s else "time left not known yet"
    loss = f" ({training.line})" if training.line else ""
    what = f"{training.agent} {training.symbol} {interval_token(training.interval_s)}"
    return f"training the council: {of}, {left}, now {what}{loss}"


def _market_table(board: Board) -> Table:
    table = Table(box=box.SIMPLE_HEAD, expand=True, padding=(0, 1))
    for name in ("venue", "symbol", "bar", "price", "last bars", "feed", *_AGENTS):
        table.add_column(name, no_wrap=True, justify="right" if name == "price" else "left")
    for row in sorted(board.symbols.values(), key=lambda r: (r.venue, r.symbol)):
        table.add_row(
            row.venue,
            symbol_label(row),
            interval_token(row.interval_s) if row.interval_s else "",
            f"{row.price:,.2f}" if math.isfinite(row.price) else "–",
            Text(sparkline(row.closes), style="cyan"),
            _feed_text(row),
            *(vote_text(row.votes.get(agent)) for agent in _AGENTS),
        )
    return table


def _council_table(board: Board) -> list[RenderableType]:
    """Each agent's vote on the newest bar, where more of them sit than the market's table has room for."""
    seen = {agent for row in board.symbols.values() for agent in row.votes}
    agents = [agent for agent in _COUNCIL if agent in seen]
    if not seen & set(_TRAINED):
        return []
    table = Table(title="council", title_justify="left", box=box.SIMPLE_HEAD, expand=True, padding=(0, 1))
    for name in ("symbol", *agents):
        table.add_column(name, no_wrap=True)
    for row in sorted(board.symbols.values(), key=lambda r: (r.venue, r.symbol)):
        if row.votes:
            table.add_row(symbol_label(row), *(_council_cell(row.votes.get(agent)) for agent in agents))
    lines = [Text(note_line(note), style="dim") for note in board.notes]
    return [table, *lines]


def _council_cell(forecast: Forecast | None) -> Text:
    """A vote, and under it which trained model gave it."""
    text = vote_text(forecast)
    trained = model_name(forecast)
    return text + Text(f" {trained}", style="dim") if trained else text


def model_name(forecast: Forecast | None) -> str:
    """The kind of the trained model behind a vote and the start of its id; "" where none is."""
    agent_kind, _, digest = forecast.model_id.partition(":") if forecast else ("", "", "")
    kind = agent_kind.partition(".")[2]
    return f"{kind}:{digest[:4]}" if kind and not kind.isdigit() else ""


def note_line(note: ModelNote) -> str:
    """What happened to a model, in a line."""
    measured = f", {note.statistic:.3g} against {note.threshold:.3g}" if note.threshold else ""
    about = f"{note.agent} {note.symbol} {interval_token(note.interval_s)}"
    return f"{about}: {note.model_id.rpartition(':')[2][:8]} {note.kind.value}{measured}  {note.detail}".rstrip()


def _feed_text(row: SymbolRow) -> Text:
    health = row.health
    if health is None:
        return Text("waiting", style="dim")
    if health.state in (FeedState.ENDED, FeedState.CLOSED):
        return Text(f"idle ({health.state.value})", style="yellow")
    style = "green" if health.score >= 0.7 else "yellow" if health.score >= 0.5 else "red"
    return Text(f"{health.score:.2f}", style=style) + Text(f" {health.staleness_s:.1f}s", style="dim")


def _positions_table(board: Board) -> Table:
    table = Table(title="positions", title_justify="left", box=box.SIMPLE_HEAD, expand=True, padding=(0, 1))
    for name in ("account", "symbol", "side", "quantity", "entry", "stop", "target", "unrealised"):
        table.add_column(name, justify="left" if name in ("account", "symbol", "side") else "right", no_wrap=True)
    for position in board.positions.values():
        label = board.symbols.get((position.venue, position.symbol))
        table.add_row(
            position.account,
            symbol_label(label) if label else position.symbol,
            position.side.value,
            f"{position.quantity.normalize():f}",
            f"{position.entry_price:f}",
            f"{position.stop_price:f}" if position.stop_price is not None else "–",
            f"{position.target_price:f}" if position.target_price is not None else "–",
            Text(f"{position.unrealised:+,.2f}", style="green" if position.unrealised >= 0 else "red"),
        )
    if not board.positions:
        table.add_row(Text("none", style="dim"), *[""] * 7)
    return table


def _orders_table(board: Board) -> Table:
    table = Table(title="recent orders", title_justify="left", box=box.SIMPLE_HEAD, expand=True, padding=(0, 1))
    for name in ("time", "id", "symbol", "side", "quantity", "price", "state", "reason"):
        table.add_column(name, no_wrap=name != "reason")
    for order in reversed(board.orders):
        table.add_row(*order_cells(order, board))
    if not board.orders:
        table.add_row(Text("none yet", style="dim"), *[""] * 7)
    return table


def order_cells(order: Order, board: Board | None = None) -> list[RenderableType]:
    """One order as table cells."""
    when = dt.datetime.fromtimestamp(order.ts_event / 1e9, tz=dt.UTC).strftime("%H:%M:%S")
    good = {OrderState.FILLED: "green", OrderState.REJECTED: "red", OrderState.UNRESOLVED: "bold red"}
    label = board.symbols.get((order.venue, order.symbol)) if board else None
    price = f"{order.average_price.normalize():f}" if order.average_price is not None else "–"
    marked = f"{order.reason}{' (exploring)' if order.exploring else ''}"
    return [
        when,
        order.intent_id[:8],
        symbol_label(label) if label else order.symbol,
        order.side.value,
        f"{order.quantity.normalize():f}",
        price,
        Text(order.state.value, style=good.get(order.state, "yellow")),
        marked,
    ]


def plain_line(board: Board, services: Mapping[str, str]) -> str:
    """One line of progress for a log file."""
    down = [name for name, state in services.items() if state != "ready"]
    equity = "  ".join(f"{a.account} {a.equity:,.2f} {a.currency}" for a in board.accounts.values())
    return (
        f"bars {board.counts['Bar']}  forecasts {board.counts['Forecast']}  signals {board.counts['Signal']}  "
        f"fills {board.counts['Fill']}  positions {len(board.positions)}  {equity}  "
        + (f"not ready: {', '.join(down)}" if down else "all services ready")
        + (f"  {training_line(board.training)}" if board.training else "")
    )


def make_console() -> Console:
    """The console for people; at least wide enough for its tables when the width is unknown."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=max(console.width, 120))
