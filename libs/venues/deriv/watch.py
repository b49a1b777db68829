"""Following open contracts: one subscription each, the newest state at hand without asking again."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from libs.venues.base import VenueError, VenueRefused
from libs.venues.deriv.client import Connection, DerivClient
from libs.venues.deriv.codec import CodecError
from libs.venues.deriv.model import Contract

ENTRY_S: Final = 6.0
"""How long the entry spot is waited for: three ticks of the slower indices."""

FRESH_S: Final = 15.0
"""A followed contract changes with each tick; one silent for longer is asked for."""


class ContractWatch:
    """What the venue last said about each followed contract."""

    def __init__(self, client: DerivClient) -> None:
        self._client = client
        self._latest: dict[int, tuple[float, Contract]] = {}
        self._followed: dict[int, Connection] = {}
        self._changed = asyncio.Condition()
        self._notices: set[asyncio.Task[None]] = set()

    async def ask(self, contract_id: int) -> Contract | None:
        """The contract as it is now; None when the venue does not show it. Raises VenueError."""
        contract = await self._client.call(self._client.codec.contract(contract_id, follow=False))
        self._keep(contract)
        return contract

    async def latest(self, contract_id: int) -> Contract | None:
        """The newest state: from the subscription, which is opened when there is none yet. Raises VenueError."""
        connection = await self._client.connection()
        if self._followed.get(contract_id) is not connection:
            await self._follow(connection, contract_id)
        known = self._latest.get(contract_id)
        if known is None or (not known[1].is_sold and known[0] < self._now() - FRESH_S):
            return await self.ask(contract_id)
        return known[1]

    async def until_entered(self, contract_id: int) -> Contract | None:
        """The contract once its entry spot is known; what is known of it, or None, when that takes too long."""
        try:
            async with asyncio.timeout(ENTRY_S):
                contract = await self.latest(contract_id)
                async with self._changed:
                    while contract is None or contract.entry_spot is None:
                        await self._changed.wait()
                        contract = self._latest[contract_id][1] if contract_id in self._latest else None
                return contract
        except (TimeoutError, VenueError):
            known = self._latest.get(contract_id)
            return known[1] if known is not None else None

    async def _follow(self, connection: Connection, contract_id: int) -> None:
        request = self._client.codec.contract(contract_id, follow=True)
        try:
            self._keep(await connection.call(request, on_push=partial(self._updated, contract_id)))
        except VenueRefused as err:
            if err.code != "AlreadySubscribed":
                raise
        self._followed[contract_id] = connection

    def _updated(self, contract_id: int, frame: bytes) -> None:
        try:
            contract = self._client.codec.contract(contract_id, follow=True).read(frame)
        except CodecError:
            self._followed.pop(contract_id, None)
            return
        self._keep(contract)
        notice = asyncio.get_running_loop().create_task(self._notify())
        self._notices.add(notice)
        notice.add_done_callback(self._notices.discard)

    def _keep(self, contract: Contract | None) -> None:
        if contract is not None:
            self._latest[contract.contract_id] = (self._now(), contract)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
