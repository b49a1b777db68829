"""Microstructure, digits, leader and outside series, counted again from the recorded messages by brute force.

Each oracle walks over the messages of a seeded market; `test_flow_recorded.py` asks the same of a recorded session.
"""

from __future__ import annotations

import math
from collections import Counter
from functools import cache
from itertools import groupby

import numpy as np
import pandas as pd
import scipy.stats
from statsmodels.sandbox.stats.runs import runstest_1samp

from libs.core.types import SECOND, Bar, BarFlag, BookStats, Reading, Trade
from libs.research.leak.series import History
from tests.unit.features.oracles.flow_world import (
    CONFIG,
    LEADER,
    World,
    books_of,
    prints_of,
    quotes_of,
    seeded_world,
)
from tests.unit.features.oracles.registry import Columns, Floats, Values, oracle

HALF_LIFE_S = 30.0


@cache
def seeded_prints_and_books() -> History:
    """The seeded market as a history: bars and what its messages leave for them."""
    return seeded_world().history


@cache
def signed(world: World) -> list[list[tuple[Trade, float, float]]]:
    """Prints of each bar with the sign by the tick rule and that of the aggressor."""
    sign, last, bars = 0.0, 0.0, []
    for _, since in world.steps():
        told = []
        for item in prints_of(since):
            sign = sign if not last or item.price == last else math.copysign(1.0, item.price - last)
            last = item.price
            told.append((item, sign, float(item.side) or sign))
        bars.append(told)
    return bars


def told(world: World) -> list[bool]:
    """Whether all of a bar was heard: not the first, not one that lacks data."""
    return [i > 0 and not bar.flags & BarFlag.GAP for i, bar in enumerate(world.bars)]


def masked(values: list[float], known: list[bool]) -> Floats:
    return np.where(known, values, np.nan)


def trade_flow_of(world: World) -> Values:
    bars, known = signed(world), told(world)
    bought = [sum(item.size for item, _, side in bar if side > 0) for bar in bars]
    sold = [sum(item.size for item, _, side in bar if side < 0) for bar in bars]
    both = [b + s for b, s in zip(bought, sold, strict=True)]
    return {
        "buy_volume": masked(bought, known),
        "sell_volume": masked(sold, known),
        "trade_count": masked([float(len(bar)) for bar in bars], known),
        "trade_imbalance": masked(
            [(b - s) / t if t else 0.0 for b, s, t in zip(bought, sold, both, strict=True)], known
        ),
        "tick_rule": masked([float(np.mean([rule for _, rule, _ in bar])) if bar else 0.0 for bar in bars], known),
    }


def trade_sizes_of(world: World) -> Values:
    sizes: list[float] = []
    rows = []
    for bar in signed(world):
        sizes += [item.size for item, _, _ in bar]
        last = np.sort(sizes[-500:])
        if len(last) < 500:
            rows.append([math.nan] * 5)
            continue
        ranks = np.arange(1, 501)
        gini = 2.0 * (ranks * last).sum() / (500 * last.sum()) - 501 / 500
        rows.append([*np.quantile(last, [0.5, 0.9, 0.99]), gini, np.log(last).mean()])
    names = ("size_q50", "size_q90", "size_q99", "size_gini", "size_log_mean")
    return dict(zip(names, np.array(rows).T, strict=True))


def large_trades_of(world: World) -> Values:
    bars, known = signed(world), told(world)
    sizes = np.array([item.size for bar in bars for item, _, _ in bar])
    counts, nets, seen = [], [], 0
    for i, bar in enumerate(bars):
        known[i] = known[i] and seen >= 5_000
        count = net = 0.0
        for item, _, side in bar:
            if seen >= 5_000 and item.size > np.quantile(sizes[seen - 5_000 : seen], 0.99):
                count, net = count + 1, net + side * item.size
            seen += 1
        counts.append(count)
        nets.append(net)
    return {"large_count": masked(counts, known), "large_signed": masked(nets, known)}


