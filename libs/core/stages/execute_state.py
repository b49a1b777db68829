"""What the execute stage is built from and what it remembers: configuration, working orders, market views."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from libs.core.fills.models import PaperCosts
from libs.core.portfolio.accounting import AccountBook
from libs.core.types import ControlKind, Instrument, Mode, Nanos, Order, Reconciliation

STATE_VERSION = 1


class ExecuteAccount(msgspec.Struct, frozen=True, kw_only=True):
    """One account that this executor may trade; `capital` is its cash at the very first start, in `currency`."""

    id: str
    venue: str
    currency: str
    capital: Decimal


class ExecuteConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the stage is built from; JSON-encodable, so that a replay can build the same.

    Attributes:
        accounts: ours; permits for others are refused as foreign.
        mode: paper (fills are modelled here) or live (the shell asks the venue and hands in its reports).
        costs: parameters of the paper venue.
        equity_every_s: data seconds between two account states without a fill.
        exit_retry_s: data seconds to wait after an exit failed before a protective level may try again.
        accept_exploring: whether entries without statistical evidence are accepted; False before live money.
        public_keys: PEM of the risk service's keys by key id, so that a replay verifies what the run verified.
    """

    accounts: tuple[ExecuteAccount, ...]
    mode: Mode = Mode.PAPER
    costs: PaperCosts = PaperCosts()
    equity_every_s: float = 5.0
    exit_retry_s: float = 5.0
    accept_exploring: bool = True
    public_keys: dict[str, str] = {}


class Working(msgspec.Struct, kw_only=True):
    """An order that is not final.

    Attributes:
        order: its newest revision.
        expires: data time after which a planned order must not be sent, 0 = never (protective exits).
        ttl: how long its permit was valid, ns; recv: machine clock when the chain that led to it began, 0 = unknown.
        sent: data time at which it went on its way to the venue, 0 = not yet.
        accepted: data time at which the venue took it; executable_from: earliest stamp of a price that may fill it.
        bar_from: opening time from which a bar may fill it, where the symbol has bars only.
        flatten: reason for which what it opens must be closed again, "" when none.
        planned_init: machine clock when it was planned; only orders commands against it after a restart.
        trades: trade ids of its executions. dealt: quantity and money (price x quantity) of all of them.
    """

    order: Order
    expires: Nanos = 0
    ttl: Nanos = 0
    recv: Nanos = 0
    sent: Nanos = 0
    accepted: Nanos = 0
    executable_from: Nanos = 0
    bar_from: Nanos = 0
    flatten: str = ""
    planned_init: Nanos = 0
    trades: dict[str, None] = {}
    dealt: tuple[Decimal, Decimal] = (Decimal(0), Decimal(0))


class MarketView(msgspec.Struct, kw_only=True):
    """The newest known about one symbol. Prices in quote currency, 0 when none yet; stamps in ns of the data clock.

    Attributes:
        tick_id, health_id: the newest Ticks (or Bar, where there are only bars) and FeedHealth, cited by orders.
        bar_interval: shortest interval of the venue's own bars, seconds; bar_end: end of the newest of them.
    """

    instrument: Instrument | None = None
    tick_id: str = ""
    tick_ts: Nanos = 0
    health_id: str = ""
    health_ts: Nanos = 0
    has_ticks: bool = False
    bid: float = 0.0
    ask: float = 0.0
    quote_ts: Nanos = 0
    quote_seq: int = 0
    last: float = 0.0
    last_ts: Nanos = 0
    last_seq: int = 0
    bar_interval: int = 0
    bar_end: Nanos = 0


class ExecuteState(msgspec.Struct, kw_only=True):
    """The stage's whole memory.

    Attributes:
        now: newest data time by venue. resumed: newest data time in the ledger, until the venue tells its own.
        machine: newest machine clock that arrived with it, by venue.
        markets: by "venue symbol". working: orders that are not final, by intent id, oldest first.
        used: digest of the permit that used an intent id ("" for exits of our own). refused: digests refused.
        halts: scope to the strongest command in force there (halt or reduce_only). controls: ids already obeyed.
        retry: position id to the data time before which no protective exit may be tried again.
        ended: live orders that ended lately, for executions that are told late; oldest first.
        books: by account id. unsent: wire bytes of what the ledger still lacks after a restart.
        reconciled: ids of the newest comparisons and transfers. differences: the open one by account.
    """

    version: int = STATE_VERSION
    now: dict[str, Nanos] = {}
    resumed: dict[str, Nanos] = {}
    machine: dict[str, Nanos] = {}
    markets: dict[str, MarketView] = {}
    working: dict[str, Working] = {}
    used: dict[str, str] = {}
    refused: dict[str, None] = {}
    halts: dict[str, ControlKind] = {}
    controls: dict[str, None] = {}
    retry: dict[str, Nanos] = {}
    ended: dict[str, Working] = {}
    books: dict[str, AccountBook] = {}
    unsent: list[bytes] = []
    reconciled: dict[str, None] = {}
    differences: dict[str, Reconciliation] = {}


def market_key(venue: str, symbol: str) -> str:
    """Key of a symbol in `ExecuteState.markets`."""
    return f"{venue} {symbol}"


_encoder = msgspec.msgpack.Encoder(decimal_format="string")
_decoder = msgspec.msgpack.Decoder(ExecuteState)


def encode_state(state: ExecuteState) -> bytes:
    """The state as bytes."""
    return _encoder.encode(state)


def decode_state(snapshot: bytes) -> ExecuteState:
    """The state in `snapshot`.

    Raises:
        ValueError: not a snapshot of this stage, or of another version.
    """
    try:
        state = _decoder.decode(snapshot)
    except msgspec.DecodeError as err:
        raise ValueError(f"not a snapshot of the execute stage: {err}") from err
    if state.version != STATE_VERSION:
        raise ValueError(f"snapshot of version {state.version}, this is version {STATE_VERSION}; rebuild from ORDERS")
    return state
