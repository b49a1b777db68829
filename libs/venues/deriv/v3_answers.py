"""What version 3 of Deriv's WebSocket API answers: the wire structures, and how they read into the model."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final, TypeVar

import msgspec

from libs.venues.deriv.codec import CodecError
from libs.venues.deriv.model import (
    Booking,
    Candle,
    Cash,
    Contract,
    Head,
    Holding,
    Listing,
    Offer,
    Proposal,
    Receipt,
    Sale,
)

ZERO: Final = Decimal(0)


class _Time(msgspec.Struct):
    time: int


class _Symbol(msgspec.Struct):
    symbol: str
    display_name: str
    market: str
    submarket: str
    pip: Decimal
    exchange_is_open: int
    is_trading_suspended: int


class _Symbols(msgspec.Struct):
    active_symbols: list[_Symbol]


class _Offered(msgspec.Struct):
    contract_type: str
    multiplier_range: list[int] = []


class _Available(msgspec.Struct):
    available: list[_Offered]


class _ContractsFor(msgspec.Struct):
    contracts_for: _Available


class _Prices(msgspec.Struct):
    prices: list[float]
    times: list[int]


class _History(msgspec.Struct):
    history: _Prices


class _Candles(msgspec.Struct):
    candles: list[Candle]


class _Quoted(msgspec.Struct):
    id: str
    ask_price: Decimal
    spot: Decimal
    spot_time: int
    commission: Decimal | None = None


class _ProposalAnswer(msgspec.Struct):
    proposal: _Quoted


class _BuyAnswer(msgspec.Struct):
    buy: Receipt


class _SellAnswer(msgspec.Struct):
    sell: Sale


class _Transactions(msgspec.Struct):
    buy: int = 0
    sell: int = 0


class _OpenContract(msgspec.Struct):
    contract_id: int | None = None
    underlying: str = ""
    contract_type: str = ""
    status: str | None = None
    is_sold: int = 0
    is_expired: int = 0
    buy_price: Decimal = ZERO
    commission: Decimal | None = None
    purchase_time: int = 0
    entry_spot: Decimal | None = None
    entry_tick: Decimal | None = None
    exit_tick: Decimal | None = None
    sell_spot: Decimal | None = None
    current_spot: Decimal | None = None
    current_spot_time: int = 0
    sell_price: Decimal | None = None
    sell_time: int | None = None
    shortcode: str = ""
    transaction_ids: _Transactions = msgspec.field(default_factory=_Transactions)


class _ContractAnswer(msgspec.Struct):
    proposal_open_contract: _OpenContract


class _Held(msgspec.Struct):
    contract_id: int
    transaction_id: int
    symbol: str
    contract_type: str
    buy_price: Decimal
    purchase_time: int
    shortcode: str = ""


class _Portfolio(msgspec.Struct):
    contracts: list[_Held]


class _PortfolioAnswer(msgspec.Struct):
    portfolio: _Portfolio


class _Transaction(msgspec.Struct):
    action_type: str
    amount: Decimal
    balance_after: Decimal
    transaction_id: int
    transaction_time: int
    contract_id: int | None = None
    shortcode: str | None = None


class _Statement(msgspec.Struct):
    transactions: list[_Transaction] = []


class _StatementAnswer(msgspec.Struct):
    statement: _Statement


class _Balance(msgspec.Struct):
    balance: Decimal
    currency: str


class _BalanceAnswer(msgspec.Struct):
    balance: _Balance


class _AuthorizeAnswer(msgspec.Struct):
    authorize: _Balance


W = TypeVar("W")
T = TypeVar("T")

_head = msgspec.json.Decoder(Head)


def _reader(wire: type[W], convert: Callable[[W], T]) -> Callable[[bytes], T]:
    decoder = msgspec.json.Decoder(wire, strict=False)

    def read(frame: bytes) -> T:
        try:
            return convert(decoder.decode(frame))
        except (msgspec.DecodeError, UnicodeDecodeError) as err:
            raise CodecError(str(err)) from err

    return read


def _listing(row: _Symbol) -> Listing:
    return Listing(
        symbol=row.symbol,
        name=row.display_name,
        market=row.market,
        submarket=row.submarket,
        pip=row.pip,
        is_open=bool(row.exchange_is_open),
        is_suspended=bool(row.is_trading_suspended),
    )


def _offer(answer: _ContractsFor) -> Offer:
    rows = answer.contracts_for.available
    up = {m for row in rows if row.contract_type == "MULTUP" for m in row.multiplier_range}
    down = {m for row in rows if row.contract_type == "MULTDOWN" for m in row.multiplier_range}
    return Offer(frozenset(row.contract_type for row in rows), tuple(sorted(m for m in up & down if m > 0)))


def _tick_page(answer: _History) -> list[tuple[int, float]]:
    page = answer.history
    if len(page.prices) != len(page.times):
        raise CodecError(f"history has {len(page.prices)} prices for {len(page.times)} times")
    return list(zip(page.times, page.prices, strict=True))


def _proposal(answer: _ProposalAnswer) -> Proposal:
    quoted = answer.proposal
    return Proposal(quoted.id, quoted.ask_price, quoted.spot, quoted.spot_time, quoted.commission or ZERO)


def _open_contract(answer: _ContractAnswer) -> Contract | None:
    row = answer.proposal_open_contract
    if row.contract_id is None:
        return None
    return Contract(
        contract_id=row.contract_id,
        symbol=row.underlying,
        contract_type=row.contract_type,
        is_sold=bool(row.is_sold),
        is_expired=bool(row.is_expired),
        status=row.status or "open",
        buy_price=row.buy_price,
        commission=row.commission or ZERO,
        purchase_time=row.purchase_time,
        entry_spot=row.entry_spot if row.entry_spot is not None else row.entry_tick,
        exit_spot=row.exit_tick if row.exit_tick is not None else row.sell_spot,
        current_spot=row.current_spot,
        current_spot_time=row.current_spot_time,
        sell_price=row.sell_price,
        sell_time=row.sell_time or 0,
        sell_transaction_id=row.transaction_ids.sell,
        shortcode=row.shortcode,
    )


def _holdings(answer: _PortfolioAnswer) -> list[Holding]:
    return [
        Holding(
            contract_id=row.contract_id,
            transaction_id=row.transaction_id,
            symbol=row.symbol,
            contract_type=row.contract_type,
            buy_price=row.buy_price,
            purchase_time=row.purchase_time,
            shortcode=row.shortcode,
        )
        for row in answer.portfolio.contracts
    ]


def _bookings(answer: _StatementAnswer) -> list[Booking]:
    return [
        Booking(
            action=row.action_type,
            amount=row.amount,
            balance_after=row.balance_after,
            contract_id=row.contract_id,
            transaction_id=row.transaction_id,
            time=row.transaction_time,
            shortcode=row.shortcode or "",
        )
        for row in answer.statement.transactions
        if row.contract_id is not None
    ]


def read_nothing(_: bytes) -> None:
    """For answers that say nothing beyond having arrived."""
    return


def read_head(frame: bytes) -> Head:
    """Route a frame. Raises CodecError."""
    try:
        return _head.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError) as err:
        raise CodecError(str(err)) from err


read_time = _reader(_Time, lambda answer: answer.time)
read_authorize = _reader(_AuthorizeAnswer, lambda answer: Cash(answer.authorize.balance, answer.authorize.currency))
read_listings = _reader(_Symbols, lambda answer: [_listing(row) for row in answer.active_symbols])
read_offer = _reader(_ContractsFor, _offer)
read_tick_page = _reader(_History, _tick_page)
read_candles = _reader(_Candles, lambda answer: answer.candles)
read_proposal = _reader(_ProposalAnswer, _proposal)
read_buy = _reader(_BuyAnswer, lambda answer: answer.buy)
read_sell = _reader(_SellAnswer, lambda answer: answer.sell)
read_contract = _reader(_ContractAnswer, _open_contract)
read_holdings = _reader(_PortfolioAnswer, _holdings)
read_bookings = _reader(_StatementAnswer, _bookings)
read_balance = _reader(_BalanceAnswer, lambda answer: Cash(answer.balance.balance, answer.balance.currency))
