"""The venue itself: one market, its accounts, the connections, and the second that drives them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set
from decimal import Decimal
from typing import Final

from services.simulator.clock import NANOSECONDS, VenueClock
from services.simulator.deriv import ledger_views, offerings, truth, views
from services.simulator.deriv.accounts import Account, Transaction
from services.simulator.deriv.contracts import Contract, Due, Limits
from services.simulator.deriv.limits import MAX_PROPOSAL_STREAMS, QUOTAS, CallMeter, Quota
from services.simulator.deriv.market import Feed, Market
from services.simulator.deriv.session import Body, Ends, Session, Show, Stream, as_it_is
from services.simulator.deriv.terms import Terms
from services.simulator.faults.base import Faults, NoFaults, Send
from services.simulator.record import Record

VENUE: Final = truth.VENUE
# Clients of a venue that slept see the present, not a burst of the past; history has what they missed.
MAX_LATE_SECS: Final = 60
MARKET: Final = frozenset({"ticks", "candles"})


class Venue:
    """Holds what all connections share and moves it on, second by second."""

    def __init__(
        self,
        market: Market,
        account: Account,
        record: Record,
        clock: VenueClock,
        token: str,
        quotas: dict[str, Quota] = QUOTAS,
        *,
        faults: Faults | None = None,
        real: Account | None = None,
    ) -> None:
        """`market` must stand at the present second; contracts the accounts kept are stepped up to it.

        `account` is the demo account that both APIs share, `real` one that only the Options API knows.
        """
        self.market = market
        self.account = account
        self.accounts = (account,) if real is None else (account, real)
        self.faults: Faults = faults or NoFaults()
        self.record = record
        self.clock = clock
        self.token = token
        self.quotas = quotas
        self.migrated = False
        self.refused: Counter[str] = Counter()  # refusals by code, those on request of a fault not counted
        self.sessions: dict[Session, None] = {}  # in order of connecting, so that faults strike the same way again
        self._watched: set[str] = set()
        self._user_meter = CallMeter(quotas)
        truth.write_missing(record, self.accounts)
        for each in self.accounts:
            for contract in tuple(each.open.values()):
                each.catch_up(contract, market.present)
        self._settle()

    def now(self) -> int:
        """Return the venue's epoch second."""
        return self.clock.now_ns() // NANOSECONDS

    def connect(
        self, send: Send, ends: Ends | None = None, account: Account | None = None, show: Show = as_it_is
    ) -> Session:
        """Open a session for an account (the demo one unless given); `send` queues one text frame."""
        ends = ends or Ends()
        session = Session(
            lambda channel: self.faults.line(VENUE, channel, send, ends.cut),
            ends,
            CallMeter(self.quotas),
            account or self.account,
            show,
        )
        self.sessions[session] = None
        return session

    def disconnect(self, session: Session) -> None:
        """Forget a session and its streams."""
        self.sessions.pop(session, None)

    def log_in(self, session: Session) -> None:
        """Make a session act for the account; its calls then count with all others of that user."""
        session.log_in(self._user_meter)

    def log_out(self, session: Session) -> None:
        """Make a session anonymous again; its private streams end."""
        session.log_out(CallMeter(self.quotas))

    def watch(self, symbol: str) -> None:
        """Keep the truth record of a symbol from here on, because someone has subscribed to it."""
        if symbol not in self._watched:
            self._watched.add(symbol)
            self._write_tick(self.market.feeds[symbol])

    def migrate(self) -> None:
        """Say from here on, in website_status, that accounts have left v3; it goes on working."""
        self.migrated = True
        for session in self.sessions:
            for stream in tuple(session.streams.values()):
                if stream.kind == "website_status":
                    session.answer(stream.envelope, stream.msg_type, {"website_status": self.site_status()}, stream)

    def site_status(self, site_status: str = "up") -> Body:
        """Return the value of `website_status`."""
        body = offerings.website_status(self.quotas, MAX_PROPOSAL_STREAMS)
        return {**body, "site_status": site_status, **({"message": "migrated"} if self.migrated else {})}

    # --- time --------------------------------------------------------------------------------------------------

    def advance_to(self, epoch: int) -> None:
        """Live through every second up to `epoch`: ticks, triggers, settlements, then the streams."""
        for second in range(self.market.present + 1, epoch + 1):
            self._second(second, streaming=epoch - second <= MAX_LATE_SECS)

    def _second(self, second: int, streaming: bool) -> None:
        ticked = {feed.symbol.name: feed for feed in self.market.advance(second)}
        for name in self._watched & ticked.keys():
            self._write_tick(ticked[name])
        for account in self.accounts:
            for contract in account.open.values():
                feed = ticked.get(contract.terms.symbol)
                if feed is not None:
                    contract.on_tick(feed.last())
                contract.on_second(second)
        self._settle()
        if streaming:
            self._stream(ticked.keys())

    def _stream(self, ticked: Set[str]) -> None:
        """Bring every stream of what ticked up to date; faults may swallow the tick of a symbol, or all fills."""
        lost = {name for name in sorted(ticked & self._watched) if self._swallows(name)}
        silent = self.faults.silent(VENUE, "fills")
        for session in self.sessions:
            for stream in tuple(session.streams.values()):
                swallowed = (
                    silent if stream.contract_id is not None else stream.kind in MARKET and stream.symbol in lost
                )
                if stream.symbol in ticked and not swallowed:
                    session.update(stream)

    def _swallows(self, symbol: str) -> bool:
        skipped = self.faults.skips(VENUE, symbol)
        return skipped or self.faults.silent(VENUE, symbol)

    def _write_tick(self, feed: Feed) -> None:
        tick = feed.last()
        text = feed.symbol.text(tick.quote)
        self.record.write(VENUE, "tick", feed.symbol.name, tick.epoch, tick.epoch * NANOSECONDS, price=text)

    # --- contracts ---------------------------------------------------------------------------------------------

    def buy(self, account: Account, terms: Terms) -> tuple[Transaction, Contract]:
        """Buy a contract; the journal has it before this returns. Raises ApiError (balance) or OSError (disk)."""
        entry, contract = account.buy(terms)
        truth.write_entry(self.record, entry)
        return entry, contract

    def close(self, account: Account, contract: Contract, due: Due) -> Transaction:
        """Pay out a contract. Raises OSError (disk)."""
        entry = account.close(contract, due)
        truth.write_entry(self.record, entry)
        return entry

    def change_limits(self, account: Account, contract: Contract, limits: Limits) -> None:
        """Change limit orders of an open contract. Raises OSError (disk)."""
        truth.write_change(self.record, account, contract, account.change_limits(contract, limits, self.now()))

    def move_cash(self, account: Account, action: str, amount: Decimal) -> Transaction:
        """Let money come or go without a contract and tell it: `action` deposit, withdrawal, virtual_credit, ...

        Raises ApiError (balance) or OSError (disk).
        """
        entry = self.book_cash(account, action, amount)
        self.announce(entry)
        return entry

    def book_cash(self, account: Account, action: str, amount: Decimal) -> Transaction:
        """Let money come or go as move_cash does, and leave it to the caller to tell it."""
        entry = account.move(action, amount, self.now())
        truth.write_entry(self.record, entry)
        return entry

    def refresh(self, account: Account, contract: Contract) -> None:
        """Tell those who follow a contract how it stands after its orders were changed."""
        for session in self.sessions:
            if session.loginid == account.loginid:
                for stream in tuple(session.streams.values()):
                    if stream.contract_id == contract.contract_id:
                        session.update(stream)

    def _settle(self) -> None:
        for account in self.accounts:
            for contract in tuple(account.open.values()):
                due = contract.settlement(self.market.present)
                if due is not None:
                    self.announce(self.close(account, contract, due))

    def announce(self, entry: Transaction) -> None:
        """Tell every connection logged in to its account of a transaction, on the streams it follows."""
        contract, closed = entry.contract, entry.action == "sell"
        silent = self.faults.silent(VENUE, "fills")
        for session in self.sessions:
            if session.loginid != entry.loginid:
                continue
            for stream in tuple(session.streams.values()):
                if stream.kind == "transaction" and not silent:
                    body = {**ledger_views.transaction(entry), "id": stream.id}
                    session.answer(stream.envelope, "transaction", {"transaction": body}, stream)
                elif stream.kind == "balance":
                    session.update(stream)
                elif closed and contract is not None and stream.contract_id == contract.contract_id:
                    if not silent:
                        session.update(stream)
                    session.forget(stream.id)
            every = session.follows_all_contracts
            if contract is None or closed or silent or every is None:
                continue
            if not session.follows(contract.contract_id):  # a buy with subscribe does already
                self.follow_contract(session, contract, every)

    def follow_contract(self, session: Session, contract: Contract, envelope: Body) -> Stream:
        """Start the stream of one contract and send its present state."""
        stream = self.contract_stream(session, contract, envelope)
        session.update(stream)
        return stream

    def contract_stream(self, session: Session, contract: Contract, envelope: Body) -> Stream:
        """Start the stream of one contract. Raises AlreadySubscribed (ApiError)."""
        feed = self.market.feeds[contract.terms.symbol]

        def render() -> Body:
            return {"proposal_open_contract": {**views.open_contract(contract, feed, self.now()), "id": stream.id}}

        stream = Stream(
            kind="proposal_open_contract",
            key=("proposal_open_contract", contract.contract_id),
            msg_type="proposal_open_contract",
            envelope=envelope,
            render=render,
            symbol=contract.terms.symbol,
            contract_id=contract.contract_id,
        )
        return session.follow(stream, "proposal_open_contract")
