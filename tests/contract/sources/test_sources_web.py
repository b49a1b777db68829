"""Sources of the web against stubs of their documented shape: what rows and refusals mean, no key in any error."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from sources_stub import DAY, KEY, T0, Stub, rows

from libs.venues.budget import Priority
from libs.venues.errors import VenueError, VenueRefused, VenueUnavailable
from libs.venues.sources.base import Ask, Source
from libs.venues.sources.registry import make_source

MINUTE, HOUR = 60 * 10**9, 3600 * 10**9


def at(text: str) -> int:
    return int(np.datetime64(text, "ns").astype("int64"))


async def ask(stub: Stub, name: str, symbol: str, interval: str, start: int, end: int) -> Any:
    source = make_source(name, key=KEY, urls=stub.urls)
    try:
        return await rows(source, Ask(symbol, interval, start, end))
    finally:
        await source.aclose()


# --- Alpha Vantage ----------------------------------------------------------------------------------------------------


def alpha_series(stamps: list[str], zone: str = "US/Eastern", name: str = "Time Series (5min)") -> dict[str, Any]:
    row = {"1. open": "1.0", "2. high": "2.0", "3. low": "0.5", "4. close": "1.5", "5. volume": "10"}
    meta = {"1. Information": "Intraday", "2. Symbol": "IBM", "6. Time Zone": zone}
    return {"Meta Data": meta, name: dict.fromkeys(stamps, row)}


async def test_alpha_vantage_tells_new_york_time_a_month_at_a_time(stub: Stub) -> None:
    stub.answers["/query"] = lambda q: alpha_series([f"{q['month']}-05 19:55:00", f"{q['month']}-05 09:30:00"])
    found = await ask(stub, "alphavantage", "IBM", "5m", at("2024-07-01"), at("2024-09-01"))
    assert found["open_time"].tolist() == [
        at(t) for t in ("2024-07-05T13:30", "2024-07-05T23:55", "2024-08-05T13:30", "2024-08-05T23:55")
    ]
    assert [q["month"] for _, q, _ in stub.asked[:2]] == ["2024-07", "2024-08"]
    assert stub.asked[0][1]["apikey"] == KEY


async def test_alpha_vantage_daily_bars_are_named_by_their_date(stub: Stub) -> None:
    stub.answers["/query"] = lambda q: alpha_series(["2024-08-05", "2024-08-02"], name="Time Series (Daily)")
    found = await ask(stub, "alphavantage", "IBM", "1d", at("2024-08-05"), at("2024-08-06"))
    assert found["open_time"].tolist() == [at("2024-08-05")]
    assert stub.asked[0][1]["function"] == "TIME_SERIES_DAILY"


async def test_alpha_vantage_pairs_are_forex(stub: Stub) -> None:
    stub.answers["/query"] = lambda q: alpha_series(["2024-08-05 10:00:00"], "UTC", "Time Series FX (60min)")
    found = await ask(stub, "alphavantage", "EUR/USD", "1h", T0, T0 + DAY)
    assert found["open_time"].tolist() == [T0 + 10 * HOUR]
    assert {k: stub.asked[0][1][k] for k in ("function", "from_symbol", "to_symbol")} == {
        "function": "FX_INTRADAY",
        "from_symbol": "EUR",
        "to_symbol": "USD",
    }


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"Error Message": "Invalid API call."}, VenueRefused),
        ({"Information": "Thank you for using Alpha Vantage! This is a premium endpoint."}, VenueRefused),
        ({"Information": f"our standard API rate limit is 25 requests per day for {KEY}"}, VenueUnavailable),
        ({"Note": "Our standard API call frequency is 5 calls per minute"}, VenueUnavailable),
        ({}, VenueUnavailable),
    ],
)
async def test_alpha_vantage_says_no_with_a_yes(stub: Stub, answer: Any, error: type[VenueError]) -> None:
    stub.answers["/query"] = lambda q: answer
    with pytest.raises(error) as failed:
        await ask(stub, "alphavantage", "IBM", "1d", T0, T0 + DAY)
    assert KEY not in str(failed.value)


# --- CoinGecko --------------------------------------------------------------------------------------------------------


async def test_coingecko_bars_are_stamped_at_their_close(stub: Stub) -> None:
    closes = [T0 + HOUR // 2, T0 + HOUR, T0 + HOUR + 7 * MINUTE]  # the last is the one that still runs
    stub.answers["/api/v3/coins/bitcoin/ohlc"] = lambda q: [[c // 10**6, 1.0, 2.0, 0.5, 1.5] for c in closes]
    found = await ask(stub, "coingecko", "bitcoin", "30m", T0, T0 + DAY)
    assert found["open_time"].tolist() == [T0, T0 + HOUR // 2]
    assert stub.asked[0][1] == {"vs_currency": "usd", "days": "1"}
    assert stub.asked[0][2]["x-cg-demo-api-key"] == KEY


async def test_coingecko_prices_come_as_readings_in_windows(stub: Stub) -> None:
    stub.answers["/api/v3/coins/bitcoin/market_chart/range"] = lambda q: {
        "prices": [[s * 1000, s / 1e6] for s in range(int(q["from"]), int(q["to"]), 86_400)],
        "market_caps": [],
        "total_volumes": [],
    }
    found = await ask(stub, "coingecko", "bitcoin/eur", "readings", T0, T0 + 200 * DAY)
    assert (found["ts_event"] - T0).tolist() == [i * DAY for i in range(200)]
    assert stub.asked[0][1]["vs_currency"] == "eur"


async def test_coingecko_without_a_key_sends_none(stub: Stub) -> None:
    stub.answers["/api/v3/coins/bitcoin/ohlc"] = lambda q: []
    source = make_source("coingecko", urls=stub.urls)
    await rows(source, Ask("bitcoin", "4h", T0, T0 + DAY))
    await source.aclose()
    assert "x-cg-demo-api-key" not in {name.lower() for name in stub.asked[0][2]}


async def test_coingecko_ids_cannot_lead_elsewhere(stub: Stub) -> None:
    with pytest.raises(VenueRefused, match="is no coin id"):
        await ask(stub, "coingecko", "../ping", "4h", T0, T0 + DAY)
    assert not stub.asked


# --- FRED -------------------------------------------------------------------------------------------------------------


class Fred:
    """A series whose month `m` is published 40 days later and revised once, 30 days after that."""

    def __init__(self, months: int) -> None:
        first = np.datetime64("2000-01-01", "D")
        self.rows: list[tuple[str, str, str]] = []
        for m in range(months):
            month = (first.astype("M8[M]") + m).astype("M8[D]")
            self.rows += [(str(month + 40), str(month), f"{m}.5"), (str(month + 70), str(month), f"{m}.75")]
        self.rows.append((str(first + 10), "1999-11-01", "."))

    def vintages(self, query: dict[str, str]) -> Any:
        days = sorted({published for published, _, _ in self.rows})
        offset = int(query["offset"])
        return {"count": len(days), "vintage_dates": days[offset : offset + int(query["limit"])]}

    def observations(self, query: dict[str, str]) -> Any:
        since, until = query["realtime_start"], query["realtime_end"]
        told = []
        for published, period, value in self.rows:
            later = [p for p, other, _ in self.rows if other == period and p > published]
            ended = min(later, default="9999-12-31")
            if published <= until and ended > since:
                told.append({"realtime_start": max(published, since), "date": period, "value": value})
        told.sort(key=lambda row: (row["date"], row["realtime_start"]))
        offset, limit = int(query["offset"]), min(int(query["limit"]), 50)
        return {"count": len(told), "observations": told[offset : offset + limit]}


@pytest.fixture
def fred(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> Fred:
    """One that takes few days at once, so that spans of days are joined."""
    from libs.venues.sources import fred as room

    monkeypatch.setattr(room, "VINTAGES", 7)
    made = Fred(30)
    stub.answers["/fred/series/vintagedates"] = made.vintages
    stub.answers["/fred/series/observations"] = made.observations
    return made


async def test_fred_tells_every_revision_at_the_day_it_was_published(stub: Stub, fred: Fred) -> None:
    found = await ask(stub, "fred", "GDP", "readings", at("1990-01-01"), at("2010-01-01"))
    told = zip(found["ts_event"].tolist(), found["period"].tolist(), found["value"].tolist(), strict=True)
    expected = [
        (midnight_in_chicago(published, days=1), at(period), float(value))
        for published, period, value in fred.rows
        if value != "."
    ]
    assert sorted(told) == sorted(expected)


def midnight_in_chicago(day: str, days: int) -> int:
    local = datetime.fromisoformat(day) + timedelta(days=days)
    return int(local.replace(tzinfo=ZoneInfo("America/Chicago")).timestamp()) * 10**9


async def test_nothing_of_fred_is_known_before_its_release(stub: Stub, fred: Fred) -> None:
    found = await ask(stub, "fred", "GDP", "readings", at("1990-01-01"), at("2010-01-01"))
    released = {(period, value): published for published, period, value in fred.rows}
    for ts_event, period, value in zip(found["ts_event"], found["period"], found["value"], strict=True):
        month = str(np.datetime64(int(period), "ns").astype("M8[D]"))
        text = next(v for (p, v) in released if p == month and v != "." and float(v) == value)
        assert ts_event >= at(released[month, text]) + DAY, "the whole day of the release is over, in Chicago"


# --- Polygon ----------------------------------------------------------------------------------------------------------


async def test_polygon_is_asked_in_spans_that_one_answer_holds(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.venues.sources.polygon.PAGE", 100)

    def bars(query: dict[str, str]) -> Any:
        first, last = (int(part) for part in stub.asked[-1][0].rsplit("/", 2)[1:])
        opens = range(first - first % -3_600_000, last + 1, 3_600_000)
        return {
            "status": "DELAYED",
            "resultsCount": len(opens),
            "results": [{"t": t, "o": 1, "h": 2, "l": 0.5, "c": 1.5, "v": 3, "vw": 1, "n": 4} for t in opens],
            "next_url": "https://elsewhere.example/steal",
        }

    stub.answers["/v2/aggs/ticker/AAPL/range/1/hour/*"] = bars
    found = await ask(stub, "polygon", "AAPL", "1h", T0, T0 + 6 * DAY)
    assert (found["open_time"] - T0).tolist() == [i * HOUR for i in range(6 * 24)]
    assert found["trades"].tolist()[0] == 4
    assert stub.asked[0][2]["Authorization"] == f"Bearer {KEY}"
    assert stub.asked[0][1]["adjusted"] == "false"


async def test_polygon_days_begin_at_midnight_of_their_date(stub: Stub) -> None:
    opens = [at("2024-08-05T04:00"), at("2024-12-05T05:00")]
    stub.answers["/v2/aggs/ticker/AAPL/range/1/day/*"] = lambda q: {
        "status": "OK",
        "results": [{"t": t // 10**6, "o": 1, "h": 2, "l": 0.5, "c": 1.5, "v": 3} for t in opens],
    }
    found = await ask(stub, "polygon", "AAPL", "1d", at("2024-08-01"), at("2025-01-01"))
    assert found["open_time"].tolist() == [at("2024-08-05"), at("2024-12-05")]


# --- Nasdaq Data Link -------------------------------------------------------------------------------------------------

WIKI = ["Date", "Open", "High", "Low", "Close", "Volume"]
WIKI_ROWS = [["2024-08-02", 1.0, 2.0, 0.5, 1.5, 9.0], ["2024-08-05", None, 2.0, 0.5, 1.5, 9.0]]


async def test_nasdaq_data_sets_with_four_prices_are_bars(stub: Stub) -> None:
    stub.answers["/api/v3/datasets/WIKI/AAPL/data.json"] = lambda q: {
        "dataset_data": {"column_names": WIKI, "data": WIKI_ROWS, "frequency": "daily"}
    }
    found = await ask(stub, "nasdaq", "WIKI/AAPL", "1d", at("2024-08-01"), at("2024-08-10"))
    assert found["open_time"].tolist() == [at("2024-08-02")]
    assert found["volume"].tolist() == [9.0]
    assert stub.asked[0][1]["api_key"] == KEY


async def test_nasdaq_readings_are_known_when_their_day_is_over(stub: Stub) -> None:
    stub.answers["/api/v3/datasets/WIKI/AAPL/data.json"] = lambda q: {
        "dataset_data": {"column_names": WIKI, "data": WIKI_ROWS}
    }
    found = await ask(stub, "nasdaq", "WIKI/AAPL/Close", "readings", at("2024-08-01"), at("2024-08-10"))
    assert found["period"].tolist() == [at("2024-08-02"), at("2024-08-05")]
    assert found["ts_event"].tolist() == [at("2024-08-03"), at("2024-08-06")]


async def test_nasdaq_readings_are_not_bars(stub: Stub) -> None:
    stub.answers["/api/v3/datasets/FRED/GDP/data.json"] = lambda q: {
        "dataset_data": {"column_names": ["Date", "Value"], "data": [["2024-07-01", 5.0]]}
    }
    with pytest.raises(VenueRefused, match="has no bars but date, value; ask for readings"):
        await ask(stub, "nasdaq", "FRED/GDP", "1d", T0, T0 + DAY)


# --- what holds for all of them ---------------------------------------------------------------------------------------

ASKS = [
    ("alphavantage", "IBM", "1d", {"Error Message": "no"}),
    ("coingecko", "bitcoin", "4h", {"status": {"error_code": 10002, "error_message": "no"}}),
    ("fred", "DGS10", "readings", {"error_code": 400, "error_message": "no"}),
    ("polygon", "AAPL", "1h", {"status": "ERROR", "error": "no"}),
    ("nasdaq", "WIKI/AAPL", "1d", {"quandl_error": {"code": "QECx02", "message": "no"}}),
]


@pytest.mark.parametrize(("name", "symbol", "interval", "body"), ASKS)
@pytest.mark.parametrize(
    ("status", "error"), [(400, VenueRefused), (403, VenueRefused), (429, VenueUnavailable), (500, VenueUnavailable)]
)
async def test_what_an_error_says_is_passed_on_without_the_key(
    stub: Stub, name: str, symbol: str, interval: str, body: Any, status: int, error: type[VenueError]
) -> None:
    stub.answers["/*"] = lambda q: (status, body)
    with pytest.raises(error, match=r": no$|rate limit is reached: no") as failed:
        await ask(stub, name, symbol, interval, T0, T0 + DAY)
    assert KEY not in repr(failed.value)
    assert KEY not in repr(failed.value.__cause__)


@pytest.mark.parametrize(("name", "symbol", "interval", "body"), ASKS)
@pytest.mark.parametrize("answer", ["", "<html>", "[1", "[" * 5000, '{"x": 1e999}', "null", '"text"', "[[1, 2]]"])
async def test_an_answer_that_cannot_be_read_is_one_line(
    stub: Stub, name: str, symbol: str, interval: str, body: Any, answer: str
) -> None:
    stub.answers["/*"] = lambda q: answer
    with pytest.raises(VenueError) as failed:
        await ask(stub, name, symbol, interval, T0, T0 + DAY)
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize(("name", "symbol", "interval", "body"), ASKS)
async def test_without_a_network_one_line_says_so(name: str, symbol: str, interval: str, body: Any) -> None:
    source = make_source(name, key=KEY, urls={"rest": "http://127.0.0.1:1"})
    try:
        with pytest.raises(VenueUnavailable, match="no network: no connection to") as failed:
            await rows(source, Ask(symbol, interval, T0, T0 + DAY))
    finally:
        await source.aclose()
    assert KEY not in str(failed.value)


@pytest.mark.parametrize("name", ["alphavantage", "fred", "polygon", "nasdaq"])
def test_without_a_key_one_line_says_which(name: str) -> None:
    with pytest.raises(VenueRefused, match=re.compile(rf"^{name}: no key; set [A-Z_]+_API_KEY$")):
        make_source(name)


@pytest.mark.parametrize(("name", "symbol", "interval", "body"), ASKS)
async def test_what_it_does_not_have_is_refused_before_anybody_is_asked(
    stub: Stub, name: str, symbol: str, interval: str, body: Any
) -> None:
    for wrong in ("7s", "soon", "ticks"):
        with pytest.raises(VenueRefused, match="it has: "):
            await ask(stub, name, symbol, wrong, T0, T0 + DAY)
    with pytest.raises(VenueRefused, match="at or before its start"):
        await ask(stub, name, symbol, interval, T0, T0)
    assert not stub.asked


async def test_a_limit_is_kept(stub: Stub) -> None:
    stub.answers["/*"] = lambda q: {"status": "OK", "results": []}
    source: Source = make_source("polygon", key=KEY, urls=stub.urls)
    for _ in range(5):
        await rows(source, Ask("AAPL", "1h", T0, T0 + DAY))
    assert not source.budgets()[0].try_take(Priority.EXIT)
    await source.aclose()


async def test_a_bar_that_cannot_be_is_refused(stub: Stub) -> None:
    stub.answers["/*"] = lambda q: {"status": "OK", "results": [{"t": T0 // 10**6, "o": 1, "h": 0.1, "l": 2, "c": 1}]}
    with pytest.raises(VenueUnavailable, match="bars of AAPL cannot be used"):
        await ask(stub, "polygon", "AAPL", "1h", T0, T0 + DAY)
