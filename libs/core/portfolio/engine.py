"""The risk engine: one signal in, an approval with its permit or a refusal with every reason out."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from libs.core.portfolio.costs import Costs
from libs.core.portfolio.limits import AccountView, Case, Limits, MarketView
from libs.core.portfolio.rules import (
    ENTRY_ACCOUNT,
    ENTRY_MARKET,
    EXIT_ACCOUNT,
    EXIT_MARKET,
    account_sound,
    basis_points,
    instrument_sound,
    money,
    sound,
)
from libs.core.portfolio.sizing import Budget, Size, drawdown_scale, size_entry
from libs.core.portfolio.stops import Levels, entry_levels, worst_price
from libs.core.types import (
    Action,
    Approved,
    Check,
    Instrument,
    Nanos,
    Permit,
    Position,
    Rejected,
    Signal,
    Verdict,
    stable_id,
)
from libs.core.types.money import exact, smallest_trade


class RiskEngine:
    """Reviews signals against fixed limits; holds no state and never raises on market data.

    Every rule is evaluated, so a refusal lists all of its reasons; rules whose input is missing are left out, since the
    missing input is itself a reason. Approved permits are unsigned.
    """

    def __init__(self, limits: Limits, costs: Costs, real_money: bool, permit_ttl: Nanos) -> None:
        """`real_money`: orders go to a venue that is not the simulator, so entries without evidence stay smallest."""
        self.limits = limits
        self.limits_hash = limits.hash()
        self._costs = costs
        self._real_money = real_money
        self._permit_ttl = permit_ttl

    def review(self, signal: Signal, market: MarketView, account: AccountView | None) -> Approved | Rejected:
        """The verdict on one signal. `account` None: no account of ours trades at the signal's venue."""
        if account is None:
            refusal = Check(rule="no_account", ok=False, value=signal.venue, limit="an account at the venue")
            return self._rejected(signal, market, "", (refusal,))
        case = Case(limits=self.limits, real_money=self._real_money, signal=signal, market=market, account=account)
        try:
            return self._exit(case) if signal.action is Action.EXIT else self._entry(case)
        except (ArithmeticError, ValueError) as err:
            # Belt for numbers that pass every rule and still overflow a calculation: refuse, never stop.
            refusal = Check(rule="absurd_numbers", ok=False, value=type(err).__name__, limit="can be calculated with")
            return self._rejected(signal, market, account.spec.id, (refusal,))

    def _entry(self, case: Case) -> Approved | Rejected:
        checks = [rule(case) for rule in ENTRY_MARKET]
        known = _account_check(case.account)
        checks.append(known)
        levels: Levels | None = None
        size = Size()
        instrument = case.market.instrument
        if instrument is not None and instrument_sound(instrument) and sound(case.market.price):
            levels = self._levels(case, instrument)
            checks.append(_stop_check(levels))
            checks.append(self._edge_check(case, instrument, levels))
        if known.ok:
            checks.extend(rule(case) for rule in ENTRY_ACCOUNT)
            budget = self._budget(case)
            if levels is not None and instrument is not None:
                sized = instrument
                if case.proves_the_way or (case.real_money and not case.signal.evidence):
                    smallest = smallest_trade(instrument, levels.worst)
                    sized = msgspec.structs.replace(instrument, max_qty=min(smallest, instrument.max_qty))
                size = size_entry(sized, levels, budget, self._costs.entry_fee(instrument))
            checks.extend(self._room_checks(case, budget, size))
            if levels is not None and instrument is not None:
                checks.append(_size_check(instrument, size, budget))
        if levels is None or not all(check.ok for check in checks):
            return self._rejected(case.signal, case.market, case.account.spec.id, tuple(checks))
        return self._approved(case, tuple(checks), size.quantity, levels.worst, levels, None)

    def _exit(self, case: Case) -> Approved | Rejected:
        checks = [rule(case) for rule in EXIT_MARKET]
        known = _account_check(case.account)
        checks.append(known)
        if known.ok:
            checks.extend(rule(case) for rule in EXIT_ACCOUNT)
        # A stale price must not trap a position: what is last known, or the bar that the signal saw, will do.
        price = next((p for p in (case.market.price, case.signal.price) if sound(p)), None)
        checks.append(Check(rule="price", ok=price is not None, value=str(price), limit="a sound price"))
        instrument = case.market.instrument
        held = [
            p for p in case.account.positions if p.symbol == case.signal.symbol and p.strategy == case.signal.strategy
        ]
        if instrument is None or price is None or not held or not all(check.ok for check in checks):
            return self._rejected(case.signal, case.market, case.account.spec.id, tuple(checks))
        last = exact(price, instrument.decimals)
        worst = worst_price(instrument, last, case.signal.side, self.limits.max_slippage_bps)
        worst_ok = Check(rule="worst_price", ok=worst > 0, value=str(worst), limit="above 0")
        if not worst_ok.ok:
            return self._rejected(case.signal, case.market, case.account.spec.id, (*checks, worst_ok))
        return self._approved(case, tuple(checks), held[0].quantity, worst, None, held[0])

    def _levels(self, case: Case, instrument: Instrument) -> Levels | None:
        price = exact(case.market.price or 0.0, instrument.decimals)
        if price <= 0:
            return None
        atr = None if case.signal.atr is None else Decimal(repr(case.signal.atr))
        if atr is not None and not sound(case.signal.atr):
            return None
        return entry_levels(instrument, price, atr, case.signal.side, self.limits)

    def _edge_check(self, case: Case, instrument: Instrument, levels: Levels | None) -> Check:
        wanted = Decimal(0) if case.proves_the_way else self.limits.min_edge_over_cost
        cost = self._costs.round_trip(instrument, _quoted_spread(case.market))
        reward = levels.reward if levels else Decimal(0)
        return Check(
            rule="edge",
            ok=wanted == 0 or (levels is not None and reward >= wanted * cost),
            value=f"{basis_points(reward)} to the target",
            limit=f"{wanted:g} x {basis_points(cost)} round trip",
        )

    def _budget(self, case: Case) -> Budget:
        state = case.account.state
        equity = state.equity if state else Decimal(0)
        balance = state.balance if state else Decimal(0)
        limits = self.limits
        scale = drawdown_scale(case.account.drawdown, limits.drawdown_scale_from, limits.drawdown_halt_at)
        return Budget(
            risk_per_trade=limits.risk_per_trade * equity * scale,
            position=limits.max_position * equity * scale,
            exposure=limits.max_exposure * equity - case.account.exposure,
            open_risk=limits.max_open_risk * equity - case.account.open_risk,
            cash=balance - case.account.reserved_cash,
        )

    def _room_checks(self, case: Case, budget: Budget, size: Size) -> tuple[Check, ...]:
        """The sized limits; those that other positions share also refuse when nothing is left."""
        equity = case.account.state.equity if case.account.state else Decimal(0)
        limits, currency, account = self.limits, case.account.spec.currency, case.account
        exposure, open_risk = account.exposure + size.notional, account.open_risk + size.risk
        return (
            Check(
                rule="risk_per_trade",
                ok=size.risk <= budget.risk_per_trade,
                value=money(size.risk, currency),
                limit=money(budget.risk_per_trade, currency),
            ),
            Check(
                rule="position_limit",
                ok=size.notional <= budget.position,
                value=money(size.notional, currency),
                limit=money(budget.position, currency),
            ),
            Check(
                rule="open_risk",
                ok=budget.open_risk > 0 and size.risk <= budget.open_risk,
                value=money(open_risk, currency),
                limit=money(limits.max_open_risk * equity, currency),
            ),
            Check(
                rule="exposure",
                ok=budget.exposure > 0 and size.notional <= budget.exposure,
                value=money(exposure, currency),
                limit=money(limits.max_exposure * equity, currency),
            ),
            Check(
                rule="cash",
                ok=budget.cash > 0 and size.cash <= budget.cash,
                value=money(size.cash, currency),
                limit=money(budget.cash, currency),
            ),
        )

    def _approved(
        self,
        case: Case,
        checks: tuple[Check, ...],
        quantity: Decimal,
        worst: Decimal,
        levels: Levels | None,
        position: Position | None,
    ) -> Approved:
        signal, account = case.signal, case.account.spec.id
        intent_id = stable_id("intent", signal.id, account)
        verdict = self._verdict(
            signal,
            case.market,
            account,
            checks,
            approved=True,
            intent_id=intent_id,
            quantity=quantity,
            reasons=(signal.reason,),
        )
        permit = Permit(
            id=intent_id,
            cause=(signal.id, verdict.id),
            ts_event=case.market.now,
            venue=signal.venue,
            account=account,
            symbol=signal.symbol,
            strategy=signal.strategy,
            side=signal.side,
            action=signal.action,
            quantity=quantity,
            worst_price=worst,
            stop_price=levels.stop if levels else None,
            target_price=levels.target if levels else None,
            position_id=position.position_id if position else "",
            expires=case.market.now + self._permit_ttl,
            verdict=verdict,
            limits_hash=self.limits_hash,
            ts_recv=signal.ts_recv,
        )
        return Approved(verdict, permit)

    def _rejected(self, signal: Signal, market: MarketView, account: str, checks: tuple[Check, ...]) -> Rejected:
        reasons = tuple(check.rule for check in checks if not check.ok)
        return Rejected(self._verdict(signal, market, account, checks, approved=False, reasons=reasons))

    def _verdict(
        self,
        signal: Signal,
        market: MarketView,
        account: str,
        checks: tuple[Check, ...],
        *,
        approved: bool,
        reasons: tuple[str, ...],
        intent_id: str = "",
        quantity: Decimal = Decimal(0),
    ) -> Verdict:
        return Verdict(
            id=stable_id("verdict", signal.id),
            cause=(signal.id,),
            ts_event=market.now,
            signal_id=signal.id,
            intent_id=intent_id,
            account=account,
            strategy=signal.strategy,
            venue=signal.venue,
            symbol=signal.symbol,
            side=signal.side,
            action=signal.action,
            approved=approved,
            reasons=reasons,
            checks=checks,
            quantity=quantity,
            limits_hash=self.limits_hash,
            exploring=not signal.evidence,
        )


