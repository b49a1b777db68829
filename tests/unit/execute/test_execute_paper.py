"""The paper venue from the hand-over to the fill, and what closes a position."""

from __future__ import annotations

from decimal import Decimal as D

import execute_world as w
import msgspec
import pytest

from libs.core.stages.execute_ledger import LedgerFold
from libs.core.stages.execute_state import encode_state
from libs.core.types import (
    SECOND,
    AccountState,
    Action,
    ControlKind,
    Durable,
    Fill,
    Order,
    OrderState,
    Position,
    Quote,
    Side,
    Ticks,
    Trade,
)

WHOLE_LIFE = [OrderState.PLANNED, OrderState.SENT, OrderState.ACKNOWLEDGED, OrderState.FILLED]


def test_only_a_durable_order_reaches_the_paper_venue() -> None:
    world = w.World().open_market()
    world.hand_over = False
    world.give(w.permit(), w.trade(1_000, 1000.0), w.trade(2_000, 1000.0))
    assert world.states("intent-1") == [OrderState.PLANNED]
    world.give(Durable(id="d", ts_event=0, intent_id="intent-1"), w.trade(2_200, 1000.0))
    assert world.states("intent-1") == WHOLE_LIFE


def test_an_entry_fills_at_the_first_price_that_its_latency_allows() -> None:
    world = w.World().open_market()
    world.give(w.permit(), w.trade(100, 1001.0), w.trade(149, 1002.0))
    assert world.fills == []
    out = world.give(w.trade(151, 1003.0))
    fill, order, position, account = out[-4:]
    assert isinstance(fill, Fill)
    assert isinstance(order, Order)
    assert isinstance(position, Position)
    assert isinstance(account, AccountState)
    assert fill.latency_ms == pytest.approx(151)
    assert fill.price == D("1003.11")  # 1003 + half of 1 bp + 0.5 bp, on the grid
    assert (fill.fee, fill.spread_cost, fill.slippage_cost) == (D("0.36"), D("0.05"), D("0.06"))
    assert (fill.realised, fill.quantity, fill.multiplier) == (D("-0.36"), D(10), 100)
    assert (order.state, order.average_price, order.filled) == (OrderState.FILLED, fill.price, D(10))
    assert (position.quantity, position.notional, position.realised) == (D(10), D(1000), D("-0.36"))
    assert account.balance == D(9990)
    assert account.equity == D(10_000) - D("0.36") - D("0.11")
    assert (account.trades_today, account.fees) == (1, D("0.36"))
    assert account.realised_today_by_symbol == {"1HZ100V": D("-0.36")}


def test_spot_deals_on_the_quote_and_pays_the_fee_in_cash() -> None:
    world = w.World().open_market()
    world.give(w.permit(instrument=w.BTC, quantity="0.01"))
    world.give(w.quote(200, 50_010.0, 50_011.0))
    (fill,) = world.fills
    assert fill.price == D("50013.51")
    assert fill.spread_cost == D("0.005")
    assert fill.slippage_cost == D("0.0251")
    assert fill.fee == D("0.50013510")
    account = world.of(AccountState)[-1]
    assert account.balance == D(10_000) - D("500.1351") - D("0.50013510")
    assert account.equity == account.balance + D("500.10")


def test_a_print_beside_live_quotes_fills_at_the_quote() -> None:
    world = w.World(w.config(costs=w.NO_COSTS)).open_market()
    world.give(w.permit(instrument=w.BTC, quantity="0.01"))
    world.give(w.trade(10, 40_000.0, "binance", "BTCUSDT"))
    assert world.fills[0].price == D(50_001)


def test_a_silent_quote_gives_way_to_prints_with_an_assumed_spread() -> None:
    costs = msgspec.structs.replace(w.NO_COSTS, spread_bps=D(2))
    world = w.World(w.config(costs=costs)).open_market()
    world.give(w.permit(instrument=w.BTC, quantity="0.01", ttl_s=60))
    world.give(w.trade(10_000, 50_000.0, "binance", "BTCUSDT"))
    assert world.fills[0].price == D(50_005)


def test_a_price_beyond_the_worst_price_cancels() -> None:
    world = w.World().open_market()
    world.give(w.permit(worst="1002"), w.trade(200, 1003.0))
    assert world.states("intent-1") == [*WHOLE_LIFE[:3], OrderState.CANCELLED]
    assert world.last_order().reason == "price moved beyond worst_price"
    assert world.fills == []


def test_an_order_that_the_balance_cannot_pay_is_rejected() -> None:
    world = w.World().open_market()
    world.give(w.permit(instrument=w.BTC, quantity="1"), w.quote(200, 50_000.0, 50_001.0))
    assert world.states("intent-1")[-1] is OrderState.REJECTED
    assert world.last_order().reason.startswith("insufficient balance")


