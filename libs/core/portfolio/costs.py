"""What a round trip costs, as a fraction of its notional: the hurdle that an entry must clear."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from libs.core.types import Instrument, InstrumentKind

BPS = Decimal(10_000)


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Costs that risk assumes. `fee_bps`: taker fee per side and venue; all in basis points of the price.

    spread_bps: full spread where the venue gives no quote. slippage_bps: against the trader, per side.
    """

    fee_bps: dict[str, Decimal] = {}
    spread_bps: Decimal = Decimal(1)
    slippage_bps: Decimal = Decimal("0.5")

    def entry_fee(self, instrument: Instrument) -> Decimal:
        """Charged at entry, fraction of notional: the commission of a multiplier, or the taker fee."""
        fee = self.fee_bps.get(instrument.venue, Decimal(0)) / BPS
        if instrument.kind is InstrumentKind.MULTIPLIER:
            return instrument.commission_rate + fee
        return fee

    def round_trip(self, instrument: Instrument, spread: Decimal | None) -> Decimal:
        """In and out again, fraction of notional; `spread` is the quoted one as a fraction of the mid, None unknown.

        A multiplier pays its commission once, at entry; a fee per side is paid twice.
        """
        fee = self.fee_bps.get(instrument.venue, Decimal(0)) / BPS
        commission = instrument.commission_rate if instrument.kind is InstrumentKind.MULTIPLIER else Decimal(0)
        crossing = self.spread_bps / BPS if spread is None else spread
        return commission + 2 * fee + crossing + 2 * self.slippage_bps / BPS
