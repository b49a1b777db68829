"""What a strategy is, and the part that all rule strategies share: when a stance becomes a signal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Generic, NamedTuple, Protocol, TypeVar

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from libs.core.features import FeatureSet
from libs.core.types import SECOND, Action, Features, Forecast, Nanos, Side, Signal, stable_id

Forecasts = Mapping[str, Forecast]
"""What each agent, and "meta", said about the bar after this one."""

MIN_TRADES = 3
"""A track record shorter than this judges nothing."""


class Strategy(Protocol):
    """Trades one series. `warmup`: bars that it must have seen before it may signal."""

    Params: type[BaseModel]
    warmup: int

    def on_bar(self, f: Features, forecasts: Forecasts) -> Signal | None:
        """The one wish that follows from this closed bar, if any."""


class RuleParams(BaseModel):
    """Settings that every rule strategy has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cost_multiple: float = Field(
        1.0, ge=0, le=50, description="the move that it counts on must be this many round-trip costs"
    )
    record_trades: int = Field(
        8, ge=0, le=500, description="trades in its own track record on the series; 0 = trade whatever the record"
    )


class Stance(NamedTuple):
    """Where a rule wants to stand after a bar: -1 short, 0 flat, 1 long; why; and how strongly, 0 to 1.

    enters: whether it would take that side now if it were flat.
    """

    side: int
    reason: str = ""
    strength: float = 1.0
    enters: bool = False


class Book(msgspec.Struct):
    """What a rule strategy remembers of its trading.

    stance: where the rule stands, signalled or not. held: the side that it signalled and has not taken back.
    price, bars: close at the entry of the stance, and bars since. trades, record: how many round trips the rule has
    made, and the decayed mean of their log returns after costs. last: bar time seen last, ns. seen: bars taken.
    rehearsed: the stance was taken in history, so nobody has been told of it.
    """

    stance: int = 0
    held: int = 0
    price: float = math.nan
    bars: int = 0
    trades: int = 0
    record: float = 0.0
    last: Nanos = -1
    seen: int = 0
    rehearsed: bool = False


class _Saved(msgspec.Struct, frozen=True, array_like=True):
    kind: str
    book: Book
    rule: bytes


P = TypeVar("P", bound=RuleParams)


def params_identity(name: str, params: RuleParams) -> str:
    """Identity of a strategy's settings."""
    return stable_id("params", name, params.model_dump_json())


