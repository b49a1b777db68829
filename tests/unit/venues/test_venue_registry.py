"""Making adapters by name: known ones come up, everything else fails in one line that says what is known."""

from __future__ import annotations

from typing import Any

import pytest

from libs.venues.registry import ENDPOINTS, make_market_data, make_trading


@pytest.mark.parametrize("venue", sorted(ENDPOINTS))
async def test_every_known_venue_has_market_data(venue: str) -> None:
    adapter = make_market_data(venue)
    assert adapter.name == venue
    await adapter.aclose()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: make_market_data("krakn"), "known: binance, deriv"),
        (lambda: make_market_data("deriv", api="options"), "not supported yet; set api: v3"),
        (lambda: make_market_data("deriv", api="v9"), "'v9' is unknown"),
        (lambda: make_market_data("binance", endpoints={"wss": "x"}), "no endpoint wss; it has: rest, ws"),
        (lambda: make_trading("binance"), "mode: paper"),
        (lambda: make_trading("nowhere"), "unknown"),
        (lambda: make_trading("deriv"), "DERIV_TOKEN"),
        (lambda: make_trading("deriv", token="t", product="digits"), "known: multiplier, rise_fall"),
        (lambda: make_trading("deriv", token="t", product="rise_fall", duration=0), "needs a duration"),
    ],
)
def test_a_wrong_name_fails_in_one_line(make: Any, says: str) -> None:
    with pytest.raises(ValueError) as failed:
        make()
    assert says in str(failed.value)
    assert "\n" not in str(failed.value)
