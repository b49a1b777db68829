"""The account book: positions, balance, equity, peak and day of one account, in exact decimals.

A fill is the fact; position, balance and equity follow from it. The book takes fills alike from the stage that made
them and from the ledger that kept them, so a rebuilt book equals the one that was lost.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import msgspec

from libs.core.fills import multiplier as multipliers
from libs.core.fills import spot
from libs.core.types import SECOND, AccountState, Action, Fill, Mode, Nanos, Position, Side, stable_id
from libs.core.types.money import NOTIONAL_STEP, to_step

DAY: Nanos = 86_400 * SECOND
ZERO = Decimal(0)


class BookError(ValueError):
    """A fill that the book cannot hold: it contradicts what the book knows."""


class Holding(msgspec.Struct, kw_only=True):
    """One open or closed position as the book keeps it; known by the intent id of its entry.

    Attributes:
        quantity: base units (SPOT) or stake (MULTIPLIER) still open.
        cost: what the open quantity was bought or sold for (SPOT), or its stake (MULTIPLIER).
        fee_open: commission inside the open stake (MULTIPLIER); spot fees are paid in cash.
        multiplier: 0 for spot. realised: after fees. mark: price of the last valuation, None before the first one.
        entered_init: machine clock when its order was planned; only orders commands against it after a restart.
        exit_intent: intent id of the exit under way, "" when none.
    """

    position_id: str
    revision: int = 0
    symbol: str
    strategy: str
    side: Side
    quantity: Decimal
    entry_price: Decimal
    stop_price: Decimal | None = None
    target_price: Decimal | None = None
    cost: Decimal
    fee_open: Decimal = ZERO
    multiplier: int = 0
    currency: str
    realised: Decimal = ZERO
    mark: Decimal | None = None
    opened: Nanos
    entered_init: Nanos = 0
    venue_position_id: str = ""
    exploring: bool = True
    exit_intent: str = ""

    @property
    def notional(self) -> Decimal:
        """Exposure at entry price, in account currency."""
        return self.quantity * self.multiplier if self.multiplier else self.cost

    @property
    def risk(self) -> Decimal:
        """Loss if stopped at `stop_price`, costs left out; without a stop all that can be lost (a short: its cost)."""
        if self.multiplier:
            if self.stop_price is None:
                return self.quantity
            lost = self.gross(self.stop_price)
            return max(-lost, ZERO)
        if self.stop_price is None:
            return self.cost
        return max(-self.gross(self.stop_price), ZERO)

    def gross(self, price: Decimal, quantity: Decimal | None = None) -> Decimal:
        """P&L before fees of `quantity` (None = all of it) at `price`."""
        part = self.quantity if quantity is None else quantity
        if self.multiplier:
            fee = self.fee_part(part)
            return multipliers.gross(self.side, part, self.multiplier, self.entry_price, price, fee, self.currency)
        return spot.gross(self.side, part, self.cost_part(part), price)

    def fee_part(self, quantity: Decimal) -> Decimal:
        """Commission inside `quantity` of the stake."""
        if quantity == self.quantity:
            return self.fee_open
        return to_step(self.fee_open * quantity / self.quantity, multipliers.cash_step(self.currency), ROUND_HALF_UP)

    def cost_part(self, quantity: Decimal) -> Decimal:
        """Share of the cost in `quantity`; what closes last takes what rounding left."""
        if quantity == self.quantity:
            return self.cost
        return to_step(self.cost * quantity / self.quantity, NOTIONAL_STEP, ROUND_HALF_UP)

    @property
    def unrealised(self) -> Decimal:
        """P&L before exit costs at the last mark."""
        return ZERO if self.mark is None or self.quantity == 0 else self.gross(self.mark)

    @property
    def worth(self) -> Decimal:
        """What it adds to the cash of the account now (negative for a short spot position)."""
        if self.multiplier:
            return self.quantity - self.fee_open + self.unrealised
        return self.side.sign * self.cost + self.unrealised


class AccountBook(msgspec.Struct, kw_only=True):
    """One account.

    Attributes:
        balance: cash. peak: highest equity so far. fees: paid since start.
        day: UTC day number of the data clock, 0 before the first dated event. revision: of the next AccountState.
        equity_due: data time of the next AccountState without a fill; 0 before the first dated event.
        shown: (balance, equity, peak, day) of the last AccountState.
        holdings: open positions by id, oldest first.
    """

    account: str
    venue: str
    mode: Mode
    currency: str
    balance: Decimal
    peak: Decimal
    day: int = 0
    day_start_equity: Decimal
    trades_today: int = 0
    realised_today: dict[str, Decimal] = {}
    fees: Decimal = ZERO
    revision: int = 0
    equity_due: Nanos = 0
    shown: tuple[Decimal, Decimal, Decimal, int] | None = None
    holdings: dict[str, Holding] = {}

    @classmethod
    def opened_with(cls, account: str, venue: str, mode: Mode, currency: str, capital: Decimal) -> AccountBook:
        """A new account that holds `capital` in cash."""
        return cls(
            account=account,
            venue=venue,
            mode=mode,
            currency=currency,
            balance=capital,
            peak=capital,
            day_start_equity=capital,
        )

    @property
    def equity(self) -> Decimal:
        """Cash plus what the open positions are worth at their last marks."""
        return self.balance + sum((holding.worth for holding in self.holdings.values()), ZERO)

    @property
    def is_marked(self) -> bool:
        """Whether every open position has been valued since it was opened or rebuilt."""
        return all(holding.mark is not None for holding in self.holdings.values())

    @property
    def next_day(self) -> Nanos:
        """Data time at which the next UTC day begins."""
        return (self.day + 1) * DAY

    def realised_by_exit(self, holding: Holding, quantity: Decimal, price: Decimal, fee: Decimal) -> Decimal:
        """P&L after fees that closing `quantity` at `price` realises (`fee`: spot fee of the exit)."""
        if holding.multiplier:
            return holding.gross(price, quantity)
        return holding.gross(price, quantity) - fee

    def realised_by_proceeds(self, holding: Holding, proceeds: Decimal) -> Decimal:
        """P&L after fees when the venue paid out `proceeds` for the whole of a multiplier position."""
        return proceeds - (holding.quantity - holding.fee_open)

    def roll_day(self, now: Nanos) -> None:
        """Begin the UTC day of `now` unless it is the one under way (after a restart it may be an earlier one)."""
        day = now // DAY
        if day == self.day:
            return
        self.day = day
        self.day_start_equity = self.equity
        self.trades_today = 0
        self.realised_today = {}

    def apply(self, fill: Fill, stop: Decimal | None, target: Decimal | None, venue_position_id: str = "") -> Holding:
        """Book one fill; returns the holding after it (quantity 0 and no longer in `holdings` when closed).

        Raises:
            BookError: an exit of a position that is not open, or of more than is open; a second entry of a contract.
        """
        if fill.ts_event >= self.next_day:
            self.roll_day(fill.ts_event)
        if fill.action is Action.ENTER:
            holding = self._enter(fill, stop, target, venue_position_id)
            self.trades_today += 1
        else:
            holding = self._exit(fill)
        self.fees += fill.fee
        holding.realised += fill.realised
        today = self.realised_today.get(fill.symbol, ZERO)
        self.realised_today = {**self.realised_today, fill.symbol: today + fill.realised}
        self._raise_peak()
        return holding

    def _enter(self, fill: Fill, stop: Decimal | None, target: Decimal | None, venue_position_id: str) -> Holding:
        if fill.position_id in self.holdings:
            raise BookError(f"position {fill.position_id} is open already; an entry fills once")
        cost = fill.quantity if fill.multiplier else fill.price * fill.quantity
        self.balance -= cost if fill.multiplier else fill.side.sign * cost + fill.fee
        holding = Holding(
            position_id=fill.position_id,
            symbol=fill.symbol,
            strategy=fill.strategy,
            side=fill.side,
            quantity=fill.quantity,
            entry_price=fill.price,
            stop_price=stop,
            target_price=target,
            cost=cost,
            fee_open=fill.fee if fill.multiplier else ZERO,
            multiplier=fill.multiplier,
            currency=fill.currency,
            mark=fill.price,
            opened=fill.ts_event,
            venue_position_id=venue_position_id,
            exploring=fill.exploring,
        )
        self.holdings[fill.position_id] = holding
        return holding

    def _exit(self, fill: Fill) -> Holding:
        holding = self.holdings.get(fill.position_id)
        if holding is None:
            raise BookError(f"position {fill.position_id} is not open; it cannot be closed")
        if fill.quantity > holding.quantity:
            raise BookError(f"position {fill.position_id} holds {holding.quantity}, not {fill.quantity}")
        cost, fee = holding.cost_part(fill.quantity), holding.fee_part(fill.quantity)
        if holding.multiplier:
            self.balance += fill.quantity - fee + fill.realised
        else:
            self.balance += holding.side.sign * cost + fill.realised
        holding.quantity -= fill.quantity
        holding.cost -= cost
        holding.fee_open -= fee
        holding.mark = fill.price
        if holding.quantity == 0:
            del self.holdings[fill.position_id]
        return holding

    def _raise_peak(self) -> None:
        if self.is_marked:
            self.peak = max(self.peak, self.equity)

    def is_news(self) -> bool:
        """Whether an AccountState now would say something that the last one did not."""
        return self.shown != (self.balance, self.equity, max(self.peak, self.equity), self.day)

    def state(self, now: Nanos, ts_init: Nanos, cause: tuple[str, ...]) -> AccountState:
        """The next AccountState, at data time `now`."""
        self._raise_peak()
        event = AccountState(
            id=stable_id("account", self.mode, self.venue, self.account, self.revision),
            cause=cause,
            ts_event=now,
            ts_init=ts_init,
            account=self.account,
            venue=self.venue,
            mode=self.mode,
            currency=self.currency,
            balance=self.balance,
            equity=self.equity,
            peak_equity=self.peak,
            day=self.day,
            day_start_equity=self.day_start_equity,
            trades_today=self.trades_today,
            realised_today_by_symbol=self.realised_today,
            fees=self.fees,
            revision=self.revision,
        )
        self.shown = (self.balance, event.equity, self.peak, self.day)
        self.revision += 1
        return event

    def adopt(self, event: AccountState) -> None:
        """Take from a published state what fills alone do not tell: peak, day, day's start, revision."""
        self.peak = event.peak_equity
        self.day = event.day
        self.day_start_equity = event.day_start_equity
        self.trades_today = event.trades_today
        self.realised_today = dict(event.realised_today_by_symbol)
        self.revision = event.revision + 1
        self.shown = (event.balance, event.equity, event.peak_equity, event.day)

    def position(self, holding: Holding, now: Nanos, ts_init: Nanos, cause: tuple[str, ...]) -> Position:
        """The next Position revision of `holding`, at data time `now`."""
        event = Position(
            id=stable_id("position", holding.position_id, holding.revision),
            cause=cause,
            ts_event=now,
            ts_init=ts_init,
            position_id=holding.position_id,
            revision=holding.revision,
            mode=self.mode,
            venue=self.venue,
            account=self.account,
            symbol=holding.symbol,
            strategy=holding.strategy,
            side=holding.side,
            quantity=holding.quantity,
            entry_price=holding.entry_price,
            stop_price=holding.stop_price,
            target_price=holding.target_price,
            notional=holding.notional,
            risk=holding.risk if holding.quantity else ZERO,
            currency=self.currency,
            unrealised=holding.unrealised,
            realised=holding.realised,
            opened=holding.opened,
            venue_position_id=holding.venue_position_id,
            multiplier=holding.multiplier,
        )
        holding.revision += 1
        return event
