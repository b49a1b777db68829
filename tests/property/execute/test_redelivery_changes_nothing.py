"""Delivery is at least once: duplicates of anything, at any later moment, change no order, fill or balance."""

from __future__ import annotations

from typing import Any

import execute_world as w
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.core.fills.models import PaperCosts
from libs.core.stages.execute_ledger import LedgerFold
from libs.core.stages.execute_state import encode_state
from libs.core.types import (
    AccountState,
    Action,
    Control,
    ControlKind,
    Event,
    Fill,
    Order,
    OrderState,
    Permit,
    Position,
    Side,
)

LEDGER = (Order, Fill, Position, AccountState)


@st.composite
def stories(draw: st.DrawFn) -> list[Event]:
    """A random hour at two venues: prices, clocks, permits to enter and exit, commands."""
    events: list[Event] = [w.V100, w.BTC, w.clock(0, "deriv"), w.clock(0, "binance")]
    entries: list[tuple[str, Any, Side]] = []
    ms = 0.0
    for n in range(draw(st.integers(3, 25))):
        ms += draw(st.integers(0, 400))
        kind = draw(st.sampled_from(["trade", "trade", "print", "quote", "quote", "clock", "enter", "exit", "control"]))
        if kind == "trade":
            events.append(w.trade(ms, draw(st.integers(98_500, 101_500)) / 100))
        elif kind == "quote":
            bid = draw(st.integers(4_950_000, 5_050_000)) / 100
            events.append(w.quote(ms, bid, bid + 1))
        elif kind == "print":
            events.append(w.trade(ms, draw(st.integers(4_950_000, 5_050_000)) / 100, "binance", "BTCUSDT"))
        elif kind == "clock":
            events.append(w.clock(ms, draw(st.sampled_from(["deriv", "binance"]))))
        elif kind == "enter":
            spot = draw(st.booleans())
            side = Side.BUY if spot else draw(st.sampled_from([Side.BUY, Side.SELL]))
            base = 50_000 if spot else 1_000
            stop, target = (f"{base * f:.2f}" for f in ((0.997, 1.004) if side is Side.BUY else (1.003, 0.996)))
            instrument = w.BTC if spot else w.V100
            events.append(
                w.permit(
                    f"e{n}",
                    instrument=instrument,
                    side=side,
                    quantity="0.02" if spot else "20",
                    stop=draw(st.sampled_from([None, stop])),
                    target=draw(st.sampled_from([None, target])),
                    ms=ms,
                )
            )
            entries.append((f"e{n}", instrument, side))
        elif kind == "exit" and entries:
            position, instrument, side = draw(st.sampled_from(entries))
            events.append(
                w.permit(
                    f"x{n}",
                    instrument=instrument,
                    side=side.opposite,
                    action=Action.EXIT,
                    position_id=position,
                    quantity="0.02" if instrument is w.BTC else "20",
                    ms=ms,
                )
            )
        elif kind == "control":
            command = draw(st.sampled_from([ControlKind.HALT, ControlKind.REARM, ControlKind.FLATTEN]))
            events.append(w.control(command, draw(st.sampled_from(["*", "BTCUSDT"])), f"c{n}"))
    return events


def essence(world: w.World) -> tuple[list[Event], list[tuple[str, OrderState, str]], dict[str, Any]]:
    """What must not change: fills, orders of real intents, and the money."""
    orders = [(o.intent_id, o.state, o.reason) for o in world.of(Order)]
    books = {name: (b.balance, b.fees, sorted(b.holdings)) for name, b in world.stage.state.books.items()}
    return list(world.fills), orders, books


@settings(max_examples=300, deadline=None)
@given(data=st.data(), story=stories())
def test_duplicates_anywhere_later_change_nothing(data: st.DataObject, story: list[Event]) -> None:
    costs = PaperCosts(latency_ms=data.draw(st.sampled_from([0.0, 150.0])))
    plain = w.World(w.config(costs=costs))
    plain.give(*story)
    doubled = w.World(w.config(costs=costs))
    for n, event in enumerate(story):
        doubled.give(event)
        for again in data.draw(st.lists(st.integers(0, n), max_size=3)):
            doubled.give(story[again])
    assert essence(doubled) == essence(plain)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), story=stories())
def test_a_restored_snapshot_continues_bit_for_bit(data: st.DataObject, story: list[Event]) -> None:
    cut = data.draw(st.integers(0, len(story)))
    plain = w.World()
    plain.give(*story[:cut])
    restored = w.World()
    restored.stage.restore(plain.stage.snapshot())
    assert restored.stage.snapshot() == plain.stage.snapshot()
    assert restored.give(*story[cut:]) == plain.give(*story[cut:])
    assert restored.stage.snapshot() == plain.stage.snapshot()


@settings(max_examples=300, deadline=None)
@given(data=st.data(), story=stories())
def test_the_ledger_rebuilds_the_state_from_any_prefix(data: st.DataObject, story: list[Event]) -> None:
    """A crash after any publish: the fold plus what it finds lacking equals the books that a longer run would have."""
    world = w.World()
    written: list[Event] = []
    for event in story:
        if isinstance(event, Permit | Control):
            written.append(event)
        written += [out for out in world.give(event) if isinstance(out, LEDGER)]
    cut = data.draw(st.integers(0, len(written)))
    fold = LedgerFold(world.stage.config)
    for event in written[:cut]:
        fold.take(event)
    state = fold.finish()
    again = LedgerFold(world.stage.config)
    for event in written[:cut]:
        again.take(event)
    assert encode_state(again.finish()) == encode_state(state)
    known = [event for event in written[:cut] if isinstance(event, Fill)]
    spent = {book.account: book for book in state.books.values()}
    for account in world.stage.config.accounts:
        mine = [fill for fill in known if fill.account == account.id]
        if account.id in spent:
            worth = sum(h.worth for h in spent[account.id].holdings.values())
            unrealised = sum(h.unrealised for h in spent[account.id].holdings.values())
            expected = account.capital + sum(fill.realised for fill in mine)
            assert spent[account.id].balance + worth - unrealised == expected
    if cut == len(written):
        live = world.stage.state
        assert state.unsent == []
        assert set(state.working) == set(live.working)
        assert {i: x.order for i, x in state.working.items()} == {i: x.order for i, x in live.working.items()}
        assert state.used == live.used
        assert state.refused == live.refused
        assert state.halts == live.halts
        for name, book in live.books.items():
            rebuilt = spent[name]
            assert (rebuilt.balance, rebuilt.fees, rebuilt.revision) == (book.balance, book.fees, book.revision)
            assert {i: (h.quantity, h.cost, h.revision, h.exit_intent) for i, h in rebuilt.holdings.items()} == {
                i: (h.quantity, h.cost, h.revision, h.exit_intent) for i, h in book.holdings.items()
            }
