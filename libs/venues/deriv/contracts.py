"""Which contract an order becomes at Deriv, and which contract at Deriv an order could have become."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from libs.core.types import SECOND, Instrument, InstrumentKind, Order, ReportKind, Side, VenueReport, stable_id
from libs.venues.base import VenuePosition
from libs.venues.deriv.model import Ask, Booking, Contract, Holding, Receipt, Sale, Turnover
from libs.venues.errors import VenueRefused

BEFORE_S: Final = 2
"""How much earlier than its order a purchase may be stamped: the venue tells whole seconds."""

AFTER_S: Final = 60
"""How much later: a request that was under way for longer was dropped with its connection."""


FALLING: Final = frozenset({"MULTDOWN", "PUT", "PUTE", "LOWER", "RUNLOW", "TURBOSSHORT", "VANILLALONGPUT", "PUTSPREAD"})
"""Contract types that gain when the price falls."""


@dataclass(frozen=True, slots=True)
class Product:
    """The kind of contract orders turn into: multipliers, or rise and fall over `duration` `unit` (t s m h d)."""

    name: str = "multiplier"
    duration: int = 0
    unit: str = ""

    def contract_type(self, side: Side) -> str:
        """Deriv's name of the contract that gains when the price goes the way of `side`."""
        if self.name == "multiplier":
            return "MULTUP" if side is Side.BUY else "MULTDOWN"
        return "CALL" if side is Side.BUY else "PUT"

    def ask(self, order: Order, instrument: Instrument, currency: str) -> Ask:
        """What to be quoted for.

        Raises:
            VenueRefused: the instrument is not offered as this product.
        """
        contract_type = self.contract_type(order.side)
        if self.name != "multiplier":
            return Ask(
                contract_type=contract_type,
                symbol=order.symbol,
                stake=order.quantity,
                currency=currency,
                duration=self.duration,
                duration_unit=self.unit,
            )
        if instrument.kind is not InstrumentKind.MULTIPLIER or instrument.multiplier <= 0:
            raise VenueRefused(f"{order.symbol} is not offered as a multiplier", "NotOffered")
        return Ask(
            contract_type=contract_type,
            symbol=order.symbol,
            stake=order.quantity,
            currency=currency,
            multiplier=instrument.multiplier,
        )


def product_of(name: str, duration: int, unit: str) -> Product:
    """A product by name.

    Raises:
        ValueError: unknown name or a rise/fall without a duration; one line.
    """
    if name == "multiplier":
        return Product()
    if name != "rise_fall":
        raise ValueError(f"deriv product {name!r} is unknown; known: multiplier, rise_fall")
    if duration < 1 or unit not in ("t", "s", "m", "h", "d"):
        raise ValueError(f"rise_fall needs a duration such as 5 t or 1 m, not {duration} {unit!r}")
    return Product(name, duration, unit)


@dataclass(frozen=True, slots=True)
class Purchase:
    """A purchase that the venue's books show."""

    contract_id: int
    transaction_id: int
    price: Decimal
    time: int
    balance_after: Decimal | None


def is_within_limit(spot: Decimal, order: Order) -> bool:
    """Whether the spot has not run past the order's limit of acceptance."""
    return spot <= order.worst_price if order.side is Side.BUY else spot >= order.worst_price


def position(holding: Holding) -> VenuePosition:
    """A contract in the portfolio as a position; its quantity is what was paid for it."""
    return VenuePosition(
        id=str(holding.contract_id),
        symbol=holding.symbol,
        side=Side.SELL if holding.contract_type in FALLING else Side.BUY,
        quantity=holding.buy_price,
        opened=holding.purchase_time * SECOND,
    )


def candidates(
    order: Order, sent: int, contract_type: str, holdings: list[Holding], bookings: list[Booking], taken: set[int]
) -> list[Purchase]:
    """Every purchase in the books that could be `order`: same symbol, type and stake, bought around second `sent`."""
    found: dict[int, Purchase] = {}
    for booking in bookings:
        if booking.action == "buy" and _is_of(booking.shortcode, contract_type, order.symbol):
            found[booking.contract_id] = Purchase(
                booking.contract_id, booking.transaction_id, -booking.amount, booking.time, booking.balance_after
            )
    for holding in holdings:
        if holding.contract_type == contract_type and holding.symbol == order.symbol:
            found.setdefault(
                holding.contract_id,
                Purchase(holding.contract_id, holding.transaction_id, holding.buy_price, holding.purchase_time, None),
            )
    return [
        purchase
        for purchase in found.values()
        if purchase.contract_id not in taken and purchase.price == order.quantity and is_about(sent, purchase.time)
    ]


