"""Orders of one account at Alpaca: sent once under our id, told execution by execution, looked up when in doubt."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Final

from libs.core.types import Instrument, Order, Side, VenueReport
from libs.venues.alpaca import activities, codec, reports
from libs.venues.alpaca.assets import AssetBook, is_crypto, parts_of
from libs.venues.alpaca.codec import OrderRow, signed
from libs.venues.alpaca.rest import NOT_FOUND, UNPROCESSABLE, AlpacaRest
from libs.venues.alpaca.socket import ANSWER_S, Socket, opened
from libs.venues.base import (
    Holds,
    PrivateSink,
    VenueError,
    VenuePosition,
    VenueRefused,
    VenueUnavailable,
    VenueUnresolved,
)
from libs.venues.budget import Budget, Priority
from libs.venues.checked import ZERO, Absurd, down_to, exact, line, spelled
from libs.venues.credentials import Credentials
from libs.venues.listener import Listener

PREPARED_S: Final = 15.0
"""An order that is not on its way by then stays here."""

ABSENT_S: Final = 45.0
"""An order that Alpaca does not know so long after it was sent is taken to have never arrived: a request ends after
10 s, and Alpaca has no deadline that could be given with it."""

LOOKS_S: Final = (0.1, 0.3, 0.8, 2.0, 4.0)
"""Pauses between looks at an order that was just taken; its stream ends them sooner."""

QUIET_S: Final = 60.0
ALREADY_THERE: Final = "client_order_id"
REMEMBERED: Final = 10_000


class AlpacaTrading:
    """Implements `Trading`. Entries are limit orders that fill at once or are cancelled, exits market orders.

    Fees are no part of executions at Alpaca: they are told as transfers when they are booked. Shares cannot be sold
    short here.
    """

    name = codec.VENUE
    holds = Holds.ASSETS

    def __init__(self, urls: Mapping[str, str], credentials: Credentials, *, currency: str) -> None:
        """`urls`: rest and stream. `currency`: the account's cash. Raises ValueError without them."""
        missing = [name for name in ("rest", "stream") if not urls.get(name)]
        if missing:
            raise ValueError(f"alpaca needs an address for {', '.join(missing)}; set data.venues.urls")
        self._stream_url, self._credentials, self._currency = urls["stream"], credentials, currency
        self._rest = AlpacaRest(urls["rest"], credentials, "requests")
        self._assets = AssetBook(self._rest)
        self._moves = activities.Moves(self._rest)
        self._listener = Listener(self.name, self.resolve, self._look, self._ring)
        self._rung = asyncio.Event()
        self._sent: OrderedDict[str, float] = OrderedDict()

    # --- orders ------------------------------------------------------------------------------------------------

    async def submit(self, order: Order, instrument: Instrument) -> list[VenueReport]:
        """A limit order at `order.worst_price` that fills at once as far as it can; the rest is cancelled."""
        if order.side is not Side.BUY:
            raise VenueRefused(f"{order.symbol}: a position at Alpaca is not opened by selling here")
        worst = down_to(order.worst_price, instrument.price_step)
        if not worst:
            raise VenueRefused(f"{order.symbol}: a limit of {spelled(order.worst_price)} is below the smallest price")
        quantity = down_to(order.quantity, instrument.qty_step)
        if not quantity or quantity < instrument.min_qty:
            raise VenueRefused(
                f"{order.symbol}: {spelled(order.quantity)} is less than the smallest order of "
                f"{spelled(instrument.min_qty)}"
            )
        terms = {"type": "limit", "limit_price": spelled(worst), "time_in_force": "ioc"}
        return await self._place(order, quantity, terms, Priority.ENTRY)

    async def close(self, order: Order, venue_position_id: str, instrument: Instrument) -> list[VenueReport]:
        """A market order of `order.quantity`; fractions of shares, which a split may leave, go as a day order."""
        quantity = order.quantity if not is_crypto(order.symbol) else down_to(order.quantity, instrument.qty_step)
        if not quantity:
            raise VenueRefused(f"{order.symbol}: {spelled(order.quantity)} is less than the smallest step")
        whole = is_crypto(order.symbol) or quantity == quantity.to_integral_value()
        terms = {"type": "market", "time_in_force": "ioc" if whole else "day"}
        return await self._place(order, quantity, terms, Priority.EXIT)

    async def _place(
        self, order: Order, quantity: Decimal, terms: Mapping[str, str], priority: Priority
    ) -> list[VenueReport]:
        body = {
            "symbol": order.symbol,
            "qty": spelled(quantity),
            "side": order.side.value,
            "client_order_id": order.intent_id,
            **terms,
        }
        self._remember(order)
        try:
            await self._rest.effect("POST", "/v2/orders", priority, body, deadline=time.monotonic() + PREPARED_S)
        except VenueRefused as err:
            if err.code == UNPROCESSABLE and ALREADY_THERE in str(err):
                raise VenueUnresolved(f"Alpaca has an order {order.intent_id} already") from err
            raise
        self._listener.expect(order)
        return await self._settled(order)

    async def _settled(self, order: Order) -> list[VenueReport]:
        """What became of an order that Alpaca has. Raises VenueUnresolved when that takes too long."""
        for pause_s in (*LOOKS_S, 0.0):
            found = await self.resolve(order)
            if found:
                return found
            self._rung.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._rung.wait()
        raise VenueUnresolved(f"Alpaca has order {order.intent_id}; what became of it is not known yet")

    def _remember(self, order: Order) -> None:
        self._sent[order.intent_id] = time.monotonic()
        if len(self._sent) > REMEMBERED:
            self._sent.popitem(last=False)

    async def cancel(self, order: Order) -> list[VenueReport]:
        """End what still works of it; [] where Alpaca knows no such order."""
        row = await self._row(order)
        if row is None:
            return []
        if row.status not in reports.ENDED:
            path = f"/v2/orders/{row.id}"
            deadline = time.monotonic() + PREPARED_S
            try:
                await self._rest.effect("DELETE", path, Priority.EXIT, deadline=deadline)
            except VenueRefused as err:
                if err.code not in (NOT_FOUND, UNPROCESSABLE):  # it has ended in between
                    raise
        return await self._settled(order)

    # --- what became of them -----------------------------------------------------------------------------------

    async def resolve(self, order: Order) -> list[VenueReport] | None:
        """Ask by our own id, then for its executions; absence counts once it can no longer come to be."""
        asked = time.monotonic()
        first_heard = self._sent.setdefault(order.intent_id, asked)
        try:
            row = await self._row(order)
            if row is None:
                return [] if asked - first_heard >= ABSENT_S else None
            if row.status not in reports.ENDED:
                return None
            told = exact(row.filled_qty, "filled quantity")
            since = activities.at_of(row, order.ts_event)
            found = await activities.executions(self._rest, row, since) if told else []
            return reports.reports_of(order, row, found)
        except (VenueError, Absurd):
            return None

    async def _row(self, order: Order) -> OrderRow | None:
        """The order as Alpaca knows it; None when it does not. Raises VenueError."""
        params = {"client_order_id": order.intent_id}
        path = "/v2/orders:by_client_order_id"
        try:
            row = await self._rest.get(path, codec.order, params, priority=Priority.EXIT)
        except VenueRefused as err:
            if err.code == NOT_FOUND:
                return None
            raise
        if row.client_order_id != order.intent_id or parts_of(row.symbol) != parts_of(order.symbol):
            raise VenueUnavailable(f"Alpaca answered about order {row.client_order_id[:40]!r}")
        return row

    # --- the account -------------------------------------------------------------------------------------------

    async def balance(self) -> tuple[Decimal, str]:
        return await self._cash()

    async def _cash(self) -> tuple[Decimal, str]:
        account = await self._rest.get("/v2/account", codec.account)
        try:
            return signed(account.cash, "cash"), account.currency or self._currency
        except Absurd as err:
            raise VenueUnavailable(f"Alpaca's account cannot be read: {err}") from err

    async def balances(self) -> dict[str, Decimal]:
        cash, currency = await self._cash()
        held = {currency: cash}
        for row in await self._rest.get("/v2/positions", codec.holdings):
            # A position in BTC/USD is called BTCUSD: only its asset tells where the name of the held part ends.
            base, _ = parts_of((await self._assets.of(row.asset_id)).symbol)
            try:
                held[base] = held.get(base, ZERO) + signed(row.qty, base)
            except Absurd as err:
                raise VenueUnavailable(f"Alpaca's positions cannot be read: {err}") from err
        return {asset: total for asset, total in held.items() if total}

    async def open_positions(self) -> list[VenuePosition]:
        return []

    async def watch(self, venue_position_id: str) -> list[VenueReport]:
        return []

    # --- the private stream ------------------------------------------------------------------------------------

    async def listen(self, sink: PrivateSink) -> None:
        """Follow what becomes of our orders, and of the cash, until cancelled; VenueRefused for a key not accepted."""
        await self._listener.run(sink)

    async def _look(self, sink: PrivateSink) -> None:
        for asset, amount, identity in await self._moves.new(self._currency):
            await sink.transfer(asset, amount, time.time_ns(), identity)

    async def _ring(self, rung: Callable[[], None]) -> None:
        """One life of the trading stream; raises when it breaks."""
        async with opened(self._stream_url) as socket:
            key, secret = self._credentials.key, self._credentials.secret
            await socket.send({"action": "auth", "key": key, "secret": secret})
            await self._expect(socket, "authorization")
            await socket.send({"action": "listen", "data": {"streams": ["trade_updates"]}})
            await self._expect(socket, "listening")
            while True:
                try:
                    payload = await socket.next(QUIET_S)
                except VenueUnavailable:
                    await socket.is_answering()
                    continue
                # What an event says is looked up: executions have one identity only, that of the activities.
                codec.private.decode(payload)
                self._rung.set()
                rung()

    async def _expect(self, socket: Socket, stream: str) -> None:
        answer = codec.private.decode(await socket.next(ANSWER_S))
        if answer.stream != stream:
            raise VenueUnavailable(f"Alpaca's trading stream said {line(answer.stream)} in place of {stream}")
        status = answer.data.get("status") if isinstance(answer.data, dict) else None
        if stream == "authorization" and status != "authorized":
            raise VenueUnavailable("Alpaca's trading stream does not accept the key")

    def budgets(self) -> tuple[Budget, ...]:
        return (self._rest.budget,)

    async def aclose(self) -> None:
        await self._rest.aclose()
