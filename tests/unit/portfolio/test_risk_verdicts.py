"""Rows of market and account, and the verdict with its reasons beside each."""

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.core.portfolio.costs import Costs
from libs.core.portfolio.engine import RiskEngine
from libs.core.portfolio.limits import AccountSpec, AccountView, Limits, MarketView, Pending
from libs.core.types import (
    SECOND,
    SMOKE,
    AccountState,
    Action,
    Approved,
    FeedHealth,
    FeedState,
    Instrument,
    InstrumentKind,
    Mode,
    OrderState,
    Position,
    Rejected,
    Side,
    Signal,
    stable_id,
)
from libs.core.types.money import smallest_trade

NOW = 1_700_000_000 * SECOND
SPOT = Instrument(
    id="i",
    ts_event=0,
    venue="binance",
    symbol="BTCUSDT",
    canonical="BTC/USDT",
    name="Bitcoin",
    kind=InstrumentKind.SPOT,
    base="BTC",
    quote="USDT",
    decimals=2,
    price_step=D("0.01"),
    qty_step=D("0.00001"),
    min_qty=D("0.00001"),
    max_qty=D(100),
    min_notional=D(5),
)
HEALTH = FeedHealth(id="h", ts_event=NOW, venue="binance", symbol="BTCUSDT", score=1.0)
MARKET = MarketView(now=NOW, instrument=SPOT, price=100.0, price_ts=NOW - SECOND, health=HEALTH)
STATE = AccountState(
    id="a",
    ts_event=NOW,
    account="paper",
    venue="binance",
    mode=Mode.PAPER,
    currency="USDT",
    balance=D(10_000),
    equity=D(10_000),
    peak_equity=D(10_000),
    day=NOW // (86_400 * SECOND),
    day_start_equity=D(10_000),
)
ACCOUNT = AccountView(
    spec=AccountSpec(id="paper", venue="binance", currency="USDT"),
    state=STATE,
    peak=D(10_000),
    day_start=D(10_000),
)
SIGNAL = Signal(
    id="s1",
    ts_event=NOW,
    strategy="ema_trend",
    params_hash="p",
    venue="binance",
    symbol="BTCUSDT",
    interval_s=1,
    bar_time=NOW - SECOND,
    side=Side.BUY,
    action=Action.ENTER,
    price=100.0,
    atr=0.5,
    reason="fast above slow",
)
HELD = Position(
    id="p1",
    ts_event=NOW,
    position_id="entry1",
    revision=1,
    mode=Mode.PAPER,
    venue="binance",
    account="paper",
    symbol="BTCUSDT",
    strategy="ema_trend",
    side=Side.BUY,
    quantity=D("3"),
    entry_price=D(99),
    notional=D(297),
    risk=D(3),
    currency="USDT",
    opened=NOW,
)
ON_ITS_WAY = Pending(
    intent_id="x",
    symbol="ETHUSDT",
    action=Action.ENTER,
    position_id="x",
    expires=NOW,
    notional=D(900),
    risk=D(18),
    cash=D(901),
)
ENGINE = RiskEngine(Limits(), Costs(fee_bps={"binance": D(10)}), False, 5 * SECOND)
LIVE = RiskEngine(Limits(), Costs(fee_bps={"binance": D(10)}), True, 5 * SECOND)


def change(thing: Any, **fields: Any) -> Any:
    return msgspec.structs.replace(thing, **fields)


def instrument(**fields: Any) -> MarketView:
    return change(MARKET, instrument=change(SPOT, **fields))


def state(**fields: Any) -> AccountView:
    return change(ACCOUNT, state=change(STATE, **fields))


def test_a_sound_signal_becomes_a_permit_that_says_everything() -> None:
    answer = ENGINE.review(SIGNAL, MARKET, ACCOUNT)
    assert isinstance(answer, Approved)
    permit, verdict = answer.permit, answer.verdict
    assert permit.id == verdict.intent_id == stable_id("intent", "s1", "paper")
    assert verdict.id == stable_id("verdict", "s1")
    assert permit.verdict == verdict
    assert verdict.reasons == ("fast above slow",)
    assert (permit.worst_price, permit.stop_price, permit.target_price) == (D("100.20"), D("99.00"), D("102.00"))
    assert permit.quantity == verdict.quantity == D("9.98003")  # 10 % of equity at the worst price
    assert permit.expires == NOW + 5 * SECOND
    assert permit.signature == b""
    assert verdict.exploring
    assert permit.limits_hash == Limits().hash()
    assert all(check.ok for check in verdict.checks)


