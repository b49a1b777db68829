"""The account book: positions, balance, equity, peak and day of one account, in exact decimals.

A fill is the fact; position, balance and equity follow from it. The book takes fills alike from the stage that made
them and from the ledger that kept them, so a rebuilt book equals the one that was lost.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import msgspec

from libs.core.portfolio.holding import Holding
from libs.core.types import SECOND, AccountState, Action, Fill, Mode, Nanos, Position, stable_id
from libs.core.types.money import to_step

DAY: Nanos = 86_400 * SECOND
ZERO = Decimal(0)
PRICE_STEP = Decimal("1e-12")
"""Average prices are rounded to this; the cost that they are made from stays exact."""
REMEMBERED_CLOSED = 256


class BookError(ValueError):
    """A fill that the book cannot hold: it contradicts what the book knows."""


class AccountBook(msgspec.Struct, kw_only=True):
    """One account.

    Attributes:
        balance: cash. peak: highest equity so far. fees: paid since start.
        day: UTC day number of the data clock, 0 before the first dated event. revision: of the next AccountState.
        equity_due: data time of the next AccountState without a fill; 0 before the first dated event.
        shown: (balance, equity, peak, day) of the last AccountState.
        holdings: open positions by id, oldest first.
        closed: live: positions closed lately, with the revision from which one goes on that a late fill opens again.
        moved: live: what the fills moved at the venue, by asset, cash among them.
        beside: live: what the account holds there besides, by asset; None before it was compared for the first time.
        beside_since: when that was looked up last. strangers: ids of contracts there that are none of ours.
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
    closed: dict[str, int] = {}
    moved: dict[str, Decimal] = {}
    beside: dict[str, Decimal] | None = None
    beside_since: Nanos = 0
    strangers: tuple[str, ...] = ()

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
            BookError: a contract is entered twice, or closed when it is not open or not that large.
        """
        if fill.ts_event >= self.next_day:
            self.roll_day(fill.ts_event)
        before = self.balance
        if fill.action is not Action.ENTER:
            holding = self._exit(fill)
        elif fill.position_id in self.holdings:
            holding = self._add(fill)
        else:
            holding = self._enter(fill, stop, target, venue_position_id)
            # What a late fill opens again was counted when it was opened first.
            self.trades_today += not holding.revision
        if fill.mode is Mode.LIVE:
            self._move(fill, self.balance - before)
        self.fees += fill.fee
        holding.realised += fill.realised
        today = self.realised_today.get(fill.symbol, ZERO)
        self.realised_today = {**self.realised_today, fill.symbol: today + fill.realised}
        self._raise_peak()
        return holding

    def _enter(self, fill: Fill, stop: Decimal | None, target: Decimal | None, venue_position_id: str) -> Holding:
        quantity, cost = self._pay(fill)
        holding = Holding(
            position_id=fill.position_id,
            revision=self.closed.pop(fill.position_id, 0),
            symbol=fill.symbol,
            strategy=fill.strategy,
            side=fill.side,
            quantity=quantity,
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
            base_asset=fill.base_asset,
        )
        self.holdings[fill.position_id] = holding
        return holding

    def _add(self, fill: Fill) -> Holding:
        """A further execution of a spot entry; the cost stays exact, the average price is rounded to PRICE_STEP."""
        holding = self.holdings[fill.position_id]
        if holding.multiplier or fill.multiplier:
            raise BookError(f"position {fill.position_id} is open already; a contract is entered once")
        quantity, cost = self._pay(fill)
        holding.quantity += quantity
        holding.cost += cost
        holding.entry_price = to_step(holding.cost / holding.quantity, PRICE_STEP, ROUND_HALF_UP)
        holding.mark = fill.price
        return holding

    def _pay(self, fill: Fill) -> tuple[Decimal, Decimal]:
        """Pay for an entry; the quantity that it leaves and what that cost. A fee in kind is not paid in cash."""
        if fill.multiplier:
            self.balance -= fill.quantity
            return fill.quantity, fill.quantity
        quantity = fill.quantity - fill.taken_in_kind
        paid = fill.side.sign * fill.price * fill.quantity
        self.balance -= paid if fill.taken_in_kind else paid + fill.fee
        return quantity, fill.price * quantity

    def _move(self, fill: Fill, cash: Decimal) -> None:
        """What this fill moved at the venue."""
        moved = {self.currency: cash}
        if fill.base_asset:
            moved[fill.base_asset] = moved.get(fill.base_asset, ZERO) + fill.side.sign * fill.quantity
        if fill.fee_asset:
            moved[fill.fee_asset] = moved.get(fill.fee_asset, ZERO) - fill.fee_quantity
        for asset, amount in moved.items():
            self.moved[asset] = self.moved.get(asset, ZERO) + amount

    def hold_beside(self, beside: dict[str, Decimal]) -> bool:
        """The account holds `beside` at the venue besides what the fills moved; True when cash came or went.

        Cash that came is no profit: the peak and the start of the day move with it.
        """
        self.beside = dict(beside)
        shift = beside.get(self.currency, ZERO) + self.moved.get(self.currency, ZERO) - self.balance
        self.balance += shift
        self.peak += shift
        self.day_start_equity += shift
        return shift != 0

    @property
    def expected(self) -> dict[str, Decimal]:
        """What the venue should hold, by asset."""
        beside = self.beside or {}
        return {
            asset: beside.get(asset, ZERO) + self.moved.get(asset, ZERO) for asset in sorted({*beside, *self.moved})
        }

    def _leaving(self, fill: Fill) -> tuple[Holding, Decimal]:
        """The position that an exit closes or reduces, and how much leaves it.

        Assets that a venue sold for us and the position lacks (they were written off as remains before this was told)
        leave nothing and had cost nothing.
        """
        holding = self.holdings.get(fill.position_id)
        if not fill.base_asset:
            if holding is None:
                raise BookError(f"position {fill.position_id} is not open; it cannot be closed")
            if fill.quantity > holding.quantity:
                raise BookError(f"position {fill.position_id} holds {holding.quantity}, not {fill.quantity}")
            return holding, fill.quantity
        if holding is None:
            holding = Holding(
                position_id=fill.position_id,
                revision=self.closed.get(fill.position_id, 0),
                symbol=fill.symbol,
                strategy=fill.strategy,
                side=fill.side.opposite,
                quantity=ZERO,
                entry_price=fill.price,
                cost=ZERO,
                currency=fill.currency,
                opened=fill.ts_event,
                exploring=fill.exploring,
                base_asset=fill.base_asset,
            )
        return holding, min(fill.quantity + fill.taken_in_kind, holding.quantity)

    def realised_by_sale(self, fill: Fill) -> Decimal:
        """P&L after fees that an exit of assets realises; what of a fee in kind is not the position's costs nothing."""
        holding, quantity = self._leaving(fill)
        fee = ZERO if fill.taken_in_kind else fill.fee
        return holding.side.sign * (fill.price * fill.quantity - holding.cost_part(quantity)) - fee

    def _exit(self, fill: Fill) -> Holding:
        holding, quantity = self._leaving(fill)
        cost, fee = holding.cost_part(quantity), holding.fee_part(quantity)
        if holding.multiplier:
            self.balance += fill.quantity - fee + fill.realised
        else:
            self.balance += holding.side.sign * cost + fill.realised
        holding.quantity -= quantity
        holding.cost -= cost
        holding.fee_open -= fee
        holding.mark = fill.price
        if holding.quantity == 0:
            self.holdings.pop(fill.position_id, None)
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
        if not event.is_open and self.mode is Mode.LIVE:
            self.remember_closed(holding.position_id, holding.revision)
        return event

    def remember_closed(self, position_id: str, revision: int) -> None:
        """A closed position goes on from `revision` should a late fill open it again."""
        self.closed[position_id] = max(revision, self.closed.pop(position_id, 0))
        while len(self.closed) > REMEMBERED_CLOSED:
            del self.closed[next(iter(self.closed))]
