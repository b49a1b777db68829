"""Values that describe a market: ticks, books, bars, feed health, clocks and instruments."""

from __future__ import annotations

from decimal import Decimal
from enum import IntFlag, StrEnum

import msgspec

from libs.core.types.base import Event, Nanos


class Trade(msgspec.Struct, frozen=True, array_like=True, tag="t"):
    """One print. For a venue that publishes prices without trades (Deriv) the price is its quote and size is 0.

    Attributes:
        ts_event: venue time, ns UTC.
        price: in quote currency.
        size: in base units; 0 when the venue gives none.
        side: +1 the aggressor bought, -1 sold, 0 unknown.
        seq: the venue's own sequence (trade id at Binance, epoch seconds at Deriv); 0 when none.
    """

    ts_event: Nanos
    price: float
    size: float
    side: int
    seq: int


class Quote(msgspec.Struct, frozen=True, array_like=True, tag="q"):
    """Best bid and ask. Sizes in base units (0 when the venue gives none); `seq` is the venue's book update id."""

    ts_event: Nanos
    bid: float
    bid_size: float
    ask: float
    ask_size: float
    seq: int


class Ticks(Event, tag="ticks.v1", frozen=True, kw_only=True):
    """A batch of a few milliseconds of trades and quotes of one symbol, in arrival order.

    Attributes:
        ts_recv: machine clock at arrival of the first frame in the batch, ns.
        items: trades and quotes as they arrived.
        last_seq: venue sequence of the newest print published on this subject, this batch included; 0 before the first.
    """

    venue: str
    symbol: str
    ts_recv: Nanos = 0
    items: tuple[Trade | Quote, ...]
    last_seq: int = 0


class BookStats(Event, tag="book.v1", frozen=True, kw_only=True):
    """The book since the last one of these, each 100 ms and at bar close.

    Attributes:
        bids, asks: top levels as (price, size in base units), best first.
        first_id, last_id: venue update ids covered.
        ofi: order-flow imbalance summed since the last message, base units (Cont, Kukanov, Stoikov 2014).
        ofi_deeper: the same of the second and further levels (Xu, Gould, Howison 2018).
        updates: number of book updates covered.
        depth_sum: (best bid size + best ask size) / 2 summed over those updates, base units.
        lost: times that updates before one of these were lost, so that the sums miss something.
        depth_bids, depth_asks: base units within 1, 5, 10 and 25 bp of the mid; NaN where the known book does not
            reach that far, () when nobody told.
    """

    venue: str
    symbol: str
    bids: tuple[tuple[float, float], ...]
    asks: tuple[tuple[float, float], ...]
    first_id: int
    last_id: int
    ofi: float = 0.0
    updates: int = 0
    ofi_deeper: tuple[float, ...] = ()
    depth_sum: float = 0.0
    lost: int = 0
    depth_bids: tuple[float, ...] = ()
    depth_asks: tuple[float, ...] = ()


class BarFlag(IntFlag):
    """What is special about a bar."""

    NONE = 0
    EMPTY = 1  # no trade in it while the feed was healthy: flat at the previous close
    GAP = 2  # data is missing in it and could not be had from history
    TIMER = 4  # closed because the data clock passed its end, not by a later event
    VENUE = 8  # the venue's own closed kline (source: venue)
    HISTORY = 16  # from the venue's history, not built from the live stream
    FILLED = 32  # the stream lost part of it; what was missing came from history later


class Bar(Event, tag="bar.v1", frozen=True, kw_only=True):
    """A closed bar. `ts_event` is its end, the first moment at which it is known: open time + interval, and of 1d and
    1w bars the end of the session or trading week.

    Attributes:
        interval_s: length in seconds; 86,400 and 604,800 name 1d and 1w however long the session is.
        open_time: ns UTC, multiple of the interval; of 1d and 1w bars the beginning of the session or trading week.
        open, high, low, close: quote currency.
        volume: base units. buy_volume: the part whose aggressor bought. trades: number of prints.
        flags: bits of BarFlag.
        last_seq: venue sequence of the last print in it, 0 when none.
        ts_recv: machine clock at arrival of the message that closed it, ns; 0 when a timer or history did.
    """

    venue: str
    symbol: str
    interval_s: int
    open_time: Nanos
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0
    buy_volume: float = 0.0
    trades: int = 0
    flags: int = 0
    last_seq: int = 0
    ts_recv: Nanos = 0


class TickBar(Event, tag="tickbar.v1", frozen=True, kw_only=True):
    """A closed bar of a number of prints instead of a time. `ts_event` is the time of its last print.

    A type of its own, not a Bar with an odd interval: whoever reads Bars may rely on a grid of times, which this lacks.

    Attributes:
        ticks: prints that it is made for; trades: those it has, fewer only where some were lost (flag GAP).
        open_time: time of the first, ns UTC.
        open, high, low, close: quote currency. volume, buy_volume: base units, as in Bar.
        flags: bits of BarFlag. first_seq, last_seq: venue sequences of its first and last print, 0 when none.
        ts_recv: machine clock at arrival of the last print, ns; 0 when it came from history.
    """

    venue: str
    symbol: str
    ticks: int
    open_time: Nanos
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0
    buy_volume: float = 0.0
    trades: int = 0
    flags: int = 0
    first_seq: int = 0
    last_seq: int = 0
    ts_recv: Nanos = 0


