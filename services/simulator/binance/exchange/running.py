"""How the engine runs: steps that are durable before they are told, the market's events, and coming back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Final

from services.simulator.binance.candles import Print
from services.simulator.binance.decimals import text8
from services.simulator.binance.exchange import matching, placing, triggers
from services.simulator.binance.exchange.accounts import OPENING, Account, Terms
from services.simulator.binance.exchange.api import ApiError, EventSink
from services.simulator.binance.exchange.core import Core
from services.simulator.binance.exchange.counts import Counts
from services.simulator.binance.exchange.filters import Rules
from services.simulator.binance.exchange.journal import Line
from services.simulator.binance.exchange.outbox import Outbox
from services.simulator.binance.exchange.queries import Queries
from services.simulator.binance.exchange.step import Step
from services.simulator.binance.exchange_info import RATE_LIMITS, filters_of
from services.simulator.binance.feed import NS_PER_MS, VENUE, Feed
from services.simulator.faults.base import Faults, NoFaults
from services.simulator.journal import Journal
from services.simulator.record import Record

TRADING: Final = "TRADING"
STATUSES: Final = frozenset({TRADING, "HALT", "BREAK", "END_OF_DAY", "CANCEL_ONLY"})


class Running:
    """The engine without its calls. Amounts are exact, times ms UTC."""

    def __init__(
        self,
        feed: Feed,
        record: Record,
        journal: Path | None = None,
        faults: Faults | None = None,
        *,
        opening: Mapping[str, Decimal] = OPENING,
        terms: Terms | None = None,
        rate_limits: Sequence[Mapping[str, object]] = RATE_LIMITS,
        exchange_filters: Sequence[Mapping[str, object]] = (),
    ) -> None:
        """Continue what `journal` holds. `opening` is the money of a new account and `terms` what it pays.

        Raises OSError when the journal cannot be opened, msgspec.DecodeError when it is damaged.
        """
        faults = faults or NoFaults()
        self._feed, self._record, self._faults = feed, record, faults
        rules = {name: Rules(filters_of(pair)) for name, pair in feed.symbols.items()}
        self._exchange_rules = Rules(exchange_filters)
        self._exchange_filters = [dict(row) for row in exchange_filters]
        self._core = Core(feed, rules, opening, terms or Terms(), Counts(rate_limits))
        self._outbox = Outbox(faults)
        self._core.listened = self._outbox.listened
        self._queries = Queries(self._core)
        self._journal: Journal[Line] = Journal(journal, Line)
        for line in self._journal.replay():
            self._core.state.apply(line, self._core.terms)
            self._put_on_record(line)
        self._resume()

    def _resume(self) -> None:
        for orders in list(self._core.state.open.values()):
            for order in sorted(orders.values(), key=lambda each: each.seq):
                if order.symbol not in self._feed.symbols:  # other data are played now: it stays as it was
                    continue
                market = self._core.market(order.symbol)
                market.follow()
                order.since = min(order.since, self._feed.now_ms())
                if order.waits:
                    self._core.waiting[order.symbol][order.id] = order
                elif order.seq:
                    market.refresh()
                    order.ahead = market.left(order.buy, order.limit)
                    self._core.resting[order.symbol].side(order.buy).add(order)

    def close(self) -> None:
        """Close the journal; safe to call twice."""
        self._journal.close()

    # --- steps -------------------------------------------------------------------------------------------------

    def now_ms(self) -> int:
        """The venue's clock, jumps of the faults included."""
        return self._feed.now_ms() + self._faults.clock_offset_ns(VENUE) // NS_PER_MS

    @contextmanager
    def _step(self, caller: int = 0) -> Iterator[Step]:
        """Run one step; what it did is in the journal before its events go out. Raises OSError (disk full).

        `caller` is the account whose call it is, 0 for the market's doing.
        """
        step = Step(self._core, self.now_ms(), self._feed.now_ms())
        yield step
        while step.ready:
            placing.start_pending(self._core, step, step.ready.popleft())
        if step.empty:
            return
        line = step.close()
        self._journal.append(line)
        self._put_on_record(line)
        self._outbox.send(step, caller)

    def _put_on_record(self, line: Line) -> None:
        for fact in line.facts:
            self._record.write(VENUE, fact.kind, fact.symbol, fact.seq, fact.ms * NS_PER_MS, **fact.fields)
        for fill in line.fills:
            self._record.write(
                VENUE,
                "fill",
                fill.symbol,
                fill.execution,
                fill.ms * NS_PER_MS,
                account=fill.account,
                order=fill.order,
                trade=fill.trade,
                side="BUY" if fill.buyer else "SELL",
                price=text8(fill.price),
                qty=text8(fill.qty),
                quote=text8(fill.quote),
                fee=text8(fill.fee),
                fee_asset=fill.fee_asset,
                maker=fill.maker,
                counter=fill.counter,
            )

    # --- the market --------------------------------------------------------------------------------------------

    def on_trade(self, symbol: str, trade: Print) -> None:
        """Follow one print of the market: it may fill what rests and set off what waits."""
        market = self._core.market(symbol)
        if not market.followed:
            market.catch_up()
            market.followed = True
        if not market.prices.add(trade) or not self._has_orders(symbol):
            return
        with self._step() as step:
            if self._core.resting[symbol]:
                market.refresh()
                matching.meet_print(self._core, step, symbol, trade)
            if self._core.waiting[symbol]:
                triggers.see(self._core, step, symbol, trade)

    def on_book(self, symbol: str) -> None:
        """Follow a new state of the market's book."""
        if not self._has_orders(symbol):
            return
        market = self._core.market(symbol)
        market.refresh()
        if market.fresh:
            market.fresh = False
            with self._step() as step:
                matching.meet_book(self._core, step, symbol)

    def tick(self) -> None:
        """Look at the books of all symbols with orders of ours, for feeds that tell of no book."""
        for symbol in [*self._core.resting]:
            self.on_book(symbol)

    def _has_orders(self, symbol: str) -> bool:
        core = self._core
        return bool(core.resting[symbol] or core.waiting[symbol]) and core.symbol_status(symbol) == TRADING

    def set_status(self, symbol: str, status: str) -> None:
        """Halt a symbol or let it trade again. Raises ApiError for an unknown symbol or status."""
        if symbol not in self._feed.symbols:
            raise ApiError(-1121, "Invalid symbol.")
        if status not in STATUSES:
            raise ApiError(-1122, "Invalid symbolStatus.")
        self._core.status[symbol] = status

    @property
    def statuses(self) -> Mapping[str, str]:
        """The status of every symbol, for exchangeInfo."""
        return {symbol: self._core.symbol_status(symbol) for symbol in self._feed.symbols}

    # --- who listens -------------------------------------------------------------------------------------------

    def subscribe(self, account: int, sink: EventSink) -> Callable[[], None]:
        """Send the account's events to `sink` from now on; returns what ends that."""
        self._account(account)
        return self._outbox.subscribe(account, sink)

    def silent(self, account: int) -> bool:
        """Whether the "fills" fault forbids to answer the account's last call."""
        return self._outbox.silent(account)

    def _account(self, account: int) -> Account:
        """The account, opened in a step of its own when it is new."""
        found = self._core.state.accounts.get(account)
        if found is None:
            with self._step() as step:
                found = self._core.account(step, account)
        return found
