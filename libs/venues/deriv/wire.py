"""The wire structures of Deriv's answers, for both APIs: a field that only one of them has is optional.

Decoders read numbers that come as strings as well as strings that are numbers; unknown fields are ignored.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from libs.venues.deriv.model import Candle, Receipt, Sale


class Time(msgspec.Struct):
    time: int


class Symbol(msgspec.Struct):
    """v3 says symbol, display_name and pip; the Options API underlying_symbol(_name) and pip_size."""

    market: str
    submarket: str
    exchange_is_open: int
    is_trading_suspended: int
    symbol: str = ""
    display_name: str = ""
    pip: Decimal | None = None
    underlying_symbol: str = ""
    underlying_symbol_name: str = ""
    pip_size: Decimal | None = None


class Symbols(msgspec.Struct):
    active_symbols: list[Symbol]


class Offered(msgspec.Struct):
    contract_type: str
    multiplier_range: list[int] = []


class Available(msgspec.Struct):
    available: list[Offered]


class ContractsFor(msgspec.Struct):
    contracts_for: Available


class Prices(msgspec.Struct):
    prices: list[float]
    times: list[int]


class History(msgspec.Struct):
    history: Prices


class Candles(msgspec.Struct):
    candles: list[Candle]


class Range(msgspec.Struct):
    min: Decimal | None = None
    max: Decimal | None = None


class Validation(msgspec.Struct):
    stake: Range = msgspec.field(default_factory=Range)
    stop_loss: Range = msgspec.field(default_factory=Range)
    take_profit: Range = msgspec.field(default_factory=Range)


class Level(msgspec.Struct):
    value: Decimal | None = None


class LimitOrder(msgspec.Struct):
    stop_out: Level = msgspec.field(default_factory=Level)


class Quoted(msgspec.Struct):
    id: str
    ask_price: Decimal
    spot: Decimal
    spot_time: int = 0
    date_start: int = 0
    payout: Decimal = Decimal(0)
    commission: Decimal | None = None
    validation_params: Validation | None = None
    limit_order: LimitOrder | None = None


class ProposalAnswer(msgspec.Struct):
    proposal: Quoted


class BuyAnswer(msgspec.Struct):
    buy: Receipt


class SellAnswer(msgspec.Struct):
    sell: Sale


class TransactionIds(msgspec.Struct):
    buy: int = 0
    sell: int = 0


class OpenContract(msgspec.Struct):
    """v3 tells the ends as entry_tick, exit_tick and sell_spot; the Options API as entry_spot and exit_spot."""

    contract_id: int | None = None
    underlying: str = ""
    underlying_symbol: str = ""
    contract_type: str = ""
    status: str | None = None
    is_sold: int = 0
    is_expired: int = 0
    buy_price: Decimal = Decimal(0)
    commission: Decimal | None = None
    purchase_time: int = 0
    entry_spot: Decimal | None = None
    entry_tick: Decimal | None = None
    exit_spot: Decimal | None = None
    exit_tick: Decimal | None = None
    sell_spot: Decimal | None = None
    current_spot: Decimal | None = None
    current_spot_time: int = 0
    sell_price: Decimal | None = None
    sell_time: int | None = None
    shortcode: str = ""
    transaction_ids: TransactionIds = msgspec.field(default_factory=TransactionIds)


class ContractAnswer(msgspec.Struct):
    proposal_open_contract: OpenContract


class Held(msgspec.Struct):
    contract_id: int | None
    transaction_id: int
    buy_price: Decimal
    purchase_time: int
    contract_type: str = ""
    symbol: str = ""
    underlying_symbol: str = ""
    shortcode: str | None = None


class Portfolio(msgspec.Struct):
    contracts: list[Held]


class PortfolioAnswer(msgspec.Struct):
    portfolio: Portfolio


class Closed(msgspec.Struct):
    transactions: list[Held] = []


class ProfitTableAnswer(msgspec.Struct):
    profit_table: Closed


class Line(msgspec.Struct):
    action_type: str
    amount: Decimal
    balance_after: Decimal
    transaction_id: int
    transaction_time: int
    contract_id: int | None = None
    shortcode: str | None = None


class Statement(msgspec.Struct):
    transactions: list[Line] = []


class StatementAnswer(msgspec.Struct):
    statement: Statement


class Turned(msgspec.Struct):
    """The first message of a transaction stream holds its id alone."""

    action: str = ""
    amount: Decimal = Decimal(0)
    balance: Decimal = Decimal(0)
    currency: str = ""
    symbol: str = ""
    underlying_symbol: str = ""
    contract_id: int | None = None
    transaction_id: int = 0
    transaction_time: int = 0


class TransactionAnswer(msgspec.Struct):
    transaction: Turned


class Money(msgspec.Struct):
    balance: Decimal
    currency: str


class BalanceAnswer(msgspec.Struct):
    balance: Money


class AuthorizeAnswer(msgspec.Struct):
    authorize: Money


class CallLimit(msgspec.Struct):
    minutely: int = 0
    hourly: int = 0


class CallLimits(msgspec.Struct):
    """`max_requestes_general` is really spelt so."""

    max_requestes_general: CallLimit = msgspec.field(default_factory=CallLimit)
    max_requests_pricing: CallLimit = msgspec.field(default_factory=CallLimit)
    max_requests_outcome: CallLimit = msgspec.field(default_factory=CallLimit)


class Status(msgspec.Struct):
    site_status: str = "up"
    message: str | None = ""
    api_call_limits: CallLimits = msgspec.field(default_factory=CallLimits)


class StatusAnswer(msgspec.Struct):
    website_status: Status
