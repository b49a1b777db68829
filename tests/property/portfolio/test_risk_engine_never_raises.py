"""Whatever a market or an account claims: a verdict comes back, and an approval breaks no limit."""

import math
from decimal import Decimal as D
from typing import Any

import msgspec
from hypothesis import event, given, settings
from hypothesis import strategies as st

from libs.core.portfolio.costs import Costs
from libs.core.portfolio.engine import RiskEngine
from libs.core.portfolio.limits import AccountSpec, AccountView, Limits, MarketView, Pending
from libs.core.portfolio.sizing import drawdown_scale, loss_at_stop
from libs.core.types import (
    SECOND,
    AccountState,
    Action,
    Approved,
    FeedHealth,
    Instrument,
    InstrumentKind,
    Mode,
    Rejected,
    Side,
    Signal,
)
from libs.core.types.money import notional

NOW = 1_700_000_000 * SECOND
LIMITS = Limits()
ENGINE = RiskEngine(LIMITS, Costs(fee_bps={"v": D(10)}), False, 5 * SECOND)

absurd_floats = st.one_of(
    st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, -1.0, 5e-324, 1e308, -1e308, 1e15, 1e-12]),
    st.floats(),
)
absurd_decimals = st.one_of(
    st.sampled_from([D("NaN"), D("sNaN"), D("Infinity"), D("-Infinity"), D(0), D(-1), D("1E+400"), D("1E-400")]),
    st.decimals(allow_nan=True, allow_infinity=True),
)
moments = st.one_of(st.integers(NOW - 10 * SECOND, NOW + 10 * SECOND), st.sampled_from([0, -(2**63), 2**63 - 1]))


def instruments(numbers: st.SearchStrategy[D], decimals: st.SearchStrategy[int]) -> st.SearchStrategy[Instrument]:
    return st.builds(
        Instrument,
        id=st.just("i"),
        ts_event=st.just(0),
        venue=st.just("v"),
        symbol=st.just("S"),
        canonical=st.just("S"),
        name=st.just("S"),
        kind=st.sampled_from(InstrumentKind),
        base=st.just("S"),
        quote=st.sampled_from(["USD", "EUR"]),
        decimals=decimals,
        price_step=numbers,
        qty_step=numbers,
        min_qty=numbers,
        max_qty=numbers,
        min_notional=numbers,
        multiplier=st.sampled_from([-5, 0, 1, 40, 10**30]),
        commission_rate=numbers,
        is_open=st.booleans(),
    )


@st.composite
def signals(draw: st.DrawFn, prices: st.SearchStrategy[float]) -> Signal:
    return Signal(
        id="s",
        ts_event=draw(moments),
        strategy="ema",
        params_hash="p",
        venue="v",
        symbol="S",
        interval_s=draw(st.sampled_from([0, 1, 60])),
        bar_time=0,
        side=draw(st.sampled_from(Side)),
        action=draw(st.sampled_from(Action)),
        price=draw(prices),
        atr=draw(st.none() | prices),
        reason="r",
    )


@st.composite
def absurd_markets(draw: st.DrawFn) -> MarketView:
    health = FeedHealth(id="h", ts_event=0, venue="v", symbol="S", score=draw(absurd_floats))
    return MarketView(
        now=draw(moments),
        instrument=draw(
            st.none()
            | instruments(absurd_decimals, st.integers(-50, 50))
            | instruments(st.sampled_from([D(0), D("0.01"), D(1), D(10**12)]), st.integers(0, 8))
        ),
        price=draw(st.none() | absurd_floats | st.floats(1e-12, 1e15)),
        price_ts=draw(moments),
        price_interval_s=draw(st.sampled_from([0, 60])),
        bid=draw(st.none() | absurd_floats),
        ask=draw(st.none() | absurd_floats),
        health=draw(st.none() | st.just(health)),
    )


def account(equity: D, balance: D, peak: D, used: D = D(0), used_risk: D = D(0)) -> AccountView:
    state = AccountState(
        id="a",
        ts_event=NOW,
        account="acc",
        venue="v",
        mode=Mode.PAPER,
        currency="USD",
        balance=balance,
        equity=equity,
        peak_equity=peak,
        day=19675,
        day_start_equity=equity,
    )
    other = Pending(
        intent_id="o",
        symbol="OTHER",
        action=Action.ENTER,
        position_id="o",
        expires=NOW,
        notional=used,
        risk=used_risk,
    )
    spec = AccountSpec(id="acc", venue="v", currency="USD")
    return AccountView(spec=spec, state=state, peak=peak, day_start=equity, pending=(other,))


