"""The public calls: clock, status, symbols, ticks and their history, proposals, forgetting streams."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from services.simulator.clock import NANOSECONDS
from services.simulator.deriv import offerings, proposals, quotes
from services.simulator.deriv import trading_times as times
from services.simulator.deriv.errors import ApiError
from services.simulator.deriv.lengths import check_open
from services.simulator.deriv.limits import MAX_PROPOSAL_STREAMS
from services.simulator.deriv.market import MAX_POINTS, Feed
from services.simulator.deriv.session import Body, Quoted, Request, Session, Stream
from services.simulator.deriv.symbols import SYMBOLS
from services.simulator.deriv.terms import Terms
from services.simulator.deriv.venue import VENUE, Venue

DEFAULT_COUNT: Final = 1000
DEFAULT_GRANULARITY_SECS: Final = 60
CONTRACT_PARAMETERS: Final = frozenset({"proposal", "subscribe", "loginid", "passthrough", "req_id"})


def ping(venue: Venue, session: Session, request: Request) -> None:
    """Answer pong."""
    session.answer(request.envelope, "ping", {"ping": "pong"})


def time(venue: Venue, session: Session, request: Request) -> None:
    """Answer the venue's epoch second; a fault may have made this clock jump."""
    jump = venue.faults.clock_offset_ns(VENUE) // NANOSECONDS
    session.answer(request.envelope, "time", {"time": venue.now() + jump})


def website_status(venue: Venue, session: Session, request: Request) -> None:
    """Answer call limits and currencies; with subscribe, on a stream that tells of maintenance and migration."""
    body = {"website_status": venue.site_status()}
    stream = None
    if request.arguments.get("subscribe"):
        stream = Stream("website_status", ("website_status",), "website_status", request.envelope, lambda: None)
        session.follow(stream, "website_status")
    session.answer(request.envelope, "website_status", body, stream)


def active_symbols(venue: Venue, session: Session, request: Request) -> None:
    """Answer the listed symbols."""
    rows = offerings.active_symbols(venue.market, request.arguments["active_symbols"] == "full")
    session.answer(request.envelope, "active_symbols", {"active_symbols": rows})


def contracts_for(venue: Venue, session: Session, request: Request) -> None:
    """Answer what may be bought on a symbol."""
    feed = _feed(venue, request.arguments["contracts_for"])
    if feed.symbol.suspended:
        raise ApiError("OfferingsInvalidSymbol", f"Trading is not offered for {feed.symbol.name}.")
    session.answer(request.envelope, "contracts_for", {"contracts_for": offerings.contracts_for(feed)})


def trading_times(venue: Venue, session: Session, request: Request) -> None:
    """Answer when each symbol trades on a day."""
    asked = request.arguments["trading_times"]
    try:
        day = datetime.fromtimestamp(venue.now(), UTC) if asked == "today" else datetime.strptime(asked, "%Y-%m-%d")
    except ValueError:
        raise ApiError("InvalidDateFormat", f"Date {asked} is invalid.") from None
    body = {"trading_times": times.trading_times(day.date())}
    session.answer(request.envelope, "trading_times", body)


def _feed(venue: Venue, symbol: str) -> Feed:
    if symbol not in SYMBOLS:
        raise ApiError("InvalidSymbol", f"Symbol {symbol} is invalid.")
    return venue.market.feeds[symbol]


# --- ticks -----------------------------------------------------------------------------------------------------


def ticks(venue: Venue, session: Session, request: Request) -> None:
    """Answer the last tick of each symbol; with subscribe, every next one too."""
    wanted = request.arguments["ticks"]
    for symbol in [wanted] if isinstance(wanted, str) else dict.fromkeys(wanted):
        try:
            _one_tick(venue, session, request, symbol)
        except ApiError as error:
            session.refuse(request.envelope, "tick", error)


def _one_tick(venue: Venue, session: Session, request: Request, symbol: str) -> None:
    feed = _feed(venue, symbol)
    check_open(feed.symbol, venue.now())
    if "subscribe" in request.arguments:
        stream = _tick_stream(venue, session, request, feed, ("ticks", symbol))
        session.update(stream)
    else:
        session.answer(request.envelope, "tick", {"tick": _tick(feed)})


def _tick(feed: Feed) -> Body:
    tick, symbol = feed.last(), feed.symbol
    return {
        "ask": round(tick.quote * (1 + symbol.half_spread), symbol.pip_size),
        "bid": round(tick.quote * (1 - symbol.half_spread), symbol.pip_size),
        "epoch": tick.epoch,
        "pip_size": symbol.pip_size,
        "quote": tick.quote,
        "symbol": symbol.name,
    }


def _tick_stream(venue: Venue, session: Session, request: Request, feed: Feed, key: tuple[object, ...]) -> Stream:
    stream = Stream(
        kind="ticks",
        key=key,
        msg_type="tick",
        envelope=request.envelope,
        render=lambda: {"tick": {**_tick(feed), "id": stream.id}},
        symbol=feed.symbol.name,
    )
    session.follow(stream, request.call)
    venue.watch(feed.symbol.name)
    return stream


# --- history ---------------------------------------------------------------------------------------------------