def intensity_of(world: World) -> Floats:
    rate = math.log(2.0) / HALF_LIFE_S
    times: list[int] = []
    values = []
    for bar, prints in zip(world.bars, signed(world), strict=True):
        times += [item.ts_event for item, _, _ in prints]
        heard = (bar.ts_event - times[0]) / 1e9
        ages = (bar.ts_event - np.array([at for at in times if at > times[0]], dtype=np.int64)) / 1e9
        weight = rate * np.exp(-rate * ages[ages < 60 * HALF_LIFE_S]).sum()
        values.append(weight / (1.0 - math.exp(-rate * heard)) if heard >= 30.0 else math.nan)
    return np.array(values)


def vpin_of(world: World) -> Floats:
    """Volume laid end to end and cut into buckets, each as large as the day before it says when it opens."""
    hours: Counter[int] = Counter()
    first = size = volume = net = 0.0
    toxic: list[float] = []
    values = []
    for prints in signed(world):
        for item, _, side in prints:
            at = item.ts_event
            first = first or at
            hour = at // (3600 * SECOND)
            hours[hour] += item.size
            rest = item.size
            while rest > 0.0:
                if not size:
                    covered = min(at - first, at - (hour - 23) * 3600 * SECOND) / 1e9
                    if covered < 3600:
                        break
                    day = sum(amount for known, amount in hours.items() if known > hour - 24) / covered * 86_400
                    size, volume, net = day / 50, 0.0, 0.0
                part = min(rest, size - volume)
                volume, net, rest = volume + part, net + side * part, rest - part
                if volume >= size * (1 - 1e-12):
                    toxic.append(abs(net) / size)
                    size = 0.0
        values.append(float(np.mean(toxic[-50:])) if len(toxic) >= 50 else math.nan)
    return np.array(values)


def touch_of(world: World) -> Values:
    quote: tuple[int, float, float, float, float] | None = None
    rows = []
    for bar, since in world.steps():
        for event in since:
            if isinstance(event, BookStats):
                (bid, bid_size), (ask, ask_size) = event.bids[0], event.asks[0]
                if quote is None or event.ts_event > quote[0]:
                    quote = (event.ts_event, bid, ask, bid_size, ask_size)
            for item in quotes_of([event]):
                if quote is None or item.ts_event >= quote[0]:
                    quote = (item.ts_event, item.bid, item.ask, item.bid_size, item.ask_size)
        if quote is None or bar.ts_event - quote[0] > 60 * SECOND or quote[1] >= quote[2]:
            rows.append([math.nan] * 4)
            continue
        _, bid, ask, bid_size, ask_size = quote
        micro, mid = (ask * bid_size + bid * ask_size) / (bid_size + ask_size), (bid + ask) / 2
        rows.append([ask - bid, (ask - bid) / mid * 1e4, micro, (bid_size - ask_size) / (bid_size + ask_size)])
    return dict(zip(("spread", "spread_bp", "microprice", "microprice_gap"), np.array(rows).T, strict=True))


def book_of(world: World) -> Values:
    """By the newest book of at most a minute of age: numpy over its levels."""
    newest: BookStats | None = None
    rows = []
    for bar, since in world.steps():
        newest = (books_of(since) or [newest])[-1]
        if newest is None or bar.ts_event - newest.ts_event > 60 * SECOND:
            rows.append([math.nan] * 12)
            continue
        bids, asks = np.array(newest.bids), np.array(newest.asks)
        row = []
        for levels in (1, 5, 10):
            b, a = bids[:levels, 1].sum(), asks[:levels, 1].sum()
            row.append((b - a) / (b + a))
        mid = (bids[0, 0] + asks[0, 0]) / 2
        b = (bids[:, 1] * np.exp(-(mid - bids[:, 0]) / mid * 1e4 / 5)).sum()
        a = (asks[:, 1] * np.exp(-(asks[:, 0] - mid) / mid * 1e4 / 5)).sum()
        rows.append([*row, (b - a) / (b + a), *newest.depth_bids, *newest.depth_asks])
    depths = [f"depth_{side}_{bp}bp" for side in ("bid", "ask") for bp in (1, 5, 10, 25)]
    return dict(
        zip(("imbalance_1", "imbalance_5", "imbalance_10", "book_pressure", *depths), np.array(rows).T, strict=True)
    )


