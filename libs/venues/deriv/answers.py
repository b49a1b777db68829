"""From the bytes of an answer to the internal model; whatever cannot be, or cannot be true, is a CodecError."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, TypeVar

import msgspec

from libs.venues.deriv import wire
from libs.venues.deriv.limits import Bucket, Quota
from libs.venues.deriv.model import (
    Booking,
    Bounds,
    Cash,
    Contract,
    Head,
    Holding,
    Listing,
    Offer,
    Proposal,
    Site,
    Turnover,
)

ZERO: Final = Decimal(0)
LATEST_S: Final = 4_102_444_800
"""The year 2100: no time that an answer tells lies beyond."""

LARGEST: Final = 15
"""Digits before the point of an amount or a price; more is no money."""

FINEST: Final = -20
"""Exponent of the finest amount or price."""

W = TypeVar("W")
T = TypeVar("T")


class CodecError(ValueError):
    """A frame that does not say what the API promises; the text says which field."""


class _Addressed(msgspec.Struct):
    req_id: int | None = None


_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_head = msgspec.json.Decoder(Head, strict=False)
_addressed = msgspec.json.Decoder(_Addressed)


def read_head(frame: bytes) -> Head:
    """Route a frame. Raises CodecError."""
    try:
        return _head.decode(frame)
    except _UNREADABLE as err:
        raise CodecError(str(err)) from err


def read_address(frame: bytes) -> int | None:
    """The req_id of a frame that is otherwise unreadable; None when not even that can be read."""
    try:
        return _addressed.decode(frame).req_id
    except _UNREADABLE:
        return None


def read_nothing(_: bytes) -> None:
    """For answers that say nothing beyond having arrived."""
    return


def _reader(structure: type[W], convert: Callable[[W], T]) -> Callable[[bytes], T]:
    decoder = msgspec.json.Decoder(structure, strict=False)

    def read(frame: bytes) -> T:
        try:
            answer = decoder.decode(frame)
        except _UNREADABLE as err:
            raise CodecError(str(err)) from err
        _check(answer, "answer")
        return convert(answer)

    return read


def _check(value: Any, name: str) -> None:
    """Raise CodecError when a number in `value` can be neither money nor a time."""
    if isinstance(value, Decimal):
        exponent = value.as_tuple().exponent
        if not isinstance(exponent, int) or exponent < FINEST or value.adjusted() > LARGEST:
            raise CodecError(f"{name} is absurd")
    elif isinstance(value, int):
        if name.endswith(("time", "date_start")) and not 0 <= value < LATEST_S:
            raise CodecError(f"{name} {value} is not a time")
    elif isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            _check(getattr(value, field), field)
    elif isinstance(value, list):
        for item in value:
            _check(item, name)


def _step(pip: Decimal) -> Decimal:
    """The smallest price step: below 1 it is one already, otherwise it counts decimals (both are seen)."""
    if not 0 <= pip <= -FINEST:
        raise CodecError("pip is absurd")
    return pip if 0 < pip < 1 else Decimal(1).scaleb(-int(pip))


def _listing(row: wire.Symbol) -> Listing:
    pip = row.pip if row.pip is not None else row.pip_size
    symbol = row.symbol or row.underlying_symbol
    if pip is None or not symbol:
        raise CodecError("a listed symbol has no name or no pip")
    return Listing(
        symbol=symbol,
        name=row.display_name or row.underlying_symbol_name or symbol,
        market=row.market,
        submarket=row.submarket,
        pip=_step(pip),
        is_open=bool(row.exchange_is_open),
        is_suspended=bool(row.is_trading_suspended),
    )


def _offer(answer: wire.ContractsFor) -> Offer:
    ranges: dict[str, set[int]] = {}
    for row in answer.contracts_for.available:
        ranges.setdefault(row.contract_type, set()).update(value for value in row.multiplier_range if value > 0)
    both = ranges.get("MULTUP", set()) & ranges.get("MULTDOWN", set())
    return Offer(contract_types=frozenset(ranges), multipliers=tuple(sorted(both)))


def _tick_page(answer: wire.History) -> list[tuple[int, float]]:
    history = answer.history
    if len(history.times) != len(history.prices):
        raise CodecError(f"{len(history.times)} times but {len(history.prices)} prices")
    return list(zip(history.times, history.prices, strict=True))


def _proposal(answer: wire.ProposalAnswer) -> Proposal:
    quoted = answer.proposal
    if quoted.ask_price <= 0 or quoted.spot <= 0:
        raise CodecError(f"ask_price {quoted.ask_price} or spot {quoted.spot} is no price")
    allowed = quoted.validation_params or wire.Validation()
    return Proposal(
        id=quoted.id,
        ask_price=quoted.ask_price,
        spot=quoted.spot,
        asked_time=quoted.date_start or quoted.spot_time,
        commission=quoted.commission or ZERO,
        payout=quoted.payout,
        stop_out=quoted.limit_order.stop_out.value if quoted.limit_order is not None else None,
        stake=_bounds(allowed.stake),
        stop_loss=_bounds(allowed.stop_loss),
        take_profit=_bounds(allowed.take_profit),
    )


def _bounds(allowed: wire.Range) -> Bounds:
    return Bounds(allowed.min, allowed.max)


def _open_contract(answer: wire.ContractAnswer) -> Contract | None:
    row = answer.proposal_open_contract
    if row.contract_id is None:
        return None
    ends = (row.exit_tick, row.exit_spot, row.sell_spot)
    return Contract(
        contract_id=row.contract_id,
        symbol=row.underlying or row.underlying_symbol,
        contract_type=row.contract_type,
        is_sold=bool(row.is_sold),
        is_expired=bool(row.is_expired),
        status=row.status or "open",
        buy_price=row.buy_price,
        commission=row.commission or ZERO,
        purchase_time=row.purchase_time,
        entry_spot=row.entry_spot if row.entry_spot is not None else row.entry_tick,
        exit_spot=next((spot for spot in ends if spot is not None), None),
        current_spot=row.current_spot,
        current_spot_time=row.current_spot_time,
        sell_price=row.sell_price,
        sell_time=row.sell_time or 0,
        buy_transaction_id=row.transaction_ids.buy,
        sell_transaction_id=row.transaction_ids.sell,
        shortcode=row.shortcode,
    )


def _holdings(rows: list[wire.Held]) -> list[Holding]:
    return [
        Holding(
            contract_id=row.contract_id,
            transaction_id=row.transaction_id,
            symbol=row.symbol or row.underlying_symbol,
            contract_type=row.contract_type,
            buy_price=row.buy_price,
            purchase_time=row.purchase_time,
            shortcode=row.shortcode or "",
        )
        for row in rows
        if row.contract_id is not None
    ]


def _bookings(answer: wire.StatementAnswer) -> list[Booking]:
    return [
        Booking(
            action=row.action_type,
            amount=row.amount,
            balance_after=row.balance_after,
            contract_id=row.contract_id or 0,
            transaction_id=row.transaction_id,
            time=row.transaction_time,
            shortcode=row.shortcode or "",
        )
        for row in answer.statement.transactions
    ]


def _turnover(answer: wire.TransactionAnswer) -> Turnover | None:
    row = answer.transaction
    if not row.action:
        return None
    return Turnover(
        action=row.action,
        amount=row.amount,
        balance=row.balance,
        currency=row.currency,
        symbol=row.symbol or row.underlying_symbol,
        contract_id=row.contract_id or 0,
        transaction_id=row.transaction_id,
        time=row.transaction_time,
    )


def _site(answer: wire.StatusAnswer) -> Site:
    status, limits = answer.website_status, answer.website_status.api_call_limits
    told = {
        Bucket.GENERAL: limits.max_requestes_general,
        Bucket.PRICING: limits.max_requests_pricing,
        Bucket.OUTCOME: limits.max_requests_outcome,
    }
    quotas = {bucket: Quota(limit.minutely, limit.hourly) for bucket, limit in told.items()}
    return Site(status.site_status, status.message or "", quotas)


def _cash(money: wire.Money) -> Cash:
    return Cash(money.balance, money.currency)


read_time = _reader(wire.Time, lambda answer: answer.time)
read_authorize = _reader(wire.AuthorizeAnswer, lambda answer: _cash(answer.authorize))
read_site = _reader(wire.StatusAnswer, _site)
read_listings = _reader(wire.Symbols, lambda answer: [_listing(row) for row in answer.active_symbols])
read_offer = _reader(wire.ContractsFor, _offer)
read_tick_page = _reader(wire.History, _tick_page)
read_candles = _reader(wire.Candles, lambda answer: answer.candles)
read_proposal = _reader(wire.ProposalAnswer, _proposal)
read_buy = _reader(wire.BuyAnswer, lambda answer: answer.buy)
read_sell = _reader(wire.SellAnswer, lambda answer: answer.sell)
read_contract = _reader(wire.ContractAnswer, _open_contract)
read_holdings = _reader(wire.PortfolioAnswer, lambda answer: _holdings(answer.portfolio.contracts))
read_closed = _reader(wire.ProfitTableAnswer, lambda answer: _holdings(answer.profit_table.transactions))
read_bookings = _reader(wire.StatementAnswer, _bookings)
read_transaction = _reader(wire.TransactionAnswer, _turnover)
read_balance = _reader(wire.BalanceAnswer, lambda answer: _cash(answer.balance))
