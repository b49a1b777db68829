"""Which models serve: the roles are watched, a model is fetched and verified, and the stage is handed the change."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Final

import structlog

from libs.common.bus import Bus, BusError
from libs.common.models import (
    AgentRoles,
    ArtifactStore,
    ArtifactStoreError,
    Held,
    ModelCache,
    RoleKey,
    RoleProblem,
    Roles,
)
from libs.core.agents import Series
from libs.core.agents.artifact import ArtifactRefused
from libs.core.types import ModelSwap, Role, stable_id

log = structlog.get_logger(__name__)

LOOK_EVERY_S: Final = 1.0
FIRST_S: Final = 5.0
"""A start waits no longer than this for models; what comes later is taken up while it runs."""

Hand = Callable[[ModelSwap], Awaitable[object]]


class ModelWatcher:
    """Hands a ModelSwap for every change of roles on the watched series.

    One that the store cannot give now is asked for again; one that must not be used is handed all the same, and the
    stage refuses it in the words of the cache, in a replay too.
    """

    def __init__(
        self,
        bus: Bus,
        store: ArtifactStore,
        cache: ModelCache,
        series: Collection[Series],
        hand: Hand,
    ) -> None:
        self._roles, self._store, self._cache = Roles(bus), store, cache
        self._series, self._hand = frozenset(series), hand
        self._handed: dict[RoleKey, dict[str, Role]] = {}
        self._revision = -1
        self._problem = ""

    async def first(self) -> None:
        """Hand what there is at a start; never fails and never waits long."""
        try:
            async with asyncio.timeout(FIRST_S):
                await self.look()
        except TimeoutError:
            log.warning("models are late; the first bars go without those that are missing")

    async def run(self) -> None:
        """Look again and again, for the life of the service."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Hand every change since the last look."""
        try:
            revision = await self._roles.revision()
            if revision == self._revision:
                return
            whole = True
            for key, roles in sorted((await self._roles.all()).items()):
                if Series(key.venue, key.symbol, key.interval_s) in self._series:
                    whole &= await self._follow(key, roles)
            self._revision = revision if whole else -1
            self._problem = ""
        except (BusError, RoleProblem) as err:
            if str(err) != self._problem:
                log.warning("roles not read", reason=str(err))
            self._problem = str(err)

    async def _follow(self, key: RoleKey, roles: AgentRoles) -> bool:
        """Bring one agent of one series up to date; False when a model has to be asked for again."""
        handed = self._handed.setdefault(key, {})
        wanted = {held.sha256: (Role.CHALLENGER, held) for held in roles.challengers}
        if roles.champion is not None:
            wanted[roles.champion.sha256] = (Role.CHAMPION, roles.champion)
        for sha256, role in list(handed.items()):
            # A champion that another one replaces goes by that one's coming.
            if sha256 not in wanted and (role is Role.CHALLENGER or roles.champion is None):
                await self._swap(
                    key, Held(sha256=sha256, model_id="", since=0, reason="no role any more"), Role.RETIRED
                )
            if sha256 not in wanted:
                del handed[sha256]
        whole = True
        for sha256, (role, held) in sorted(wanted.items(), key=lambda item: item[1][0] is not Role.CHAMPION):
            if handed.get(sha256) is role:
                continue
            try:
                await self._cache.prepare(self._store, sha256)
            except ArtifactStoreError as err:
                log.warning("model not fetched, asking again", model=held.model_id, reason=str(err))
                whole = False
                continue
            except ArtifactRefused as err:
                log.error("model refused", model=held.model_id, series=str(key), reason=str(err))
            await self._swap(key, held, role)
            handed[sha256] = role
        return whole

    async def _swap(self, key: RoleKey, held: Held, role: Role) -> None:
        await self._hand(
            ModelSwap(
                id=stable_id("model-swap", *key, held.sha256, role, held.since),
                ts_event=held.since,
                agent=key.agent,
                venue=key.venue,
                symbol=key.symbol,
                interval_s=key.interval_s,
                role=role,
                model_id=held.model_id,
                sha256=held.sha256,
                reason=held.reason,
                actor=held.actor,
            )
        )
