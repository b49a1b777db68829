"""What Binance Spot offers: its filters as a table row, the newest price, and the fee of the account that asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from libs.core.types import MILLISECOND, Instrument, InstrumentKind
from libs.venues import checked
from libs.venues.base import Offering, VenueUnavailable, VenueUnresolved
from libs.venues.binance import api, trade_codec
from libs.venues.binance.api import Call
from libs.venues.binance.http import TIMEOUT_S
from libs.venues.binance.rest import BinanceRest
from libs.venues.binance.session import RECV_WINDOW_MS
from libs.venues.binance.signing import Signer, Value, signed_query
from libs.venues.budget import Priority
from libs.venues.checked import ZERO

ORDER_TYPES = ("LIMIT IOC", "MARKET")
"""What orders here are made of."""


async def offers(
    rest: BinanceRest,
    signer: Signer | None,
    instruments: Sequence[Instrument],
    *,
    each: bool,
    progress: Callable[[int, int], None] | None,
) -> list[Offering]:
    """One row for each of `instruments`; their fees one by one where `each`, else the account's own for all.

    Raises VenueUnavailable, VenueRefused.
    """
    prices = await rest.prices([row.symbol for row in instruments] if each else [])
    usual = await _account_fee(rest, signer) if signer is not None and not each else None
    found: list[Offering] = []
    for instrument in instruments:
        fee = await _symbol_fee(rest, signer, instrument.symbol) if signer is not None and each else usual
        found.append(_offering(instrument, prices.get(instrument.symbol), fee))
        if progress is not None:
            progress(len(found), len(instruments))
    return found


def _offering(instrument: Instrument, price: Decimal | None, fee: Decimal | None) -> Offering:
    tradable = instrument.kind is InstrumentKind.SPOT
    note = "" if tradable else "spot trading is not allowed"
    if tradable and not instrument.is_open:
        note = "trading is halted"
    elif tradable and not price:
        note = "it has no price"
    return Offering(
        symbol=instrument.symbol,
        name=instrument.name,
        group=instrument.quote,
        is_open=instrument.is_open,
        verified=not note,
        products=ORDER_TYPES if tradable else (),
        price=price or None,
        price_step=instrument.price_step,
        fee_rate=fee,
        min_size=instrument.min_qty,
        max_size=instrument.max_qty,
        size_step=instrument.qty_step,
        min_notional=instrument.min_notional,
        note=note,
    )


async def _account_fee(rest: BinanceRest, signer: Signer) -> Decimal:
    body = await _asked(rest, signer, api.ACCOUNT, {"omitZeroBalances": "true"})
    return _fee(trade_codec.read(trade_codec.account, body, "account").commissionRates)


async def _symbol_fee(rest: BinanceRest, signer: Signer, symbol: str) -> Decimal:
    """All that is taken from a buyer who takes liquidity: the parts add up."""
    body = await _asked(rest, signer, api.COMMISSION, {"symbol": symbol})
    told = trade_codec.read(trade_codec.commission, body, "account/commission")
    return sum((_fee(part) for part in (told.standardCommission, told.specialCommission, told.taxCommission)), ZERO)


def _fee(rate: trade_codec.Rate) -> Decimal:
    try:
        return checked.amount(rate.taker) + checked.amount(rate.buyer)
    except checked.Absurd as err:
        raise VenueUnavailable(f"Binance's commission cannot be read: {err}") from err


async def _asked(rest: BinanceRest, signer: Signer, call: Call, params: dict[str, Value]) -> bytes:
    now = await rest.server_time()
    await rest.limits.take(Priority.DATA, call.weight)
    stamped = {**params, "recvWindow": RECV_WINDOW_MS, "timestamp": now // MILLISECOND}
    query = signed_query(stamped, signer)
    try:
        return await rest.http.signed(call.verb, call.path, query, signer.key, timeout_s=TIMEOUT_S)
    except VenueUnresolved as err:
        raise VenueUnavailable(str(err)) from err