def ticks_history(venue: Venue, session: Session, request: Request) -> None:
    """Answer past ticks or candles; with subscribe, ticks or the growing candle follow.

    With adjust_start_time a window that ends while the market is closed is moved back to when it closed.
    """
    arguments = request.arguments
    feed = _feed(venue, arguments["ticks_history"])
    present = venue.market.present
    end = present if arguments["end"] == "latest" else int(arguments["end"])
    start = arguments.get("start")
    if start is not None and start > end:
        raise ApiError("InvalidStartEnd", f"Start time {start} must be before end time {end}")
    if "subscribe" in arguments:
        check_open(feed.symbol, venue.now())
    if "adjust_start_time" in arguments:
        closed = min(end, present) - feed.symbol.hours.last_open(min(end, present))
        end, start = end - closed, None if start is None else start - closed
    count = min(arguments.get("count", DEFAULT_COUNT), MAX_POINTS)
    if count <= 0:
        count = DEFAULT_COUNT
    if arguments.get("style", "ticks") == "ticks":
        stream = None
        if "subscribe" in arguments:
            stream = _tick_stream(venue, session, request, feed, ("ticks_history", feed.symbol.name))
        times, prices = feed.history(start, end, count)
        body = {"history": {"prices": prices, "times": times}, "pip_size": feed.symbol.pip_size}
        session.answer(request.envelope, "history", body, stream)
        return
    granularity = arguments.get("granularity", DEFAULT_GRANULARITY_SECS)
    stream = _candle_stream(venue, session, request, feed, granularity) if "subscribe" in arguments else None
    rows = [candle._asdict() for candle in feed.candles(start, end, count, granularity)]
    session.answer(request.envelope, "candles", {"candles": rows, "pip_size": feed.symbol.pip_size}, stream)


def _candle_stream(venue: Venue, session: Session, request: Request, feed: Feed, granularity: int) -> Stream:
    symbol = feed.symbol

    def render() -> Body:
        candle = feed.candles(None, feed.present, 1, granularity)[0]
        return {
            "ohlc": {
                "id": stream.id,
                "symbol": symbol.name,
                "granularity": granularity,
                "open_time": candle.epoch,
                "epoch": feed.last().epoch,
                "open": symbol.text(candle.open),
                "high": symbol.text(candle.high),
                "low": symbol.text(candle.low),
                "close": symbol.text(candle.close),
                "pip_size": symbol.pip_size,
            }
        }

    stream = Stream(
        kind="candles",
        key=("candles", symbol.name, granularity),
        msg_type="ohlc",
        envelope=request.envelope,
        render=render,
        symbol=symbol.name,
    )
    session.follow(stream, request.call)
    venue.watch(symbol.name)
    return stream


# --- proposals -------------------------------------------------------------------------------------------------


def proposal(venue: Venue, session: Session, request: Request) -> None:
    """Price a contract; with subscribe, price it again on every tick unless its price does not move."""
    parameters = {name: value for name, value in request.arguments.items() if name not in CONTRACT_PARAMETERS}
    subscribe = "subscribe" in request.arguments
    quoted = Quoted(parameters, quotes.quote(parameters, venue.market, venue.now()), venue.now(), subscribe)
    stream = Stream(
        kind="proposal",
        key=("proposal", tuple(sorted((name, str(value)) for name, value in parameters.items()))),
        msg_type="proposal",
        envelope=request.envelope,
        render=lambda: {"proposal": _priced_again(venue, quoted, stream.id)},
        symbol=parameters["symbol"] if _moves(parameters, quoted.terms) else None,
    )
    if subscribe:
        if sum(kept.kind == "proposal" for kept in session.streams.values()) >= MAX_PROPOSAL_STREAMS:
            raise ApiError("RateLimit", "You have reached the rate limit for proposal.")
        session.follow(stream, "proposal")
    session.keep_proposal(stream.id, quoted)
    body = {"proposal": _proposal(venue, quoted, stream.id)}
    session.answer(request.envelope, "proposal", body, stream if subscribe else None)


def _priced_again(venue: Venue, quoted: Quoted, proposal_id: str) -> Body:
    quoted.terms = quotes.quote(quoted.parameters, venue.market, venue.now())
    return _proposal(venue, quoted, proposal_id)


def _proposal(venue: Venue, quoted: Quoted, proposal_id: str) -> Body:
    return proposals.proposal(proposal_id, quoted.terms, venue.market.feeds[quoted.terms.symbol].last())


def _moves(parameters: Mapping[str, Any], terms: Terms) -> bool:
    """Whether a proposal is streamed: not where its price never changes, by ticks, on digits, or at the money."""
    if terms.is_digit or (terms.is_rise_fall and terms.ticks):
        return False
    at_the_money = terms.is_rise_fall and terms.barrier == "S0P" and "date_expiry" not in parameters
    return not (at_the_money and not terms.daily and terms.symbol in _CONSTANT)


# Symbols on which the venue does not stream what is at the money and lasts less than a day.
_CONSTANT: Final = frozenset({"R_10", "R_25", "R_50", "R_75", "R_100", "RDBEAR", "RDBULL"})


# --- forgetting ------------------------------------------------------------------------------------------------


def forget(venue: Venue, session: Session, request: Request) -> None:
    """End one stream: 1, or 0 when there was none."""
    session.answer(request.envelope, "forget", {"forget": int(session.forget(request.arguments["forget"]))})


def forget_all(venue: Venue, session: Session, request: Request) -> None:
    """End all streams of some kinds and answer their ids."""
    kinds = request.arguments["forget_all"]
    dropped = session.forget_all(frozenset([kinds] if isinstance(kinds, str) else kinds))
    session.answer(request.envelope, "forget_all", {"forget_all": dropped})
