"""Microstructure: trades, quotes and the book of a bar, as `libs.core.features.flow` gathered them."""

from __future__ import annotations

from libs.core.features.inputs import EXTRA
from libs.core.features.kit import Output, feature, forgets
from libs.core.features.parts import NAN, ROWS, STRIDE, Pointer

BASE = "base units"
QUOTE = "quote currency"
RATIO = "ratio"

BUY_VOLUME = EXTRA.index("buy_volume")
TRADE_IMBALANCE = EXTRA.index("trade_imbalance")
SIZES = EXTRA.index("size_q50")
LARGE = EXTRA.index("large_count")
INTENSITY = EXTRA.index("intensity")
VPIN = EXTRA.index("vpin")
BID = EXTRA.index("bid")
ASK = EXTRA.index("ask")
SPREAD = EXTRA.index("spread")
MICROPRICE = EXTRA.index("microprice")
IMBALANCE = EXTRA.index("imbalance_1")
DEPTH = EXTRA.index("depth_bid_1")
MEAN_DEPTH = EXTRA.index("mean_depth")
OFI = EXTRA.index("ofi_1")
AVAILABLE = EXTRA.index("avail_quotes")


@feature(
    outputs=[
        Output(name="buy_volume", unit=BASE, low=0.0),
        Output(name="sell_volume", unit=BASE, low=0.0),
        Output(name="trade_count", unit="prints", low=0.0),
        Output(name="trade_imbalance", unit=RATIO, low=-1.0, high=1.0),
        Output(name="tick_rule", unit="mean sign", low=-1.0, high=1.0),
    ],
    warmup=0,
    memory=0,
    needs=["trades"],
    oracle="recount of the recorded prints",
    source="aggressor by the venue's flag, else by the tick rule (Lee, Ready 1991)",
)
def trade_flow(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """The bar's volume by aggressor, prints, (buy - sell) / (buy + sell) (no volume: 0) and mean tick-rule sign."""
    v = c[STRIDE]
    for f in range(5):
        for j in range(c[ROWS]):
            out[f * v + j] = e[(BUY_VOLUME + f) * v + j]


@feature(
    outputs=[Output(name="trade_imbalance_ewma_{n}", unit=RATIO, low=-1.0, high=1.0)],
    n=20,
    state=2,
    warmup=lambda n: n - 1,
    memory=lambda n: forgets(2.0 / (n + 1), n),
    needs=["trades"],
    oracle="brute force",
    source="e += 2 / (n + 1) (imbalance - e), seeded by the mean of n; a bar without the input begins it anew",
)
def trade_imbalance_ewma(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Exponential average of the bars' trade imbalance."""
    n, v = int(p[0]), c[STRIDE]
    count, value = s[0], s[1]
    for j in range(c[ROWS]):
        told = e[TRADE_IMBALANCE * v + j]
        if told != told:
            count, value = 0.0, 0.0
        elif count < n:
            value += told
            count += 1.0
            if count == n:
                value /= n
        else:
            value += 2.0 / (n + 1) * (told - value)
        out[j] = min(max(value, -1.0), 1.0) if count == n else NAN
    s[0], s[1] = count, value


@feature(
    outputs=[
        Output(name="size_q50", unit=BASE, low=0.0),
        Output(name="size_q90", unit=BASE, low=0.0),
        Output(name="size_q99", unit=BASE, low=0.0),
        Output(name="size_gini", unit=RATIO, low=0.0, high=1.0),
        Output(name="size_log_mean", unit="ln(base units)"),
    ],
    warmup=0,
    memory=0,
    needs=["trades"],
    oracle="numpy.quantile and brute force over the recorded prints",
    source="linearly interpolated quantiles, Gini coefficient and mean logarithm",
)
def trade_sizes(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Distribution of the last 500 trade sizes."""
    v = c[STRIDE]
    for f in range(5):
        for j in range(c[ROWS]):
            out[f * v + j] = e[(SIZES + f) * v + j]


@feature(
    outputs=[Output(name="large_count", unit="prints", low=0.0), Output(name="large_signed", unit=BASE)],
    warmup=0,
    memory=0,
    needs=["trades"],
    oracle="brute force over the recorded prints",
    source="a print is large above the .99 quantile of the 5,000 before it",
)
def large_trades(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """The bar's large prints: how many, and bought minus sold."""
    v = c[STRIDE]
    for f in range(2):
        for j in range(c[ROWS]):
            out[f * v + j] = e[(LARGE + f) * v + j]


@feature(
    outputs=[
        Output(name="intensity", unit="prints per second", low=0.0),
        Output(name="vpin", unit=RATIO, low=0.0, high=1.0),
    ],
    warmup=0,
    memory=0,
    needs=["trades"],
    oracle="brute force over the recorded prints",
    source="exponential kernel with a half-life of 30 s of event time; VPIN: Easley, Lopez de Prado, O'Hara 2012",
)
def trade_pace(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Prints a second at the bar's end; mean |buy - sell| / volume of 50 buckets of a fiftieth of a day's volume."""
    v = c[STRIDE]
    for j in range(c[ROWS]):
        out[j] = e[INTENSITY * v + j]
        out[v + j] = e[VPIN * v + j]


@feature(
    outputs=[
        Output(name="spread", unit=QUOTE, low=0.0),
        Output(name="spread_bp", unit="basis points of the mid", low=0.0),
        Output(name="microprice", unit=QUOTE, low=0.0),
        Output(name="microprice_gap", unit="half spreads", low=-1.0, high=1.0),
    ],
    warmup=0,
    memory=0,
    needs=["quotes"],
    oracle="the recorded quotes",
    source="Stoikov 2018, first term: (ask bid_size + bid ask_size) / (bid_size + ask_size)",
)
def touch(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Spread of the newest quotes, their size-weighted price and how far that lies from the mid; none while locked."""
    v = c[STRIDE]
    for j in range(c[ROWS]):
        spread, micro = e[SPREAD * v + j], e[MICROPRICE * v + j]
        out[j] = spread
        out[v + j] = e[(SPREAD + 1) * v + j]
        out[2 * v + j] = micro
        gap = (micro - 0.5 * (e[BID * v + j] + e[ASK * v + j])) / (0.5 * spread)
        if gap != gap:
            out[3 * v + j] = NAN
        else:
            out[3 * v + j] = min(max(gap, -1.0), 1.0)


@feature(
    outputs=[
        Output(name="imbalance_1", unit=RATIO, low=-1.0, high=1.0),
        Output(name="imbalance_5", unit=RATIO, low=-1.0, high=1.0),
        Output(name="imbalance_10", unit=RATIO, low=-1.0, high=1.0),
        Output(name="book_pressure", unit=RATIO, low=-1.0, high=1.0),
        *(Output(name=f"depth_{side}_{bp}bp", unit=BASE, low=0.0) for side in ("bid", "ask") for bp in (1, 5, 10, 25)),
    ],
    warmup=0,
    memory=0,
    needs=["book"],
    oracle="brute force over the recorded books",
    source="pressure weighs a level by exp(-distance from the mid in bp / 5)",
)
def book(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """(bids - asks) / (bids + asks) over levels; size within a distance of the mid where the book reaches so far."""
    v = c[STRIDE]
    for f in range(12):
        for j in range(c[ROWS]):
            out[f * v + j] = e[(IMBALANCE + f) * v + j]


@feature(
    outputs=[
        *(Output(name=f"ofi_{level}", unit="mean depths") for level in range(1, 6)),
        Output(name="ofi_mean", unit="mean depths"),
    ],
    warmup=0,
    memory=0,
    needs=["book"],
    oracle="brute force over the recorded books",
    source="Cont, Kukanov, Stoikov 2014; deeper levels Xu, Gould, Howison 2018, their equal mean",
)
def order_flow(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Order-flow imbalance of each level summed over the bar, divided by the mean depth of the best one (none: 0)."""
    v = c[STRIDE]
    for j in range(c[ROWS]):
        depth = e[MEAN_DEPTH * v + j]
        total = 0.0
        for level in range(5):
            flow = e[(OFI + level) * v + j]
            value = 0.0 if depth == 0.0 and flow == flow else flow / depth
            out[level * v + j] = value
            total += value
        out[5 * v + j] = total / 5.0


@feature(
    outputs=[
        Output(name="avail_quotes", unit="flag", low=0.0, high=1.0),
        Output(name="avail_book", unit="flag", low=0.0, high=1.0),
        Output(name="avail_trades", unit="flag", low=0.0, high=1.0),
    ],
    warmup=0,
    memory=0,
    needs=["trades", "quotes", "book"],
    oracle="definition",
    source="quotes and book: at most 60 s old at the bar's end; trades: all of the bar was heard",
)
def available(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """1 where quotes, book and trades exist for this bar, else 0."""
    v = c[STRIDE]
    for f in range(3):
        for j in range(c[ROWS]):
            told = e[(AVAILABLE + f) * v + j]
            out[f * v + j] = told if told == told else 0.0


FULL = (
    "trade_flow",
    "trade_imbalance_ewma(n=20)",
    "trade_sizes",
    "large_trades",
    "trade_pace",
    "touch",
    "book",
    "order_flow",
    "available",
)
