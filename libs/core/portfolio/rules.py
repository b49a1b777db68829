"""Each rule of risk: a small pure function from a case to one check, in the words and units of a trader."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

from libs.core.portfolio.limits import AccountView, Case
from libs.core.types import (
    SECOND,
    Action,
    Check,
    FeedState,
    Instrument,
    InstrumentKind,
    OrderState,
    Side,
)

Rule = Callable[[Case], Check]

LARGEST_PRICE = 1e15
"""Above this no market of ours has ever traded; a price there is a fault of the feed."""


def sound(value: float | None) -> bool:
    """A usable price: finite, positive, and of this world."""
    return value is not None and math.isfinite(value) and 1e-12 <= value <= LARGEST_PRICE


def money(amount: Decimal, currency: str) -> str:
    """An amount for people."""
    return f"{amount:,.2f} {currency}"


def share(fraction: Decimal) -> str:
    """A fraction for people."""
    return f"{fraction:.2%}"


def basis_points(fraction: Decimal) -> str:
    """A fraction of the price for people."""
    return f"{fraction * 10_000:.1f} bp"


# What the signal and the market say


def signal_sound(case: Case) -> Check:
    signal = case.signal
    ok = sound(signal.price) and signal.interval_s > 0 and (signal.atr is None or sound(signal.atr))
    return Check(rule="signal_sound", ok=ok, value=f"price {signal.price}, atr {signal.atr}", limit="finite, above 0")


def signal_fresh(case: Case) -> Check:
    age = (case.market.now - case.signal.ts_event) / SECOND
    longest = case.limits.max_price_age_s + case.signal.interval_s
    return Check(rule="signal_fresh", ok=age <= longest, value=f"{age:.1f} s old", limit=f"{longest:.1f} s")


def instrument_known(case: Case) -> Check:
    instrument = case.market.instrument
    if instrument is None:
        return Check(rule="instrument", ok=False, value="unknown", limit="published by ingest")
    return Check(rule="instrument", ok=instrument_sound(instrument), value=instrument.name, limit="steps make sense")


def instrument_sound(instrument: Instrument) -> bool:
    """Whether its steps and sizes can be calculated with."""
    numbers = (
        instrument.price_step,
        instrument.qty_step,
        instrument.min_qty,
        instrument.max_qty,
        instrument.min_notional,
        instrument.commission_rate,
    )
    if not all(number.is_finite() and 0 <= number <= Decimal(LARGEST_PRICE) for number in numbers):
        return False
    levered = instrument.kind is not InstrumentKind.MULTIPLIER or 1 <= instrument.multiplier <= 100_000
    return instrument.max_qty > 0 and levered and 0 <= instrument.decimals <= 12


def tradable(case: Case) -> Check:
    instrument = case.market.instrument
    kind = instrument.kind.value if instrument else "unknown"
    return Check(
        rule="tradable",
        ok=instrument is not None and instrument.kind is not InstrumentKind.QUOTE_ONLY,
        value=kind,
        limit="a contract that the venue verified",
    )


def market_open(case: Case) -> Check:
    health = case.market.health
    state = health.state if health else FeedState.OPEN
    closed = case.market.instrument is not None and not case.market.instrument.is_open
    return Check(
        rule="market_open",
        ok=not closed and state is FeedState.OPEN,
        value="closed" if closed else state.value,
        limit="open",
    )


def short_allowed(case: Case) -> Check:
    instrument = case.market.instrument
    spot = instrument is not None and instrument.kind is InstrumentKind.SPOT
    return Check(
        rule="no_short",
        ok=not (spot and case.signal.side is Side.SELL),
        value=case.signal.side.value,
        limit="buy only on spot" if spot else "both sides",
    )


def price_known(case: Case) -> Check:
    price = case.market.price
    return Check(rule="price", ok=sound(price), value="none" if price is None else f"{price:g}", limit="a sound price")


def price_fresh(case: Case) -> Check:
    market = case.market
    if market.price is None:
        return Check(rule="price_fresh", ok=False, value="no price", limit=f"{case.limits.max_price_age_s:.1f} s")
    age = (market.now - market.price_ts) / SECOND
    longest = case.limits.max_price_age_s + market.price_interval_s
    return Check(rule="price_fresh", ok=age <= longest, value=f"{age:.1f} s old", limit=f"{longest:.1f} s")


def feed_health(case: Case) -> Check:
    health = case.market.health
    least = case.limits.min_health
    if health is None:
        return Check(rule="feed_health", ok=False, value="unknown", limit=f"at least {least:.2f}")
    ok = least <= health.score <= 1
    return Check(rule="feed_health", ok=ok, value=f"{health.score:.2f}", limit=f"at least {least:.2f}")


def evidence(case: Case) -> Check:
    """Never refuses by itself: without evidence, real money is held to the smallest trade by the sizing."""
    value = "evidence" if case.signal.evidence else "exploring"
    limit = "the smallest trade without evidence" if case.real_money else "paper may explore"
    return Check(rule="evidence", ok=True, value=value, limit=limit)


def not_halted(case: Case) -> Check:
    scopes = case.account.halted
    return Check(rule="halted", ok=not scopes, value=", ".join(scopes) or "none", limit="no halt in force")


def not_reduce_only(case: Case) -> Check:
    scopes = case.account.reduce_only
    return Check(rule="reduce_only", ok=not scopes, value=", ".join(scopes) or "none", limit="no reduce-only in force")


# What the account says (its state is known and its numbers are sound)


def account_sound(account: AccountView) -> bool:
    """Whether the account's numbers can be calculated with and there is something to risk."""
    state = account.state
    if state is None:
        return False
    numbers = [state.equity, state.balance, account.peak, account.day_start, account.symbol_result]
    numbers += [n for p in account.positions for n in (p.quantity, p.notional, p.risk)]
    numbers += [n for p in account.pending for n in (p.notional, p.risk, p.cash)]
    return all(n.is_finite() and abs(n) <= Decimal(LARGEST_PRICE) for n in numbers) and state.equity > 0


