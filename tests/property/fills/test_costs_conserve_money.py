"""Money is conserved exactly: whatever is dealt, equity moves by what was realised and by what is unrealised."""

from __future__ import annotations

from decimal import Decimal as D

import execute_world as w
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.core.fills.models import PaperCosts
from libs.core.types import AccountState, Action, Fill, Instrument, Side

bps = st.decimals(0, 20, places=2)
prices = st.integers(90_000, 110_000).map(lambda cents: cents / 100)
costs = st.builds(
    PaperCosts,
    latency_ms=st.just(100.0),
    slippage_bps=bps,
    spread_bps=bps,
    fee_bps=st.fixed_dictionaries({"binance": bps, "deriv": st.just(D(0))}),
)
sides = st.sampled_from([Side.BUY, Side.SELL])


def price_at(world: w.World, instrument: Instrument, ms: float, price: float, half: float) -> None:
    """A new price of either venue."""
    if instrument is w.BTC:
        world.give(w.quote(ms, round(price - half, 2), round(price + half, 2)))
    else:
        world.give(w.trade(ms, price))


def opened(model: PaperCosts, instrument: Instrument, side: Side, price: float, half: float) -> w.World:
    """A world that holds one position, entered around `price`."""
    world = w.World(w.config(costs=model))
    world.give(w.V100, w.BTC, w.clock(0, instrument.venue))
    price_at(world, instrument, 0, price, half)
    quantity = "0.37" if instrument is w.BTC else "37"
    world.give(w.permit(instrument=instrument, side=side, quantity=quantity))
    price_at(world, instrument, 200, price, half)
    return world


def closed(world: w.World, instrument: Instrument, side: Side, price: float, half: float) -> list[Fill]:
    """Closes the position around `price`."""
    world.give(
        w.permit(
            "x",
            instrument=instrument,
            side=side.opposite,
            action=Action.EXIT,
            position_id="intent-1",
            quantity="99",
            ms=200,
        )
    )
    price_at(world, instrument, 400, price, half)
    return world.fills


@settings(max_examples=150, deadline=None)
@given(model=costs, side=sides, price=prices, half=st.integers(0, 30), spot=st.booleans())
def test_a_round_trip_at_one_price_loses_exactly_the_costs(
    model: PaperCosts, side: Side, price: float, half: int, spot: bool
) -> None:
    instrument, side = (w.BTC, Side.BUY) if spot else (w.V100, side)
    world = opened(model, instrument, side, price, half / 100)
    fills = closed(world, instrument, side, price, half / 100)
    assert len(fills) == 2
    paid = sum((f.fee + f.spread_cost + f.slippage_cost for f in fills), D(0))
    assert sum((f.realised for f in fills), D(0)) == -paid
    assert all(cost >= 0 for f in fills for cost in (f.fee, f.spread_cost, f.slippage_cost))
    last = world.of(AccountState)[-1]
    assert last.balance == last.equity == D(10_000) - paid


@settings(max_examples=150, deadline=None)
@given(
    model=costs,
    side=sides,
    entry=prices,
    path=st.lists(prices, min_size=1, max_size=8),
    half=st.integers(0, 30),
    spot=st.booleans(),
    close=st.booleans(),
)
def test_equity_changes_by_realised_and_unrealised_exactly(
    model: PaperCosts, side: Side, entry: float, path: list[float], half: int, spot: bool, close: bool
) -> None:
    instrument, side = (w.BTC, Side.BUY) if spot else (w.V100, side)
    world = opened(model, instrument, side, entry, half / 100)
    for step, price in enumerate(path):
        price_at(world, instrument, 210 + 10 * step, price, half / 100)
    if close and world.positions[-1].is_open:
        closed(world, instrument, side, path[-1], half / 100)
    price_at(world, instrument, 60_000, path[-1], half / 100)
    book = world.stage.state.books[f"{instrument.venue}-paper"]
    realised = sum((f.realised for f in world.fills), D(0))
    unrealised = sum((h.unrealised for h in book.holdings.values()), D(0))
    assert book.equity == D(10_000) + realised + unrealised
    gross = sum((f.realised + f.fee for f in world.fills), D(0))
    assert book.equity == D(10_000) + gross - book.fees + unrealised
    if instrument is w.V100:
        assert realised + unrealised >= D(-37)
    told = world.of(AccountState)[-1]
    assert (told.equity, told.balance, told.fees) == (book.equity, book.balance, book.fees)
    assert told.peak_equity >= told.equity
