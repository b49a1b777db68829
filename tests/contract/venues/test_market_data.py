"""What every market data adapter owes its caller, run against a small fake of each venue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from libs.core.types import SECOND, BarFlag, InstrumentKind
from libs.venues.base import MarketData, VenueRefused, VenueUnavailable
from libs.venues.registry import make_market_data

Eventually = Callable[..., Any]


@asynccontextmanager
async def streaming(adapter: MarketData, symbols: list[str], sink: Any) -> AsyncIterator[asyncio.Task[None]]:
    """`stream` running in the background; it must still run at the end, and end when cancelled."""
    task = asyncio.create_task(adapter.stream(symbols, sink))
    try:
        yield task
        assert not task.done(), "stream ended by itself"
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class MarketDataContract:
    """Inherit, and give the fixtures `venue` and `adapter`."""

    garbage: tuple[str, ...] = (
        "",
        "}{ not json",
        "[]",
        "42",
        "null",
        "{}",
        '{"msg_type": 7}',
        '{"stream": {"a": 1}, "data": 3}',
        '{"unheard": "of", "msg_type": "surprise", "stream": "nobody@asked", "data": {}}',
    )

    async def test_a_price_arrives_with_the_venue_s_stamp_and_sequence(
        self, venue: Any, adapter: MarketData, sink: Any, eventually: Eventually
    ) -> None:
        async with streaming(adapter, [venue.symbol], sink):
            await eventually(lambda: venue.subscriptions() and sink.clocks, "subscribed, clock known")
            await venue.publish()
            await eventually(lambda: any(t.ts_event == venue.newest_ns for _, t in sink.trades), "the print")
        symbol, trade = sink.trades[-1]
        assert symbol == venue.symbol
        assert trade.price == venue.price(venue.newest)
        assert trade.seq == venue.seq(venue.newest)

    async def test_quotes_have_a_bid_below_the_ask(
        self, venue: Any, adapter: MarketData, sink: Any, eventually: Eventually
    ) -> None:
        async with streaming(adapter, [venue.symbol], sink):
            await eventually(lambda: venue.subscriptions() and sink.clocks, "subscribed, clock known")
            before = len(sink.quotes)
            await venue.publish()
            await eventually(lambda: len(sink.quotes) > before, "a quote")
        symbol, quote = sink.quotes[-1]
        assert symbol == venue.symbol
        assert quote.bid < venue.price(venue.newest) < quote.ask
        assert quote.ts_event >= venue.newest_ns - SECOND

    async def test_the_venue_s_clock_is_told_and_extrapolated_when_live(
        self, venue: Any, adapter: MarketData, sink: Any, eventually: Eventually
    ) -> None:
        async with streaming(adapter, [venue.symbol], sink):
            await eventually(lambda: sink.clocks, "a clock")
        ts_event, recv_ns, extrapolate, speed, _ = sink.clocks[0]
        assert extrapolate is True
        assert speed == 1.0
        assert abs(ts_event - recv_ns) <= 1.1 * SECOND  # the fakes live on this machine's clock

    async def test_garbage_is_rejected_and_the_stream_goes_on(
        self, venue: Any, adapter: MarketData, sink: Any, eventually: Eventually
    ) -> None:
        async with streaming(adapter, [venue.symbol], sink):
            await eventually(lambda: venue.subscriptions() and sink.clocks, "subscribed, clock known")
            before = len(sink.trades)
            for text in self.garbage:
                await venue.send_raw(text)
            await venue.publish()
            await eventually(lambda: len(sink.trades) > before, "the print after the garbage")
        assert len(sink.rejects) == len(self.garbage)
        assert all(reason for _, _, reason in sink.rejects)
        assert "reconnect" not in sink.events()

    @pytest.mark.parametrize("price", [0.0, -5.0, float("nan"), float("inf")])
    async def test_an_absurd_price_is_rejected_not_passed_on(
        self, venue: Any, adapter: MarketData, sink: Any, eventually: Eventually, price: float
    ) -> None:
        async with streaming(adapter, [venue.symbol], sink):
            await eventually(lambda: venue.subscriptions() and sink.clocks, "subscribed, clock known")
            before = len(sink.trades)
            await venue.publish_absurd(price)
            await eventually(lambda: sink.rejects, "a rejection")
            await venue.publish()
            await eventually(lambda: len(sink.trades) > before, "the good print")
        assert len(sink.trades) == before + 1
        assert all(trade.price > 0 for _, trade in sink.trades)

    async def test_a_crossed_quote_is_told_once_and_withheld(
        self, venue: Any, adapter: MarketData, sink: Any, eventually: Eventually
    ) -> None:
        async with streaming(adapter, [venue.symbol], sink):
            await eventually(lambda: venue.subscriptions() and sink.clocks, "subscribed, clock known")
            before = len(sink.quotes)
            await venue.publish_crossed()
            await venue.publish_crossed()
            await venue.publish()
            await eventually(lambda: len(sink.quotes) > before, "the good quote")
        assert sink.events().count("crossed") == 1
        assert all(quote.bid < quote.ask for _, quote in sink.quotes)

    async def test_after_a_disconnect_it_subscribes_again_once_and_says_so(
        self, venue: Any, adapter: MarketData, sink: Any, eventually: Eventually
    ) -> None:
        async with streaming(adapter, [venue.symbol], sink):
            await eventually(lambda: venue.subscriptions() == 1 and sink.clocks, "subscribed, clock known")
            await venue.drop()
            await eventually(lambda: "reconnect" in sink.events(), "the reconnect")
            assert venue.subscriptions() == 1
            await venue.publish()
            await eventually(lambda: any(t.ts_event == venue.newest_ns for _, t in sink.trades), "the print after")
        assert ("*", "reconnect") in [(symbol, event) for symbol, event, _ in sink.statuses]

    async def test_an_unreachable_venue_is_told_and_waited_for(
        self, venue: Any, adapter: MarketData, sink: Any, eventually: Eventually
    ) -> None:
        await venue.stop()
        async with streaming(adapter, [venue.symbol], sink):
            await eventually(lambda: "unreachable" in sink.events(), "the complaint")
            await venue.start()
            await eventually(lambda: venue.subscriptions() == 1, "subscribed at last")

    async def test_a_symbol_asked_for_twice_is_subscribed_once(
        self, venue: Any, adapter: MarketData, sink: Any, eventually: Eventually
    ) -> None:
        async with streaming(adapter, [venue.symbol, venue.symbol], sink):
            await eventually(lambda: venue.subscriptions() and sink.clocks, "subscribed, clock known")
            assert venue.subscriptions() == 1

    async def test_cancelling_closes_the_connection(
        self, venue: Any, adapter: MarketData, sink: Any, eventually: Eventually
    ) -> None:
        async with streaming(adapter, [venue.symbol], sink):
            await eventually(lambda: venue.subscriptions(), "subscribed")
        await eventually(lambda: not venue.subscriptions(), "unsubscribed")

    @pytest.mark.parametrize("interval_s", [1, 5, 60])
    async def test_history_bars_are_closed_consecutive_and_true(
        self, venue: Any, adapter: MarketData, interval_s: int
    ) -> None:
        end = venue.newest_ns
        bars = await adapter.history_bars(venue.symbol, interval_s, 4, end)
        assert len(bars) == 4
        last_end = end - end % (interval_s * SECOND)
        assert [bar.ts_event for bar in bars] == [last_end - k * interval_s * SECOND for k in (3, 2, 1, 0)]
        for bar in bars:
            first = bar.open_time // SECOND
            prices = [venue.price(second) for second in range(first, first + interval_s)]
            assert (bar.open, bar.high, bar.low, bar.close) == (prices[0], max(prices), min(prices), prices[-1])
            assert bar.flags & BarFlag.HISTORY
            assert not bar.flags & (BarFlag.EMPTY | BarFlag.GAP)
            assert (bar.venue, bar.symbol, bar.interval_s) == (adapter.name, venue.symbol, interval_s)
        assert len({bar.id for bar in bars}) == 4

    async def test_history_has_no_more_bars_than_the_venue(self, venue: Any, adapter: MarketData) -> None:
        bars = await adapter.history_bars(venue.symbol, 60, 500, venue.newest_ns)
        assert 4 <= len(bars) <= 7  # 400 seconds hold six whole minutes, give or take the edges
        assert [bar.open_time for bar in bars] == sorted(bar.open_time for bar in bars)

    async def test_history_trades_fill_exactly_the_hole(self, venue: Any, adapter: MarketData) -> None:
        last_seen = venue.newest
        venue.grow(30)
        trades = await adapter.history_trades(venue.symbol, venue.seq(last_seen))
        trades = [t for t in trades if t.seq <= venue.seq(last_seen + 20)]
        assert [t.seq for t in trades] == [venue.seq(last_seen + k) for k in range(1, 21)]
        assert [t.price for t in trades] == [venue.price(last_seen + k) for k in range(1, 21)]

    async def test_history_trades_stop_at_until(self, venue: Any, adapter: MarketData) -> None:
        first = venue.newest - 50
        trades = await adapter.history_trades(venue.symbol, venue.seq(first), (first + 10) * SECOND)
        assert [t.seq for t in trades] == [venue.seq(first + k) for k in range(1, 11)]

    async def test_an_instrument_knows_its_steps(self, venue: Any, adapter: MarketData) -> None:
        (instrument,) = await adapter.instruments([venue.symbol])
        assert (instrument.venue, instrument.symbol) == (adapter.name, venue.symbol)
        assert instrument.kind is not InstrumentKind.QUOTE_ONLY
        assert str(instrument.price_step) == "0.01"
        assert instrument.decimals == 2
        assert instrument.min_qty > 0
        assert instrument.is_open

    async def test_an_unknown_symbol_is_refused_in_one_line(self, venue: Any, adapter: MarketData) -> None:
        with pytest.raises(VenueRefused, match="NOSUCH") as refused:
            await adapter.instruments(["NOSUCH"])
        assert "\n" not in str(refused.value)

    async def test_the_server_s_time_is_its_own(self, venue: Any, adapter: MarketData) -> None:
        assert abs(await adapter.server_time() - venue.newest_ns) < 60 * SECOND

    async def test_questions_to_a_venue_that_is_down_say_unavailable(self, venue: Any, adapter: MarketData) -> None:
        await venue.stop()
        try:
            with pytest.raises(VenueUnavailable, match=r"127\.0\.0\.1"):
                await adapter.server_time()
        finally:
            await venue.start()


class TestDerivMarketData(MarketDataContract):
    @pytest.fixture
    def venue(self, fake_deriv: Any) -> Any:
        return fake_deriv

    @pytest.fixture
    async def adapter(self, venue: Any) -> AsyncIterator[MarketData]:
        url = f"ws://127.0.0.1:{venue.port}/websockets/v3?app_id=1089"
        adapter = make_market_data("deriv", api="v3", endpoints={"ws": url})
        yield adapter
        await adapter.aclose()


class TestDerivOptionsMarketData(TestDerivMarketData):
    @pytest.fixture
    async def adapter(self, venue: Any) -> AsyncIterator[MarketData]:
        url = f"ws://127.0.0.1:{venue.port}/trading/v1/options/ws"
        adapter = make_market_data("deriv", api="options", endpoints={"ws": url})
        yield adapter
        await adapter.aclose()


class TestBinanceMarketData(MarketDataContract):
    @pytest.fixture
    def venue(self, fake_binance: Any) -> Any:
        return fake_binance

    @pytest.fixture
    async def adapter(self, venue: Any) -> AsyncIterator[MarketData]:
        at = f"127.0.0.1:{venue.port}"
        adapter = make_market_data("binance", endpoints={"rest": f"http://{at}", "ws": f"ws://{at}"})
        yield adapter
        await adapter.aclose()
