"""What ingest remembers of one symbol."""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.core.bars import (
    BarBuilder,
    BarWatch,
    BookFlow,
    FeedCheck,
    HealthScore,
    Numbering,
    OutlierWatch,
    Plausibility,
    SequenceWatch,
    TickBars,
    graded,
)
from libs.core.types import SECOND, Bar, Instrument, InstrumentKind, Nanos, Quote, Trade, token
from services.ingest.klines import KlineDesk
from services.ingest.settings import IngestSettings

NUMBERING = {"binance": Numbering.CONSECUTIVE, "deriv": Numbering.GRID}
MAX_HELD = 200_000


@dataclass(slots=True)
class Counts:
    """Since start."""

    ticks: int = 0
    bars: int = 0
    late: int = 0
    duplicates: int = 0
    rejected: int = 0
    gaps: int = 0
    refilled: int = 0
    reconnects: int = 0


@dataclass(slots=True)
class SymbolState:
    """One symbol's feed.

    Attributes:
        held: prints that wait until history has filled what came before them; None = prints flow.
        begun: it is known where the symbol stands; quotes before that are dropped.
        held_klines: klines that are bars and wait likewise.
        filling: history is being asked for them; fill_again: something more was lost meanwhile.
        batch: prints and quotes of the Ticks being gathered; batch_recv: arrival of its first, ns.
        last_stamp: data time of the newest print, quote or kline. heard_mono: machine time of it, as the beat saw it.
        down_since: machine time (monotonic ns) since which the venue does not deliver; 0 = it does.
        futures: prints in a row that were stamped absurdly far ahead.
        canonical: the symbol's name among all venues; "" before its instrument is known.
        noted: checks that failed since the last beat, how often and how the last time, told together with it.
        lasting: checks that fail as long as something stands as it does, told when that begins and when it ends.
    """

    venue: str
    symbol: str
    builder: BarBuilder
    watch: SequenceWatch
    judge: Plausibility
    flow: BookFlow
    health: HealthScore
    klines: KlineDesk
    bars: BarWatch
    outliers: OutlierWatch
    tick_bars: list[TickBars]
    subject: str
    held: list[tuple[Trade, Nanos]] | None = None
    begun: bool = False
    held_klines: list[Bar] | None = None
    filling: bool = False
    fill_again: bool = False
    batch: list[Trade | Quote] = field(default_factory=list)
    batch_recv: Nanos = 0
    quote_seq: int = 0
    last_stamp: Nanos = 0
    heard_mono: Nanos = 0
    seen_at_beat: int = 0
    seen: int = 0
    down_since: Nanos = 0
    closed: bool = False
    stale: bool = False
    futures: int = 0
    canonical: str = ""
    noted: dict[FeedCheck, tuple[int, str]] = field(default_factory=dict)
    lasting: set[FeedCheck] = field(default_factory=set)
    counts: Counts = field(default_factory=Counts)
    told: Counts = field(default_factory=Counts)

    @property
    def has_prints(self) -> bool:
        """Whether the symbol has shown a print, accepted or waiting."""
        return self.judge.high > 0.0 or bool(self.held)

    @property
    def price(self) -> tuple[float, Nanos] | None:
        """The middle of the newest quote, else the last print, with its data time; None before the first."""
        if (quote := self.outliers.quote) is not None:
            return (quote.bid + quote.ask) / 2, quote.ts_event
        return (self.judge.price, self.watch.stamp) if self.judge.high > 0.0 and self.watch.stamp else None

    def note(self, check: FeedCheck, detail: str) -> None:
        """A check failed; the next beat tells it."""
        times, _ = self.noted.get(check, (0, ""))
        self.noted[check] = times + 1, detail

    def learn(self, instrument: Instrument) -> None:
        """What the venue says of the symbol: its name elsewhere, whether it trades, the steps of its sizes."""
        self.canonical, self.closed = instrument.canonical, not instrument.is_open
        if instrument.kind is InstrumentKind.SPOT:
            self.builder.count_in(instrument.qty_step)
            for series in self.tick_bars:
                series.count_in(instrument.qty_step)

    def hold(self) -> None:
        """Keep prints back from now on."""
        if self.held is None:
            self.held = []

    def hold_klines(self) -> None:
        """Keep klines back from now on, where they are the bars."""
        if self.klines.are_bars and self.held_klines is None:
            self.held_klines = []


def new_state(venue: str, symbol: str, settings: IngestSettings) -> SymbolState:
    """A symbol of which nothing is known yet; its prints are held until history has told where it stands."""
    calendar, quality = settings.calendar(venue, symbol), settings.quality
    numbering = NUMBERING.get(venue, Numbering.NONE)
    anchored = numbering is Numbering.CONSECUTIVE
    state = SymbolState(
        venue=venue,
        symbol=symbol,
        builder=BarBuilder(venue, symbol, settings.intervals_s, timer=settings.bar_timer, calendar=calendar),
        watch=SequenceWatch(numbering),
        judge=Plausibility(),
        flow=BookFlow(venue, symbol, settings.book_levels),
        health=HealthScore(graded(quality.weights, quality.tolerated)),
        klines=KlineDesk(venue, symbol, calendar),
        bars=BarWatch(calendar=calendar, continuity_bp=quality.continuity_bp, volume_factor=quality.volume_factor),
        outliers=OutlierWatch(
            mads=quality.outlier_mads,
            window=quality.outlier_window,
            floor_bp=quality.outlier_floor_bp,
            confirm=int(quality.outlier_confirm_s * SECOND),
        ),
        tick_bars=[TickBars(venue, symbol, ticks, anchored=anchored) for ticks in settings.tick_counts],
        subject=f"md.tick.{token(venue)}.{token(symbol)}",
    )
    state.hold()
    return state
