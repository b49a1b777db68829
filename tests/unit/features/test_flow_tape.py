"""What belongs to a bar and what does not: late prints, first bars, lost data, restarts; leaders and outside series."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.core.features.flow import EVERYTHING, Flow, FlowConfig, FlowTape, rows
from libs.core.features.flow.digits import digit_of
from libs.core.features.flow.leader import Leader
from libs.core.features.flow.odds import break_even, digit_odds, wilson
from libs.core.features.flow.outside import Outside
from libs.core.features.inputs import EXTRA
from libs.core.types import SECOND, Bar, BarFlag, BookStats, Quote, Reading, Ticks, Trade, Warmup

S = 10
"""Seconds of a bar."""
BOOK = ((99.0, 2.0),), ((101.0, 6.0),)


@dataclass
class Market:
    """Messages of one symbol into one tape; times in seconds."""

    tape: FlowTape
    made: int = 0

    def prints(self, *prints: tuple[float, float, float, int]) -> Ticks:
        return self.tick([Trade(round(at * SECOND), price, size, side, 0) for at, price, size, side in prints])

    def quote(self, at: float, bid: float, ask: float, bid_size: float = 1.0, ask_size: float = 1.0) -> Ticks:
        return self.tick([Quote(round(at * SECOND), bid, bid_size, ask, ask_size, 0)])

    def tick(self, items: Sequence[Trade | Quote]) -> Ticks:
        self.made += 1
        event = ticks(items, self.made)
        self.tape.take(event)
        return event

    def book(self, at: float, ofi: float = 0.0, levels: Any = BOOK, **told: Any) -> None:
        self.made += 1
        self.tape.take(book(at, self.made, ofi=ofi, levels=levels, **told))

    def bar(self, number: int, flags: int = 0) -> dict[str, float]:
        out = np.full(len(EXTRA), np.nan)
        self.tape.fill(bar(number, flags=flags), out)
        return dict(zip(EXTRA, out.tolist(), strict=True))


def ticks(items: Sequence[Trade | Quote], ts_init: int) -> Ticks:
    return Ticks(
        id=str(ts_init), ts_event=items[-1].ts_event, ts_init=ts_init, venue="v", symbol="S", items=tuple(items)
    )


def book(at: float, ts_init: int, *, ofi: float = 0.0, levels: Any = BOOK, **told: Any) -> BookStats:
    told = {"updates": 1, "depth_sum": 4.0} | told
    bids, asks = levels
    return BookStats(
        id=f"b{ts_init}",
        ts_event=round(at * SECOND),
        ts_init=ts_init,
        venue="v",
        symbol="S",
        bids=bids,
        asks=asks,
        first_id=1,
        last_id=1,
        ofi=ofi,
        **told,
    )


def bar(number: int, *, flags: int = 0, close: float = 100.0, symbol: str = "S") -> Bar:
    return Bar(
        id=f"{symbol}{number}",
        ts_event=(number + 1) * S * SECOND,
        venue="v",
        symbol=symbol,
        interval_s=S,
        open_time=number * S * SECOND,
        open=close,
        high=close,
        low=close,
        close=close,
        flags=flags,
    )


@pytest.fixture
def market() -> Market:
    """Bar 9 is over, and everything since was heard."""
    market = Market(FlowTape((S,)))
    market.prints((95, 100.0, 1.0, 1))
    market.book(95)
    market.bar(9)
    return market


def test_the_first_bar_is_not_told_for_its_beginning_was_not_heard() -> None:
    market = Market(FlowTape((S,)))
    market.prints((95, 100.0, 1.0, 1))
    first = market.bar(9)
    assert math.isnan(first["buy_volume"])
    assert first["avail_trades"] == 0.0
    market.prints((105, 100.0, 2.0, 1))
    second = market.bar(10)
    assert (second["buy_volume"], second["avail_trades"]) == (2.0, 1.0)


def test_a_bar_without_prints_of_a_symbol_that_has_them_counts_nothing(market: Market) -> None:
    empty = market.bar(10)
    assert [empty[name] for name in ("buy_volume", "trades", "trade_imbalance", "tick_rule")] == [0.0] * 4


def test_a_print_older_than_the_bar_counts_in_no_bar(market: Market) -> None:
    market.prints((99.9, 100.0, 5.0, 1), (100, 100.0, 2.0, -1))
    told = market.bar(10)
    assert (told["buy_volume"], told["sell_volume"], told["trades"]) == (0.0, 2.0, 1.0)


def test_a_side_that_the_venue_does_not_tell_is_that_of_the_tick_rule(market: Market) -> None:
    market.prints((101, 101.0, 1.0, 0), (102, 101.0, 2.0, 0), (103, 100.5, 4.0, 0), (104, 102.0, 8.0, -1))
    told = market.bar(10)
    assert (told["buy_volume"], told["sell_volume"]) == (3.0, 12.0)
    assert told["tick_rule"] == 0.5
    assert told["signed_volume"] == -9.0


@pytest.mark.parametrize(("skipped", "flags"), [(1, 0), (0, BarFlag.GAP)], ids=["bars missing", "data missing"])
def test_sums_over_lost_data_are_not_told(market: Market, skipped: int, flags: int) -> None:
    market.prints((101, 100.0, 1.0, 1))
    market.book(101, ofi=3.0)
    market.quote(102, 99.0, 101.0)
    told = market.bar(10 + skipped, flags)
    assert all(math.isnan(told[name]) for name in ("buy_volume", "trades", "ofi_1", "mid_change"))
    assert told["bid"] == 99.0
    assert market.bar(11 + skipped)["buy_volume"] == 0.0


def test_flow_of_a_bar_is_the_sum_of_its_books_and_unknown_when_updates_were_lost(market: Market) -> None:
    market.book(101, ofi=3.0, ofi_deeper=(1.0, 0.0, 0.0, 0.5), updates=2, depth_sum=10.0)
    market.book(102, ofi=-1.0, ofi_deeper=(1.0, 0.0, 0.0, 0.5), updates=3, depth_sum=5.0)
    told = market.bar(10)
    assert [told[f"ofi_{level}"] for level in range(1, 6)] == [2.0, 2.0, 0.0, 0.0, 1.0]
    assert told["mean_depth"] == 3.0
    still = market.bar(11)
    assert (still["ofi_1"], still["mean_depth"]) == (0.0, 4.0)
    market.book(121, ofi=1.0, lost=1)
    assert math.isnan(market.bar(12)["ofi_1"])


def test_locked_quotes_have_no_spread_and_are_counted(market: Market) -> None:
    market.quote(101, 100.0, 101.0, 3.0, 1.0)
    told = market.bar(10)
    assert (told["spread"], told["microprice"], told["avail_quotes"]) == (1.0, 100.75, 1.0)
    market.quote(111, 101.0, 101.0)
    locked = market.bar(11)
    assert math.isnan(locked["spread"])
    assert math.isnan(locked["microprice"])
    assert (locked["bid"], locked["mid_change"], market.tape.locked) == (101.0, 0.5, 1)


def test_the_newest_of_quotes_and_book_is_told_until_it_is_a_minute_old(market: Market) -> None:
    market.quote(101, 99.5, 100.5)
    assert market.bar(10)["bid"] == 99.5
    market.book(112)
    assert market.bar(11)["bid"] == 99.0
    told = [market.bar(number) for number in range(12, 19)]
    assert [each["avail_quotes"] for each in told] == [1.0] * 5 + [0.0] * 2
    assert [each["avail_book"] for each in told] == [1.0] * 5 + [0.0] * 2
    assert math.isnan(told[-1]["imbalance_1"])


def test_an_imbalance_over_more_levels_than_are_known_is_not_told(market: Market) -> None:
    told = market.bar(10)
    assert told["imbalance_1"] == (2.0 - 6.0) / 8.0
    assert math.isnan(told["imbalance_5"])


def test_prices_without_a_size_are_no_trades_and_have_digits() -> None:
    market = Market(FlowTape((S,)))
    market.tape.decimals = 3
    market.prints((95, 1234.5, 0.0, 0))
    market.bar(9)
    market.prints((101, 1234.5, 0.0, 0), (102, 1234.56, 0.0, 0), (103, 1234.567, 0.0, 0))
    told = market.bar(10)
    assert math.isnan(told["buy_volume"])
    assert (told["avail_trades"], told["digit_streak"], told["digit_rise_streak"]) == (0.0, 1.0, 2.0)
    assert told["digit_even_streak"] == -1.0


def test_after_a_pause_the_bar_under_way_is_not_told_and_history_bars_read_again_reset_nothing_that_counts() -> None:
    market = Market(FlowTape((S,)))
    market.prints((95, 100.0, 1.0, 1))
    market.tape.away(S, 110 * SECOND)
    market.prints((106, 100.0, 7.0, 1))
    market.tape.again(bar(10))
    market.prints((112, 100.0, 2.0, 1))
    assert market.bar(11)["buy_volume"] == 2.0
    market.prints((125, 100.0, 3.0, 1))
    market.tape.again(bar(11))
    assert market.bar(12)["buy_volume"] == 3.0
    market.tape.away(S, 130 * SECOND)
    market.prints((135, 100.0, 3.0, 1))
    assert math.isnan(market.bar(13)["buy_volume"])


def test_a_message_neither_made_nor_happened_after_the_newest_was_taken_before(market: Market) -> None:
    event = market.prints((101, 100.0, 2.0, 1))
    market.tape.take(event)
    assert market.bar(10)["buy_volume"] == 2.0
    later = [Trade(111 * SECOND, 100.0, 3.0, 1, 0)]
    market.tape.take(ticks(later, 1))  # the machine's clock was set back
    assert market.bar(11)["buy_volume"] == 3.0


def test_a_snapshot_of_other_bars_is_refused() -> None:
    with pytest.raises(ValueError, match="other lengths"):
        FlowTape((S,)).restore(FlowTape((S, 60)).snapshot())
    with pytest.raises(ValueError, match="not a tape"):
        FlowTape((S,)).restore(b"nonsense")


steps = st.lists(
    st.tuples(
        st.integers(0, 3_000), st.integers(-3, 3), st.sampled_from([0.0, 0.5, 1.25, 9.0]), st.sampled_from([-1, 0, 1])
    ),
    min_size=1,
    max_size=60,
)


@given(steps=steps, cuts=st.sets(st.integers(1, 59)), saved=st.integers(0, 59))
def test_how_prints_are_cut_into_messages_changes_nothing(
    steps: list[tuple[int, int, float, int]], cuts: set[int], saved: int
) -> None:
    at, price, prints = 95_000, 10_000, []
    for passed, move, size, side in steps:
        at, price = at + passed, price + move
        prints.append(Trade(at * 1_000_000, price / 100, size, side, 0))

    def told(edges: set[int], restored: int = -1) -> list[list[float]]:
        tape, made, number, batch = FlowTape((S,)), [], 9, []
        tape.decimals = 2
        out = np.full(len(EXTRA), np.nan)
        for place, item in enumerate(prints):
            while item.ts_event >= (number + 1) * S * SECOND:
                if batch:
                    tape.take(ticks(batch, 0))
                    batch = []
                out[:] = np.nan
                tape.fill(bar(number), out)
                made.append(out.tolist())
                number += 1
            batch.append(item)
            if place in edges:
                tape.take(ticks(batch, 0))
                batch = []
            if place == restored and not batch:
                saved_tape, tape = tape.snapshot(), FlowTape((S,))
                tape.restore(saved_tape)
        return made

    whole = told(set())
    np.testing.assert_array_equal(told(cuts | {saved}, saved), whole)


@given(number=st.integers(1, 10**9), decimals=st.integers(0, 9))
def test_the_digit_is_the_last_character_of_the_printed_price(number: int, decimals: int) -> None:
    printed = str(Decimal(number).scaleb(-decimals)) if decimals else str(number)
    price = float(Decimal(number).scaleb(-decimals))
    assert digit_of(price, decimals) == number % 10
    assert digit_of(price, decimals) == int(f"{Decimal(number).scaleb(-decimals):f}"[-1]), printed
    assert digit_of(price, decimals + 1) == 0


def test_the_digit_of_a_short_price_is_the_zero_that_is_printed() -> None:
    assert [digit_of(1234.5, 3), digit_of(1234.5, 1), digit_of(0.29, 2), digit_of(1.005, 3)] == [0, 5, 9, 5]


def leader_of(closes: Sequence[float], first: int = 0) -> Leader:
    leader = Leader(S)
    for number, close in enumerate(closes, first):
        leader.take(bar(number, close=close))
    return leader


def test_a_leader_is_read_one_bar_late() -> None:
    leader = leader_of([100.0, 110.0, 99.0])
    assert leader.before(2 * S * SECOND)[0] == pytest.approx(math.log(1.1))
    assert leader.before(3 * S * SECOND)[0] == pytest.approx(math.log(0.9))
    assert math.isnan(leader.before(4 * S * SECOND)[0])


def test_a_leaders_deviation_begins_anew_after_a_hole_and_survives_a_snapshot() -> None:
    closes = [100.0 * 1.01 ** (number % 2) for number in range(40)]
    leader = leader_of(closes)
    move, sigma = leader.before(40 * S * SECOND)
    assert (abs(move), sigma) == (pytest.approx(math.log(1.01)), pytest.approx(math.log(1.01)))
    again = Leader(S)
    again.restore(leader.snapshot())
    for each in (leader, again):
        each.take(bar(40, close=100.0))
    assert again.before(41 * S * SECOND) == leader.before(41 * S * SECOND)
    leader.take(bar(45, close=100.0))
    leader.take(bar(46, close=101.0))
    assert leader.before(47 * S * SECOND)[0] == pytest.approx(math.log(1.01))
    assert math.isnan(leader.before(47 * S * SECOND)[1])


def reading(published: int, period: int, value: float) -> Reading:
    return Reading(id="r", ts_event=published, source="fred", series="X", period=period, value=value)


def test_an_outside_series_is_known_from_its_publication_on_and_as_last_revised() -> None:
    series = Outside(frozenset({"fred/X"}))
    for told in (reading(100, 10, 1.0), reading(200, 20, 2.0), reading(250, 10, 1.5), reading(300, 20, 2.5)):
        series.take(told)
    said = [series.value("fred/X", at) for at in (99, 100, 199, 200, 299, 300)]
    assert math.isnan(said[0])
    assert said[1:] == [1.0, 1.0, 2.0, 2.0, 2.5]
    again = Outside(frozenset({"fred/X", "fred/Y"}))
    again.restore(series.snapshot())
    assert again.value("fred/X", 299) == 2.0
    assert math.isnan(again.value("fred/Y", 299))


def test_history_is_given_the_leader_and_no_prints() -> None:
    config = FlowConfig(leader={"v": "L"})
    closes = [100.0, 101.0, 102.0]
    history = [
        Warmup(id="w", ts_event=0, venue="v", symbol=name, interval_s=S, bars=bars)
        for name, bars in (
            ("L", tuple(bar(n, close=c, symbol="L") for n, c in enumerate(closes))),
            ("S", tuple(bar(n) for n in range(3))),
        )
    ]
    bars = [*history[1].bars, bar(3)]
    live = [ticks([Trade(25 * SECOND, 1.0, 1.0, 1, 0)], 1), ticks([Trade(31 * SECOND, 1.0, 2.0, 1, 0)], 2), bars[3]]
    told = rows([*history, *live], bars, config)
    moves = told[EXTRA.index("lead_return")]
    assert np.isnan(moves[:2]).all()
    assert moves[2:] == pytest.approx([math.log(1.01), math.log(102 / 101)])
    assert np.isnan(told[EXTRA.index("buy_volume"), :3]).all()
    assert told[EXTRA.index("buy_volume"), 3] == 2.0


def test_what_no_feature_needs_is_not_kept() -> None:
    symbols = [("v", "S", (S,))]
    config = FlowConfig(leader={"v": "L"}, outside=("fred/X",))
    nothing = Flow(symbols, config, frozenset())
    assert (nothing.tapes, nothing.leaders) == ({}, {})
    everything = Flow(symbols, config, EVERYTHING)
    assert (list(everything.tapes), list(everything.leaders)) == ([("v", "S")], [("v", "L", S)])


def test_rows_are_of_one_symbol() -> None:
    with pytest.raises(ValueError, match="one of each"):
        rows([], [bar(1), bar(1, symbol="T")])
    assert rows([], []).shape == (len(EXTRA), 0)


@given(payout=st.floats(0.01, 100.0), n=st.integers(1, 10_000), share=st.floats(0.0, 1.0))
def test_the_interval_holds_the_frequency_and_a_fair_bet_breaks_even(payout: float, n: int, share: float) -> None:
    hits = round(share * n)
    low, high = wilson(hits, n)
    assert 0.0 <= low <= hits / n + 1e-12
    assert hits / n - 1e-12 <= high <= 1.0
    needed = break_even(payout)
    assert needed * payout - (1.0 - needed) == pytest.approx(0.0, abs=1e-12)
    assert digit_odds(hits, n, payout).worth == (low > needed)


def test_the_interval_is_the_published_one() -> None:
    """statsmodels: proportion_confint(105, 1000, method="wilson")."""
    from statsmodels.stats.proportion import proportion_confint

    assert wilson(105, 1000) == pytest.approx(proportion_confint(105, 1000, method="wilson"), rel=1e-9)
    assert digit_odds(105, 1000, 8.0).needed == pytest.approx(1 / 9)
    for wrong in (lambda: break_even(0.0), lambda: wilson(1, 0), lambda: wilson(5, 4)):
        with pytest.raises(ValueError, match=r"payout|cannot be"):
            wrong()
