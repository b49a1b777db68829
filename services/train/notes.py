"""What predict says of models, as changes of their roles: a promotion lasts, a retired model stays retired."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
import structlog

from libs.common.bus import Bus, BusError, Received
from libs.common.models import AgentRoles, RoleKey, RoleProblem, Roles
from libs.common.models.roles import promoted, retired
from libs.core.types import ModelNote, Nanos, NoteKind
from services.train import metrics

log = structlog.get_logger(__name__)

ACTOR = "referee"
Ask = Callable[[Iterable[RoleKey], str], int]


class NoteKeeper:
    """Keeps the roles in step with the notes. `ask` puts agents on the list of what is trained; None asks nobody."""

    def __init__(self, bus: Bus, ask: Ask | None, since: Nanos) -> None:
        """`since`: machine time; a wish to train that is older has had its answer, or was lost with its process."""
        self._roles, self._ask, self._since = Roles(bus), ask, since

    async def take(self, received: Received) -> None:
        """Follow one note. A note that was followed before changes nothing."""
        note = received.event
        if not isinstance(note, ModelNote):
            return
        key = RoleKey(note.agent, note.venue, note.symbol, note.interval_s)
        try:
            if note.kind is NoteKind.PROMOTED:
                await self._promote(key, note, received.stream_ns)
            elif note.kind is NoteKind.RETIRED:
                await self._change(key, note, lambda roles: retired(roles, note.model_id))
            elif note.kind is NoteKind.RETRAIN and self._ask is not None and received.stream_ns >= self._since:
                self._ask([key], f"drift: {note.detail}" if note.detail else "drift")
        except (RoleProblem, BusError) as err:
            log.warning("note not followed", note=note.kind.value, series=str(key), reason=str(err))

    async def _promote(self, key: RoleKey, note: ModelNote, since: Nanos) -> None:
        def change(roles: AgentRoles) -> AgentRoles:
            won = next((h for h in roles.challengers if h.model_id == note.model_id), None)
            if won is None:
                return roles
            reason = f"statistic {note.statistic:.3g} over {note.threshold:.3g}"
            return promoted(roles, msgspec.structs.replace(won, since=since, reason=reason, actor=ACTOR))

        await self._change(key, note, change)

    async def _change(self, key: RoleKey, note: ModelNote, change: Callable[[AgentRoles], AgentRoles]) -> None:
        before = await self._roles.get(key)
        if await self._roles.change(key, change) != before:
            metrics.CHAMPIONS.labels(note.kind.value).inc()
            log.info("roles changed", note=note.kind.value, series=str(key), model=note.model_id)
