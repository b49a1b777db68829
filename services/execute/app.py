"""Execute's wiring: the lease, the ledger, then permits, prices and commands in; orders, fills and accounts out."""

from __future__ import annotations

import asyncio
import contextlib
import time
from decimal import Decimal
from typing import Any

import msgspec
from fastapi import APIRouter

from libs.common import budgets
from libs.common.bus import Subscription
from libs.common.chassis import Chassis, FatalError
from libs.common.keys import PUBLIC_FOLDER, Verifier, keys_folder
from libs.common.stage_runner import StageRunner
from libs.core.stages.execute import ExecuteStage
from libs.core.stages.execute_permits import verifier_of
from libs.core.stages.execute_state import ExecuteConfig, encode_state, market_key
from libs.core.types import SECOND, Mode, Order, OrderState, TimePassed, stable_id
from libs.venues.base import Trading, VenueError, VenueRefused
from services.execute import metrics, state
from services.execute.accounts import LiveAccounts
from services.execute.handlers import Handlers
from services.execute.lease import Lease
from services.execute.settings import execute_config, live_tradings
from services.execute.state import kept_instruments

LEASE_RETRY_S = 0.25
LOGIN_WITHIN_S = 30.0
SETTLE_S = 5.0
GAUGES_EVERY_S = 1.0
OVERLAP_NS = 2 * SECOND
"""Reading starts this much before the ledger was read, so that nothing falls between; the stage drops repeats."""

MARKET = ("md.tick.>", "md.bar.>", "md.health.>", "md.clock.>")


