"""Following open contracts: one subscription each, the newest state at hand without asking again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from libs.venues.budget import Priority
from libs.venues.deriv.answers import CodecError
from libs.venues.deriv.client import DerivClient
from libs.venues.deriv.connection import Connection, PushHandler
from libs.venues.deriv.memory import Recent
from libs.venues.deriv.model import Contract
from libs.venues.errors import VenueError, VenueRefused

ENTRY_S: Final = 6.0
"""How long the entry spot is waited for: three ticks of the slower indices."""

FRESH_S: Final = 15.0
"""A followed contract changes with each tick; one silent for longer is asked for."""

KEPT: Final = 2_000


class ContractWatch:
    """What the venue last said about each followed contract."""

    def __init__(self, client: DerivClient) -> None:
        self._client = client
        self._latest: Recent[int, tuple[float, Contract]] = Recent(KEPT)
        self._followed: dict[int, tuple[Connection, PushHandler]] = {}
        self._waiting: set[asyncio.Future[None]] = set()
        self.on_end: Callable[[Contract], None] | None = None
        """Told each contract that is sold, as often as the venue tells it."""

    async def ask(self, contract_id: int, priority: Priority = Priority.DATA) -> Contract | None:
        """The contract as it is now; None when the venue does not show it. Raises VenueError."""
        request = self._client.codec.contract(contract_id, follow=False)
        contract = await self._client.call(request, priority=priority)
        self._keep(contract)
        return contract

    async def latest(self, contract_id: int, priority: Priority = Priority.DATA) -> Contract | None:
        """The newest state: from the subscription, which is opened when there is none yet. Raises VenueError."""
        known = self.known(contract_id)
        if known is not None and known.is_sold:
            return known
        await self.follow(await self._client.connection(), contract_id, priority)
        told = self._latest.get(contract_id)
        if told is None or (not told[1].is_sold and told[0] < self._now() - FRESH_S):
            return await self.ask(contract_id, priority)
        return told[1]

    def known(self, contract_id: int) -> Contract | None:
        """What was last told of it, however long ago."""
        told = self._latest.get(contract_id)
        return told[1] if told is not None else None

    async def until_entered(self, contract_id: int) -> Contract | None:
        """The contract once its entry spot is known; what is known of it, or None, when that takes too long."""
        try:
            async with asyncio.timeout(ENTRY_S):
                contract = await self.latest(contract_id, Priority.ENTRY)
                while contract is None or contract.entry_spot is None:
                    await self._change()
                    contract = self.known(contract_id)
                return contract
        except (TimeoutError, VenueError):
            return self.known(contract_id)

    async def follow(self, connection: Connection, contract_id: int, priority: Priority = Priority.DATA) -> None:
        """Subscribe to it on `connection` unless that is done already. Raises VenueError."""
        followed = self._followed.get(contract_id)
        if followed is not None and followed[0] is connection:
            return
        on_push = partial(self._updated, contract_id)
        self._followed[contract_id] = (connection, on_push)
        try:
            request = self._client.codec.contract(contract_id, follow=True)
            self._keep(await connection.call(request, priority=priority, on_push=on_push))
        except VenueError as err:
            if not (isinstance(err, VenueRefused) and err.code == "AlreadySubscribed"):
                self._followed.pop(contract_id, None)
                raise

    def _updated(self, contract_id: int, frame: bytes) -> None:
        try:
            contract = self._client.codec.contract(contract_id, follow=True).read(frame)
        except CodecError:
            self._followed.pop(contract_id, None)
            return
        self._keep(contract)

    def _keep(self, contract: Contract | None) -> None:
        if contract is None:
            return
        known = self.known(contract.contract_id)
        if known is not None and known.is_sold and not contract.is_sold:
            return  # updates may overtake each other, and nothing comes back to life
        self._latest[contract.contract_id] = (self._now(), contract)
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        if contract.is_sold:
            followed = self._followed.pop(contract.contract_id, None)
            if followed is not None:
                followed[0].release(followed[1])
            if self.on_end is not None:
                self.on_end(contract)

    async def _change(self) -> None:
        """Wait until something is told about any contract."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        try:
            await waiting
        finally:
            self._waiting.discard(waiting)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