def order_flow_of(world: World) -> Values:
    """Summed over the messages of the bar, over the mean depth; unknown where messages say that something was lost."""
    rows, newest, first = [], None, 0
    for (bar, since), known in zip(world.steps(), told(world), strict=True):
        books = books_of(since)
        newest = books[-1] if books else newest
        fresh = newest is not None and bar.ts_event - newest.ts_event <= 60 * SECOND
        begun = 0 < first <= bar.open_time
        first = first or (books[0].ts_event if books else 0)
        if not known or not fresh or not begun or newest is None or sum(book.lost for book in books):
            rows.append([math.nan] * 6)
            continue
        flow = np.sum([[book.ofi, *book.ofi_deeper] for book in books], axis=0) if books else np.zeros(5)
        updates = sum(book.updates for book in books)
        depth = (
            sum(book.depth_sum for book in books) / updates if updates else (newest.bids[0][1] + newest.asks[0][1]) / 2
        )
        rows.append([*(flow / depth), flow.mean() / depth])
    return dict(zip((*(f"ofi_{level}" for level in range(1, 6)), "ofi_mean"), np.array(rows).T, strict=True))


@cache
def digits_before(world: World) -> tuple[list[list[int]], list[list[float]]]:
    """Digits and prices of all prints up to the end of each bar, the digits cut from the printed text."""
    digits: list[int] = []
    prices: list[float] = []
    seen, paid = [], []
    for _, since in world.steps():
        for item in prints_of(since):
            digits.append(int(f"{item.price:.{world.decimals}f}"[-1]))
            prices.append(item.price)
        seen.append(digits[-5_001:])
        paid.append(prices[-60:])
    return seen, paid


def counts_of(world: World, n: int) -> Floats:
    """Digits counted over the last n prints, bars x 10; NaN until there are n."""
    seen, _ = digits_before(world)
    rows = [np.bincount(last[-n:], minlength=10) if len(last) >= n else np.full(10, np.nan) for last in seen]
    return np.array(rows, dtype=float)


def frequencies_of(world: World, n: int) -> Values:
    return dict(zip([f"digit_freq_{digit}_{n}" for digit in range(10)], counts_of(world, n).T / n, strict=True))


def uniformity_of(world: World, n: int) -> Values:
    counts = counts_of(world, n)
    full = counts[~np.isnan(counts[:, 0])]
    rows = np.full((len(counts), 3), np.nan)
    found = scipy.stats.chisquare(full, axis=1)
    rows[len(counts) - len(full) :] = np.stack([*found, scipy.stats.entropy(full, base=10, axis=1)], axis=1)
    return dict(zip((f"digit_chi2_{n}", f"digit_p_{n}", f"digit_entropy_{n}"), rows.T, strict=True))


def trailing(kinds: list[int]) -> int:
    """How many of the last are like the very last."""
    return next((i for i, kind in enumerate(reversed(kinds)) if kind != kinds[-1]), len(kinds))


def streaks_of(world: World) -> Values:
    rows = []
    for digits, prices in zip(*digits_before(world), strict=True):
        even = trailing([digit % 2 for digit in digits]) * (1 if digits[-1] % 2 == 0 else -1)
        moves = np.sign(np.diff(prices)).astype(int).tolist()
        rise = trailing(moves) * moves[-1] if moves else 0
        longest = max(len(list(run)) for _, run in groupby(digits[-100:]))
        rows.append([trailing(digits), even, rise, longest if len(digits) >= 100 else math.nan])
    names = ("digit_streak", "digit_even_streak", "digit_rise_streak", "digit_longest_100")
    return dict(zip(names, np.array(rows, dtype=float).T, strict=True))


