"""Binance's limits: read from the venue, corrected by its answers, blocked at its word; and what each answer proves."""

from __future__ import annotations

import pytest

from libs.venues.base import VenueRefused, VenueUnavailable, VenueUnresolved
from libs.venues.binance.limits import PATIENCE_S, Limits, RateLimit
from libs.venues.binance.outcome import outcome
from libs.venues.budget import Priority


def used(limits: Limits) -> dict[str, tuple[int, int]]:
    return {b.name.removeprefix("binance "): (b.state().used, b.limit) for b in limits.budgets()}


async def test_limits_are_learned_and_what_others_used_counts() -> None:
    limits = Limits(places_orders=True)
    limits.learn(
        [
            RateLimit("REQUEST_WEIGHT", "MINUTE", 1, 1200),
            RateLimit("ORDERS", "SECOND", 10, 100),
            RateLimit("ORDERS", "DAY", 1, 200_000),
            RateLimit("ORDERS", "FORTNIGHT", 1, 5),
            RateLimit("SOMETHING_NEW", "MINUTE", 1, 5),
            RateLimit("REQUEST_WEIGHT", "MINUTE", 1, -4),
        ]
    )
    await limits.take(Priority.ENTRY, 5, order=True)
    limits.observe([RateLimit("REQUEST_WEIGHT", "MINUTE", 1, 1200, 300), RateLimit("ORDERS", "SECOND", 10, 100, 7)])
    limits.observe_headers({"x-mbx-used-weight-1m": "350", "X-MBX-ORDER-COUNT-1D": "44", "X-MBX-USED-WEIGHT": "nan"})
    assert used(limits) == {
        "request weight per min": (350, 1200),
        "raw requests per 5 min": (1, 61_000),
        "orders per 10 s": (7, 100),
        "orders per day": (44, 200_000),
        "connections": (0, 300),
    }


async def test_what_does_not_fit_spends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PATIENCE_S, Priority.ENTRY, 0.01)
    limits = Limits(places_orders=True)
    limits.learn([RateLimit("REQUEST_WEIGHT", "MINUTE", 1, 10)])
    await limits.take(Priority.EXIT, 10)
    with pytest.raises(VenueUnavailable, match="request weight"):
        await limits.take(Priority.ENTRY, 5, order=True)
    assert used(limits)["orders per 10 s"][0] == 0


async def test_a_ban_stops_every_call_and_says_for_how_long() -> None:
    limits = Limits()
    assert isinstance(outcome("time", 418, -1003, "banned", 120.0, limits), VenueUnavailable)
    with pytest.raises(VenueUnavailable, match=r"no call for 1\d\d s"):
        await limits.take(Priority.EXIT, 1)


async def test_too_many_orders_stop_orders_alone() -> None:
    limits = Limits(places_orders=True)
    error = outcome("order.place", 429, -1015, "Too many new orders.", 30.0, limits)
    assert isinstance(error, VenueUnavailable)
    await limits.take(Priority.DATA, 20)
    with pytest.raises(VenueUnavailable):
        await limits.take(Priority.EXIT, 1, order=True)


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, -1013, VenueRefused),
        (400, -2010, VenueRefused),
        (401, -2015, VenueRefused),
        (403, None, VenueRefused),
        (429, -1003, VenueUnavailable),
        (418, None, VenueUnavailable),
        (400, -1006, VenueUnresolved),
        (400, -1007, VenueUnresolved),
        (500, -1000, VenueUnresolved),
        (503, -1008, VenueUnresolved),
        (502, None, VenueUnresolved),
        (404, None, VenueUnresolved),
        (200, -1000, VenueUnresolved),
        (0, None, VenueUnresolved),
    ],
)
def test_only_a_refusal_in_the_venue_s_words_proves_that_nothing_happened(
    status: int, code: int | None, expected: type[Exception]
) -> None:
    error = outcome("order.place", status, code, "why\nnot " * 100, 0.0, Limits())
    assert type(error) is expected
    assert "\n" not in str(error)
    assert len(str(error)) < 500
