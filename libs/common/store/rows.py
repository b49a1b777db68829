"""Events as rows: one function per kind of message, and the batch that gathers them until they are written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

from libs.common.bus.base import Received
from libs.common.store import tables
from libs.common.store.tables import Projection, Table
from libs.core.types import (
    MILLISECOND,
    AccountState,
    Bar,
    BookStats,
    Control,
    Event,
    Features,
    Fill,
    Forecast,
    Headline,
    Nanos,
    Order,
    Position,
    Reading,
    Signal,
    Ticks,
    Trade,
    Verdict,
    stream_of,
    to_json,
)

Row = tuple[Any, ...]
QUOTE_EVERY: Final = 100 * MILLISECOND


class Batch:
    """Rows of consecutive messages and how far they reach, written together or not at all."""

    def __init__(self, newest_quotes: dict[tuple[str, str], int] | None = None) -> None:
        """`newest_quotes`: per (venue, symbol) the last 100 ms of which a quote was kept; outlives the batch."""
        self.rows: defaultdict[Table, list[Row]] = defaultdict(list)
        self.upserts: defaultdict[Projection, list[Row]] = defaultdict(list)
        self.reached: dict[tuple[str, int], tuple[int, Nanos]] = {}
        self.messages = 0
        self._newest_quotes = {} if newest_quotes is None else newest_quotes

    @property
    def size(self) -> int:
        """Rows held."""
        return sum(self.counts().values())

    def counts(self) -> dict[str, int]:
        """Rows held per table."""
        appended = {table.name: len(rows) for table, rows in self.rows.items()}
        return appended | {projection.name: len(rows) for projection, rows in self.upserts.items()}

    def add(self, received: Received) -> None:
        """The rows of a message, and the message as captured; a kind without a table is only captured."""
        if write := _WRITERS.get(type(received.event)):
            write(self, received.event)
        self.skip(received)

    def skip(self, received: Received) -> None:
        """The message as captured, without rows."""
        self.reached[received.subject, received.epoch] = (received.seq, received.stream_ns)
        self.messages += 1

    def cite(self, intent_id: str, event: Event) -> None:
        """Keep a message that an order cites."""
        self.upserts[tables.CITED].append((intent_id, event.id, event.ts_event, _body(event)))

    def captured(self) -> list[tuple[str, int, int, str, Nanos]]:
        """(subject, epoch, seq, stream, capture time) of the newest message per subject and epoch."""
        return [
            (subject, epoch, seq, stream_of(subject), stream_ns)
            for (subject, epoch), (seq, stream_ns) in self.reached.items()
        ]

    def _ticks(self, event: Ticks) -> None:
        venue, symbol, recv = event.venue, event.symbol, event.ts_recv
        trades = self.rows[tables.TICKS]
        for item in event.items:
            if isinstance(item, Trade):
                kind = "trade" if item.size else "price"
                trades.append(
                    (venue, symbol, item.ts_event, item.seq or None, item.price, item.size, item.side, kind, recv)
                )
                continue
            slot = item.ts_event // QUOTE_EVERY
            if self._newest_quotes.get((venue, symbol)) != slot:
                self._newest_quotes[venue, symbol] = slot
                self.rows[tables.QUOTES].append(
                    (venue, symbol, item.ts_event, item.seq or None, item.bid, item.bid_size, item.ask, item.ask_size)
                )

    def _book(self, b: BookStats) -> None:
        bid, ask = b.bids[0] if b.bids else (None, None), b.asks[0] if b.asks else (None, None)
        depth = sum(size for _, size in b.bids), sum(size for _, size in b.asks)
        self.rows[tables.BOOK_STATS].append(
            (b.venue, b.symbol, b.ts_event, b.last_id, *bid, *ask, *depth, b.ofi, b.updates)
        )

    def _reading(self, r: Reading) -> None:
        self.rows[tables.READINGS].append((r.source, r.series, r.ts_event, r.period, r.value))

    def _headline(self, h: Headline) -> None:
        self.rows[tables.HEADLINES].append((h.source, h.source_id, h.ts_event, h.title, h.summary, h.link, h.symbols))

    def _bar(self, b: Bar) -> None:
        prices = (b.open, b.high, b.low, b.close, b.volume, b.buy_volume)
        self.rows[tables.BARS].append(
            (b.venue, b.symbol, b.interval_s, b.open_time, *prices, b.trades, b.flags, b.last_seq, b.ts_recv)
        )

    def _features(self, f: Features) -> None:
        self.rows[tables.FEATURES].append(
            (f.venue, f.symbol, f.interval_s, f.bar_time, f.set_hash, f.warm, f.flags, f.unpack())
        )

    def _forecast(self, f: Forecast) -> None:
        known = (f.id, f.ts_event, f.agent, f.venue, f.symbol, f.interval_s, f.bar_time, f.model_id)
        said = (f.p_down, f.p_neutral, f.p_up, f.sigma, f.state, f.confidence, f.disagreement, f.latency_us)
        abstention = f.abstention.value if f.abstention else None
        self.rows[tables.FORECASTS].append((*known, abstention, *said, _body(f)))

    def _signal(self, s: Signal) -> None:
        known = (s.id, s.ts_event, s.strategy, s.venue, s.symbol, s.interval_s, s.bar_time)
        wish = (s.side.value, s.action.value, s.price, s.strength, s.evidence, s.reason)
        self.rows[tables.SIGNALS].append((*known, *wish, _body(s)))

    def _verdict(self, v: Verdict) -> None:
        known = (v.id, v.ts_event, v.signal_id, v.intent_id, v.account, v.strategy, v.venue, v.symbol)
        said = (v.side.value, v.action.value, v.approved, v.reasons, v.quantity)
        self.rows[tables.VERDICTS].append((*known, *said, _body(v)))

    def _account(self, a: AccountState) -> None:
        amounts = (a.balance, a.equity, a.peak_equity, a.fees)
        self.rows[tables.EQUITY].append(
            (a.id, a.ts_event, a.account, a.venue, a.mode.value, a.currency, *amounts, a.trades_today, a.revision)
        )
        self.upserts[tables.ACCOUNTS].append(
            (a.account, a.revision, a.ts_event, a.venue, a.mode.value, a.currency, *amounts, _body(a))
        )

    def _order(self, o: Order) -> None:
        known = (o.intent_id, o.revision, o.ts_event, o.ts_event, o.state.value, o.mode.value, o.venue, o.account)
        what = (o.symbol, o.strategy, o.side.value, o.action.value, o.quantity, o.filled, o.average_price)
        self.upserts[tables.ORDERS].append((*known, *what, o.position_id, o.reason, o.exploring, _body(o)))

    def _fill(self, f: Fill) -> None:
        known = (f.id, f.intent_id, f.ts_event, f.mode.value, f.venue, f.account, f.symbol, f.strategy)
        what = (f.side.value, f.action.value, f.price, f.quantity, f.currency)
        costs = (f.fee, f.spread_cost, f.slippage_cost, f.realised, f.latency_ms)
        self.upserts[tables.FILLS].append((*known, *what, *costs, f.position_id, f.reason, f.exploring, _body(f)))

    def _position(self, p: Position) -> None:
        known = (p.position_id, p.revision, p.ts_event, p.mode.value, p.venue, p.account, p.symbol, p.strategy)
        what = (p.side.value, p.quantity, p.entry_price, p.stop_price, p.target_price, p.notional, p.risk)
        self.upserts[tables.POSITIONS].append((*known, *what, p.currency, p.unrealised, p.realised, p.opened, _body(p)))

    def _control(self, c: Control) -> None:
        self.upserts[tables.AUDIT].append((c.id, c.ts_event, c.kind.value, c.scope, c.reason, c.actor, _body(c)))


_WRITERS: Final[dict[type, Callable[[Batch, Any], None]]] = {
    Ticks: Batch._ticks,
    BookStats: Batch._book,
    Reading: Batch._reading,
    Headline: Batch._headline,
    Bar: Batch._bar,
    Features: Batch._features,
    Forecast: Batch._forecast,
    Signal: Batch._signal,
    Verdict: Batch._verdict,
    AccountState: Batch._account,
    Order: Batch._order,
    Fill: Batch._fill,
    Position: Batch._position,
    Control: Batch._control,
}


def _body(event: Event) -> str:
    return to_json(event).decode()
