"""Predict follows the roles: verified first, handed once, asked for again when the store is away."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from models_world import blob

from libs.common.bus import MemoryBus
from libs.common.models import ArtifactStoreError, FolderStore, Held, ModelCache, RoleKey, Roles
from libs.common.models.roles import appointed, promoted, retired
from libs.common.signing import ModelVerifier
from libs.core.agents import Series
from libs.core.agents.artifact import ArtifactRefused, unpack
from libs.core.agents.model import Seen
from libs.core.types import ModelSwap, Role
from services.predict.models import ModelWatcher

KEY = RoleKey("boosting", "binance", "BTCUSDT", 1)


class World:
    """Roles on a bus, a store in a folder, a cache, and what the watcher handed over."""

    def __init__(self, folder: Path) -> None:
        self.var = folder / "var"
        self.roles, self.store = Roles(bus := MemoryBus()), FolderStore(folder / "store")
        self.cache = ModelCache(self.var / "models", ModelVerifier.of(self.var))
        self.swaps: list[ModelSwap] = []
        series = [Series("binance", "BTCUSDT", 1)]
        self.watcher = ModelWatcher(bus, self.store, self.cache, series, self._hand)

    async def _hand(self, swap: ModelSwap) -> None:
        self.swaps.append(swap)

    async def held(self, name: str, *, signed: bool = True) -> Held:
        packed = blob(self.var, name, signed=signed)
        model_id = unpack(packed).manifest.model_id
        return Held(sha256=await self.store.put(packed), model_id=model_id, since=1)

    async def look(self) -> list[tuple[str, Role]]:
        self.swaps.clear()
        await self.watcher.look()
        return [(swap.sha256, swap.role) for swap in self.swaps]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_every_change_of_roles_is_handed_once(world: World) -> None:
    assert await world.look() == []
    one, two = await world.held("one"), await world.held("two")
    await world.roles.change(KEY, lambda r: appointed(appointed(r, one), two))
    assert await world.look() == [(one.sha256, Role.CHAMPION), (two.sha256, Role.CHALLENGER)]
    assert await world.look() == []
    await world.roles.change(KEY, lambda r: promoted(r, two))
    assert await world.look() == [(two.sha256, Role.CHAMPION)]
    three = await world.held("three")
    await world.roles.change(KEY, lambda r: appointed(r, three))
    await world.roles.change(KEY, lambda r: retired(r, three.model_id))
    assert await world.look() == []
    await world.roles.change(KEY, lambda r: appointed(r, three))
    assert await world.look() == [(three.sha256, Role.CHALLENGER)]
    await world.roles.change(KEY, lambda r: retired(retired(r, three.model_id), two.model_id))
    assert sorted(await world.look()) == sorted([(three.sha256, Role.RETIRED), (two.sha256, Role.RETIRED)])


async def test_roles_of_series_that_are_not_traded_here_are_left_alone(world: World) -> None:
    one = await world.held("one")
    await world.roles.change(KEY._replace(symbol="ETHUSDT"), lambda r: appointed(r, one))
    assert await world.look() == []
    assert not (world.var / "models").exists()


async def test_a_model_that_was_handed_over_serves_from_this_machine_alone(world: World) -> None:
    one = await world.held("one")
    await world.roles.change(KEY, lambda r: appointed(r, one))
    await world.look()
    (world.store._folder / f"{one.sha256}.model").unlink()
    for cache in (world.cache, ModelCache(world.var / "models")):
        model = cache.model(one.sha256)
        assert model.manifest.model_id == one.model_id
        seen = Seen(np.zeros((1, 1, 1)), np.zeros((1, 0)), np.zeros((1, 0, 5)), np.zeros(1, dtype=np.int64))
        assert model.say(np.zeros((1, 0)), seen).p.sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ("unsigned", "not signed"),
        ("foreign", "is foreign"),
        ("cut", "is damaged"),
        ("absent", "not in the store"),
        ("agent", "no agent"),
        ("junk", "not a model artifact"),
    ],
)
async def test_what_must_not_be_used_is_refused_in_the_same_words_in_a_replay(
    world: World, tmp_path: Path, spoil: str, words: str
) -> None:
    one = await world.held("one", signed=spoil != "unsigned")
    path = world.store._folder / f"{one.sha256}.model"
    if spoil == "foreign":
        one = msgspec.structs.replace(one, sha256=await world.store.put(blob(tmp_path / "other", "one")))
    elif spoil == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    elif spoil == "absent":
        path.unlink()
    elif spoil == "junk":
        one = msgspec.structs.replace(one, sha256=await world.store.put(b"junk"))
    elif spoil == "agent":
        artifact = unpack(blob(world.var))
        from libs.common.signing import make_signer
        from libs.core.agents.artifact import pack

        other = msgspec.structs.replace(artifact, manifest=msgspec.structs.replace(artifact.manifest, agent="os"))
        one = msgspec.structs.replace(one, sha256=await world.store.put(pack(make_signer(world.var)(other))))
    await world.roles.change(KEY, lambda r: appointed(r, one))
    assert await world.look() == [(one.sha256, Role.CHAMPION)]
    for cache in (world.cache, ModelCache(world.var / "models")):
        with pytest.raises(ArtifactRefused, match=words):
            cache.model(one.sha256)


async def test_a_store_that_is_away_is_asked_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    one = await world.held("one")
    await world.roles.change(KEY, lambda r: appointed(r, one))

    async def away(sha256: str) -> bytes | None:
        raise ArtifactStoreError("the store is away")

    with monkeypatch.context() as patch:
        patch.setattr(world.store, "get", away)
        assert await world.look() == []
        assert await world.look() == []
    assert await world.look() == [(one.sha256, Role.CHAMPION)]


async def test_a_model_half_written_by_a_killed_process_is_fetched_again(world: World) -> None:
    one = await world.held("one")
    (world.var / "models").mkdir(parents=True)
    (world.var / "models" / one.sha256).write_bytes(b"half")
    await world.roles.change(KEY, lambda r: appointed(r, one))
    await world.look()
    assert world.cache.model(one.sha256).manifest.model_id == one.model_id


async def test_a_model_that_was_altered_on_this_machine_is_refused(world: World) -> None:
    one = await world.held("one")
    await world.cache.fetch(world.store, one.sha256)
    path = world.var / "models" / one.sha256
    path.write_bytes(path.read_bytes().replace(b"BTCUSDT", b"ETHUSDT"))
    with pytest.raises(ArtifactRefused, match="damaged"):
        world.cache.model(one.sha256)


def test_nothing_but_a_hash_names_a_model(world: World) -> None:
    for name in ("", "../../etc/passwd", "0" * 63):
        with pytest.raises(ArtifactRefused, match="SHA-256"):
            world.cache.model(name)