def runs_of(world: World, every: int = 8) -> Values:
    """Of every so-manieth bar, for it is slow."""
    rows = []
    for i, (digits, prices) in enumerate(zip(*digits_before(world), strict=True)):
        rise = even = math.nan
        if i % every:
            rows.append([rise, even])
            continue
        if len(prices) > 50:
            rise = runstest_1samp((np.diff(prices)[-50:] > 0).astype(float), cutoff=0.5, correction=False)[0]
        if len(digits) >= 50:
            even = runstest_1samp((np.array(digits[-50:]) % 2 == 0).astype(float), cutoff=0.5, correction=False)[0]
        rows.append([rise, even])
    return dict(zip(("digit_runs_rise", "digit_runs_even"), np.array(rows).T, strict=True))


def pairs_of(world: World, every: int = 40) -> Values:
    """Of every so-manieth bar, for it is slow."""
    rows = []
    for i, digits in enumerate(digits_before(world)[0]):
        if len(digits) < 5_001 or i % every:
            rows.append([math.nan] * 2)
            continue
        table = np.zeros((10, 10))
        np.add.at(table, (digits[:-1], digits[1:]), 1)
        table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
        found = scipy.stats.chi2_contingency(table, correction=False)
        rows.append([found.statistic, found.pvalue])
    return dict(zip(("digit_pairs", "digit_pairs_p"), np.array(rows).T, strict=True))


def leader_returns(world: World) -> tuple[Floats, Floats]:
    """The leader's return and deviation in the bar before each."""
    closes = pd.Series({e.open_time: e.close for e in world.events if isinstance(e, Bar) and e.symbol == LEADER})
    returns = np.log(closes).diff().dropna()
    squares = returns**2
    begun = squares.iloc[29:].copy()
    begun.iloc[0] = squares.iloc[:30].mean()
    variance = begun.ewm(alpha=0.06, adjust=False).mean()
    before = [bar.open_time - 60 * SECOND for bar in world.bars]
    return returns.reindex(before).to_numpy(), np.sqrt(variance).reindex(before).to_numpy()


@oracle(kernel="trade_flow", by="recount of the prints", given=seeded_prints_and_books)
def trade_flow(columns: Columns) -> Values:
    return trade_flow_of(seeded_world())


@oracle(kernel="trade_imbalance_ewma", by="pandas ewm", given=seeded_prints_and_books)
def trade_imbalance_ewma(columns: Columns, n: int) -> Values:
    imbalance = pd.Series(columns["trade_imbalance"])
    begun = imbalance.iloc[n:].copy()  # the first bar has none
    begun.iloc[0] = imbalance.iloc[1 : n + 1].mean()
    smooth = begun.ewm(alpha=2.0 / (n + 1), adjust=False).mean()
    return {f"trade_imbalance_ewma_{n}": np.concatenate([np.full(n, np.nan), smooth])}


@oracle(kernel="trade_sizes", by="numpy.quantile, brute force", given=seeded_prints_and_books)
def trade_sizes(columns: Columns) -> Values:
    return trade_sizes_of(seeded_world())


@oracle(kernel="large_trades", by="numpy.quantile, brute force", given=seeded_prints_and_books)
def large_trades(columns: Columns) -> Values:
    return large_trades_of(seeded_world())


@oracle(kernel="trade_pace", by="brute force over the prints", given=seeded_prints_and_books)
def trade_pace(columns: Columns) -> Values:
    return {"intensity": intensity_of(seeded_world()), "vpin": vpin_of(seeded_world())}


@oracle(
    kernel="touch",
    by="the recorded quotes",
    given=seeded_prints_and_books,
    atol=1e-6,
    reason="(microprice - mid) / half spread loses six digits to the price level",
)
def touch(columns: Columns) -> Values:
    return touch_of(seeded_world())


