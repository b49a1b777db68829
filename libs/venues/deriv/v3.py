"""Wire codec of Deriv's legacy WebSocket API, version 3."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final, TypeVar

import msgspec

from libs.venues.deriv.codec import Bucket, CodecError, Request
from libs.venues.deriv.model import (
    Ask,
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


def _nothing(_: bytes) -> None:
    return None


_read_time = _reader(_Time, lambda answer: answer.time)
_read_authorize = _reader(_AuthorizeAnswer, lambda answer: Cash(answer.authorize.balance, answer.authorize.currency))
_read_listings = _reader(_Symbols, lambda answer: [_listing(row) for row in answer.active_symbols])
_read_offer = _reader(_ContractsFor, _offer)
_read_tick_page = _reader(_History, _tick_page)
_read_candles = _reader(_Candles, lambda answer: answer.candles)
_read_proposal = _reader(_ProposalAnswer, _proposal)
_read_buy = _reader(_BuyAnswer, lambda answer: answer.buy)
_read_sell = _reader(_SellAnswer, lambda answer: answer.sell)
_read_contract = _reader(_ContractAnswer, _open_contract)
_read_holdings = _reader(_PortfolioAnswer, _holdings)
_read_bookings = _reader(_StatementAnswer, _bookings)
_read_balance = _reader(_BalanceAnswer, lambda answer: Cash(answer.balance.balance, answer.balance.currency))

STATEMENT_PAGE: Final = 999
"""Most lines that one statement call returns."""


class V3:
    """Implements `Codec` for `/websockets/v3`."""

    def head(self, frame: bytes) -> Head:
        try:
            return _head.decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError) as err:
            raise CodecError(str(err)) from err

    def ping(self) -> Request[None]:
        return Request({"ping": 1}, _nothing)

    def time(self) -> Request[int]:
        return Request({"time": 1}, _read_time)

    def authorize(self, token: str) -> Request[Cash]:
        return Request({"authorize": token}, _read_authorize)

    def listings(self) -> Request[list[Listing]]:
        return Request({"active_symbols": "brief"}, _read_listings)

    def offer(self, symbol: str) -> Request[Offer]:
        return Request({"contracts_for": symbol}, _read_offer)

    def ticks(self, symbol: str) -> Request[None]:
        return Request({"ticks": symbol, "subscribe": 1}, _nothing)

    def tick_page(self, symbol: str, start: int, end: int, count: int) -> Request[list[tuple[int, float]]]:
        body: dict[str, object] = {
            "ticks_history": symbol,
            "start": start,
            "end": str(end),
            "count": count,
            "style": "ticks",
        }
        return Request(body, _read_tick_page)

    def candle_page(self, symbol: str, granularity: int, start: int, end: int, count: int) -> Request[list[Candle]]:
        body: dict[str, object] = {
            "ticks_history": symbol,
            "start": start,
            "end": str(end),
            "count": count,
            "style": "candles",
            "granularity": granularity,
        }
        return Request(body, _read_candles)

    def proposal(self, ask: Ask) -> Request[Proposal]:
        body: dict[str, object] = {
            "proposal": 1,
            "contract_type": ask.contract_type,
            "symbol": ask.symbol,
            "currency": ask.currency,
            "amount": ask.stake,
            "basis": "stake",
        }
        if ask.multiplier:
            body["multiplier"] = ask.multiplier
        if ask.duration:
            body["duration"] = ask.duration
            body["duration_unit"] = ask.duration_unit
        return Request(body, _read_proposal, Bucket.PRICING)

    def buy(self, proposal_id: str, price_cap: Decimal) -> Request[Receipt]:
        return Request({"buy": proposal_id, "price": price_cap}, _read_buy)

    def sell(self, contract_id: int, price_floor: Decimal) -> Request[Sale]:
        return Request({"sell": contract_id, "price": price_floor}, _read_sell)

    def contract(self, contract_id: int, *, follow: bool) -> Request[Contract | None]:
        body: dict[str, object] = {"proposal_open_contract": 1, "contract_id": contract_id}
        if follow:
            body["subscribe"] = 1
        return Request(body, _read_contract, Bucket.PRICING)

    def holdings(self) -> Request[list[Holding]]:
        return Request({"portfolio": 1}, _read_holdings, Bucket.OUTCOME)

    def bookings(self, date_from: int, offset: int) -> Request[list[Booking]]:
        body: dict[str, object] = {
            "statement": 1,
            "description": 1,
            "date_from": date_from,
            "limit": STATEMENT_PAGE,
            "offset": offset,
        }
        return Request(body, _read_bookings, Bucket.OUTCOME)

    def balance(self) -> Request[Cash]:
        return Request({"balance": 1}, _read_balance)
