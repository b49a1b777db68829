"""What the execute stage knows of a market: the newest quote and print, and what either side could deal at."""

from __future__ import annotations

import math
from decimal import Decimal

from libs.core.fills.models import PaperCosts, Touch, assumed_touch, quoted_touch
from libs.core.stages.execute_state import MarketView
from libs.core.types import SECOND, Bar, BarFlag, FeedHealth, Instrument, Nanos, Quote, Side, Ticks, Trade
from libs.core.types.money import exact

QUOTE_LIFE: Nanos = 5 * SECOND
"""A quote this much older than the newest print no longer says where one can deal (book stream silent, trades not)."""


def _price(value: float) -> bool:
    return math.isfinite(value) and value > 0


def cite_ticks(view: MarketView, event: Ticks | Bar) -> None:
    """Remember the newest message that carried a price."""
    if event.ts_event >= view.tick_ts:
        view.tick_id, view.tick_ts = event.id, event.ts_event


def cite_health(view: MarketView, event: FeedHealth) -> None:
    """Remember the newest statement on the feed's health."""
    if event.ts_event >= view.health_ts:
        view.health_id, view.health_ts = event.id, event.ts_event


def take_item(view: MarketView, item: Trade | Quote) -> bool:
    """Take up a quote or a print; False when it is absurd or older than what is known, and so changes nothing."""
    if isinstance(item, Quote):
        newer = (item.ts_event, item.seq) > (view.quote_ts, view.quote_seq)
        if not newer or not _price(item.bid) or not _price(item.ask) or item.bid > item.ask:
            return False
        view.bid, view.ask, view.quote_ts, view.quote_seq = item.bid, item.ask, item.ts_event, item.seq
        return True
    if (item.ts_event, item.seq) <= (view.last_ts, view.last_seq) or not _price(item.price):
        return False
    view.last, view.last_ts, view.last_seq = item.price, item.ts_event, item.seq
    return True


def has_quote(view: MarketView, at: Nanos) -> bool:
    """Whether the quote still holds at data time `at`."""
    return view.quote_ts > 0 and at - view.quote_ts <= QUOTE_LIFE


def touch(view: MarketView, instrument: Instrument, side: Side, at: Nanos, costs: PaperCosts) -> Touch | None:
    """What `side` could deal at, by the newest quote or else the newest print; None before the first price."""
    if has_quote(view, at):
        bid, ask = (exact(price, instrument.decimals) for price in (view.bid, view.ask))
        return quoted_touch(bid, ask, side)
    if not view.last_ts:
        return None
    return assumed_touch(exact(view.last, instrument.decimals), costs.spread_bps, side)


def closing_price(view: MarketView, side: Side, item: Trade | Quote) -> tuple[float, bool]:
    """The adverse price that `item` shows to a position of direction `side`; whether one could have dealt there."""
    if isinstance(item, Quote):
        return (item.bid if side is Side.BUY else item.ask), True
    return item.price, not has_quote(view, item.ts_event)


def mark(view: MarketView, instrument: Instrument, side: Side, at: Nanos) -> Decimal | None:
    """What a position of direction `side` is valued at: the far side of a live quote, else the newest print."""
    if has_quote(view, at):
        return exact(view.bid if side is Side.BUY else view.ask, instrument.decimals)
    return exact(view.last, instrument.decimals) if view.last_ts else None


def take_bar(view: MarketView, bar: Bar) -> bool:
    """Take up a bar of a symbol that has bars only; False when it is no news, absurd, or not of the shortest interval.

    Bars made from ticks, or of a symbol that has ticks, change nothing here: the ticks said more.
    """
    if (
        view.has_ticks
        or not bar.flags & BarFlag.VENUE
        or not all(_price(price) for price in (bar.open, bar.high, bar.low, bar.close))
    ):
        return False
    if view.bar_interval and bar.interval_s > view.bar_interval:
        return False
    if bar.interval_s < view.bar_interval:
        view.bar_interval, view.bar_end = bar.interval_s, 0
    if bar.ts_event <= view.bar_end or not bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high:
        return False
    view.bar_interval, view.bar_end = bar.interval_s, bar.ts_event
    view.last, view.last_ts, view.last_seq = bar.close, bar.ts_event, 0
    return True
