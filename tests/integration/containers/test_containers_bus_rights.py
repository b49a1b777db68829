"""Who may say and hear what on the bus of a container stack, asked of the server itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from containers_bus import GuardedBus, Voice, from_wheel

from libs.common.bus import BusError, NatsBus
from libs.common.models import BusStore, Held, RoleKey, Roles
from libs.common.models.roles import appointed, retired
from libs.common.provision import OPERATOR, SERVICES
from libs.core.types.subjects import STREAMS

EVERY_SERVICE = frozenset(SERVICES)
EVERYBODY = EVERY_SERVICE | {OPERATOR}
MAY_PUBLISH = {
    "news.headline.rss": {"ingest"},
    "md.tick.deriv.R_100": {"ingest"},
    "md.bar.5s.deriv.R_100": {"ingest"},
    "md.clock.deriv": {"ingest"},
    "feat.5s.deriv.R_100": {"features"},
    "forecast.meta.5s.deriv.R_100": {"predict"},
    "model.trend.5s.deriv.R_100": {"predict"},
    "model.training": {"predict", "train"},
    "news.headline.desk": {"ingest"},
    "news.score.desk": {"predict"},
    "signal.ema_trend.deriv.R_100": {"predict"},
    "signal.smoke.deriv.R_100": {"predict", "risk"},
    "risk.verdict.deriv.R_100": {"risk"},
    "permit.deriv.deriv-paper": {"risk"},
    "order.deriv.deriv-paper": {"execute"},
    "fill.deriv.deriv-paper": {"execute"},
    "position.deriv.deriv-paper": {"execute"},
    "account.deriv.deriv-paper": {"execute"},
    "recon.deriv.deriv-paper": {"execute"},
    "applied.features": {"features"},
    "applied.predict": {"predict"},
    "applied.risk": {"risk"},
    "applied.execute": {"execute"},
    "ctl.halt": {"risk", "execute", OPERATOR},
    "ctl.rearm": {"risk", OPERATOR},
    "ctl.flatten": {"risk", OPERATOR},
    "ctl.pause": EVERYBODY,
    "dlq.md.tick.deriv.R_100": EVERY_SERVICE,
    "req.history.deriv": {"features", "predict", "train", OPERATOR},
    "$KV.models.role.trend.5s.deriv.R_100": {"train", OPERATOR},
    "$O.models.C.part": {"train", OPERATOR},
    "$O.models.M.name": {"train", OPERATOR},
    "$KV.kill.all": {"risk"},
    "$KV.leases.account-deriv-paper": {"execute"},
    "$KV.instruments.deriv": {"ingest"},
    "$KV.snapshots.features": {"features"},
    "$KV.snapshots.features.a.0": {"features"},
    "$KV.snapshots.predict": {"predict"},
    "$KV.snapshots.predict.b.12": {"predict"},
    "$KV.snapshots.risk": {"risk"},
    # What is in a stream stays there, and no reader outlives who made it.
    "$JS.API.STREAM.DELETE.ORDERS": set(),
    "$JS.API.STREAM.PURGE.ORDERS": set(),
    "$JS.API.STREAM.MSG.DELETE.ORDERS": set(),
    "$JS.API.STREAM.CREATE.MORE": {OPERATOR},
    "$JS.API.CONSUMER.DURABLE.CREATE.ORDERS.mine": set(),
    "$JS.API.CONSUMER.DELETE.ORDERS.another": set(),
    "$SYS.REQ.SERVER.PING": set(),
}
MAY_HEAR = {
    "req.history.deriv": {"ingest"},
    "permit.>": set(),
    "order.>": set(),
    "order.deriv.deriv-paper": set(),
    ">": set(),
    "_INBOX.>": set(),
    **{f"_INBOX.{user}.answer": {user} for user in sorted(EVERYBODY)},
}


@pytest.mark.parametrize("user", sorted(EVERYBODY))
async def test_each_user_publishes_what_is_its_own_and_nothing_else(guarded: GuardedBus, user: str) -> None:
    async with Voice.of(guarded, user) as voice:
        found = {subject for subject in MAY_PUBLISH if await voice.may_publish(subject)}
    assert found == {subject for subject, allowed in MAY_PUBLISH.items() if user in allowed}


@pytest.mark.parametrize("user", sorted(EVERYBODY))
async def test_each_user_hears_its_own_answers_and_nothing_else(guarded: GuardedBus, user: str) -> None:
    async with Voice.of(guarded, user) as voice:
        found = {subject for subject in MAY_HEAR if await voice.may_hear(subject)}
    assert found == {subject for subject, allowed in MAY_HEAR.items() if user in allowed}


async def test_a_model_goes_from_train_to_predict_and_predict_changes_neither_models_nor_roles(
    guarded: GuardedBus,
) -> None:
    key = RoleKey("trend", "deriv", "R_75", 5)
    operator = await NatsBus.connect(guarded.url(OPERATOR), "prepare", timeout_s=5)
    train = await NatsBus.connect(guarded.url("train"), "train", timeout_s=5)
    predict = await NatsBus.connect(guarded.url("predict"), "predict", timeout_s=5)
    blob = bytes(range(256)) * 2000
    sha256 = await BusStore(train).put(blob)
    held = Held(sha256=sha256, model_id="trend.test:1", since=1)
    await Roles(train).change(key, lambda roles: appointed(roles, held))
    assert await BusStore(predict).get(sha256) == blob
    assert (await Roles(predict).all())[key].champion == held
    await Roles(operator).change(key, lambda roles: retired(roles, held.model_id))
    assert (await Roles(train).get(key)).previous == held
    for bus in (predict, train, operator):
        await bus.close()


def test_the_table_covers_every_subject_that_a_stream_captures() -> None:
    heads = {subject.split(".", 1)[0] for subject in MAY_PUBLISH}
    assert heads >= {pattern.split(".", 1)[0] for patterns in STREAMS.values() for pattern in patterns}


async def test_a_forged_order_reaches_no_stream_by_way_of_a_reader_either(guarded: GuardedBus) -> None:
    """The server delivers a reader's messages wherever the reader asks, with the server's own rights."""
    forged = "order.deriv.deriv-paper"
    async with Voice.of(guarded, "features") as thief, Voice.of(guarded, OPERATOR) as people:
        before = (await people.nc.jetstream().stream_info("ORDERS")).state.messages
        await thief.nc.jetstream().publish("feat.5s.deriv.R_100", b"looks like an order")
        for subject in (forged, "_INBOX.features.mine"):
            arrived = await thief.nc.subscribe(subject)
            made = await thief.nc.request("$JS.API.CONSUMER.CREATE.FEATURES", _reader(subject), timeout=5)
            assert b'"error"' not in made.data, made.data
        # The honest reader was made last: once it has its message, the other would have had it as well.
        assert (await arrived.next_msg(timeout=5)).data == b"looks like an order"
        assert (await people.nc.jetstream().stream_info("ORDERS")).state.messages == before


def _reader(subject: str) -> bytes:
    config = {"deliver_subject": subject, "deliver_policy": "last", "ack_policy": "none", "replay_policy": "instant"}
    return json.dumps({"stream_name": "FEATURES", "config": config}).encode()


async def test_a_stranger_is_refused_in_one_line(guarded: GuardedBus) -> None:
    with pytest.raises(BusError, match=r"^bus at nats://\S+ refused the login; check the user and password[^\n]*$"):
        await NatsBus.connect(guarded.url("risk").replace("risk:", "execute:"), "risk", timeout_s=1)


async def test_a_service_before_the_preparing_job_says_what_is_missing(tmp_path: Path) -> None:
    with from_wheel(tmp_path, prepare=False) as bus:
        with pytest.raises(BusError, match=r"^stream MARKET is not made yet [^\n]*libs\.common\.prepare"):
            await NatsBus.connect(bus.url("risk"), "risk", timeout_s=1)
        await (await NatsBus.connect(bus.url("operator"), "prepare", timeout_s=5)).close()
        await (await NatsBus.connect(bus.url("risk"), "risk", timeout_s=1)).close()