ROWS: list[tuple[str, Any, Any, Any, set[str]]] = [
    ("no account at the venue", SIGNAL, MARKET, None, {"no_account"}),
    ("account not seen yet", SIGNAL, MARKET, change(ACCOUNT, state=None), {"account_unknown"}),
    ("account broke", SIGNAL, MARKET, state(equity=D(0)), {"account_sound"}),
    ("account not a number", SIGNAL, MARKET, state(equity=D("NaN")), {"account_sound"}),
    ("instrument unknown", SIGNAL, change(MARKET, instrument=None), ACCOUNT, {"instrument", "tradable", "currency"}),
    ("quote only", SIGNAL, instrument(kind=InstrumentKind.QUOTE_ONLY), ACCOUNT, {"tradable"}),
    ("market closed", SIGNAL, instrument(is_open=False), ACCOUNT, {"market_open"}),
    (
        "recording ended",
        SIGNAL,
        change(MARKET, health=change(HEALTH, state=FeedState.ENDED)),
        ACCOUNT,
        {"market_open"},
    ),
    ("other currency", SIGNAL, instrument(quote="EUR"), ACCOUNT, {"currency"}),
    ("short on spot", change(SIGNAL, side=Side.SELL), MARKET, ACCOUNT, {"no_short"}),
    ("no price", SIGNAL, change(MARKET, price=None), ACCOUNT, {"price", "price_fresh"}),
    ("old price", SIGNAL, change(MARKET, price_ts=NOW - 6 * SECOND), ACCOUNT, {"price_fresh"}),
    ("old signal", change(SIGNAL, ts_event=NOW - 7 * SECOND), MARKET, ACCOUNT, {"signal_fresh"}),
    ("sick feed", SIGNAL, change(MARKET, health=change(HEALTH, score=0.49)), ACCOUNT, {"feed_health"}),
    ("health unknown", SIGNAL, change(MARKET, health=None), ACCOUNT, {"feed_health"}),
    ("halted", SIGNAL, MARKET, change(ACCOUNT, halted=("*", "BTCUSDT")), {"halted"}),
    ("reduce only", SIGNAL, MARKET, change(ACCOUNT, reduce_only=("ema_trend",)), {"reduce_only"}),
    ("drawdown at the limit", SIGNAL, MARKET, change(ACCOUNT, peak=D("11764.71")), {"drawdown"}),
    ("daily loss", SIGNAL, MARKET, change(ACCOUNT, day_start=D("10526.32")), {"daily_loss"}),
    ("symbol's daily loss", SIGNAL, MARKET, change(ACCOUNT, symbol_result=D(-200)), {"symbol_daily_loss"}),
    ("twenty trades", SIGNAL, MARKET, change(ACCOUNT, trades_today=20), {"trades_today"}),
    ("cooling down", SIGNAL, MARKET, change(ACCOUNT, last_entry=NOW - 9 * SECOND), {"cooldown"}),
    ("position open", SIGNAL, MARKET, change(ACCOUNT, positions=(HELD,)), {"one_position"}),
    (
        "order on its way",
        SIGNAL,
        MARKET,
        change(ACCOUNT, pending=(change(ON_ITS_WAY, symbol="BTCUSDT"),)),
        {"open_order"},
    ),
    (
        "order unresolved",
        SIGNAL,
        MARKET,
        change(ACCOUNT, pending=(change(ON_ITS_WAY, symbol="BTCUSDT", state=OrderState.UNRESOLVED),)),
        {"open_order", "unresolved_order"},
    ),
    (
        "open risk used up",
        SIGNAL,
        MARKET,
        change(ACCOUNT, positions=(change(HELD, symbol="ETHUSDT", risk=D(600)),)),
        {"open_risk"},
    ),
    (
        "exposure used up",
        SIGNAL,
        MARKET,
        change(ACCOUNT, positions=(change(HELD, symbol="ETHUSDT", notional=D(5000)),)),
        {"exposure"},
    ),
    ("no cash", SIGNAL, MARKET, state(balance=D(0)), {"cash"}),
    ("move too small for its cost", change(SIGNAL, atr=0.05), MARKET, ACCOUNT, {"edge"}),
    ("account too small for the venue", SIGNAL, instrument(min_notional=D(1001)), ACCOUNT, {"size"}),
    (
        "several things at once",
        change(SIGNAL, side=Side.SELL),
        change(MARKET, health=None, price_ts=0),
        change(ACCOUNT, trades_today=20, halted=("*",)),
        {"no_short", "feed_health", "price_fresh", "trades_today", "halted"},
    ),
]


