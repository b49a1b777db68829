"""The live accounts of an executor: each with its orders, its private stream and its comparison with the venue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec
import structlog

from libs.common.bus import Bus
from libs.core.stages.execute_state import ExecuteState
from libs.core.types import Control, ControlKind, Nanos, Order
from libs.venues.base import Trading
from services.execute.handlers import Handlers
from services.execute.live import LiveDesk, Spawn
from services.execute.private import PrivateDesk
from services.execute.reconcile import Reconciler

log = structlog.get_logger("execute")

IN_FORCE_S = 5.0


class LiveAccounts:
    """Wires what each live account needs.

    Args:
        tradings, venues: order adapter and name of the venue by account. state: the stage's state.
        handlers: feed the stage. now: data clock by venue, ns UTC. again_s: see `Reconciler`.
    """

    def __init__(
        self,
        tradings: Mapping[str, Trading],
        venues: Mapping[str, str],
        state: Callable[[], ExecuteState],
        handlers: Handlers,
        bus: Bus,
        spawn: Spawn,
        now: Callable[[str], Nanos],
        *,
        again_s: float,
    ) -> None:
        self._tradings, self._state, self._bus, self._spawn = tradings, state, bus, spawn
        self._venues, self._asked = dict(venues), dict[str, asyncio.Event]()
        self.desk = LiveDesk(tradings, state, handlers.on_report, spawn, handlers.hand_over)
        self._private = {
            account: PrivateDesk(self._venues[account], account, handlers.on_inline, self._resume)
            for account in tradings
        }
        self._compared = {
            account: Reconciler(
                account,
                trading,
                state,
                handlers.on_inline,
                self._command,
                partial(now, self._venues[account]),
                again_s=again_s,
            )
            for account, trading in tradings.items()
        }

    async def start(self, orders: list[Order], every_s: float) -> None:
        """Take up what the last run did not finish; listen, watch and compare every `every_s` seconds from now on."""
        await self.desk.take_up(orders)
        for account, trading in self._tradings.items():
            self._spawn(self._private[account].follow(trading), f"private-{account}")
            self._spawn(self._compared[account].run(every_s), f"reconcile-{account}")
        self._spawn(self.desk.watch(), "watch")

    def on_command(self, control: Control) -> None:
        """A command is in force: orders may have to be taken back, an account may have been re-armed."""
        self.desk.on_command(control)
        if (asked := self._asked.get(control.id)) is not None:
            asked.set()
        if control.kind is ControlKind.REARM:
            for account, reconciler in self._compared.items():
                if control.scope in ("*", account):
                    reconciler.rearmed = f"{control.reason} ({control.actor})"
                    reconciler.wake()

    def is_taken_up(self, account: str) -> bool:
        """Whether the account has been compared with its venue once in its life."""
        book = self._state().books.get(account)
        return book is not None and book.beside is not None

    async def compare(self) -> None:
        """Compare every account now."""
        await asyncio.gather(*(reconciler.look() for reconciler in self._compared.values()))

    def states(self) -> dict[str, dict[str, Any]]:
        """By account: how its private stream and its last comparison stand; no amounts."""
        return {
            account: {
                "venue": self._venues[account],
                "private_stream": self._private[account].state,
                "ledger": reconciler.last.state,
                "compared_at": reconciler.last.at,
            }
            for account, reconciler in self._compared.items()
        }

    def accounts(self) -> dict[str, dict[str, Any]]:
        """By account: the last comparison with what was expected and held, and the differences reported."""
        return {
            account: {
                **self.states()[account],
                "detail": reconciler.last.detail,
                "expected": reconciler.last.expected,
                "held": reconciler.last.held,
                "difference": msgspec.to_builtins(self._state().differences.get(account)),
            }
            for account, reconciler in self._compared.items()
        }

    def budgets(self) -> dict[str, list[dict[str, Any]]]:
        """The rate limits that each account spends from."""
        return {
            account: [msgspec.to_builtins(budget.state()) for budget in trading.budgets()]
            for account, trading in self._tradings.items()
        }

    async def _resume(self, account: str) -> None:
        await self.desk.resume(account)
        self._compared[account].wake()

    async def _command(self, control: Control) -> None:
        """Publish a command; returns once it is in force here, or after IN_FORCE_S."""
        in_force = self._asked[control.id] = asyncio.Event()
        try:
            await self._bus.publish_durable(control)
            async with asyncio.timeout(IN_FORCE_S):
                await in_force.wait()
        except TimeoutError:
            log.warning("a command is not in force yet", kind=control.kind.value, scope=control.scope)
        finally:
            del self._asked[control.id]
