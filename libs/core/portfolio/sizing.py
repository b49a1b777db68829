"""How much: ATR and fixed-fractional sizing, the drawdown line, and the caps that bind it."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal, localcontext

import msgspec

from libs.core.portfolio.stops import Levels
from libs.core.types import Instrument, InstrumentKind
from libs.core.types.money import NOTIONAL_STEP, notional, quantity_on_grid, to_step


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """Room under each limit, account currency. risk_per_trade and position are already scaled by the drawdown line."""

    risk_per_trade: Decimal
    position: Decimal
    exposure: Decimal
    open_risk: Decimal
    cash: Decimal


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """A size and what it takes up. quantity: base units (SPOT) or stake (MULTIPLIER); the rest account currency.

    notional: at the worst permitted price. risk: loss from there to the stop, costs left out. cash: spent at entry.
    """

    quantity: Decimal = Decimal(0)
    notional: Decimal = Decimal(0)
    risk: Decimal = Decimal(0)
    cash: Decimal = Decimal(0)


NOTHING = Size()


def drawdown_scale(drawdown: Decimal, scale_from: Decimal, halt_at: Decimal) -> Decimal:
    """1 up to `scale_from`, falling in a straight line to 0 at `halt_at` and beyond (fractions of the peak)."""
    if drawdown <= scale_from:
        return Decimal(1)
    if drawdown >= halt_at:
        return Decimal(0)
    return (halt_at - drawdown) / (halt_at - scale_from)


def units_at_risk(risk_money: Decimal, distance: Decimal) -> Decimal:
    """risk_fraction x equity / distance: base units whose loss over `distance` (quote currency) is `risk_money`."""
    return risk_money / distance


def loss_at_stop(instrument: Instrument, quantity: Decimal, entry: Decimal, stop: Decimal) -> Decimal:
    """Loss in quote currency when entered at `entry` and stopped at `stop`, costs left out.

    SPOT: quantity x distance. MULTIPLIER: stake x multiplier x relative distance, at most the stake.
    """
    distance = abs(entry - stop)
    if instrument.kind is InstrumentKind.MULTIPLIER:
        return min(quantity, quantity * instrument.multiplier * distance / entry)
    return quantity * distance


def take(instrument: Instrument, quantity: Decimal, levels: Levels, entry_fee: Decimal) -> Size:
    """What `quantity` takes up when it is filled at the worst permitted price."""
    exposure = notional(instrument, quantity, levels.worst)
    held = quantity if instrument.kind is InstrumentKind.MULTIPLIER else exposure
    return Size(
        quantity=quantity,
        notional=exposure,
        risk=loss_at_stop(instrument, quantity, levels.worst, levels.stop),
        cash=held + exposure * entry_fee,
    )


def size_entry(instrument: Instrument, levels: Levels, budget: Budget, entry_fee: Decimal) -> Size:
    """The largest size that every limit allows, on the instrument's grid; NOTHING when that is below its minimum.

    Units from the risk of one trade come from the distance between the worst permitted price and the stop, so that no
    permitted fill can lose more than was budgeted. `entry_fee` is a fraction of notional.
    """
    one = take(instrument, Decimal(1), levels, entry_fee)
    if one.risk <= 0 or one.notional <= 0:
        return NOTHING
    with localcontext() as exact:
        exact.prec = 40
        exact.rounding = ROUND_DOWN
        wanted = min(
            units_at_risk(min(budget.risk_per_trade, budget.open_risk), one.risk),
            min(budget.position, budget.exposure) / one.notional,
            budget.cash / one.cash,
            instrument.max_qty,
        )
        if wanted <= 0:
            return NOTHING
        step = instrument.qty_step or NOTIONAL_STEP
        size = NOTHING
        # A division that is exact only in infinitely many digits may land one step too high; one step back is enough.
        for quantity in (to_step(wanted, step), to_step(wanted, step) - step):
            size = take(instrument, quantity, levels, entry_fee)
            if fits(size, budget):
                break
        if quantity_on_grid(instrument, size.quantity) != size.quantity or size.quantity <= 0:
            return NOTHING
        if instrument.kind is InstrumentKind.SPOT and size.quantity * levels.reference < instrument.min_notional:
            return NOTHING
        return size if fits(size, budget) else NOTHING


def fits(size: Size, budget: Budget) -> bool:
    """Whether a size leaves every limit unbroken."""
    return (
        size.risk <= min(budget.risk_per_trade, budget.open_risk)
        and size.notional <= min(budget.position, budget.exposure)
        and size.cash <= budget.cash
    )