class ExecuteApp:
    """The service as the chassis runs it. `tradings`: order adapters by account, made from the settings when None."""

    def __init__(self, chassis: Chassis, tradings: dict[str, Trading] | None = None) -> None:
        self._chassis, self._bus = chassis, chassis.bus
        self._tradings = tradings if tradings is not None else live_tradings(chassis.settings, chassis.var)
        self._config: ExecuteConfig = execute_config(chassis.settings, {})
        self._leases = [Lease(self._bus, account.id) for account in self._config.accounts]
        self._subscriptions: list[Subscription] = []
        self._waiting = "the lease of its accounts"
        self._runner: StageRunner | None = None
        self._handlers: Handlers | None = None
        self._live: LiveAccounts | None = None
        self._keys = Verifier(keys_folder(chassis.var) / PUBLIC_FOLDER)

    async def start(self) -> None:
        """Begin to take up work; readiness tells how far that is."""
        self._chassis.spawn(self._begin(), "execute-begin")

    def not_ready(self) -> list[str]:
        """What is still being waited for."""
        if self._waiting:
            return [f"waiting for {self._waiting}"]
        assert self._handlers is not None
        silent = sorted({a.venue for a in self._config.accounts if not self._handlers.has_time(a.venue)})
        new = [a.id for a in self._config.accounts if self._live and not self._live.is_taken_up(a.id)]
        return [f"waiting for the clock of {venue}" for venue in silent] or [
            f"waiting for the first comparison of account {account} with its venue" for account in new
        ]

    def _public_keys(self) -> dict[str, str]:
        folder = keys_folder(self._chassis.var) / PUBLIC_FOLDER
        return {key_id: (folder / f"{key_id}.pub").read_text() for key_id in self._keys.key_ids}

    async def _await_keys(self) -> None:
        """The keys belong to the recorded configuration, so that a replay judges permits as this run does."""
        self._waiting = "a public key of the risk service"
        while not self._keys.key_ids:
            await asyncio.sleep(0.2)
            self._keys.reload()

    async def drain(self) -> None:
        """Stop listening, let orders on their way come back, hand the journal and the leases over."""
        for subscription in self._subscriptions:
            await subscription.close()
        if self._handlers is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._handlers.settle(), SETTLE_S)
        if self._live is not None:
            await self._live.desk.settle(SETTLE_S)
        if self._runner is not None:
            await self._runner.close()
        for lease in self._leases:
            await lease.give_back()
        for trading in self._tradings.values():
            await trading.aclose()

    def routes(self) -> APIRouter | None:
        """GET /admin/orders (working), /positions (open), /budgets, /reconciliation; POST the last to compare now."""
        router = APIRouter()

        @router.get("/orders")
        async def orders() -> list[Any]:
            return [msgspec.to_builtins(order) for order in self._working()]

        @router.get("/positions")
        async def positions() -> list[Any]:
            if self._handlers is None:
                return []
            return [
                {"account": book.account, "venue": book.venue, **msgspec.to_builtins(holding)}
                for book in self._handlers.stage.state.books.values()
                for holding in book.holdings.values()
            ]

        @router.get("/reconciliation")
        async def reconciliation() -> dict[str, Any]:
            return self._live.accounts() if self._live else {}

        @router.post("/reconciliation")
        async def compare() -> dict[str, Any]:
            if self._live:
                await self._live.compare()
            return await reconciliation()

        @router.get("/budgets")
        async def limits() -> dict[str, Any]:
            return self._live.budgets() if self._live else {}

        return router

    def info(self) -> dict[str, Any]:
        """Mode, accounts, the keys that are accepted; of live accounts how they compare with the venue."""
        live = {"live": self._live.states(), "budgets": self._live.budgets()} if self._live else {}
        return {"stage": msgspec.to_builtins(self._config), "keys": self._keys.key_ids, **live}

    async def _begin(self) -> None:
        for lease in self._leases:
            await self._take(lease)
        await self._await_keys()
        self._waiting = "the ledger"
        since = time.time_ns() - OVERLAP_NS
        self._config = execute_config(self._chassis.settings, await self._cash(), self._public_keys())
        rebuilt = await state.rebuild(self._bus, self._config)
        stage = ExecuteStage(self._config, verifier_of(self._config.public_keys))
        runner = self._runner = StageRunner(stage, self._bus)
        live = self._config.mode is Mode.LIVE
        handlers = self._handlers = Handlers(
            runner, self._chassis.clocks, self._chassis.spawn, self._send if live else None
        )
        self._chassis.on_pause.append(lambda paused: (runner.pause if paused else runner.resume)())
        snapshot = encode_state(rebuilt.state) if rebuilt.state.books or rebuilt.state.used else None
        if live:
            self._live = LiveAccounts(
                self._tradings,
                {account.id: account.venue for account in self._config.accounts},
                lambda: stage.state,
                handlers,
                self._bus,
                self._chassis.spawn,
                self._chassis.clocks.now,
                again_s=self._chassis.settings.trading.reconcile_again_s,
            )
            handlers.on_command = self._live.on_command
        taken = await runner.start(msgspec.json.encode(self._config), snapshot)
        await taken.durable()
        if rebuilt.state.unsent:
            await self._publish_what_a_crash_kept_back(handlers)
        for received in [*await state.instruments(self._bus), *rebuilt.commands]:
            await handlers.on_order(received)
        await self._remember_instruments(handlers)
        await self._take_up(handlers)
        for received in rebuilt.permits:
            await handlers.on_order(received)
        self._subscriptions += [
            await self._bus.subscribe(["permit.>", "md.instrument.>", *state.COMMANDS], handlers.on_order, since),
            await self._bus.subscribe(MARKET, handlers.on_market, None),
        ]
        venues = sorted({account.venue for account in self._config.accounts})
        self._chassis.spawn(runner.run_timers(self._chassis.clocks, venues), "timers")
        self._chassis.spawn(self._gauges(), "gauges")
        self._waiting = ""
        self._chassis.log.info(
            "ledger taken up",
            events=rebuilt.events,
            mode=self._config.mode.value,
            orders=len(stage.state.working),
            positions=sum(len(book.holdings) for book in stage.state.books.values()),
        )

    async def _take(self, lease: Lease) -> None:
        said = False
        while not await lease.try_take():
            if not said and lease.holder is not None:
                who = f"process {lease.holder.pid} on {lease.holder.host}"
                self._waiting = f"the lease of account {lease.account}, which {who} executes"
                self._chassis.log.warning("waiting for the lease", account=lease.account, holder=who)
                said = True
            await asyncio.sleep(LEASE_RETRY_S)
        self._chassis.spawn(lease.keep(), f"lease-{lease.account}")

    async def _cash(self) -> dict[str, Decimal]:
        """What the live venues hold for each account, waiting a while for one that is starting."""
        cash: dict[str, Decimal] = {}
        deadline = time.monotonic() + LOGIN_WITHIN_S
        for account, trading in self._tradings.items():
            while account not in cash:
                try:
                    cash[account], currency = await trading.balance()
                except VenueRefused as err:
                    raise FatalError(
                        f"account {account}: the venue refused the login: {err}; check its credentials"
                    ) from None
                except VenueError as err:
                    if time.monotonic() > deadline:
                        raise FatalError(f"account {account}: the venue does not answer: {err}") from None
                    self._waiting = f"the venue of account {account}: {err}"
                    await asyncio.sleep(1)
            if currency != (meant := self._currency_of(account)):
                raise FatalError(f"account {account} is in {currency} at the venue; set its currency, not {meant}")
        return cash

    def _currency_of(self, account: str) -> str:
        return next(row.currency for row in self._config.accounts if row.id == account)

    async def _remember_instruments(self, handlers: Handlers) -> None:
        """Of what is open or under way, where the stream no longer tells: nothing is judged without its instrument."""
        state = handlers.stage.state
        open_ = {
            market_key(book.venue, holding.symbol)
            for book in state.books.values()
            for holding in book.holdings.values()
        }
        open_ |= {market_key(working.order.venue, working.order.symbol) for working in state.working.values()}
        unknown = {key for key in open_ if key not in state.markets or state.markets[key].instrument is None}
        if not unknown:
            return
        for instrument in await kept_instruments(self._bus):
            if market_key(instrument.venue, instrument.symbol) in unknown:
                await handlers.on_inline(instrument)

    async def _publish_what_a_crash_kept_back(self, handlers: Handlers) -> None:
        await handlers.on_inline(TimePassed(id=stable_id("time", "restart", self._bus.epoch), ts_event=0, venue=""))

    async def _take_up(self, handlers: Handlers) -> None:
        """Orders that the last run did not finish: paper goes on, live asks the venue first."""
        orders = self._working()
        if self._live is not None:
            await self._live.start(orders, self._chassis.settings.trading.reconcile_every_s)
            return
        for order in orders:
            if order.state is OrderState.PLANNED:
                await handlers.hand_over(order)

    def _send(self, order: Order) -> None:
        assert self._live is not None
        self._live.desk.send(order)

    def _working(self) -> list[Order]:
        if self._handlers is None:
            return []
        return [working.order for working in self._handlers.stage.state.working.values()]

    async def _gauges(self) -> None:
        unresolved = metrics.UnresolvedOrders()
        while True:
            orders = self._working()
            unresolved.show(orders, time.monotonic())
            if self._handlers is not None:
                for book in self._handlers.stage.state.books.values():
                    metrics.OPEN_POSITIONS.labels(book.account).set(len(book.holdings))
            for trading in self._tradings.values():
                budgets.show(trading.name, (budget.state() for budget in trading.budgets()))
            await asyncio.sleep(GAUGES_EVERY_S)
