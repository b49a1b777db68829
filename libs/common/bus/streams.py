"""Streams and buckets as the architecture fixes them: what each keeps, for how long, and how hard."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from nats.errors import Error as NatsError
from nats.js.api import DiscardPolicy, KeyValueConfig, PersistMode, RetentionPolicy, StorageType, StreamConfig
from nats.js.client import JetStreamContext
from nats.js.errors import APIError, BucketNotFoundError, NotFoundError

from libs.common.bus.base import BusError
from libs.core.types.subjects import DURABLE, STREAMS

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
MAX_AGE_S = {"MARKET": DAY_S, "FEATURES": DAY_S, "DECISIONS": 30 * DAY_S, "DLQ": 7 * DAY_S}
MAX_BYTES = {"MARKET": 2 * 1024**3}
DUPLICATE_WINDOW_S = 120.0
_STREAM_EXISTS = 10058


def stream_config(name: str, replicas: int = 1, market_age_s: float = DAY_S) -> StreamConfig:
    """The configuration of one of the house's streams. `replicas`: servers that hold each of the durable ones;
    `market_age_s`: how long raw prices may be kept, if that is less than MARKET keeps anyway."""
    max_age = MAX_AGE_S.get(name, 0)
    return StreamConfig(
        name=name,
        subjects=list(STREAMS[name]),
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_age=min(max_age, market_age_s) if name == "MARKET" else max_age,
        max_bytes=MAX_BYTES.get(name, -1),
        num_replicas=replicas if name in DURABLE else 1,
        duplicate_window=DUPLICATE_WINDOW_S,
        allow_direct=True,
        persist_mode=None if name in DURABLE else PersistMode.ASYNC,
    )


async def ensure_streams(js: JetStreamContext, replicas: int = 1, market_age_s: float | None = None) -> None:
    """Make the streams that are missing, and let those of an older house capture what is new.

    What else exists is left as it is: an operator may have changed its limits. But MARKET keeps nothing for longer than
    `market_age_s`, if given. `replicas`: as `stream_config`.

    Raises:
        BusError: one is missing, or keeps prices for too long, and this user may not change that.
    """
    age_s = DAY_S if market_age_s is None else market_age_s
    for name in STREAMS:
        try:
            config = (await js.stream_info(name)).config
            if missing := [subject for subject in STREAMS[name] if subject not in (config.subjects or ())]:
                await js.update_stream(config.evolve(subjects=[*(config.subjects or ()), *missing]))
            if name == "MARKET" and market_age_s is not None and not 0 < (config.max_age or 0) <= market_age_s:
                await _shorten(js, market_age_s)
        except NotFoundError:
            try:
                await js.add_stream(stream_config(name, replicas, age_s))
            except APIError as err:
                if err.err_code != _STREAM_EXISTS:
                    raise
            except TimeoutError:  # a server does not answer what a user may not ask
                raise BusError(
                    f"stream {name} is not made yet and this user may not make it; "
                    "run `python -m libs.common.prepare` as the operator first"
                ) from None


async def _shorten(js: JetStreamContext, age_s: float) -> None:
    config = (await js.stream_info("MARKET")).config
    window = min(config.duplicate_window or age_s, age_s)
    try:
        await js.update_stream(config.evolve(max_age=age_s, duplicate_window=window))
    except TimeoutError:
        raise BusError(
            f"stream MARKET keeps raw prices for longer than {age_s / HOUR_S:g} h (features.deriv_ticks_hours) and "
            "this user may not shorten it; run `python -m libs.common.prepare` as the operator first"
        ) from None


async def ensure_buckets(js: JetStreamContext, names: Sequence[str], replicas: int = 1) -> None:
    """Make the key-value buckets that are missing. `replicas`: servers that hold each."""
    for name in names:
        try:
            await js.key_value(name)
        except (BucketNotFoundError, NotFoundError):
            try:
                await js.create_key_value(KeyValueConfig(bucket=name, history=1, replicas=replicas))
            except APIError:
                await _wait_for_bucket(js, name)


async def _wait_for_bucket(js: JetStreamContext, name: str) -> None:
    for _ in range(50):
        try:
            await js.key_value(name)
        except NatsError:
            await asyncio.sleep(0.1)
        else:
            return
    await js.key_value(name)