def _account_check(account: AccountView) -> Check:
    if account.state is None:
        return Check(rule="account_unknown", ok=False, value="no state yet", limit="published by execute")
    return Check(
        rule="account_sound",
        ok=account_sound(account),
        value=f"equity {account.state.equity}",
        limit="finite, equity above 0",
    )


def _stop_check(levels: Levels | None) -> Check:
    value = "none" if levels is None else f"stop {levels.stop}, target {levels.target}"
    return Check(rule="stop", ok=levels is not None, value=value, limit="between 0 and the price, on the grid")


def _size_check(instrument: Instrument, size: Size, budget: Budget) -> Check:
    least = f"at least {instrument.min_qty}"
    if instrument.min_notional:
        least += f" and {instrument.min_notional} {instrument.quote}"
    room_left = min(budget.exposure, budget.open_risk, budget.cash, budget.position) > 0
    # When a limit leaves no room at all that limit is the reason; too small a size is only said where it is news.
    return Check(rule="size", ok=size.quantity > 0 or not room_left, value=str(size.quantity), limit=least)


def _quoted_spread(market: MarketView) -> Decimal | None:
    """The quoted spread as a fraction of the mid; None without a sound quote."""
    bid, ask = market.bid, market.ask
    if bid is None or ask is None or not sound(bid) or not sound(ask) or ask < bid:
        return None
    return Decimal(repr(ask - bid)) / Decimal(repr((ask + bid) / 2))
