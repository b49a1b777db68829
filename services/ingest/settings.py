"""Ingest's part of the configuration, in the units it works in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from libs.common import runtime
from libs.common.chassis import FatalError
from libs.common.credentials import credentials_for
from libs.common.secrets import SecretError
from libs.common.settings import Settings
from libs.common.settings.data import QualitySettings, VenueSettings
from libs.core.bars.sessions import SessionCalendar, calendar_named, usual_calendar
from libs.core.types import MILLISECOND, Nanos, interval_seconds, ticks_in
from libs.venues.base import MarketData
from libs.venues.credentials import Credentials
from libs.venues.registry import make_market_data


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """What every venue feed needs to know. Durations in seconds unless they say otherwise."""

    intervals_s: tuple[int, ...]
    bar_timer: Nanos
    tick_batch_s: float
    stale_after_s: float
    instruments_every_s: float
    book_levels: int
    patience_s: float
    """How long an unreachable venue is tried at start before giving up."""
    tick_counts: tuple[int, ...] = ()
    """Bars of so many prints, beside those of a time."""
    calendars: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Venue and symbol to the name of a calendar, where the configuration gives one."""
    quality: QualitySettings = field(default_factory=QualitySettings)

    def calendar(self, venue: str, symbol: str) -> SessionCalendar:
        """When a symbol trades."""
        return calendar_named(self.calendars.get((venue, symbol)) or usual_calendar(venue, symbol))

    @classmethod
    def of(cls, settings: Settings) -> IngestSettings:
        """The bars of the configuration and those on which its strategies run."""
        data = settings.data
        traded = [interval for venue in data.venues for row in venue.symbols for interval in row.trade_intervals]
        timed = [text for text in data.bar_intervals if not ticks_in(text)]
        return cls(
            intervals_s=tuple(sorted({interval_seconds(text) for text in (*timed, *traded)})),
            bar_timer=data.bar_timer_ms * MILLISECOND,
            tick_batch_s=data.tick_batch_ms / 1000,
            stale_after_s=data.stale_after_s,
            instruments_every_s=data.instruments_every_s,
            book_levels=data.book_levels,
            patience_s=settings.platform.ready_timeout_s,
            tick_counts=tuple(sorted({count for text in data.bar_intervals if (count := ticks_in(text))})),
            calendars={(venue.name, row.symbol): row.calendar for venue in data.venues for row in venue.symbols},
            quality=data.quality,
        )


def endpoints_of(settings: Settings, venue: VenueSettings) -> dict[str, str]:
    """Addresses of `venue` in place of its own; {} means its own.

    Raises:
        FatalError: a simulator is configured and none runs.
    """
    urls = runtime.venue_urls(settings.platform.var, venue.name, venue.endpoint, venue.urls, venue.api)
    if not urls and venue.endpoint == "simulator":
        raise FatalError(
            f"{venue.name}: endpoint is simulator and none runs under {settings.platform.var}; "
            "start one (conclave up, conclave simulate), set urls, or endpoint: live"
        )
    return urls


def connect(settings: Settings, venue: VenueSettings) -> MarketData:
    """The adapter of `venue` as configured.

    Raises:
        FatalError: no such adapter, or nowhere to connect to; one line.
    """
    try:
        return make_market_data(
            venue.name,
            api=venue.api,
            endpoint=venue.endpoint,
            endpoints=endpoints_of(settings, venue),
            simulator=venue.endpoint == "simulator",
            kline_intervals=IngestSettings.of(settings).intervals_s,
            credentials=Credentials(**credentials_for(venue, settings.platform.var)),
        )
    except (ValueError, SecretError) as err:
        raise FatalError(f"{venue.name}: {err}") from err