class RuleStrategy(Generic[P]):
    """A deterministic rule over the features of one series.

    A subclass says where it wants to stand after each bar. The rule runs whether or not it is followed, and keeps the
    record of what its round trips would have made after costs. An entry is signalled when the rule enters while that
    record is not negative; an exit when the side that was signalled no longer is where the rule stands. A stance that
    history ends in is joined at the first live bar on which the rule would still take it. A rule that turns round
    leaves on one bar and enters on a later one, because a bar has room for one signal.
    """

    name: str
    Params: type[P]
    warmup: int

    def __init__(self, params: P, features: FeatureSet, cost: float) -> None:
        """`cost`: one round trip in fractions of the price. Raises KeyError when the set lacks a feature it reads."""
        self.params = params
        self.cost = cost
        self.params_hash = params_identity(self.name, params)
        self._kind = f"{self.name}:{self.params_hash}:{features.hash}"
        self._atr = features.index("atr_14")
        self._book = Book()

    def rehearse(self, f: Features) -> None:
        """Take a bar of history: the rule and its record move on, nothing is signalled."""
        was = self._book.stance
        self._advance(f, f.unpack())
        if was == 0 and self._book.stance != 0:
            self._book.rehearsed = True

    def on_bar(self, f: Features, forecasts: Forecasts) -> Signal | None:
        """The one wish that follows from this closed bar, if any; a bar at or before the last one changes nothing.

        `ts_init` of the signal is left to the caller, who has the clock.
        """
        book = self._book
        if f.bar_time <= book.last:
            return None
        row = f.unpack()
        was = book.stance
        wish = self._advance(f, row)
        if book.held and book.stance != book.held:
            side = Side.SELL if book.held > 0 else Side.BUY
            book.held = 0
            return self._signal(f, row, forecasts, Action.EXIT, side, wish)
        entered = book.stance != 0 and (was == 0 or (book.rehearsed and wish.enters))
        if was == 0 or entered:
            book.rehearsed = False
        if entered and not book.held and self._proven():
            book.held = book.stance
            side = Side.BUY if book.held > 0 else Side.SELL
            return self._signal(f, row, forecasts, Action.ENTER, side, wish)
        return None

    def snapshot(self) -> bytes:
        """The whole state; `restore` of it continues bit for bit."""
        return msgspec.msgpack.encode(_Saved(self._kind, self._book, self._rule_state()))

    def restore(self, snapshot: bytes) -> None:
        """Take up a snapshot. Raises ValueError when it is of another strategy, other parameters or another set."""
        saved = msgspec.msgpack.decode(snapshot, type=_Saved)
        if saved.kind != self._kind:
            raise ValueError(f"snapshot of {saved.kind}, not of {self._kind}")
        self._book = saved.book
        self._restore_rule(saved.rule)

    def _advance(self, f: Features, row: tuple[float, ...]) -> Stance:
        book = self._book
        missing = (f.bar_time - book.last) // (f.interval_s * SECOND) - 1
        hole = book.seen > 0 and missing > self.warmup
        if hole:
            # What the rule stood on is older than all it remembers: it starts over, flat.
            self._restart()
            book.seen = book.stance = 0
        book.last = f.bar_time
        book.seen += 1
        book.bars += 1
        wish = self._stance(f, row, book)
        if book.seen <= self.warmup:
            return Stance(0, f"{missing} bars are missing" if hole else "warming up")
        if book.stance and wish.side != book.stance:
            self._close(f.close)
            return Stance(0, wish.reason, wish.strength)
        if not book.stance and wish.side:
            book.stance, book.price, book.bars = wish.side, f.close, 0
        return wish

    def _close(self, price: float) -> None:
        book, span = self._book, self.params.record_trades
        made = book.stance * math.log(price / book.price) - self.cost
        # A plain mean while there are few trades, then an exponential one of that span.
        book.trades += 1
        book.record += (made - book.record) * max(1.0 / book.trades, 2.0 / (span + 1))
        book.stance = 0

    def _proven(self) -> bool:
        judged = self.params.record_trades and self._book.trades >= MIN_TRADES
        return not judged or self._book.record >= 0.0

    def _signal(
        self, f: Features, row: tuple[float, ...], forecasts: Forecasts, action: Action, side: Side, wish: Stance
    ) -> Signal:
        atr = row[self._atr]
        volatility = forecasts.get("volatility")
        return Signal(
            id=stable_id(
                "signal", self.name, self.params_hash, f.venue, f.symbol, f.interval_s, side.value, f.bar_time
            ),
            cause=(f.id, *(forecast.id for forecast in forecasts.values())),
            ts_event=f.ts_event,
            strategy=self.name,
            params_hash=self.params_hash,
            venue=f.venue,
            symbol=f.symbol,
            interval_s=f.interval_s,
            bar_time=f.bar_time,
            side=side,
            action=action,
            price=f.close,
            atr=None if math.isnan(atr) else atr,
            sigma=volatility.sigma if volatility is not None else None,
            strength=wish.strength,
            evidence=False,
            reason=wish.reason,
            ts_recv=f.ts_recv,
        )

    def _stance(self, f: Features, row: tuple[float, ...], book: Book) -> Stance:
        """Take one bar and say where to stand; `book.stance` is where the rule stands, since `book.bars` bars."""
        raise NotImplementedError

    def _restart(self) -> None:
        raise NotImplementedError

    def _rule_state(self) -> bytes:
        raise NotImplementedError

    def _restore_rule(self, state: bytes) -> None:
        raise NotImplementedError


def basis_points(fraction: float) -> str:
    """A fraction of the price as people read it."""
    return f"{fraction * 1e4:.1f} bp"
