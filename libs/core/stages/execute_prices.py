"""What new prices do: fill orders that wait, fire stops and targets, stop contracts out."""

from __future__ import annotations

from decimal import Decimal

from libs.core.fills.models import assumed_touch
from libs.core.fills.triggers import Trigger, on_bar, on_price
from libs.core.portfolio.accounting import AccountBook
from libs.core.portfolio.holding import Holding
from libs.core.stages import execute_market as market
from libs.core.stages.execute_desk import Desk
from libs.core.stages.execute_paper import deal
from libs.core.stages.execute_state import MarketView, Working
from libs.core.types import Bar, Mode, Nanos, OrderState, Quote, Ticks, Trade
from libs.core.types.money import exact


def take_ticks(desk: Desk, event: Ticks) -> None:
    """A batch of quotes and prints, one by one."""
    view = desk.view(event.venue, event.symbol)
    view.has_ticks = True
    market.cite_ticks(view, event)
    for item in event.items:
        if market.take_item(view, item) and view.instrument is not None:
            _fill_waiting(desk, view, event, item.ts_event)
            _fire(desk, view, event, item)


def _waiting(desk: Desk, venue: str, symbol: str) -> list[Working]:
    if not desk.state.working:
        return []
    return [
        w
        for w in desk.in_market(venue, symbol)
        if w.order.mode is Mode.PAPER and w.order.state is OrderState.ACKNOWLEDGED
    ]


def _fill_waiting(desk: Desk, view: MarketView, event: Ticks, at: Nanos) -> None:
    for working in _waiting(desk, event.venue, event.symbol):
        if at < working.executable_from or view.instrument is None:
            continue
        touch = market.touch(view, view.instrument, working.order.side, at, desk.config.costs)
        if touch is not None:
            deal(desk, working, touch, at, (event.id,))


def _open(desk: Desk, venue: str, symbol: str, at: Nanos) -> list[tuple[AccountBook, Holding]]:
    """Positions whose protective levels may fire at data time `at`: no exit under way, no retry pending."""
    return [
        (book, holding)
        for book, holding in desk.holdings_in(venue, symbol)
        if not holding.exit_intent and holding.opened < at and at >= desk.state.retry.get(holding.position_id, 0)
    ]


def _fire(desk: Desk, view: MarketView, event: Ticks, item: Trade | Quote) -> None:
    if view.instrument is None:
        return
    for book, holding in _open(desk, event.venue, event.symbol, item.ts_event):
        if holding.flatten:
            desk.exit_position(book, holding, "flatten", holding.flatten, (event.id,))
            continue
        adverse, dealable = market.closing_price(view, holding.side, item)
        stop_out = _stop_out(book, holding, view)
        if stop_out is not None and holding.side.sign * adverse <= holding.side.sign * float(stop_out):
            level = exact(adverse, view.instrument.decimals)
            _exit(desk, book, holding, Trigger("stop_out", level), event.id)
            continue
        trigger = on_price(
            holding.side,
            adverse,
            stop=holding.stop_price,
            target=holding.target_price,
            quote_side=dealable,
        )
        if trigger is not None:
            _exit(desk, book, holding, trigger, event.id)


def _stop_out(book: AccountBook, holding: Holding, view: MarketView) -> Decimal | None:
    """Level at which the paper venue stops a contract out; a live venue does that by itself."""
    if not holding.multiplier or book.mode is not Mode.PAPER or view.instrument is None:
        return None
    return holding.stop_out(view.instrument.price_step)


def _exit(desk: Desk, book: AccountBook, holding: Holding, trigger: Trigger, cause: str) -> None:
    level = {"stop": holding.stop_price, "target": holding.target_price}.get(trigger.kind, trigger.price)
    words = {"stop": "stop", "target": "target", "stop_out": "stopped out by the venue"}[trigger.kind]
    desk.exit_position(book, holding, trigger.kind, f"{words} at {level}", (cause,), trigger.price)


def take_bar(desk: Desk, bar: Bar) -> None:
    """A bar of a symbol without ticks: its open fills what waits, then its range fires stops and targets."""
    view = desk.view(bar.venue, bar.symbol)
    if view.instrument is None or not market.take_bar(view, bar):
        return
    market.cite_ticks(view, bar)
    decimals = view.instrument.decimals
    open_, high, low = (exact(price, decimals) for price in (bar.open, bar.high, bar.low))
    for working in _waiting(desk, bar.venue, bar.symbol):
        if bar.open_time >= working.bar_from:
            touch = assumed_touch(open_, desk.config.costs.spread_bps, working.order.side)
            deal(desk, working, touch, max(bar.open_time, working.accepted), (bar.id,))
    for book, holding in _open(desk, bar.venue, bar.symbol, bar.ts_event):
        if holding.flatten:
            desk.exit_position(book, holding, "flatten", holding.flatten, (bar.id,))
            continue
        held = holding.opened < bar.open_time
        stop_out = _stop_out(book, holding, view)
        stop, kind = holding.stop_price, "stop"
        sign = holding.side.sign
        if stop_out is not None and (stop is None or sign * stop_out >= sign * stop):
            stop, kind = stop_out, "stop_out"
        fired = on_bar(holding.side, open_, high, low, stop=stop, target=holding.target_price, held_at_open=held)
        if fired is not None:
            trigger = Trigger("stop_out", fired.price) if (fired.kind, kind) == ("stop", "stop_out") else fired
            _exit(desk, book, holding, trigger, bar.id)


def fire_at_level(desk: Desk, working: Working) -> None:
    """Fill a protective exit whose level was reached where no later price can say so."""
    order = working.order
    view = desk.view(order.venue, order.symbol)
    if order.stop_price is None or view.instrument is None:
        return
    touch = assumed_touch(order.stop_price, desk.config.costs.spread_bps, order.side)
    deal(desk, working, touch, desk.now(order.venue), (view.tick_id and (view.tick_id,)) or ())
