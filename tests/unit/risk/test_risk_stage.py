"""The risk stage: what it answers, what it reserves, when it halts, and what survives a restart."""

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from libs.core.portfolio.limits import AccountSpec, Limits
from libs.core.stages.risk import RiskConfig, RiskStage, build
from libs.core.types import (
    SECOND,
    AccountState,
    Action,
    Bar,
    BarFlag,
    Control,
    ControlKind,
    Event,
    FeedHealth,
    Fill,
    Instrument,
    InstrumentKind,
    Mode,
    Order,
    OrderState,
    Permit,
    Position,
    Quote,
    Side,
    Signal,
    Ticks,
    TimePassed,
    Trade,
    VenueClock,
    Verdict,
)

DAY = 86_400 * SECOND
NOW = 19_675 * DAY + 12 * 3_600 * SECOND
CONFIG = RiskConfig(
    accounts=(
        AccountSpec(id="deriv-paper", venue="deriv", currency="USD"),
        AccountSpec(id="binance-paper", venue="binance", currency="USDT"),
    )
)
R_100 = Instrument(
    id="i",
    ts_event=0,
    venue="deriv",
    symbol="R_100",
    canonical="R_100",
    name="Volatility 100",
    kind=InstrumentKind.MULTIPLIER,
    base="R_100",
    quote="USD",
    decimals=2,
    price_step=D("0.01"),
    qty_step=D("0.01"),
    min_qty=D(1),
    max_qty=D(2000),
    multiplier=40,
    commission_rate=D("0.00036"),
)
STATE = AccountState(
    id="a1",
    ts_event=NOW,
    account="deriv-paper",
    venue="deriv",
    mode=Mode.PAPER,
    currency="USD",
    balance=D(10_000),
    equity=D(10_000),
    peak_equity=D(10_000),
    day=19_675,
    day_start_equity=D(10_000),
    revision=1,
)


def change(thing: Any, **fields: Any) -> Any:
    return msgspec.structs.replace(thing, **fields)


