"""What Deriv says of itself, its limits, and what it offers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from deriv_desk import GOOD, Desk

from libs.venues.base import MarketData, VenueRefused
from libs.venues.registry import make_market_data, make_trading


def site(message: str = "", status: str = "up", minutely: int = 200) -> dict[str, Any]:
    limits = {
        "max_requestes_general": {"applies_to": "rest of calls", "minutely": minutely, "hourly": 9000},
        "max_requests_pricing": {"applies_to": "proposal", "minutely": 50, "hourly": 3000},
        "max_requests_outcome": {"applies_to": "portfolio", "minutely": 25, "hourly": 1000},
        "max_proposal_subscription": {"applies_to": "subscribing to proposal concurrently", "max": 5},
    }
    told = {"site_status": status, "message": message, "api_call_limits": limits}
    return {"msg_type": "website_status", "website_status": told, "subscription": {"id": "w" * 32}}


@pytest.fixture
async def adapter(fake_deriv: Any) -> AsyncIterator[MarketData]:
    made = make_market_data("deriv", endpoints={"ws": f"ws://127.0.0.1:{fake_deriv.port}/websockets/v3"})
    yield made
    await made.aclose()


def url_of(venue: Any) -> dict[str, str]:
    return {"ws": f"ws://127.0.0.1:{venue.port}/websockets/v3"}


async def test_the_venue_s_own_limits_are_kept(fake_deriv: Any, adapter: MarketData, eventually: Any) -> None:
    fake_deriv.answers["website_status"] = lambda request: site()
    await adapter.server_time()
    by_name = {budget.name: budget for budget in adapter.budgets()}
    await eventually(lambda: by_name["deriv general calls a minute"].limit == 200, "the limit to be taken over")
    assert by_name["deriv pricing calls a minute"].limit == 50
    assert by_name["deriv outcome calls an hour"].limit == 1000


async def test_limits_that_cannot_be_are_not_believed(fake_deriv: Any, adapter: MarketData, eventually: Any) -> None:
    fake_deriv.answers["website_status"] = lambda request: site(minutely=0)
    await adapter.server_time()
    by_name = {budget.name: budget for budget in adapter.budgets()}
    await eventually(lambda: by_name["deriv pricing calls a minute"].limit == 50, "the answer to be read")
    assert by_name["deriv general calls a minute"].limit == 220


async def test_a_migrated_account_is_told_once_and_trading_goes_on(
    fake_deriv: Any, eventually: Any, caplog: pytest.LogCaptureFixture
) -> None:
    Desk(fake_deriv)
    fake_deriv.answers["website_status"] = lambda request: site("migrated")
    trading = make_trading("deriv", endpoints=url_of(fake_deriv), credentials=GOOD)

    def warnings() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.name == "libs.venues.deriv"]

    with caplog.at_level(logging.WARNING, "libs.venues.deriv"):
        assert await trading.balance() == (Decimal("9285.5"), "USD")
        await eventually(warnings, "a warning")
        await fake_deriv.drop()
        with suppress(Exception):
            await trading.balance()
        await trading.balance()
    await trading.aclose()
    (line,) = warnings()
    assert "api: options" in line
    assert "DERIV_APP_ID" in line
    assert "\n" not in line


async def test_the_feed_says_that_the_venue_moved_or_is_down(
    fake_deriv: Any, adapter: MarketData, sink: Any, eventually: Any
) -> None:
    fake_deriv.answers["website_status"] = lambda request: site("migrated", "updating")
    streaming = asyncio.create_task(adapter.stream(["R_100"], sink))
    await eventually(lambda: "maintenance" in sink.events(), "the maintenance to be told")
    await eventually(lambda: sink.trades, "prices all the same")
    await fake_deriv.drop()
    await eventually(lambda: sink.events().count("maintenance") == 2, "the state after the reconnect")
    streaming.cancel()
    with suppress(asyncio.CancelledError):
        await streaming
    assert sink.events().count("migrated") == 1


@pytest.mark.parametrize("api", ["v3", "options"])
async def test_offers_are_what_the_venue_confirms(fake_deriv: Any, api: str) -> None:
    Desk(fake_deriv)
    path = "websockets/v3" if api == "v3" else "trading/v1/options/ws"
    market: Any = make_market_data("deriv", api=api, endpoints={"ws": f"ws://127.0.0.1:{fake_deriv.port}/{path}"})
    steps: list[tuple[int, int]] = []
    found = {row.symbol: row for row in await market.offers(None, lambda done, all_: steps.append((done, all_)))}
    await market.aclose()
    assert steps == [(1, 3), (2, 3), (3, 3)]
    volatility, forex = found["R_100"], found["frxEURUSD"]
    assert (volatility.name, volatility.group, volatility.verified) == ("Volatility 100 Index", "random_index", True)
    assert (volatility.multipliers, volatility.min_size) == ((40, 100, 200), Decimal("1.00"))
    assert volatility.max_size == Decimal("2000.00")
    assert (volatility.price, volatility.fee_rate) == (Decimal("100.25"), Decimal("0.14") / (100 * 40))
    assert volatility.stop_out is not None
    assert abs(volatility.stop_out - (1 - Decimal("97.78") / Decimal("100.25"))) < Decimal("1e-12")
    assert {"MULTUP", "MULTDOWN", "CALL", "PUT"} == set(volatility.products)
    assert (forex.verified, forex.multipliers, forex.fee_rate, forex.is_open) == (True, (), None, False)
    assert "no multiplier" in forex.note


async def test_offers_of_symbols_that_the_venue_refuses_say_why(fake_deriv: Any, adapter: Any) -> None:
    error = {"code": "OfferingsInvalidSymbol", "message": "Not here."}
    fake_deriv.answers["contracts_for"] = lambda request: {"msg_type": "contracts_for", "error": error}
    (row,) = await adapter.offers(["R_100"])
    assert (row.verified, row.products) == (False, ())
    assert "Not here" in row.note
    with pytest.raises(VenueRefused, match="NOPE"):
        await adapter.offers(["NOPE"])