def is_about(sent: int, purchased: int) -> bool:
    """Whether a purchase at second `purchased` can be of an order sent at second `sent`."""
    return sent - BEFORE_S <= purchased <= sent + AFTER_S


def _is_of(shortcode: str, contract_type: str, symbol: str) -> bool:
    """Whether a shortcode names this contract type and symbol; it spells symbols in upper case."""
    return shortcode.upper().startswith(f"{contract_type}_{symbol.upper()}_")


def _report_id(intent_id: str, kind: ReportKind, trace: object) -> str:
    return stable_id("venue_report", "deriv", intent_id, kind.value, trace)


def acknowledged(intent_id: str, receipt: Receipt) -> VenueReport:
    """The venue has taken the order."""
    return VenueReport(
        id=_report_id(intent_id, ReportKind.ACKNOWLEDGED, receipt.contract_id),
        kind=ReportKind.ACKNOWLEDGED,
        intent_id=intent_id,
        venue_order_id=str(receipt.contract_id),
        balance_after=receipt.balance_after,
        ts_event=receipt.purchase_time * SECOND,
        detail=receipt.shortcode,
    )


def bought(
    intent_id: str, purchase: Purchase, price: Decimal | None, commission: Decimal, detail: str = ""
) -> VenueReport:
    """A contract is held. `price` is its entry spot; the commission is part of its running profit."""
    return VenueReport(
        id=_report_id(intent_id, ReportKind.FILLED, purchase.transaction_id),
        kind=ReportKind.FILLED,
        intent_id=intent_id,
        venue_order_id=str(purchase.contract_id),
        trade_id=str(purchase.transaction_id),
        price=price,
        quantity=purchase.price,
        fee=commission,
        balance_after=purchase.balance_after,
        ts_event=purchase.time * SECOND,
        detail=detail,
    )


def sold(intent_id: str, sale: Sale, contract: Contract | None) -> VenueReport:
    """We sold a contract; `contract` as the venue saw it afterwards, when it could be had."""
    ended = contract.sell_time or contract.current_spot_time if contract is not None else 0
    price = (contract.exit_spot or contract.current_spot) if contract is not None else None
    return VenueReport(
        id=_report_id(intent_id, ReportKind.FILLED, sale.transaction_id),
        kind=ReportKind.FILLED,
        intent_id=intent_id,
        venue_order_id=str(sale.contract_id),
        trade_id=str(sale.transaction_id),
        price=price,
        quantity=contract.buy_price if contract is not None else None,
        proceeds=sale.sold_for,
        balance_after=sale.balance_after,
        ts_event=ended * SECOND,
        detail="" if price is not None else "the exit spot could not be had from the venue",
    )


def turned_over(intent_id: str, turnover: Turnover, kind: ReportKind) -> VenueReport:
    """A sale as the account's stream tells it, of a contract that the venue does not show (any more)."""
    return VenueReport(
        id=_report_id(intent_id, kind, turnover.transaction_id),
        kind=kind,
        intent_id=intent_id,
        venue_order_id=str(turnover.contract_id),
        trade_id=str(turnover.transaction_id),
        proceeds=turnover.amount,
        balance_after=turnover.balance,
        ts_event=turnover.time * SECOND,
        detail="the exit spot could not be had from the venue",
    )


def settled(intent_id: str, contract: Contract, kind: ReportKind, balance_after: Decimal | None = None) -> VenueReport:
    """A contract that `is_sold`, whoever sold it."""
    trade_id = str(contract.sell_transaction_id or f"{contract.contract_id}-settled")
    return VenueReport(
        id=_report_id(intent_id, kind, trade_id),
        kind=kind,
        intent_id=intent_id,
        venue_order_id=str(contract.contract_id),
        trade_id=trade_id,
        price=contract.exit_spot or contract.current_spot,
        quantity=contract.buy_price,
        proceeds=contract.sell_price if contract.sell_price is not None else Decimal(0),
        balance_after=balance_after,
        ts_event=(contract.sell_time or contract.current_spot_time) * SECOND,
        detail=contract.status,
    )
