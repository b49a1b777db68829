"""Which model of an agent speaks for a series, which ones are measured against it, and which one it replaced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

import msgspec
import structlog

from libs.common.bus import Bus
from libs.core.types import Nanos, interval_seconds, interval_token

log = structlog.get_logger(__name__)

BUCKET: Final = "models"
PREFIX: Final = "role."
TRIES: Final = 20


class RoleProblem(Exception):
    """Roles cannot be changed as asked; the text is one line for people."""


class RoleKey(NamedTuple):
    """An agent on a series."""

    agent: str
    venue: str
    symbol: str
    interval_s: int

    def __str__(self) -> str:
        return f"{self.agent} {self.venue} {self.symbol} {interval_token(self.interval_s)}"

    @property
    def key(self) -> str:
        """Where its roles lie in the bucket."""
        parts = (self.agent, interval_token(self.interval_s), self.venue, self.symbol)
        return PREFIX + ".".join(map(_safe, parts))

    @classmethod
    def parse(cls, key: str) -> RoleKey | None:
        """The inverse of `key`; None for a key of something else."""
        parts = key.removeprefix(PREFIX).split(".") if key.startswith(PREFIX) else []
        if len(parts) != 4:
            return None
        agent, interval, venue, symbol = (unquote(part.replace("=", "%")) for part in parts)
        try:
            return cls(agent, venue, symbol, interval_seconds(interval))
        except ValueError:
            return None


def _safe(text: str) -> str:
    """A key takes letters, digits, - _ / and =; so an escape begins with = instead of %."""
    return quote(text, safe="").replace(".", "%2E").replace("~", "%7E").replace("%", "=")


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A model in a role. `since`: machine time, ns UTC; `actor`: who gave it the role (a person, train, referee)."""

    sha256: str
    model_id: str
    since: Nanos
    reason: str = ""
    actor: str = ""


class AgentRoles(msgspec.Struct, frozen=True, kw_only=True):
    """The models of one agent on one series; `previous` is what a rollback returns to."""

    champion: Held | None = None
    challengers: tuple[Held, ...] = ()
    previous: Held | None = None


Change = Callable[[AgentRoles], AgentRoles]


def appointed(roles: AgentRoles, new: Held, most: int = 2) -> AgentRoles:
    """A new model becomes champion where there is none, else the newest of `most` challengers; one that is there stays.

    The oldest challenger leaves for it: each costs a forecast on every bar.
    """
    known = {h.sha256 for h in (roles.champion, *roles.challengers) if h is not None}
    if new.sha256 in known:
        return roles
    if roles.champion is None:
        return msgspec.structs.replace(roles, champion=new)
    return msgspec.structs.replace(roles, challengers=(*roles.challengers, new)[-most:])


def promoted(roles: AgentRoles, new: Held) -> AgentRoles:
    """It becomes champion; the champion becomes the previous one."""
    if roles.champion is not None and roles.champion.sha256 == new.sha256:
        return roles
    rest = tuple(h for h in roles.challengers if h.sha256 != new.sha256)
    return AgentRoles(champion=new, challengers=rest, previous=roles.champion)


def rolled_back(roles: AgentRoles, since: Nanos, reason: str, actor: str) -> AgentRoles:
    """The previous champion speaks again; the one that spoke is the previous one now.

    Raises:
        RoleProblem: there is no previous one.
    """
    if roles.previous is None:
        raise RoleProblem("there is no previous model to return to")
    back = msgspec.structs.replace(roles.previous, since=since, reason=reason, actor=actor)
    rest = tuple(h for h in roles.challengers if h.sha256 != back.sha256)
    return AgentRoles(champion=back, challengers=rest, previous=roles.champion)


def retired(roles: AgentRoles, model_id: str) -> AgentRoles:
    """Neither champion nor challenger any more; a champion stays known as the previous one."""
    rest = tuple(h for h in roles.challengers if h.model_id != model_id)
    champion, previous = roles.champion, roles.previous
    if champion is not None and champion.model_id == model_id:
        champion, previous = None, champion
    return AgentRoles(champion=champion, challengers=rest, previous=previous)


class Roles:
    """The roles of a house, in the bucket `models`; two who change the same ones at once both take effect."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def get(self, key: RoleKey) -> AgentRoles:
        """Those of one agent on one series; empty when nobody has one."""
        return _decoded(await self._bus.kv_get(BUCKET, key.key))

    async def all(self) -> dict[RoleKey, AgentRoles]:
        """All of them, but for those that cannot be read: they stand in nobody else's way."""
        found = {}
        for name in await self._bus.kv_keys(BUCKET):
            key = RoleKey.parse(name)
            if key is None:
                continue
            try:
                found[key] = await self.get(key)
            except RoleProblem as err:
                log.error("roles left out", series=str(key), reason=str(err))
        return found

    async def revision(self) -> int:
        """Grows with every change of anybody's role."""
        return await self._bus.kv_revision(BUCKET)

    async def change(self, key: RoleKey, change: Change) -> AgentRoles:
        """Apply a change to the newest roles, again when somebody else was quicker; the roles in force.

        Raises:
            RoleProblem: `change` refuses, or others change without end.
        """
        for _ in range(TRIES):
            entry = await self._bus.kv_entry(BUCKET, key.key)
            before = _decoded(entry[0] if entry else None)
            after = change(before)
            if after == before:
                return before
            revision = entry[1] if entry else 0
            if await self._bus.kv_update(BUCKET, key.key, msgspec.json.encode(after), revision) is not None:
                return after
        raise RoleProblem(f"{key}: its roles change too often; try again")


def _decoded(data: bytes | None) -> AgentRoles:
    if not data:
        return AgentRoles()
    try:
        return msgspec.json.decode(data, type=AgentRoles)
    except msgspec.MsgspecError as err:
        raise RoleProblem(f"roles in the bucket {BUCKET} cannot be read: {err}") from None