class FeedState(StrEnum):
    """Whether a feed should be delivering now."""

    OPEN = "open"
    CLOSED = "closed"  # the market is closed
    ENDED = "ended"  # the recording has ended
    DOWN = "down"  # it should deliver and does not


class FeedHealth(Event, tag="health.v1", frozen=True, kw_only=True):
    """Health of one symbol's feed, each second and at every named event.

    Attributes:
        score: 0 (unusable) to 1 (perfect).
        staleness_s: data seconds since the last tick.
        gaps, late, duplicates, rejected, reconnects: counts since start.
        clock_offset_ms: venue clock minus machine clock, estimated. clock_drift_ppm: how fast that difference grows,
            millionths; positive when the venue's clock is the faster one.
        delay_s: how late the source's data is by its nature, seconds; 0 for a live stream.
        failing: the checks that failed in the last minute of data time, by their names in `data.quality.weights`.
        event: what happened (docs/data.md lists the names); "" for the periodic one.
        detail: one line for people.
    """

    venue: str
    symbol: str
    score: float
    state: FeedState = FeedState.OPEN
    staleness_s: float = 0.0
    gaps: int = 0
    late: int = 0
    duplicates: int = 0
    rejected: int = 0
    reconnects: int = 0
    clock_offset_ms: float = 0.0
    clock_drift_ppm: float = 0.0
    delay_s: float = 0.0
    failing: tuple[str, ...] = ()
    event: str = ""
    detail: str = ""


class VenueClock(Event, tag="clock.v1", frozen=True, kw_only=True):
    """The data clock of a venue: `ts_event` is venue time, `ts_machine` the machine clock at that moment, ns.

    extrapolate: True live (data time runs on with the machine clock between messages); False in a replay, where only
    what arrives moves it. speed: data seconds per machine second, for display.
    """

    venue: str
    ts_machine: Nanos
    extrapolate: bool
    speed: float = 1.0
    state: FeedState = FeedState.OPEN


class InstrumentKind(StrEnum):
    SPOT = "spot"
    MULTIPLIER = "multiplier"  # Deriv: P&L = stake x multiplier x return - commission, loss limited to the stake
    QUOTE_ONLY = "quote_only"  # data only: the venue did not verify a tradable contract


class Instrument(Event, tag="instrument.v1", frozen=True, kw_only=True):
    """What can be traded and in which steps. Quantities are base units for SPOT and stake in `quote` for MULTIPLIER.

    Attributes:
        decimals: digits of a printed price. price_step, qty_step: increments (exact).
        min_qty, max_qty: per order; min_notional: price x quantity in `quote` (SPOT).
        multiplier: leverage used for MULTIPLIER (lowest that contracts_for offers), 0 otherwise.
        multipliers: all that contracts_for offers.
        commission_rate: fraction of notional charged once at entry for MULTIPLIER.
        planted: True for the simulator's demonstration symbol; shown wherever the symbol is.
        synthetic: True for generated indices.
    """

    venue: str
    symbol: str
    canonical: str
    name: str
    kind: InstrumentKind
    base: str
    quote: str
    decimals: int
    price_step: Decimal
    qty_step: Decimal
    min_qty: Decimal
    max_qty: Decimal
    min_notional: Decimal = Decimal(0)
    multiplier: int = 0
    multipliers: tuple[int, ...] = ()
    commission_rate: Decimal = Decimal(0)
    planted: bool = False
    synthetic: bool = False
    is_open: bool = True


class Warmup(Event, tag="warmup.v1", frozen=True, kw_only=True):
    """History handed to a stage before live bars: oldest first, consecutive; applied inline, so a replay sees it."""

    venue: str
    symbol: str
    interval_s: int
    bars: tuple[Bar, ...]


class HistoryRequest(Event, tag="history_request.v1", frozen=True, kw_only=True):
    """Ask ingest for closed bars: the newest `count` that end at or before `end` (0 = now). `ts_event` may be 0."""

    venue: str
    symbol: str
    interval_s: int
    count: int
    end: Nanos = 0


class Headline(Event, tag="headline.v1", frozen=True, kw_only=True):
    """A piece of news, as its source published it. `ts_event` is the time of publication, ns UTC.

    Attributes:
        source: the feed's name in the configuration; source_id: the feed's own id of the entry.
        title, summary: plain text without markup; link: where it can be read.
        symbols: canonical symbols that it is about, by the table in the configuration; () = none known.
    """

    source: str
    source_id: str
    title: str
    summary: str = ""
    link: str = ""
    symbols: tuple[str, ...] = ()


class Reading(Event, tag="reading.v1", frozen=True, kw_only=True):
    """One value of an outside series (a rate, an index, funding). `ts_event` is when it was published, ns UTC.

    Attributes:
        source, series: who publishes it and under which name.
        period: beginning of what the value is about, ns UTC; never used to join, for it is known only at `ts_event`.
        value: in the series' own unit.
    """

    source: str
    series: str
    period: Nanos
    value: float
