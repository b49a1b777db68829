"""Trained models reach a running predict by their roles; what they said is rebuilt from journal and cache."""

from __future__ import annotations

from functools import partial

import council_world as w
import msgspec
import pytest
from predict_house import VECTORS, WARM, House, settings, until

from console.stages import make_stage
from libs.common.bus import MemoryBroker
from libs.common.models import BusStore, Held, ModelCache, RoleKey, Roles
from libs.common.models.cache import models_folder
from libs.common.models.roles import AgentRoles, appointed, promoted
from libs.common.settings import Settings
from libs.common.signing import make_signer
from libs.core.agents.artifact import pack, unpack
from libs.core.features import feature_set
from libs.core.types import Forecast, ModelNote, ModelSwap, NoteKind
from libs.research import replay as replay_module
from libs.research.replay import Recording, replay
from libs.research.session import Message
from services.predict import models as models_module
from services.predict.settings import predict_config

KEY = RoleKey("trend", "deriv", "PLANTED", 1)


def with_trend() -> Settings:
    plain = settings()
    return plain.model_copy(
        update={"model": plain.model.model_copy(update={"agents": ("volatility", "direction", "trend")})}
    )


def set_hash(configured: Settings) -> str:
    return feature_set(predict_config(configured).feature_set).hash


async def appoint(house: House, shelf: w.Shelf, swap: ModelSwap, signed: bool = True) -> Held:
    """Put a model on the bus and give it a role."""
    artifact = unpack(shelf.blobs[swap.sha256])
    blob = pack(make_signer(house.var)(artifact)) if signed else pack(artifact)
    sha256 = await BusStore(house.venue).put(blob)
    held = Held(sha256=sha256, model_id=swap.model_id, since=1, reason="trained", actor="test")
    await Roles(house.venue).change(KEY, lambda roles: appointed(roles, held))
    return held


def messages(broker: MemoryBroker) -> list[Message]:
    return [
        Message(subject, epoch, seq, stamp, payload)
        for stream in broker.messages.values()
        for subject, payload, epoch, seq, _, stamp in stream
    ]


async def noted(house: House, kind: NoteKind, count: int = 1) -> ModelNote:
    await until(lambda: sum(note.kind is kind for note in house.events(ModelNote)) >= count)
    return [note for note in house.events(ModelNote) if note.kind is kind][-1]


async def test_a_council_that_changes_while_bars_come_misses_none_and_replays_equal(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models_module, "LOOK_EVERY_S", 0.02)
    shelf, configured = w.Shelf(), with_trend()
    shape = {"symbol": "PLANTED", "interval_s": 1, "set_hash": set_hash(configured)}
    await house.open_market()
    await house.ready(await house.start(configured=configured))
    await house.live(WARM, WARM + 20)
    first = await appoint(house, shelf, shelf.put(0.3, **shape))
    assert (await noted(house, NoteKind.SWAPPED)).model_id == first.model_id
    await house.live(WARM + 20, WARM + 40)
    second = await appoint(house, shelf, shelf.put(0.2, **shape))
    await noted(house, NoteKind.SWAPPED, 2)
    await house.live(WARM + 40, WARM + 60)
    await Roles(house.venue).change(KEY, lambda roles: promoted(roles, second))
    await noted(house, NoteKind.SWAPPED, 3)
    await house.live(WARM + 60, WARM + 80)
    stranger = await appoint(house, shelf, shelf.put(0.1, **shape), signed=False)
    refused = await noted(house, NoteKind.REFUSED)
    assert (refused.model_id, "is not signed" in refused.detail) == (stranger.model_id, True)
    await house.live(WARM + 80, WARM + 100)
    for predict, _ in house.running:
        await predict.drain()

    heard = [f for f in house.events(Forecast) if f.agent == "trend"]
    spoke = [f.model_id for f in heard if not f.shadow]
    assert [f.bar_time for f in heard if not f.shadow] == [v.bar_time for v in VECTORS[WARM : WARM + 100]]
    assert spoke == [""] * 20 + [first.model_id] * 40 + [second.model_id] * 40
    assert [f.model_id for f in heard if f.shadow] == [second.model_id] * 20

    monkeypatch.setattr(replay_module, "STAGES", ("predict",))
    cache = ModelCache(models_folder(house.var))
    recording = messages(house.broker)
    report = replay(Recording(recording), partial(make_stage, artifacts=cache))
    outputs = {kind: count for kind, count in report.equal.items() if kind in ("Forecast", "ModelNote")}
    assert outputs == {"Forecast": 100 * 4 + 20, "ModelNote": 4}, report.difference
    assert report.difference is not None
    assert report.difference.at.startswith("feat."), "only what no replayed stage makes is lacking"
    missing = replay(Recording(recording), make_stage).difference
    assert missing is not None
    assert missing.replayed.startswith("ModelNote"), "without its models the first swap is refused"


async def test_a_killed_predict_takes_its_models_up_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models_module, "LOOK_EVERY_S", 0.02)
    shelf, configured = w.Shelf(), with_trend()
    await house.open_market()
    await house.ready(await house.start(configured=configured))
    held = await appoint(house, shelf, shelf.put(symbol="PLANTED", interval_s=1, set_hash=set_hash(configured)))
    await noted(house, NoteKind.SWAPPED)
    await house.live(WARM, WARM + 20)
    await house.kill()
    await house.ready(await house.start(configured=configured))
    await house.live(WARM + 20, WARM + 40)
    later = [
        f.model_id for f in house.events(Forecast) if f.agent == "trend" and f.bar_time >= VECTORS[WARM + 20].bar_time
    ]
    assert set(later) == {held.model_id}
    assert msgspec.json.encode(AgentRoles(champion=held)) == msgspec.json.encode(await Roles(house.venue).get(KEY))