@settings(max_examples=400, deadline=None)
@given(
    signal=signals(absurd_floats),
    market=absurd_markets(),
    equity=absurd_decimals | st.just(D(10_000)),
    balance=absurd_decimals | st.just(D(10_000)),
    peak=absurd_decimals | st.just(D(10_000)),
)
def test_absurd_input_gets_a_verdict_with_a_reason(
    signal: Signal, market: MarketView, equity: D, balance: D, peak: D
) -> None:
    answer = ENGINE.review(signal, market, account(equity, balance, peak))
    event(type(answer).__name__)
    assert answer.verdict.reasons
    if isinstance(answer, Rejected):
        assert not answer.verdict.approved
    else:
        assert answer.permit.quantity > 0
        assert answer.permit.worst_price.is_finite()


prices = st.floats(0.001, 1e6)
steps = st.sampled_from([D(0), D("0.00000001"), D("0.00001"), D("0.001"), D("0.01"), D("0.35"), D(1)])
fractions = st.decimals(0, 1, places=4)


@st.composite
def fair_cases(draw: st.DrawFn) -> tuple[Signal, MarketView, AccountView]:
    price = draw(prices)
    spot = draw(st.booleans())
    instrument = Instrument(
        id="i",
        ts_event=0,
        venue="v",
        symbol="S",
        canonical="S",
        name="S",
        kind=InstrumentKind.SPOT if spot else InstrumentKind.MULTIPLIER,
        base="S",
        quote="USD",
        decimals=8,
        price_step=draw(st.sampled_from([D(0), D("0.00000001"), D("0.0001")])),
        qty_step=draw(steps),
        min_qty=D(0),
        max_qty=D(10**9),
        multiplier=0 if spot else draw(st.sampled_from([1, 40, 400, 1000])),
        commission_rate=D("0.00036"),
    )
    health = FeedHealth(id="h", ts_event=NOW, venue="v", symbol="S", score=1.0)
    market = MarketView(now=NOW, instrument=instrument, price=price, price_ts=NOW, health=health)
    signal = Signal(
        id="s",
        ts_event=NOW,
        strategy="ema",
        params_hash="p",
        venue="v",
        symbol="S",
        interval_s=1,
        bar_time=0,
        side=Side.BUY if spot else draw(st.sampled_from(Side)),
        action=Action.ENTER,
        price=price,
        atr=draw(st.none() | st.floats(0.0005, 0.5).map(lambda part: part * price)),
        reason="r",
    )
    equity = draw(st.decimals(1, 10**7, places=2))
    peak = equity * (1 + draw(fractions) / 5)
    used = equity * draw(fractions) / 2
    return signal, market, account(equity, equity, peak, used, equity * draw(fractions) * D("0.06"))


@settings(max_examples=400, deadline=None)
@given(case=fair_cases(), loss=fractions)
def test_an_approval_never_exceeds_a_limit(case: tuple[Signal, MarketView, AccountView], loss: D) -> None:
    signal, market, holder = case
    start: Any = holder.state
    holder = msgspec.structs.replace(holder, day_start=start.equity * (1 + loss / 10))
    answer = ENGINE.review(signal, market, holder)
    event(type(answer).__name__)
    if not isinstance(answer, Approved):
        return
    permit, equity, instrument = answer.permit, start.equity, market.instrument
    assert instrument is not None
    assert permit.stop_price is not None
    assert permit.target_price is not None
    exposure = notional(instrument, permit.quantity, permit.worst_price)
    risk = loss_at_stop(instrument, permit.quantity, permit.worst_price, permit.stop_price)
    scale = drawdown_scale(holder.drawdown, D("0.10"), D("0.15"))
    hair = D("1e-18") * equity
    assert holder.drawdown < D("0.15")
    assert holder.day_start - equity < D("0.05") * holder.day_start
    assert 0 < exposure <= D("0.10") * equity * scale + hair
    assert risk <= D("0.02") * equity * scale + hair
    assert holder.exposure + exposure <= D("0.50") * equity + hair
    assert holder.open_risk + risk <= D("0.06") * equity + hair
    last = D(repr(market.price))
    slipped = (permit.worst_price - last) * signal.side.sign
    assert slipped <= last * D("0.002") + max(instrument.price_step, D("1e-8"))
    assert (permit.worst_price - permit.stop_price) * signal.side.sign > 0
    assert (permit.target_price - last) * signal.side.sign > 0
    for price in (permit.worst_price, permit.stop_price, permit.target_price):
        assert instrument.price_step == 0 or price % instrument.price_step == 0
    assert instrument.qty_step == 0 or permit.quantity % instrument.qty_step == 0
