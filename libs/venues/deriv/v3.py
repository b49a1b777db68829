"""Version 3 of Deriv's WebSocket API: how each call is worded."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from libs.venues.deriv import v3_answers as answers
from libs.venues.deriv.codec import Bucket, Request
from libs.venues.deriv.model import (
    Ask,
    Booking,
    Candle,
    Cash,
    Contract,
    Head,
    Holding,
    Listing,
    Offer,
    Proposal,
    Receipt,
    Sale,
)

STATEMENT_PAGE: Final = 999
"""Most lines that one statement call returns."""


class V3:
    """Implements `Codec` for `/websockets/v3`."""

    def head(self, frame: bytes) -> Head:
        return answers.read_head(frame)

    def ping(self) -> Request[None]:
        return Request({"ping": 1}, answers.read_nothing)

    def time(self) -> Request[int]:
        return Request({"time": 1}, answers.read_time)

    def authorize(self, token: str) -> Request[Cash]:
        return Request({"authorize": token}, answers.read_authorize)

    def listings(self) -> Request[list[Listing]]:
        return Request({"active_symbols": "brief"}, answers.read_listings)

    def offer(self, symbol: str) -> Request[Offer]:
        return Request({"contracts_for": symbol}, answers.read_offer)

    def ticks(self, symbol: str) -> Request[None]:
        return Request({"ticks": symbol, "subscribe": 1}, answers.read_nothing)

    def tick_page(self, symbol: str, start: int, end: int, count: int) -> Request[list[tuple[int, float]]]:
        body: dict[str, object] = {
            "ticks_history": symbol,
            "start": start,
            "end": str(end),
            "count": count,
            "style": "ticks",
        }
        return Request(body, answers.read_tick_page)

    def candle_page(self, symbol: str, granularity: int, start: int, end: int, count: int) -> Request[list[Candle]]:
        body: dict[str, object] = {
            "ticks_history": symbol,
            "start": start,
            "end": str(end),
            "count": count,
            "style": "candles",
            "granularity": granularity,
        }
        return Request(body, answers.read_candles)

    def proposal(self, ask: Ask) -> Request[Proposal]:
        body: dict[str, object] = {
            "proposal": 1,
            "contract_type": ask.contract_type,
            "symbol": ask.symbol,
            "currency": ask.currency,
            "amount": ask.stake,
            "basis": "stake",
        }
        if ask.multiplier:
            body["multiplier"] = ask.multiplier
        if ask.duration:
            body["duration"] = ask.duration
            body["duration_unit"] = ask.duration_unit
        return Request(body, answers.read_proposal, Bucket.PRICING)

    def buy(self, proposal_id: str, price_cap: Decimal) -> Request[Receipt]:
        return Request({"buy": proposal_id, "price": price_cap}, answers.read_buy)

    def sell(self, contract_id: int, price_floor: Decimal) -> Request[Sale]:
        return Request({"sell": contract_id, "price": price_floor}, answers.read_sell)

    def contract(self, contract_id: int, *, follow: bool) -> Request[Contract | None]:
        body: dict[str, object] = {"proposal_open_contract": 1, "contract_id": contract_id}
        if follow:
            body["subscribe"] = 1
        return Request(body, answers.read_contract, Bucket.PRICING)

    def holdings(self) -> Request[list[Holding]]:
        return Request({"portfolio": 1}, answers.read_holdings, Bucket.OUTCOME)

    def bookings(self, date_from: int, offset: int) -> Request[list[Booking]]:
        body: dict[str, object] = {
            "statement": 1,
            "description": 1,
            "date_from": date_from,
            "limit": STATEMENT_PAGE,
            "offset": offset,
        }
        return Request(body, answers.read_bookings, Bucket.OUTCOME)

    def balance(self) -> Request[Cash]:
        return Request({"balance": 1}, answers.read_balance)
