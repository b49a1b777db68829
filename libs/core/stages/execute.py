"""The execute stage: permits, prices and commands in; orders, fills, positions and account states out."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from libs.core.stages import (
    execute_control,
    execute_live,
    execute_market,
    execute_permits,
    execute_prices,
    execute_reconcile,
)
from libs.core.stages.execute_desk import Desk
from libs.core.stages.execute_permits import Verifier, verifier_of
from libs.core.stages.execute_state import ExecuteConfig, ExecuteState, Working, decode_state, encode_state
from libs.core.types import (
    Bar,
    Control,
    Durable,
    Event,
    FeedHealth,
    Instrument,
    Mode,
    Nanos,
    OrderState,
    Permit,
    Reconciliation,
    Started,
    Ticks,
    TimePassed,
    VenueClock,
    VenueReport,
    decode,
    restamped,
)


class ExecuteStage:
    """See the module. An order is planned, then `Durable` hands it over, then prices or the venue's reports end it."""

    name = "execute"

    def __init__(self, config: ExecuteConfig, verifier: Verifier) -> None:
        """`verifier` returns None for a permit whose signature is good, else why not."""
        self.config = config
        self._verify = verifier
        self._desk = Desk(config, ExecuteState())

    @property
    def state(self) -> ExecuteState:
        """What it remembers; for reading only."""
        return self._desk.state

    def apply(self, event: Event, ts_init: Nanos) -> Sequence[Event]:
        """Take one input. Delivered again, it changes no order, fill, position or balance."""
        desk = self._desk
        desk.out, desk.ts_init = [], ts_init
        if isinstance(event, Started):
            return ()
        if desk.state.unsent:
            desk.out += [restamped(decode(lost), ts_init) for lost in desk.state.unsent]
            desk.state.unsent = []
        if isinstance(event, Ticks | Bar | FeedHealth | Instrument):
            self._market(event)
        elif isinstance(event, VenueClock):
            desk.advance(event.venue, event.ts_event, event.ts_machine)
            desk.value_accounts(event.venue)
        elif isinstance(event, TimePassed):
            desk.advance(event.venue, event.ts_event)
            desk.value_accounts(event.venue)
        elif isinstance(event, Permit):
            execute_permits.take(desk, event, self._verify)
        elif isinstance(event, Durable):
            self._hand_over(event)
        elif isinstance(event, VenueReport):
            execute_live.take(desk, event)
        elif isinstance(event, Control):
            execute_control.take(desk, event)
        elif isinstance(event, Reconciliation):
            execute_reconcile.take(desk, event)
        return desk.out

    def _market(self, event: Ticks | Bar | FeedHealth | Instrument) -> None:
        desk = self._desk
        if isinstance(event, Instrument):
            desk.view(event.venue, event.symbol).instrument = event
            return
        desk.advance(event.venue, event.ts_event, event.ts_recv if isinstance(event, Ticks | Bar) else 0)
        if isinstance(event, Ticks):
            execute_prices.take_ticks(desk, event)
        elif isinstance(event, Bar):
            execute_prices.take_bar(desk, event)
        else:
            execute_market.cite_health(desk.view(event.venue, event.symbol), event)
        desk.value_accounts(event.venue)

    def _hand_over(self, event: Durable) -> None:
        desk = self._desk
        working = desk.state.working.get(event.intent_id)
        if working is None or working.order.state is not OrderState.PLANNED:
            return
        order = working.order
        if desk.has_expired(order.venue, working.expires, working.ttl, working.recv):
            desk.fail(working, OrderState.CANCELLED, "expired before it was sent")
            return
        desk.revise(working, OrderState.SENT)
        if order.mode is Mode.PAPER:
            self._accept_on_paper(working)

    def _accept_on_paper(self, working: Working) -> None:
        self._desk.acknowledge(working)
        if working.order.permit_id == "":
            execute_prices.fire_at_level(self._desk, working)

    def snapshot(self) -> bytes:
        """The whole state."""
        return encode_state(self._desk.state)

    def restore(self, snapshot: bytes) -> None:
        """Take up a snapshot or a state rebuilt from the ledger.

        Raises:
            ValueError: not a snapshot of this stage and version; nothing has changed then.
        """
        self._desk = Desk(self.config, decode_state(snapshot))

    def next_deadline(self, venue: str) -> Nanos | None:
        """When the open positions of `venue` are to be valued next, or its day ends."""
        dues = [
            min(book.equity_due, book.next_day) if book.holdings else book.next_day
            for book in self.state.books.values()
            if book.venue == venue
        ]
        return min(dues, default=None)


def build(config: bytes) -> ExecuteStage:
    """The stage of a JSON configuration, verifying with the public keys in it.

    Raises:
        ValueError: not a configuration of this stage, or a key in it is none.
    """
    try:
        decoded = msgspec.json.decode(config, type=ExecuteConfig)
    except msgspec.DecodeError as err:
        raise ValueError(f"not a configuration of the execute stage: {err}") from err
    return ExecuteStage(decoded, verifier_of(decoded.public_keys))