def ticks(at: int, price: float = 100.0, symbol: str = "R_100", venue: str = "deriv") -> Ticks:
    items = (Trade(ts_event=at, price=price, size=0.0, side=0, seq=at // SECOND),)
    return Ticks(id=f"t{at}", ts_event=at, venue=venue, symbol=symbol, items=items)


def signal(name: str, at: int = NOW, **fields: Any) -> Signal:
    base = Signal(
        id=name,
        ts_event=at,
        strategy="ema_trend",
        params_hash="p",
        venue="deriv",
        symbol="R_100",
        interval_s=1,
        bar_time=at - SECOND,
        side=Side.BUY,
        action=Action.ENTER,
        price=100.0,
        atr=0.5,
        reason="up",
        ts_recv=77,
    )
    return change(base, **fields)


def control(kind: ControlKind, scope: str = "*", actor: str = "cli") -> Control:
    return Control(id=f"{kind}{scope}", ts_event=0, kind=kind, scope=scope, reason="because", actor=actor)


def order(permit: Permit, state: OrderState, revision: int, **fields: Any) -> Order:
    base = Order(
        id=f"o{revision}",
        ts_event=NOW,
        intent_id=permit.id,
        revision=revision,
        state=state,
        mode=Mode.PAPER,
        venue=permit.venue,
        account=permit.account,
        symbol=permit.symbol,
        strategy=permit.strategy,
        side=permit.side,
        action=permit.action,
        quantity=permit.quantity,
        worst_price=permit.worst_price,
        stop_price=permit.stop_price,
        position_id=permit.position_id or permit.id,
        reason="entry",
        permit_id=permit.id,
    )
    return change(base, **fields)


def position(permit: Permit, **fields: Any) -> Position:
    base = Position(
        id="p",
        ts_event=NOW,
        position_id=permit.id,
        revision=0,
        mode=Mode.PAPER,
        venue=permit.venue,
        account=permit.account,
        symbol=permit.symbol,
        strategy=permit.strategy,
        side=permit.side,
        quantity=permit.quantity,
        entry_price=D(100),
        stop_price=permit.stop_price,
        notional=permit.quantity * 40,
        risk=D(10),
        currency="USD",
        opened=NOW,
    )
    return change(base, **fields)


def ready_stage(config: RiskConfig = CONFIG) -> RiskStage:
    stage = RiskStage(config)
    for event in (
        R_100,
        change(R_100, id="i2", symbol="R_50"),
        FeedHealth(id="h", ts_event=NOW, venue="deriv", symbol="R_100", score=1.0),
        FeedHealth(id="h2", ts_event=NOW, venue="deriv", symbol="R_50", score=1.0),
        ticks(NOW),
        ticks(NOW, symbol="R_50"),
        STATE,
    ):
        assert stage.apply(event, 1) == ()
    return stage


def permit_of(stage: RiskStage, wish: Signal) -> Permit:
    permit, verdict = stage.apply(wish, 5)
    assert isinstance(permit, Permit)
    assert isinstance(verdict, Verdict)
    assert verdict.approved
    return permit


def reasons_of(stage: RiskStage, wish: Signal) -> tuple[str, ...]:
    (verdict,) = stage.apply(wish, 5)
    assert isinstance(verdict, Verdict)
    return verdict.reasons


def exposure(stage: RiskStage) -> D:
    return stage.accounts()[0].view("", NOW, (), ()).exposure


def test_an_approved_signal_gives_its_permit_and_then_its_verdict() -> None:
    stage = ready_stage()
    permit, verdict = stage.apply(signal("s1"), 5)
    assert isinstance(permit, Permit)
    assert permit.verdict == verdict
    assert (permit.ts_init, verdict.ts_init, permit.ts_recv) == (5, 5, 77)
    assert permit.limits_hash == CONFIG.limits.hash()


def test_a_signal_delivered_again_is_not_answered_again() -> None:
    stage = ready_stage()
    permit_of(stage, signal("s1"))
    assert stage.apply(signal("s1"), 6) == ()


def test_before_the_account_has_spoken_everything_is_refused() -> None:
    stage = RiskStage(CONFIG)
    assert "account_unknown" in reasons_of(stage, signal("s1"))
    assert stage.unknown_accounts() == ("deriv-paper", "binance-paper")


def test_a_venue_without_an_account_is_refused() -> None:
    assert reasons_of(ready_stage(), signal("s1", venue="elsewhere")) == ("no_account",)


def test_an_unused_permit_reserves_until_it_is_void_and_the_time_is_recorded() -> None:
    stage = ready_stage()
    permit = permit_of(stage, signal("s1"))
    assert exposure(stage) == permit.quantity * 40
    assert "open_order" in reasons_of(stage, signal("s2", NOW + 6 * SECOND))
    deadline = stage.next_deadline("deriv")
    assert deadline == permit.expires + 5 * SECOND
    stage.apply(ticks(deadline + SECOND), 1)
    assert exposure(stage) > 0, "only a recorded TimePassed may free it"
    assert stage.apply(TimePassed(id="x", ts_event=deadline, venue="deriv"), 1) == ()
    assert exposure(stage) == 0
    assert stage.next_deadline("deriv") is None
    stage.apply(ticks(deadline + 11 * SECOND), 1)
    permit_of(stage, signal("s3", deadline + 11 * SECOND))


def test_a_permit_of_another_recording_is_void_as_soon_as_the_clock_is_known() -> None:
    stage = ready_stage()
    permit_of(stage, signal("s1"))
    stage.forget_markets()
    assert stage.next_deadline("deriv") is None, "no clock, no deadline"
    year_before = NOW - 365 * DAY
    stage.apply(ticks(year_before), 1)
    assert stage.next_deadline("deriv") == 0
    stage.apply(TimePassed(id="x", ts_event=year_before, venue="deriv"), 1)
    assert exposure(stage) == 0


def test_a_permit_in_use_does_not_expire() -> None:
    stage = ready_stage()
    permit = permit_of(stage, signal("s1"))
    stage.apply(order(permit, OrderState.PLANNED, 0), 1)
    assert stage.next_deadline("deriv") is None
    stage.apply(TimePassed(id="x", ts_event=NOW + DAY, venue="deriv"), 1)
    assert exposure(stage) == permit.quantity * 40


@pytest.mark.parametrize("end", [OrderState.REJECTED, OrderState.CANCELLED])
def test_an_order_that_ends_without_a_fill_frees_what_it_held(end: OrderState) -> None:
    stage = ready_stage()
    permit = permit_of(stage, signal("s1"))
    stage.apply(order(permit, OrderState.PLANNED, 0), 1)
    stage.apply(order(permit, end, 1), 1)
    assert exposure(stage) == 0
    stage.apply(order(permit, OrderState.PLANNED, 0), 1)
    assert exposure(stage) == 0, "delivered again, it stays settled"


def test_between_fill_and_position_nothing_is_counted_twice_or_not_at_all() -> None:
    stage = ready_stage()
    permit = permit_of(stage, signal("s1"))
    full = permit.quantity * 40
    stage.apply(order(permit, OrderState.PLANNED, 0), 1)
    stage.apply(order(permit, OrderState.FILLED, 1, filled=permit.quantity), 1)
    assert exposure(stage) == full
    stage.apply(position(permit), 1)
    assert exposure(stage) == full
    stage.apply(position(permit, revision=1, quantity=D(0), notional=D(0), risk=D(0)), 1)
    assert exposure(stage) == 0
    stage.apply(position(permit), 1)
    assert exposure(stage) == 0, "an old revision delivered again does not open it"


def test_of_a_partly_filled_order_the_rest_stays_reserved() -> None:
    stage = ready_stage()
    permit = permit_of(stage, signal("s1"))
    part = permit.quantity / 4
    stage.apply(order(permit, OrderState.PARTLY_FILLED, 1, filled=part), 1)
    stage.apply(position(permit, quantity=part, notional=part * 40), 1)
    assert exposure(stage) == permit.quantity * 40
    stage.apply(order(permit, OrderState.CANCELLED, 2, filled=part), 1)
    assert exposure(stage) == part * 40


def test_an_order_whose_permit_was_never_seen_counts_too() -> None:
    permit = permit_of(ready_stage(), signal("s1"))
    stage = ready_stage()
    stage.apply(order(permit, OrderState.SENT, 1), 1)
    assert exposure(stage) == permit.quantity * 40
    assert "open_order" in reasons_of(stage, signal("s2"))


def test_an_unresolved_order_blocks_its_symbol_and_no_other() -> None:
    stage = ready_stage()
    permit = permit_of(stage, signal("s1"))
    stage.apply(order(permit, OrderState.UNRESOLVED, 1), 1)
    later = NOW + 20 * SECOND
    stage.apply(ticks(later), 1)
    stage.apply(ticks(later, symbol="R_50"), 1)
    assert set(reasons_of(stage, signal("s2", later))) == {"open_order", "unresolved_order"}
    permit_of(stage, signal("s3", later, symbol="R_50"))


def test_an_exit_cites_its_position_and_a_second_one_waits_for_the_first() -> None:
    stage = ready_stage()
    permit = permit_of(stage, signal("s1"))
    stage.apply(position(permit), 1)
    leave = signal("s2", side=Side.SELL, action=Action.EXIT)
    out = permit_of(stage, leave)
    assert (out.position_id, out.quantity) == (permit.id, permit.quantity)
    assert exposure(stage) == permit.quantity * 40, "an exit reserves nothing"
    assert reasons_of(stage, signal("s3", side=Side.SELL, action=Action.EXIT)) == ("exit_pending",)
    stage.apply(order(out, OrderState.REJECTED, 1), 1)
    permit_of(stage, signal("s4", side=Side.SELL, action=Action.EXIT))


def test_entries_on_one_symbol_cool_down() -> None:
    stage = ready_stage()
    permit = permit_of(stage, signal("s1"))
    stage.apply(order(permit, OrderState.REJECTED, 0), 1)
    stage.apply(ticks(NOW + 9 * SECOND), 1)
    assert reasons_of(stage, signal("s2", NOW + 9 * SECOND)) == ("cooldown",)
    stage.apply(ticks(NOW + 10 * SECOND), 1)
    permit_of(stage, signal("s3", NOW + 10 * SECOND))


def fill(name: str, at: int, realised: str, **fields: Any) -> Fill:
    base = Fill(
        id=name,
        ts_event=at,
        intent_id=name,
        trade_id=name,
        mode=Mode.PAPER,
        venue="deriv",
        account="deriv-paper",
        symbol="R_100",
        strategy="ema_trend",
        side=Side.SELL,
        action=Action.EXIT,
        price=D(100),
        quantity=D(1),
        currency="USD",
        realised=D(realised),
        position_id=name,
        reason="stop",
    )
    return change(base, **fields)


def test_a_symbols_loss_counts_from_the_fill_and_is_forgotten_at_midnight() -> None:
    stage = ready_stage()
    stage.apply(fill("f1", NOW, "-150"), 1)
    stage.apply(fill("f1", NOW, "-150"), 1)
    stage.apply(signal("s0", symbol="R_50"), 1)
    stage.apply(fill("f2", NOW, "-50"), 1)
    assert reasons_of(stage, signal("s1")) == ("symbol_daily_loss",)
    tomorrow = NOW + DAY
    stage.apply(ticks(tomorrow), 1)
    permit_of(stage, signal("s2", tomorrow))


def test_the_twenty_first_trade_of_a_day_is_refused_even_before_the_account_counts_it() -> None:
    stage = ready_stage()
    stage.apply(change(STATE, id="a2", revision=2, trades_today=18), 1)
    for i in range(19):
        stage.apply(fill(f"e{i}", NOW, "0", action=Action.ENTER), 1)
    permit = permit_of(stage, signal("s1", symbol="R_50"))
    assert reasons_of(stage, signal("s2")) == ("trades_today",)
    stage.apply(order(permit, OrderState.REJECTED, 0), 1)
    permit_of(stage, signal("s3"))


def test_yesterdays_day_start_is_no_measure_of_todays_loss() -> None:
    stage = ready_stage()
    stage.apply(change(STATE, id="a2", revision=2, equity=D(9_400), trades_today=20), 1)
    assert set(reasons_of(stage, signal("s1"))) == {"daily_loss", "trades_today"}
    tomorrow = NOW + DAY
    stage.apply(ticks(tomorrow), 1)
    permit_of(stage, signal("s2", tomorrow))


@pytest.mark.parametrize("scope", ["*", "R_100", "ema_trend", "deriv-paper"])
@pytest.mark.parametrize(("kind", "reason"), [(ControlKind.HALT, "halted"), (ControlKind.REDUCE_ONLY, "reduce_only")])
def test_a_halt_holds_in_its_scope_across_a_restart_until_it_is_rearmed(
    kind: ControlKind, reason: str, scope: str
) -> None:
    stage = ready_stage()
    stage.apply(control(kind, scope), 1)
    again = RiskStage(CONFIG)
    again.restore(stage.snapshot())
    assert reasons_of(again, signal("s1")) == (reason,)
    again.apply(control(ControlKind.REARM, scope), 1)
    permit_of(again, signal("s2"))


def test_a_halt_elsewhere_is_no_halt_here() -> None:
    stage = ready_stage()
    for scope in ("R_50", "mean_revert", "binance-paper"):
        stage.apply(control(ControlKind.HALT, scope), 1)
    permit_of(stage, signal("s1"))


def test_rearming_everything_lifts_every_scope_and_rearming_one_only_that() -> None:
    stage = ready_stage()
    stage.apply(control(ControlKind.HALT, "R_100"), 1)
    stage.apply(control(ControlKind.HALT, "*"), 1)
    stage.apply(control(ControlKind.REARM, "R_100"), 1)
    assert stage.halts() == ({"*": "because"}, {})
    stage.apply(control(ControlKind.HALT, "R_50"), 1)
    stage.apply(control(ControlKind.REARM, "*"), 1)
    assert stage.halts() == ({}, {})


def fallen(equity: str, revision: int) -> AccountState:
    money = D(equity)
    return msgspec.structs.replace(
        STATE, id=f"a{revision}", equity=money, balance=money, day_start_equity=money, revision=revision
    )


def test_a_drawdown_of_fifteen_percent_halts_and_flattens_the_account_once() -> None:
    stage = ready_stage()
    assert stage.apply(fallen("8500.01", 2), 1) == ()
    halt, flatten = stage.apply(fallen("8500", 3), 9)
    assert isinstance(halt, Control)
    assert isinstance(flatten, Control)
    assert (halt.kind, flatten.kind) == (ControlKind.HALT, ControlKind.FLATTEN)
    assert (halt.scope, halt.actor, halt.cause, halt.ts_init) == ("deriv-paper", "risk", ("a3",), 9)
    assert "15.00%" in halt.reason
    assert stage.apply(fallen("8000", 4), 1) == ()
    assert set(reasons_of(stage, signal("s1"))) == {"halted", "drawdown"}


def test_equity_that_recovers_does_not_rearm() -> None:
    stage = ready_stage()
    stage.apply(fallen("8500", 2), 1)
    stage.apply(fallen("10000", 3), 1)
    assert reasons_of(stage, signal("s1")) == ("halted",)


def test_a_person_rearms_and_drawdown_is_measured_from_there() -> None:
    stage = ready_stage()
    stage.apply(fallen("8500", 2), 1)
    stage.apply(control(ControlKind.REARM, "deriv-paper"), 1)
    assert stage.apply(fallen("8400", 3), 1) == ()
    permit_of(stage, signal("s1"))
    assert stage.apply(fallen("9000", 4), 1) == ()
    assert len(stage.apply(fallen("7650", 5), 1)) == 2, "15 % below the 9,000 reached since"


def test_rearming_another_halt_leaves_the_high_water_mark_alone() -> None:
    stage = ready_stage()
    stage.apply(fallen("8800", 2), 1)
    stage.apply(control(ControlKind.HALT), 1)
    stage.apply(control(ControlKind.REARM), 1)
    assert len(stage.apply(fallen("8500", 3), 1)) == 2


def test_a_drawdown_halt_known_only_from_the_stream_is_not_sent_again() -> None:
    stage = RiskStage(CONFIG)
    stage.absorb(STATE)
    stage.absorb(fallen("8500", 2))
    stage.absorb(control(ControlKind.HALT, "deriv-paper", actor="risk"))
    assert stage.apply(fallen("8400", 3), 1) == ()


def test_a_drawdown_that_was_learnt_but_never_announced_is_announced_by_the_next_state() -> None:
    stage = RiskStage(CONFIG)
    stage.absorb(fallen("8500", 2))
    assert len(stage.apply(fallen("8499", 3), 1)) == 2


def test_a_quote_alone_is_a_price_and_nonsense_is_none() -> None:
    stage = ready_stage()
    late = NOW + 30 * SECOND
    nan = float("nan")
    bad = (Quote(late, nan, 0, 1.0, 0, 0), Quote(late, 101.0, 0, 99.0, 0, 0), Trade(late, -5.0, 1, 1, 1))
    stage.apply(Ticks(id="t", ts_event=late, venue="deriv", symbol="R_100", items=bad), 1)
    assert reasons_of(stage, signal("s1", late)) == ("price_fresh",)
    good = (Quote(late, 99.99, 0, 100.01, 0, 0),)
    stage.apply(Ticks(id="t", ts_event=late, venue="deriv", symbol="R_100", items=good), 1)
    assert permit_of(stage, signal("s2", late)).worst_price == D("100.20")


def test_bars_give_the_price_only_where_there_are_no_ticks() -> None:
    bar = Bar(
        id="b",
        ts_event=NOW + 60 * SECOND,
        venue="deriv",
        symbol="R_25",
        interval_s=60,
        open_time=NOW,
        open=50.0,
        high=50.0,
        low=50.0,
        close=50.0,
        flags=int(BarFlag.VENUE),
    )
    stage = ready_stage()
    stage.apply(change(R_100, id="i3", symbol="R_25"), 1)
    stage.apply(FeedHealth(id="h", ts_event=NOW, venue="deriv", symbol="R_25", score=1.0), 1)
    stage.apply(change(bar, flags=int(BarFlag.HISTORY)), 1)
    assert "price" in reasons_of(stage, signal("s1", bar.ts_event, symbol="R_25", price=50.0))
    stage.apply(bar, 1)
    late = bar.ts_event + 64 * SECOND
    permit_of(stage, signal("s2", late, symbol="R_25", price=50.0, interval_s=60))
    stage.apply(change(bar, symbol="R_100", ts_event=late), 1)
    assert "price_fresh" in reasons_of(stage, signal("s3", late))


def test_the_clock_of_one_venue_does_not_age_the_prices_of_another() -> None:
    stage = ready_stage()
    stage.apply(VenueClock(id="c", ts_event=NOW + 400 * DAY, venue="binance", ts_machine=0, extrapolate=True), 1)
    permit_of(stage, signal("s1"))
    stage.apply(VenueClock(id="c", ts_event=NOW + 6 * SECOND, venue="deriv", ts_machine=0, extrapolate=True), 1)
    assert set(reasons_of(stage, signal("s2"))) >= {"price_fresh"}


def test_a_snapshot_continues_bit_for_bit() -> None:
    stage = ready_stage()
    permit = permit_of(stage, signal("s1"))
    rest: list[Event] = [
        order(permit, OrderState.PLANNED, 0),
        order(permit, OrderState.FILLED, 1, filled=permit.quantity),
        fill("f1", NOW, "-3", action=Action.ENTER, intent_id=permit.id),
        position(permit),
        change(STATE, id="a2", revision=2, trades_today=1),
        signal("s2", NOW + SECOND, side=Side.SELL, action=Action.EXIT),
    ]
    again = build(msgspec.json.encode(CONFIG))
    again.restore(stage.snapshot())
    for event in rest:
        assert again.apply(event, 3) == stage.apply(event, 3)
        assert again.snapshot() == stage.snapshot()


def test_a_snapshot_of_other_accounts_is_refused() -> None:
    other = RiskStage(RiskConfig(accounts=(AccountSpec(id="x", venue="deriv", currency="USD"),)))
    with pytest.raises(ValueError, match="other accounts"):
        other.restore(ready_stage().snapshot())
    with pytest.raises(ValueError, match="no snapshot"):
        other.restore(b"\x00nonsense")


def test_forgetting_markets_keeps_contracts_halts_and_accounts() -> None:
    stage = ready_stage()
    stage.apply(control(ControlKind.HALT), 1)
    stage.forget_markets()
    assert set(reasons_of(stage, signal("s1"))) == {"halted", "price", "price_fresh", "feed_health"}


def test_limits_of_the_configuration_are_in_force() -> None:
    tight = msgspec.structs.replace(CONFIG, limits=Limits(max_position=D("0.01")))
    permit = permit_of(ready_stage(tight), signal("s1"))
    assert permit.quantity * 40 <= 100
    assert permit.limits_hash != CONFIG.limits.hash()
