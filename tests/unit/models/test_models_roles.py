"""Roles: one champion, challengers in line, a way back; changes of two at once both take effect."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.bus import MemoryBus
from libs.common.models import AgentRoles, Held, RoleKey, RoleProblem, Roles
from libs.common.models.roles import BUCKET, appointed, promoted, retired, rolled_back

names = st.text(min_size=1, max_size=12)


def held(name: str) -> Held:
    return Held(sha256=name * 8, model_id=f"boosting.test:{name}", since=1, actor="test")


@given(names, names, names, st.sampled_from((1, 5, 60, 3600, 86_400)))
def test_a_key_comes_back_whatever_the_names(agent: str, venue: str, symbol: str, interval_s: int) -> None:
    key = RoleKey(agent, venue, symbol, interval_s)
    assert RoleKey.parse(key.key) == key
    assert all(c.isascii() and (c.isalnum() or c in "-_=./") for c in key.key)


def test_keys_of_others_are_none_of_ours() -> None:
    assert RoleKey.parse("something") is None
    assert RoleKey.parse("role.a.b") is None
    assert RoleKey.parse("role.boosting.fortnight.binance.BTCUSDT") is None


moves = st.lists(st.tuples(st.sampled_from(("appoint", "promote", "rollback", "retire")), st.sampled_from("abcde")))


@given(moves)
def test_no_move_ever_loses_the_champion_or_gives_one_model_two_roles(moves: list[tuple[str, str]]) -> None:
    roles = AgentRoles()
    for what, name in moves:
        before = roles
        if what == "appoint":
            roles = appointed(roles, held(name))
            assert held(name) in (roles.champion, *roles.challengers)
        elif what == "promote":
            roles = promoted(roles, held(name))
            assert roles.champion == held(name)
            if before.champion not in (None, held(name)):
                assert roles.previous == before.champion
        elif what == "retire":
            roles = retired(roles, f"boosting.test:{name}")
            assert held(name) not in (roles.champion, *roles.challengers)
        elif roles.previous is not None:
            roles = rolled_back(roles, 1, "", "test")
            assert roles.champion is not None
            assert roles.champion.sha256 == before.previous.sha256  # type: ignore[union-attr]
            assert roles.previous == before.champion
        served = [h.sha256 for h in (roles.champion, *roles.challengers) if h is not None]
        assert len(set(served)) == len(served)
        assert len(roles.challengers) <= 2
        if before.champion is not None and what != "retire":
            assert roles.champion is not None


def test_there_is_no_way_back_to_nothing() -> None:
    with pytest.raises(RoleProblem, match="no previous model"):
        rolled_back(AgentRoles(champion=held("a")), 1, "", "test")


async def test_who_change_the_same_roles_at_once_both_take_effect() -> None:
    bus = MemoryBus()
    roles, key = Roles(bus), RoleKey("boosting", "binance", "BTC/USDT", 1)
    names = [chr(ord("a") + i) for i in range(8)]
    await asyncio.gather(*(roles.change(key, lambda r, n=name: appointed(r, held(n), 20)) for name in names))
    found = await roles.get(key)
    assert found.champion is not None
    assert {h.sha256[0] for h in (found.champion, *found.challengers)} == set(names)
    assert list(await roles.all()) == [key]
    revision = await roles.revision()
    await roles.change(key, lambda r: r)
    assert await roles.revision() == revision


async def test_roles_that_cannot_be_read_are_never_taken_for_none_and_stand_in_nobody_elses_way() -> None:
    bus = MemoryBus()
    roles, key = Roles(bus), RoleKey("boosting", "binance", "BTCUSDT", 1)
    await bus.kv_put(BUCKET, key.key, b"{not json")
    with pytest.raises(RoleProblem, match="cannot be read"):
        await roles.get(key)
    with pytest.raises(RoleProblem, match="cannot be read"):
        await roles.change(key, lambda before: appointed(before, held("a")))
    other = key._replace(symbol="ETHUSDT")
    await roles.change(other, lambda before: appointed(before, held("a")))
    assert list(await roles.all()) == [other]
