"""One position as the book keeps it: what is held, what it cost, and what it is worth."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import msgspec

from libs.core.fills import multiplier as multipliers
from libs.core.fills import spot
from libs.core.types import Nanos, Side
from libs.core.types.money import NOTIONAL_STEP, to_step

ZERO = Decimal(0)


class Holding(msgspec.Struct, kw_only=True):
    """One open or closed position as the book keeps it; known by the intent id of its entry.

    Attributes:
        quantity: base units (SPOT) or stake (MULTIPLIER) still open.
        cost: what the open quantity was bought or sold for (SPOT), or its stake (MULTIPLIER).
        fee_open: commission inside the open stake (MULTIPLIER); spot fees are paid in cash.
        multiplier: 0 for spot. realised: after fees. mark: price of the last valuation, None before the first one.
        entered_init: machine clock when its order was planned; only orders commands against it after a restart.
        base_asset: what is held at a live spot venue, "" for contracts and on paper.
        flatten: why it must be closed as soon as that goes, "" when it need not.
        exit_intent: intent id of the exit under way, "" when none.
    """

    position_id: str
    revision: int = 0
    symbol: str
    strategy: str
    side: Side
    quantity: Decimal
    entry_price: Decimal
    stop_price: Decimal | None = None
    target_price: Decimal | None = None
    cost: Decimal
    fee_open: Decimal = ZERO
    multiplier: int = 0
    currency: str
    realised: Decimal = ZERO
    mark: Decimal | None = None
    opened: Nanos
    entered_init: Nanos = 0
    venue_position_id: str = ""
    exploring: bool = True
    exit_intent: str = ""
    base_asset: str = ""
    flatten: str = ""

    @property
    def notional(self) -> Decimal:
        """Exposure at entry price, in account currency."""
        return self.quantity * self.multiplier if self.multiplier else self.cost

    @property
    def risk(self) -> Decimal:
        """Loss if stopped at `stop_price`, costs left out; without a stop all that can be lost (a short: its cost)."""
        if self.multiplier:
            if self.stop_price is None:
                return self.quantity
            lost = self.gross(self.stop_price)
            return max(-lost, ZERO)
        if self.stop_price is None:
            return self.cost
        return max(-self.gross(self.stop_price), ZERO)

    def gross(self, price: Decimal, quantity: Decimal | None = None) -> Decimal:
        """P&L before fees of `quantity` (None = all of it) at `price`."""
        part = self.quantity if quantity is None else quantity
        if self.multiplier:
            fee = self.fee_part(part)
            return multipliers.gross(self.side, part, self.multiplier, self.entry_price, price, fee, self.currency)
        return spot.gross(self.side, part, self.cost_part(part), price)

    def stop_out(self, price_step: Decimal) -> Decimal:
        """Price at which the venue closes a MULTIPLIER by itself, because its stake is lost."""
        return multipliers.stop_out(
            self.side, self.quantity, self.multiplier, self.entry_price, self.fee_open, price_step
        )

    def fee_part(self, quantity: Decimal) -> Decimal:
        """Commission inside `quantity` of the stake."""
        if quantity == self.quantity:
            return self.fee_open
        return to_step(self.fee_open * quantity / self.quantity, multipliers.cash_step(self.currency), ROUND_HALF_UP)

    def cost_part(self, quantity: Decimal) -> Decimal:
        """Share of the cost in `quantity`; what closes last takes what rounding left."""
        if quantity == self.quantity:
            return self.cost
        return to_step(self.cost * quantity / self.quantity, NOTIONAL_STEP, ROUND_HALF_UP)

    @property
    def unrealised(self) -> Decimal:
        """P&L before exit costs at the last mark."""
        return ZERO if self.mark is None or self.quantity == 0 else self.gross(self.mark)

    @property
    def worth(self) -> Decimal:
        """What it adds to the cash of the account now (negative for a short spot position)."""
        if self.multiplier:
            return self.quantity - self.fee_open + self.unrealised
        return self.side.sign * self.cost + self.unrealised
