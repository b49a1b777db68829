"""The risk stage: signals in, a verdict for each and a permit for what is approved; everything else is remembered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal, DecimalException
from typing import Final

import msgspec

from libs.core.portfolio.costs import Costs
from libs.core.portfolio.engine import RiskEngine
from libs.core.portfolio.limits import AccountSpec, Limits
from libs.core.portfolio.memory import AccountMemory, SymbolMemory, reservation
from libs.core.types import (
    SECOND,
    SMOKE,
    AccountState,
    Action,
    Approved,
    Bar,
    Control,
    ControlKind,
    Event,
    FeedHealth,
    Fill,
    Instrument,
    Nanos,
    Order,
    Permit,
    Position,
    Side,
    Signal,
    Ticks,
    TimePassed,
    VenueClock,
    Verdict,
    restamped,
    stable_id,
)

SNAPSHOT_VERSION: Final = 2
ANSWERED_KEPT: Final = 4_000
"""Signals remembered as answered; an older one that comes again is refused as stale."""
DRAWDOWN_REASON: Final = "drawdown"


class RiskConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the stage is built from.

    Attributes:
        real_money: orders go to anything but paper or the simulator; without evidence they stay the smallest.
        permit_ttl_s: data seconds for which a permit is valid.
    """

    accounts: tuple[AccountSpec, ...]
    limits: Limits = Limits()
    costs: Costs = Costs()
    real_money: bool = False
    permit_ttl_s: float = 5.0


class _State(msgspec.Struct):
    """Everything the stage knows; `halted` and `reduce_only` map a scope to the reason given for it."""

    version: int
    accounts: dict[str, AccountMemory]
    symbols: dict[str, SymbolMemory] = {}
    now: dict[str, Nanos] = {}
    halted: dict[str, str] = {}
    reduce_only: dict[str, str] = {}
    answered: dict[str, None] = {}


_encoder = msgspec.msgpack.Encoder(decimal_format="string")
_decoder = msgspec.msgpack.Decoder(_State)