@pytest.mark.parametrize(
    ("prices", "kind"),
    [((995.0, 993.0), "stop at 993"), ((1011.0, 1020.0), "target at 1020")],
)
def test_levels_fire_on_ticks_and_the_exit_fills_after_the_latency(prices: tuple[float, float], kind: str) -> None:
    world = w.World().open_market()
    world.give(w.permit(stop="993", target="1020"), w.trade(200, 1000.0))
    world.give(w.trade(1_000, prices[0]))
    assert len(world.fills) == 1
    world.give(w.trade(2_000, prices[1]))
    assert world.last_order().state is OrderState.ACKNOWLEDGED
    assert world.last_order().reason == kind
    world.give(w.trade(3_000, prices[1]))
    assert len(world.fills) == 2
    assert world.positions[-1].quantity == 0
    assert world.fills[1].latency_ms == pytest.approx(1_000)


def test_a_contract_is_stopped_out_by_the_venue_and_loses_its_stake() -> None:
    world = w.World().open_market()
    world.give(w.permit(), w.trade(200, 1000.0), w.trade(1_000, 980.0))
    entry, exit_ = world.fills
    assert exit_.reason.startswith("stopped out by the venue")
    assert entry.realised + exit_.realised == D(-10)
    assert world.of(AccountState)[-1].equity == D(9990)


def test_a_recovery_after_the_stop_out_saves_nothing() -> None:
    world = w.World().open_market()
    world.hand_over = False
    world.give(w.permit())
    world.give(Durable(id="d", ts_event=0, intent_id="intent-1"), w.trade(200, 1000.0), w.trade(1_000, 980.0))
    stop_out = world.last_order()
    world.give(w.trade(1_500, 1_100.0), Durable(id="d2", ts_event=0, intent_id=stop_out.intent_id))
    assert sum(fill.realised for fill in world.fills) == D(-10)


def test_flatten_closes_the_scope_and_cancels_what_waits() -> None:
    world = w.World().open_market()
    world.give(w.permit(), w.trade(200, 1000.0), w.permit("waiting", ms=200))
    world.give(w.permit("other", instrument=w.BTC, quantity="0.01"), w.quote(300, 50_000.0, 50_001.0))
    world.give(w.control(ControlKind.FLATTEN, "deriv-paper"))
    assert world.states("waiting")[-1] is OrderState.CANCELLED
    world.give(w.trade(900, 1001.0))
    open_now = {p.position_id: p.quantity for p in world.positions}
    assert open_now == {"intent-1": D(0), "other": D("0.01")}
    assert world.fills[-1].reason == "flatten: test (cli)"


def test_a_flatten_outlives_an_exit_that_fails() -> None:
    world = w.World().open_market()
    world.give(w.permit(), w.trade(200, 1000.0))
    world.give(w.permit("x", action=Action.EXIT, side=Side.SELL, position_id="intent-1", worst="1500", ms=200))
    world.give(w.control(ControlKind.FLATTEN), w.trade(400, 1000.0))
    assert world.states("x")[-1] is OrderState.CANCELLED
    world.give(w.trade(800, 1000.0))
    assert world.positions[-1].quantity == 0


def test_a_partial_exit_leaves_the_rest_open() -> None:
    world = w.World().open_market()
    world.give(w.permit(instrument=w.BTC, quantity="0.03"), w.quote(200, 50_000.0, 50_001.0))
    partial = w.permit(
        "x", instrument=w.BTC, action=Action.EXIT, side=Side.SELL, position_id="intent-1", quantity="0.01", ms=200
    )
    world.give(partial, w.quote(400, 50_100.0, 50_101.0))
    assert world.positions[-1].quantity == D("0.02")
    rest = w.permit(
        "y", instrument=w.BTC, action=Action.EXIT, side=Side.SELL, position_id="intent-1", quantity="9", ms=400
    )
    world.give(rest, w.quote(600, 50_100.0, 50_101.0))
    assert world.positions[-1].quantity == 0
    account = world.of(AccountState)[-1]
    assert account.equity == account.balance == D(10_000) + sum(fill.realised for fill in world.fills)


def bars_only(stop: str | None = None, target: str | None = None) -> w.World:
    """BTCUSDT as a bar file gives it: no ticks; an entry was planned after bar 0."""
    world = w.World(w.config(costs=w.NO_COSTS))
    world.give(w.BTC, w.venue_bar(0, 100.0, 101.0, 99.0, 100.0))
    world.give(w.permit(instrument=w.BTC, quantity="1", stop=stop, target=target, ms=60_000))
    return world


def test_without_ticks_an_entry_fills_at_the_next_open() -> None:
    world = bars_only()
    world.give(w.venue_bar(0, 100.0, 101.0, 99.0, 100.0))
    assert world.fills == []
    world.give(w.venue_bar(1, 102.0, 103.0, 101.0, 102.5))
    (fill,) = world.fills
    assert (fill.price, fill.ts_event) == (D(102), w.T0 + 60 * SECOND)


@pytest.mark.parametrize(
    ("bar", "price"),
    [
        ((102.0, 130.0, 80.0, 100.0), "95"),  # both inside: the adverse one
        ((90.0, 92.0, 88.0, 91.0), "90"),  # gap: at the open
        ((102.0, 125.0, 101.0, 124.0), "120"),
    ],
)
def test_without_ticks_levels_fire_inside_the_bar(bar: tuple[float, float, float, float], price: str) -> None:
    world = bars_only(stop="95", target="120")
    world.give(w.venue_bar(1, 102.0, 103.0, 101.0, 102.5), w.venue_bar(2, *bar))
    assert world.fills[1].price == D(price)
    assert world.positions[-1].quantity == 0


