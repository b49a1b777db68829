"""How long the stream of raw prices keeps them: never longer than a venue's terms allow."""

from __future__ import annotations

from pathlib import Path

import pytest

from libs.common.bus import NatsBus
from libs.common.settings import load_settings

HOUR_S = 3_600.0
EXAMPLE = Path(__file__).resolve().parents[2] / "config.example.yaml"


async def age(server, market_age_s: float | None) -> float:
    """MARKET's limit after a service with this setting has connected."""
    bus = await NatsBus.connect(server.url, "ages", market_age_s=market_age_s)
    info = await bus._js.stream_info("MARKET")
    await bus.close()
    assert info.config.max_age is not None
    return info.config.max_age


@pytest.mark.parametrize(("asked", "kept"), [(None, 24), (24 * HOUR_S, 24), (48 * HOUR_S, 24), (HOUR_S / 2, 0.5)])
async def test_a_new_stream_keeps_a_day_or_less(nats_server, asked: float | None, kept: float) -> None:
    assert await age(nats_server, asked) == kept * HOUR_S


async def test_an_older_stream_is_shortened_and_never_lengthened(nats_server) -> None:
    assert await age(nats_server, None) == 24 * HOUR_S
    assert await age(nats_server, 6 * HOUR_S) == 6 * HOUR_S
    assert await age(nats_server, 24 * HOUR_S) == 6 * HOUR_S
    assert await age(nats_server, None) == 6 * HOUR_S
    assert await age(nats_server, 60.0) == 60.0


def test_the_setting_counts_where_deriv_is_a_venue() -> None:
    settings = load_settings(EXAMPLE)
    assert settings.market_age_s == 24 * HOUR_S
    others = tuple(venue for venue in settings.data.venues if venue.name != "deriv")
    without = settings.model_copy(update={"data": settings.data.model_copy(update={"venues": others})})
    assert without.market_age_s is None