class RiskStage:
    """See `Stage`. Halts may be set on "*", a symbol, a strategy or an account.

    `expired`: intent ids of the unused permits that the newest TimePassed freed.
    """

    name = "risk"

    def __init__(self, config: RiskConfig) -> None:
        self.config = config
        self._ttl: Nanos = round(config.permit_ttl_s * SECOND)
        self._engine = RiskEngine(config.limits, config.costs, config.real_money, self._ttl)
        self.limits_hash = self._engine.limits_hash
        self.expired: list[str] = []
        self._state = _State(SNAPSHOT_VERSION, {spec.id: AccountMemory(spec) for spec in config.accounts})

    # inputs

    def apply(self, event: Event, ts_init: Nanos) -> Sequence[Event]:
        """See `Stage.apply`. A Signal yields its Permit, when approved, and then its Verdict, exactly once."""
        if isinstance(event, Signal):
            return self._answer(event, ts_init)
        self.absorb(event)
        if isinstance(event, AccountState):
            return self._guard_drawdown(event, ts_init)
        return ()

    def absorb(self, event: Event) -> None:
        """Learn from an event without deciding anything; rebuilding from the streams uses this alone."""
        match event:
            case Ticks():
                self._seen(event.venue, event.ts_event)
                self._symbol(event.venue, event.symbol).ticks(event)
            case Bar():
                self._seen(event.venue, event.ts_event)
                self._symbol(event.venue, event.symbol).bar(event)
            case FeedHealth():
                self._seen(event.venue, event.ts_event)
                self._symbol(event.venue, event.symbol).health = event
            case VenueClock():
                self._seen(event.venue, event.ts_event)
            case Instrument():
                self._symbol(event.venue, event.symbol).instrument = event
            case TimePassed():
                self._seen(event.venue, event.ts_event)
                self.expired = [key for m in self._at(event.venue) for key in m.expire(event.ts_event, self._ttl)]
            case Verdict():
                self._remember(event.signal_id)
            case Control():
                self._control(event)
            case AccountState() | Position() | Order() | Fill() | Permit():
                if (account := self._state.accounts.get(event.account)) is not None:
                    self._ledger(account, event)
            case _:
                pass

    def _ledger(self, memory: AccountMemory, event: AccountState | Position | Order | Fill | Permit) -> None:
        match event:
            case AccountState():
                memory.account_state(event)
            case Position():
                memory.position(event)
            case Order():
                memory.order(event, *self._reserved(event))
            case Fill():
                memory.fill(event)
            case Permit():
                memory.permit(event, *self._reserved(event))
                self._remember(event.verdict.signal_id)

    def _reserved(self, event: Order | Permit) -> tuple[Decimal, Decimal, Decimal]:
        if event.action is Action.EXIT:
            return Decimal(0), Decimal(0), Decimal(0)
        instrument = self._symbol(event.venue, event.symbol).instrument
        fee = self.config.costs.entry_fee(instrument) if instrument else Decimal(0)
        return reservation(instrument, event.quantity, event.worst_price, event.stop_price, fee)

    def _control(self, event: Control) -> None:
        state = self._state
        if event.kind is ControlKind.HALT:
            state.halted[event.scope] = event.reason
            if event.actor == self.name and event.scope in state.accounts:
                state.accounts[event.scope].drawdown_halted = True
        elif event.kind is ControlKind.REDUCE_ONLY:
            state.reduce_only[event.scope] = event.reason
        elif event.kind is ControlKind.REARM:
            for scopes in (state.halted, state.reduce_only):
                scopes.clear() if event.scope == "*" else scopes.pop(event.scope, None)
            for memory in state.accounts.values():
                if memory.drawdown_halted and event.scope in ("*", memory.spec.id):
                    # Without a new mark the same drawdown would halt it again at once, against a person's word.
                    memory.drawdown_halted = False
                    memory.peak = memory.state.equity if memory.state else None

    # decisions

    def _answer(self, signal: Signal, ts_init: Nanos) -> Sequence[Event]:
        if signal.id in self._state.answered:
            return ()
        self._remember(signal.id)
        self._seen(signal.venue, signal.ts_event)
        now = self._state.now[signal.venue]
        symbol = self._symbol(signal.venue, signal.symbol)
        memory = self._account_for(signal, symbol.instrument)
        view = None
        if memory is not None:
            scopes = ("*", memory.spec.id, signal.symbol, signal.strategy)
            halted = tuple(scope for scope in scopes if scope in self._state.halted)
            reduce_only = tuple(scope for scope in scopes if scope in self._state.reduce_only)
            view = memory.view(signal.symbol, now, halted, reduce_only)
        answer = self._engine.review(signal, symbol.view(now), view)
        verdict = restamped(answer.verdict, ts_init)
        if not isinstance(answer, Approved) or memory is None:
            return (verdict,)
        permit = msgspec.structs.replace(answer.permit, verdict=verdict, ts_init=ts_init)
        self._ledger(memory, permit)
        return (permit, verdict)

    def _account_for(self, signal: Signal, instrument: Instrument | None) -> AccountMemory | None:
        """The account that a signal is judged for: the first at its venue, one in the right currency preferred."""
        accounts = list(self._at(signal.venue))
        quote = instrument.quote if instrument else ""
        return next((m for m in accounts if m.spec.currency == quote), accounts[0] if accounts else None)

    def _guard_drawdown(self, event: AccountState, ts_init: Nanos) -> Sequence[Event]:
        """Halt and flatten an account whose drawdown has reached the limit, once until a person re-arms it."""
        memory = self._state.accounts.get(event.account)
        if memory is None or memory.state is None or memory.drawdown_halted:
            return ()
        limit = self.config.limits.drawdown_halt_at
        try:
            fallen = memory.view("", event.ts_event, (), ()).drawdown
            if fallen < limit:
                return ()
            reason = f"{DRAWDOWN_REASON} {fallen:.2%} of {event.account} has reached {limit:.2%}"
        except DecimalException:
            return ()
        commands = tuple(
            Control(
                id=stable_id("control", self.name, kind.value, event.account, event.id),
                cause=(event.id,),
                ts_event=event.ts_event,
                ts_init=ts_init,
                kind=kind,
                scope=event.account,
                reason=reason,
                actor=self.name,
            )
            for kind in (ControlKind.HALT, ControlKind.FLATTEN)
        )
        for command in commands:
            self._control(command)
        return commands

    # memory

    def _seen(self, venue: str, ts_event: Nanos) -> None:
        if ts_event > self._state.now.get(venue, 0):
            self._state.now[venue] = ts_event
        else:
            self._state.now.setdefault(venue, 0)

    def _symbol(self, venue: str, symbol: str) -> SymbolMemory:
        return self._state.symbols.setdefault(f"{venue} {symbol}", SymbolMemory())

    def _at(self, venue: str) -> Iterator[AccountMemory]:
        return (memory for memory in self._state.accounts.values() if memory.spec.venue == venue)

    def _remember(self, signal_id: str) -> None:
        self._state.answered[signal_id] = None
        while len(self._state.answered) > ANSWERED_KEPT:
            del self._state.answered[next(iter(self._state.answered))]

    def next_deadline(self, venue: str) -> Nanos | None:
        """See `Stage.next_deadline`: when an unused permit at `venue` stops counting as exposure, 0 = at once."""
        now = self._state.now.get(venue, 0)
        if not now:
            return None
        waiting = (memory.next_expiry(now, self._ttl) for memory in self._at(venue))
        return min((deadline for deadline in waiting if deadline is not None), default=None)

    def snapshot(self) -> bytes:
        """See `Stage.snapshot`."""
        return _encoder.encode(self._state)

    def restore(self, snapshot: bytes) -> None:
        """See `Stage.restore`."""
        try:
            state = _decoder.decode(snapshot)
        except msgspec.DecodeError as err:
            raise ValueError(f"no snapshot of the risk stage: {err}") from None
        if state.version != SNAPSHOT_VERSION:
            raise ValueError(f"risk snapshot of version {state.version}, this is version {SNAPSHOT_VERSION}")
        held = {memory.spec for memory in state.accounts.values()}
        if held != set(self.config.accounts):
            raise ValueError("risk snapshot of other accounts than the configuration names")
        self._state = state

    def forget_markets(self) -> None:
        """Drop prices, health and clocks, which a new run learns anew; contracts and accounts stay."""
        self._state.now.clear()
        for key, memory in self._state.symbols.items():
            self._state.symbols[key] = SymbolMemory(instrument=memory.instrument)

    # what people ask

    def halts(self) -> tuple[dict[str, str], dict[str, str]]:
        """Scopes in halt and in reduce-only, each with the reason given."""
        return dict(self._state.halted), dict(self._state.reduce_only)

    def accounts(self) -> tuple[AccountMemory, ...]:
        """The accounts as remembered; not to be changed."""
        return tuple(self._state.accounts.values())

    def connectivity_signal(self, venue: str, symbol: str, nonce: int) -> Signal | None:
        """The wish for a connectivity trade, to be published like any other; None without a price. `nonce` tells
        one from the next."""
        view = self._symbol(venue, symbol).view(self._state.now.get(venue, 0))
        if view.price is None or not view.now:
            return None
        return Signal(
            id=stable_id("signal", SMOKE, venue, symbol, nonce),
            ts_event=view.now,
            strategy=SMOKE,
            params_hash="",
            venue=venue,
            symbol=symbol,
            interval_s=1,
            bar_time=view.now,
            side=Side.BUY,
            action=Action.ENTER,
            price=view.price,
            reason="connectivity trade: the smallest one, opened and closed",
        )

    def symbols(self) -> tuple[str, ...]:
        """Symbols with a known contract."""
        return tuple(m.instrument.symbol for m in self._state.symbols.values() if m.instrument)

    def unknown_accounts(self) -> tuple[str, ...]:
        """Accounts whose state has not been seen."""
        return tuple(key for key, memory in self._state.accounts.items() if memory.state is None)


def build(config: bytes) -> RiskStage:
    """The stage that a JSON configuration describes. Raises msgspec.ValidationError."""
    return RiskStage(msgspec.json.decode(config, type=RiskConfig))