def currency_fits(case: Case) -> Check:
    instrument = case.market.instrument
    quote = instrument.quote if instrument else "unknown"
    return Check(rule="currency", ok=quote == case.account.spec.currency, value=quote, limit=case.account.spec.currency)


def drawdown(case: Case) -> Check:
    value = case.account.drawdown
    limit = case.limits.drawdown_halt_at
    return Check(rule="drawdown", ok=value < limit, value=share(value), limit=f"below {share(limit)}")


def daily_loss(case: Case) -> Check:
    state, start = case.account.state, case.account.day_start
    lost = start - state.equity if state else Decimal(0)
    limit = case.limits.max_daily_loss * start
    currency = case.account.spec.currency
    return Check(
        rule="daily_loss", ok=lost < limit, value=money(max(lost, Decimal(0)), currency), limit=money(limit, currency)
    )


def symbol_daily_loss(case: Case) -> Check:
    lost = -case.account.symbol_result
    limit = case.limits.max_symbol_daily_loss * case.account.day_start
    currency = case.account.spec.currency
    return Check(
        rule="symbol_daily_loss",
        ok=lost < limit,
        value=money(max(lost, Decimal(0)), currency),
        limit=money(limit, currency),
    )


def trades_today(case: Case) -> Check:
    count, most = case.account.trades_today, case.limits.max_trades_per_day
    return Check(rule="trades_today", ok=count < most, value=str(count), limit=str(most))


def cooldown(case: Case) -> Check:
    wanted = 0.0 if case.proves_the_way else case.limits.cooldown_s
    if case.account.last_entry is None:
        return Check(rule="cooldown", ok=True, value="no entry yet", limit=f"{wanted:g} s")
    since = (case.market.now - case.account.last_entry) / SECOND
    # A negative time means that the data clock was set back (another recording): the old entry is no measure.
    return Check(
        rule="cooldown", ok=since >= wanted or since < 0, value=f"{since:.1f} s since the last", limit=f"{wanted:g} s"
    )


def one_position(case: Case) -> Check:
    held = [p for p in case.account.positions if p.symbol == case.signal.symbol]
    value = ", ".join(f"{p.strategy} holds {p.side.value} {p.quantity}" for p in held)
    return Check(rule="one_position", ok=not held, value=value or "none open", limit="one per account and symbol")


def no_open_order(case: Case) -> Check:
    working = [p for p in case.account.pending if p.symbol == case.signal.symbol]
    value = ", ".join(f"{p.action.value} {p.state.value if p.state else 'permit open'}" for p in working)
    return Check(rule="open_order", ok=not working, value=value or "none", limit="nothing on its way on the symbol")


# What an exit is held to: only that it reduces what its own strategy opened


def position_held(case: Case) -> Check:
    held = any(p.symbol == case.signal.symbol for p in case.account.positions)
    return Check(rule="no_position", ok=held, value="open" if held else "none open", limit="an open position")


def own_position(case: Case) -> Check:
    owners = sorted({p.strategy for p in case.account.positions if p.symbol == case.signal.symbol})
    ok = not owners or case.signal.strategy in owners
    return Check(rule="other_strategy", ok=ok, value=", ".join(owners) or "none", limit=case.signal.strategy)


def reduces(case: Case) -> Check:
    sides = {
        p.side for p in case.account.positions if p.symbol == case.signal.symbol and p.strategy == case.signal.strategy
    }
    ok = not sides or case.signal.side.opposite in sides
    return Check(
        rule="wrong_side",
        ok=ok,
        value=case.signal.side.value,
        limit="against the position" if sides else "no position of the strategy",
    )


def no_exit_on_its_way(case: Case) -> Check:
    exits = [p for p in case.account.pending if p.symbol == case.signal.symbol and p.action is Action.EXIT]
    value = ", ".join(p.state.value if p.state else "permit open" for p in exits)
    return Check(rule="exit_pending", ok=not exits, value=value or "none", limit="one exit at a time")


def nothing_unresolved(case: Case) -> Check:
    unknown = [p for p in case.account.pending if p.symbol == case.signal.symbol and p.state is OrderState.UNRESOLVED]
    value = ", ".join(p.intent_id for p in unknown)
    return Check(rule="unresolved_order", ok=not unknown, value=value or "none", limit="the venue has answered")


ENTRY_MARKET: tuple[Rule, ...] = (
    signal_sound,
    signal_fresh,
    instrument_known,
    tradable,
    market_open,
    short_allowed,
    price_known,
    price_fresh,
    feed_health,
    evidence,
    not_halted,
    not_reduce_only,
)
"""Rules of an entry that need no account state."""

ENTRY_ACCOUNT: tuple[Rule, ...] = (
    currency_fits,
    drawdown,
    daily_loss,
    symbol_daily_loss,
    trades_today,
    cooldown,
    one_position,
    no_open_order,
    nothing_unresolved,
)
"""Rules of an entry that need a known account."""

EXIT_MARKET: tuple[Rule, ...] = (instrument_known,)
"""Rules of an exit that need no account state; none of the limits on entries is among them."""

EXIT_ACCOUNT: tuple[Rule, ...] = (position_held, own_position, reduces, no_exit_on_its_way, nothing_unresolved)
"""Rules of an exit that need a known account."""