def test_the_bar_that_fills_an_entry_can_also_stop_it() -> None:
    world = bars_only(stop="95")
    world.give(w.venue_bar(1, 102.0, 103.0, 90.0, 92.0))
    assert [fill.price for fill in world.fills] == [D(102), D(95)]


def test_bars_of_a_symbol_with_ticks_fill_nothing() -> None:
    world = w.World().open_market()
    world.give(w.permit(instrument=w.BTC, quantity="0.01"), w.venue_bar(1, 50_000.0, 50_001.0, 49_999.0, 50_000.0))
    assert world.fills == []


def test_absurd_prices_change_nothing() -> None:
    world = w.World().open_market()
    world.give(w.permit(instrument=w.BTC, quantity="0.01"))
    at = w.T0 + SECOND
    items = (
        Quote(at, 50_000.0, 1.0, 49_000.0, 1.0, 1),
        Quote(at, -1.0, 1.0, 50_000.0, 1.0, 2),
        Trade(at, float("nan"), 0.0, 0, 3),
        Trade(at, float("inf"), 0.0, 0, 4),
        Trade(at, 0.0, 0.0, 0, 5),
    )
    world.give(Ticks(id="absurd", ts_event=at, venue="binance", symbol="BTCUSDT", items=items))
    assert world.fills == []
    world.give(w.quote(2_000, 50_000.0, 50_001.0))
    assert len(world.fills) == 1


def test_equity_is_told_every_few_seconds_of_data_time_while_it_moves() -> None:
    world = w.World().open_market()
    world.give(w.permit(), w.trade(200, 1000.0))
    before = len(world.of(AccountState))
    world.give(w.trade(1_000, 1001.0), w.trade(4_000, 1002.0))
    assert len(world.of(AccountState)) == before
    world.give(w.trade(6_000, 1003.0))
    assert len(world.of(AccountState)) == before + 1
    assert world.stage.next_deadline("deriv") == w.T0 + 11 * SECOND


def test_a_new_utc_day_starts_new_counters() -> None:
    world = w.World().open_market()
    world.give(w.permit(), w.trade(200, 1000.0))
    old = world.of(AccountState)[-1]
    world.give(w.trade(86_400_000, 1010.0))
    new = world.of(AccountState)[-1]
    assert new.day == old.day + 1
    assert (new.trades_today, new.realised_today_by_symbol) == (0, {})
    assert new.revision == old.revision + 1


def test_configuration_travels_as_json() -> None:
    from libs.core.stages.execute import build

    settings = w.config(costs=w.NO_COSTS)
    assert build(msgspec.json.encode(settings)).config == settings
    with pytest.raises(ValueError, match="not a configuration"):
        build(b'{"accounts": 3}')
    with pytest.raises(ValueError, match="not a snapshot"):
        build(msgspec.json.encode(settings)).restore(b"nonsense")


def rebuilt(world: w.World) -> w.World:
    """The same account after a restart: its state from what the ledger holds."""
    fold = LedgerFold(world.stage.config)
    for event in world.out:
        fold.take(event)
    fresh = w.World(world.stage.config)
    fresh.stage.restore(encode_state(fold.finish()))
    return fresh


def test_after_a_restart_an_accepted_order_fills_and_a_position_keeps_its_levels() -> None:
    world = w.World().open_market()
    world.give(w.permit(stop="993"), w.trade(200, 1000.0), w.permit("intent-2", ms=200))
    fresh = rebuilt(world)
    fresh.give(w.V100, w.BTC, w.clock(300, "deriv"), w.trade(400, 1001.0), w.trade(500, 992.0), w.trade(900, 992.0))
    assert [fill.intent_id for fill in fresh.fills[:1]] == ["intent-2"]
    assert fresh.fills[1].reason == "stop at 993"


def test_after_a_restart_nothing_is_valued_before_the_market_has_spoken() -> None:
    world = w.World().open_market()
    world.give(w.permit(), w.trade(200, 1000.0))
    fresh = rebuilt(world)
    assert fresh.give(w.V100, w.clock(60_000, "deriv")) == []
    (state,) = fresh.give(w.trade(60_100, 1001.0))
    assert isinstance(state, AccountState)
    assert state.revision == world.of(AccountState)[-1].revision + 1


def test_another_recording_after_a_restart_cancels_what_waits_and_frees_the_positions() -> None:
    world = w.World().open_market()
    world.give(w.permit(stop="993"), w.trade(200, 1000.0), w.permit("intent-2", ms=200))
    fresh = rebuilt(world)
    fresh.give(w.V100, w.clock(-90_000_000, "deriv"))
    assert fresh.states("intent-2") == [OrderState.CANCELLED]
    fresh.give(w.trade(-89_999_000, 992.0), w.trade(-89_998_000, 992.0))
    assert fresh.of(AccountState)[-1].day < world.of(AccountState)[-1].day
    assert fresh.fills[0].reason == "stop at 993"