@pytest.mark.parametrize(("signal", "market", "account", "reasons"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_an_entry_is_refused_with_every_reason(signal: Any, market: Any, account: Any, reasons: set[str]) -> None:
    answer = ENGINE.review(signal, market, account)
    assert isinstance(answer, Rejected)
    assert set(answer.verdict.reasons) == reasons
    assert not answer.verdict.approved
    assert answer.verdict.quantity == 0
    assert answer.verdict.intent_id == ""
    assert reasons == {check.rule for check in answer.verdict.checks if not check.ok}


def test_a_check_gives_value_and_limit_in_words() -> None:
    answer = ENGINE.review(SIGNAL, MARKET, change(ACCOUNT, day_start=D("10526.32")))
    check = next(check for check in answer.verdict.checks if check.rule == "daily_loss")
    assert (check.value, check.limit) == ("526.32 USDT", "526.32 USDT")


def test_a_price_from_bars_may_be_older_by_its_interval() -> None:
    bars = change(MARKET, price_ts=NOW - 64 * SECOND, price_interval_s=60)
    assert isinstance(ENGINE.review(SIGNAL, bars, ACCOUNT), Approved)
    late = change(bars, price_ts=NOW - 66 * SECOND)
    assert ENGINE.review(SIGNAL, late, ACCOUNT).verdict.reasons == ("price_fresh",)


def test_permits_on_their_way_count_as_exposure_risk_and_cash() -> None:
    crowd = tuple(change(ON_ITS_WAY, intent_id=str(i)) for i in range(5))
    answer = ENGINE.review(SIGNAL, MARKET, change(ACCOUNT, pending=crowd))
    assert isinstance(answer, Approved)
    assert answer.permit.quantity * D("100.20") <= 500  # 5,000 less 4,500 reserved


def test_real_money_without_evidence_gets_only_the_smallest_trade() -> None:
    explored = LIVE.review(SIGNAL, MARKET, ACCOUNT)
    assert isinstance(explored, Approved)
    instrument = MARKET.instrument
    assert instrument is not None
    assert explored.permit.quantity == smallest_trade(instrument, explored.permit.worst_price)
    full = ENGINE.review(SIGNAL, MARKET, ACCOUNT)
    assert isinstance(full, Approved)
    assert explored.permit.quantity < full.permit.quantity
    proven = LIVE.review(change(SIGNAL, evidence=True), MARKET, ACCOUNT)
    assert isinstance(proven, Approved)
    assert not proven.verdict.exploring


def test_a_connectivity_trade_is_the_smallest_one_and_need_neither_earn_its_costs_nor_wait() -> None:
    dear = RiskEngine(change(ENGINE.limits, min_edge_over_cost=D(10_000)), Costs(), False, 5 * SECOND)
    assert "edge" in dear.review(SIGNAL, MARKET, ACCOUNT).verdict.reasons
    smoke = dear.review(change(SIGNAL, strategy=SMOKE), MARKET, ACCOUNT)
    assert isinstance(smoke, Approved)
    assert MARKET.instrument is not None
    assert smoke.permit.quantity == smallest_trade(MARKET.instrument, smoke.permit.worst_price)
    just_traded = change(ACCOUNT, last_entry=NOW - SECOND)
    assert isinstance(dear.review(change(SIGNAL, strategy=SMOKE), MARKET, just_traded), Approved)
    halted = dear.review(change(SIGNAL, strategy=SMOKE), MARKET, change(ACCOUNT, halted=("*",)))
    assert halted.verdict.reasons == ("halted",)


@given(
    price=st.decimals("0.0001", "200000", places=4),
    step=st.sampled_from([D("0.00001"), D("0.001"), D("0.1"), D(1)]),
    least=st.decimals("0", "50", places=2),
)
def test_the_smallest_trade_can_be_sold_again_after_its_fee_was_taken_from_what_it_bought(
    price: D, step: D, least: D
) -> None:
    assert MARKET.instrument is not None
    instrument = change(MARKET.instrument, qty_step=step, min_qty=step, min_notional=least, max_qty=D(10**12))
    bought = smallest_trade(instrument, price) * D("0.999")
    sellable = bought // step * step
    assert sellable >= instrument.min_qty
    assert sellable * price * D("0.97") >= least


def test_halfway_down_the_drawdown_line_the_size_is_half() -> None:
    full = ENGINE.review(SIGNAL, MARKET, ACCOUNT)
    half = ENGINE.review(SIGNAL, MARKET, change(ACCOUNT, peak=D(10_000) / D("0.875")))
    assert isinstance(full, Approved)
    assert isinstance(half, Approved)
    assert abs(half.permit.quantity * 2 - full.permit.quantity) <= D("0.00002")


EXIT = change(SIGNAL, id="s2", action=Action.EXIT, side=Side.SELL)
HOLDING = change(ACCOUNT, positions=(HELD,))


def test_an_exit_cites_the_position_and_takes_all_of_it() -> None:
    answer = ENGINE.review(EXIT, MARKET, HOLDING)
    assert isinstance(answer, Approved)
    permit = answer.permit
    assert (permit.position_id, permit.quantity, permit.side) == ("entry1", D(3), Side.SELL)
    assert permit.worst_price == D("99.80")
    assert permit.stop_price is None
    assert permit.target_price is None


def test_no_limit_on_entries_holds_an_exit_back() -> None:
    bad_market = change(MARKET, price_ts=0, health=change(HEALTH, score=0.0, state=FeedState.DOWN))
    bad_account = change(
        HOLDING,
        state=change(STATE, balance=D(-1)),
        halted=("*",),
        reduce_only=("*",),
        trades_today=99,
        peak=D(10**6),
        day_start=D(10**6),
        last_entry=NOW,
    )
    assert isinstance(ENGINE.review(EXIT, bad_market, bad_account), Approved)


def test_an_exit_without_any_market_price_uses_the_bar_that_it_saw() -> None:
    answer = ENGINE.review(EXIT, change(MARKET, price=None), HOLDING)
    assert isinstance(answer, Approved)


EXIT_ROWS: list[tuple[str, Any, Any, Any, set[str]]] = [
    ("nothing held", EXIT, MARKET, ACCOUNT, {"no_position"}),
    ("another symbol held", EXIT, MARKET, change(ACCOUNT, positions=(change(HELD, symbol="X"),)), {"no_position"}),
    ("another strategy's", change(EXIT, strategy="mean_revert"), MARKET, HOLDING, {"other_strategy"}),
    ("would add", change(EXIT, side=Side.BUY), MARKET, HOLDING, {"wrong_side"}),
    ("account not seen yet", EXIT, MARKET, change(HOLDING, state=None), {"account_unknown"}),
    ("no price at all", change(EXIT, price=0.0), change(MARKET, price=None), HOLDING, {"price"}),
    (
        "an exit is on its way",
        EXIT,
        MARKET,
        change(HOLDING, pending=(change(ON_ITS_WAY, symbol="BTCUSDT", action=Action.EXIT),)),
        {"exit_pending"},
    ),
    (
        "the venue has not answered",
        EXIT,
        MARKET,
        change(HOLDING, pending=(change(ON_ITS_WAY, symbol="BTCUSDT", state=OrderState.UNRESOLVED),)),
        {"unresolved_order"},
    ),
]


@pytest.mark.parametrize(
    ("signal", "market", "account", "reasons"), [r[1:] for r in EXIT_ROWS], ids=[r[0] for r in EXIT_ROWS]
)
def test_an_exit_is_refused_only_when_there_is_nothing_of_its_own_to_reduce(
    signal: Any, market: Any, account: Any, reasons: set[str]
) -> None:
    answer = ENGINE.review(signal, market, account)
    assert isinstance(answer, Rejected)
    assert set(answer.verdict.reasons) == reasons


def test_equal_limits_have_equal_hashes_however_written() -> None:
    assert Limits(risk_per_trade=D("0.020")).hash() == Limits(risk_per_trade=D("0.02")).hash()
    assert Limits(risk_per_trade=D("0.021")).hash() != Limits().hash()


def test_numbers_that_overflow_the_arithmetic_are_refused_by_name() -> None:
    fine_grid = change(instrument(price_step=D("1E-20")), price=1e12)
    assert ENGINE.review(SIGNAL, fine_grid, ACCOUNT).verdict.reasons == ("absurd_numbers",)


def test_an_exit_whose_worst_price_would_be_zero_is_refused() -> None:
    coarse = change(instrument(price_step=D(1000)), price=100.0)
    assert ENGINE.review(EXIT, coarse, HOLDING).verdict.reasons == ("worst_price",)