@oracle(kernel="book", by="numpy over the levels", given=seeded_prints_and_books)
def book(columns: Columns) -> Values:
    return book_of(seeded_world())


@oracle(kernel="order_flow", by="brute force over the books", given=seeded_prints_and_books)
def order_flow(columns: Columns) -> Values:
    return order_flow_of(seeded_world())


@oracle(kernel="available", by="definition", given=seeded_prints_and_books)
def available(columns: Columns) -> Values:
    world = seeded_world()
    book_known = ~np.isnan(book_of(world)["imbalance_1"])
    trades = np.array(told(world))
    return {
        "avail_quotes": (~np.isnan(columns["bid"])).astype(float),
        "avail_book": book_known.astype(float),
        "avail_trades": trades.astype(float),
    }


@oracle(kernel="digit_frequencies", by="numpy.bincount of the printed text", given=seeded_prints_and_books)
def digit_frequencies(columns: Columns, n: int) -> Values:
    return frequencies_of(seeded_world(), int(n))


@oracle(kernel="digit_uniformity", by="scipy.stats chisquare, entropy", given=seeded_prints_and_books)
def digit_uniformity(columns: Columns, n: int) -> Values:
    return uniformity_of(seeded_world(), int(n))


@oracle(kernel="digit_streaks", by="brute force over the printed text", given=seeded_prints_and_books)
def digit_streaks(columns: Columns) -> Values:
    return streaks_of(seeded_world())


@oracle(
    kernel="digit_runs",
    by="statsmodels runstest_1samp",
    given=seeded_prints_and_books,
    absent=0.9,
    reason="statsmodels is asked at every eighth bar, for it is slow",
)
def digit_runs(columns: Columns) -> Values:
    return runs_of(seeded_world())


@oracle(
    kernel="digit_pairs",
    by="scipy.stats chi2_contingency",
    given=seeded_prints_and_books,
    absent=1.0,
    reason="scipy is asked at every fortieth bar, for it is slow",
)
def digit_pairs(columns: Columns) -> Values:
    return pairs_of(seeded_world())


@oracle(kernel="lead", by="pandas ewm", given=seeded_prints_and_books)
def lead(columns: Columns) -> Values:
    move, sigma = leader_returns(seeded_world())
    return {"lead_return": move / sigma}


@oracle(kernel="lead_corr", by="numpy recursion", given=seeded_prints_and_books)
def lead_corr(columns: Columns, decay: float) -> Values:
    theirs, _ = leader_returns(seeded_world())
    ours = np.concatenate([[np.nan, np.nan], np.diff(np.log(columns["close"]))[:-1]])
    products = pd.DataFrame({"both": ours * theirs, "own": ours**2, "other": theirs**2}).iloc[2:]
    begun = products.iloc[29:].copy()
    begun.iloc[0] = products.iloc[:30].mean()
    smooth = begun.ewm(alpha=1.0 - decay, adjust=False).mean()
    values = smooth["both"] / np.sqrt(smooth["own"] * smooth["other"])
    return {"lead_corr": np.concatenate([np.full(31, np.nan), values])}


@oracle(kernel="outside", by="pandas merge_asof", given=seeded_prints_and_books)
def outside(columns: Columns) -> Values:
    world = seeded_world()
    ends = pd.DataFrame({"at": [bar.ts_event for bar in world.bars]})
    said = {}
    key = "binance/BTCUSDT"
    for name, series in (
        *((f"outside_{place}", series) for place, series in enumerate(CONFIG.outside)),
        ("funding_rate", CONFIG.funding[key]),
        ("basis", CONFIG.basis[key]),
    ):
        told = [e for e in world.events if isinstance(e, Reading) and f"{e.source}/{e.series}" == series]
        frame = pd.DataFrame({"at": [e.ts_event for e in told], "value": [e.value for e in told]}).sort_values("at")
        said[name] = pd.merge_asof(ends, frame, on="at")["value"].to_numpy()
    return said
