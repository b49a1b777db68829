"""A fake Deriv account: answers the trading calls of a FakeDeriv and remembers what was bought and sold."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import Any

import msgspec

from libs.core.types import (
    SECOND,
    Action,
    Instrument,
    InstrumentKind,
    Mode,
    Order,
    OrderState,
    Side,
    stable_id,
)
from libs.venues.credentials import Credentials

SPOT = 100.25
TRANSACTIONS = "t-0123456789abcdef0123456789abcdef"
GOOD = Credentials(token="good-token", app_id="app-1")


def refusal(name: str, code: str) -> dict[str, Any]:
    return {"msg_type": name, "error": {"code": code, "message": f"{code} in words."}}


def symbol_of(request: dict[str, Any]) -> str:
    """Each API has its own word for it."""
    symbol: str = request.get("symbol") or request["underlying_symbol"]
    return symbol


class Desk:
    """One account behind a FakeDeriv; private calls can be refused, lost or left without an answer."""

    def __init__(self, venue: Any) -> None:
        self.venue = venue
        self.bought: dict[int, dict[str, Any]] = {}
        self.buy_refusals: list[str] = []
        self.sell_refusals: list[str] = []
        self.swallow_buy_answer = False
        self.lose_buy = False
        self.hidden_entry_spot = False
        self.proposals = 0
        venue.answers |= {
            "proposal": self.proposal,
            "buy": self.buy,
            "sell": self.sell,
            "proposal_open_contract": self.open_contract,
            "portfolio": self.portfolio,
            "statement": self.statement,
            "balance": self.balance,
            "transaction": self.transaction,
            "profit_table": self.profit_table,
        }
        self.limits_refused = False
        self.payout = 19.53
        self.asks: list[dict[str, Any]] = []
        self.transfers: list[dict[str, Any]] = []
        self.hidden_from_books = False

    def count(self, name: str) -> int:
        return sum(name in call for call in self.venue.calls)

    def proposal(self, request: dict[str, Any]) -> dict[str, Any]:
        self.proposals += 1
        self.asked = request
        self.asks.append(request)
        if self.limits_refused and "limit_order" in request:
            return refusal("proposal", "ContractBuyValidationError")
        body = {
            "id": f"{self.proposals:032d}",
            "ask_price": request["amount"],
            "payout": 0 if "multiplier" in request else self.payout,
            "spot": SPOT,
            "spot_time": int(time.time()),
            "date_start": int(time.time()),
            "longcode": "…",
            "display_value": "10.00",
            "commission": 0.14,
            "validation_params": {
                "stake": {"min": "1.00", "max": "2000.00"},
                "stop_loss": {"min": "0.10", "max": f"{request['amount']:.2f}"},
                "take_profit": {"min": "0.10", "max": f"{100 * request['amount']:.2f}"},
            },
            "limit_order": {"stop_out": {"order_amount": -request["amount"], "value": "97.78"}},
        }
        return {"msg_type": "proposal", "proposal": body}

    def buy(self, request: dict[str, Any]) -> dict[str, Any] | None:
        if self.buy_refusals:
            return refusal("buy", self.buy_refusals.pop(0))
        if self.lose_buy:
            return None
        contract_id = 700 + len(self.bought)
        now = int(time.time())
        asked = self.asked
        self.bought[contract_id] = {
            "contract_id": contract_id,
            "underlying": symbol_of(asked),
            "contract_type": asked["contract_type"],
            "buy_price": asked["amount"],
            "purchase_time": now,
            "shortcode": f"{asked['contract_type']}_{symbol_of(asked)}_{asked['amount']:.2f}_{now}_4870540799",
            "is_sold": 0,
            "is_expired": 0,
            "status": "open",
            "commission": 0.14,
            "current_spot": SPOT,
            "current_spot_time": now,
            "transaction_ids": {"buy": 9000 + contract_id},
            "entry_spot": None if self.hidden_entry_spot else 100.30,
        }
        if self.swallow_buy_answer:
            return None
        body = {
            "balance_after": 9990,
            "buy_price": asked["amount"],
            "contract_id": contract_id,
            "longcode": "…",
            "payout": 0,
            "purchase_time": now,
            "shortcode": self.bought[contract_id]["shortcode"],
            "start_time": now,
            "transaction_id": 9000 + contract_id,
        }
        return {"msg_type": "buy", "buy": body}

    def sell(self, request: dict[str, Any]) -> dict[str, Any]:
        if self.sell_refusals:
            return refusal("sell", self.sell_refusals.pop(0))
        contract = self.bought[request["sell"]]
        self.end(request["sell"], sell_price=11.5)
        body = {
            "balance_after": 10001.5,
            "contract_id": contract["contract_id"],
            "reference_id": 1,
            "sold_for": 11.5,
            "transaction_id": 9900,
        }
        return {"msg_type": "sell", "sell": body}

    def end(self, contract_id: int, *, sell_price: float, status: str = "sold") -> None:
        self.bought[contract_id] |= {
            "is_sold": 1,
            "status": status,
            "sell_price": sell_price,
            "sell_time": int(time.time()),
            "exit_tick": 101.5,
            "transaction_ids": {"buy": 9000 + contract_id, "sell": 9900},
        }

    def open_contract(self, request: dict[str, Any]) -> dict[str, Any]:
        contract = self.bought.get(request["contract_id"])
        if contract is None:
            return refusal("proposal_open_contract", "ContractNotFound")
        answer: dict[str, Any] = {"msg_type": "proposal_open_contract", "proposal_open_contract": contract}
        if request.get("subscribe"):
            answer["subscription"] = {"id": f"poc-{contract['contract_id']:032d}"}
        return answer

    def portfolio(self, request: dict[str, Any]) -> dict[str, Any]:
        rows = [
            {
                "contract_id": c["contract_id"],
                "transaction_id": 9000 + c["contract_id"],
                "symbol": c["underlying"],
                "contract_type": c["contract_type"],
                "buy_price": c["buy_price"],
                "purchase_time": c["purchase_time"],
                "shortcode": c["shortcode"],
            }
            for c in self.bought.values()
            if not c["is_sold"] and not self.hidden_from_books
        ]
        return {"msg_type": "portfolio", "portfolio": {"contracts": rows}}

    def statement(self, request: dict[str, Any]) -> dict[str, Any]:
        rows = [
            {
                "action_type": "buy",
                "amount": -c["buy_price"],
                "balance_after": 9990,
                "contract_id": c["contract_id"],
                "transaction_id": 9000 + c["contract_id"],
                "transaction_time": c["purchase_time"],
                "shortcode": c["shortcode"],
            }
            for c in self.bought.values()
            if c["purchase_time"] >= request["date_from"] and not self.hidden_from_books
        ]
        rows += [
            {
                "action_type": "sell",
                "amount": c["sell_price"],
                "balance_after": 9999,
                "contract_id": c["contract_id"],
                "transaction_id": c["transaction_ids"]["sell"],
                "transaction_time": c["sell_time"],
            }
            for c in self.bought.values()
            if c["is_sold"] and c["sell_time"] >= request["date_from"]
        ]
        rows += [
            {
                "action_type": row["action"],
                "amount": row["amount"],
                "balance_after": row["balance"],
                "contract_id": None,
                "transaction_id": row["transaction_id"],
                "transaction_time": row["transaction_time"],
            }
            for row in self.transfers
            if row["transaction_time"] >= request["date_from"]
        ]
        return {"msg_type": "statement", "statement": {"count": len(rows), "transactions": rows}}

    def profit_table(self, request: dict[str, Any]) -> dict[str, Any]:
        rows = [
            {
                "buy_price": c["buy_price"],
                "contract_id": c["contract_id"],
                "contract_type": c["contract_type"],
                "purchase_time": c["purchase_time"],
                "transaction_id": 9000 + c["contract_id"],
                "underlying_symbol": c["underlying"],
                "sell_price": c["sell_price"],
            }
            for c in self.bought.values()
            if c["is_sold"]
        ]
        return {"msg_type": "profit_table", "profit_table": {"count": len(rows), "transactions": rows}}

    def transaction(self, request: dict[str, Any]) -> dict[str, Any]:
        self.follower = request["req_id"]
        return {"msg_type": "transaction", "transaction": {"id": TRANSACTIONS}, "subscription": {"id": TRANSACTIONS}}

    async def tell(self, action: str, amount: float, *, contract_id: int | None = None, trade: int = 0) -> None:
        """Push a transaction to whoever follows the account."""
        row = {
            "action": action,
            "amount": amount,
            "balance": 9990.0 + amount,
            "contract_id": contract_id,
            "currency": "USD",
            "id": TRANSACTIONS,
            "transaction_id": trade,
            "transaction_time": int(time.time()),
        }
        if contract_id is not None:
            row["symbol"] = self.bought[contract_id]["underlying"]
        else:
            self.transfers.append(row)
        await self.push({"msg_type": "transaction", "transaction": row, "subscription": {"id": TRANSACTIONS}})

    async def push(self, message: dict[str, Any]) -> None:
        for ws in list(self.venue.connections):
            await ws.send(json.dumps(message))

    def balance(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"msg_type": "balance", "balance": {"balance": 9285.5, "currency": "USD", "loginid": "VRTC1"}}


INSTRUMENT = Instrument(
    id="i",
    ts_event=0,
    venue="deriv",
    symbol="R_100",
    canonical="R_100",
    name="Volatility 100 Index",
    kind=InstrumentKind.MULTIPLIER,
    base="R_100",
    quote="USD",
    decimals=2,
    price_step=Decimal("0.01"),
    qty_step=Decimal("0.01"),
    min_qty=Decimal(1),
    max_qty=Decimal(2000),
    multiplier=40,
    multipliers=(40, 100),
)


def order(side: Side = Side.BUY, *, intent: str = "intent-1", sent_s: float | None = None, **changes: Any) -> Order:
    made = Order(
        id=stable_id(intent, 1),
        ts_event=int((time.time() if sent_s is None else sent_s) * SECOND),
        intent_id=intent,
        revision=1,
        state=OrderState.SENT,
        mode=Mode.LIVE,
        venue="deriv",
        account="acc",
        symbol="R_100",
        strategy="ema_trend",
        side=side,
        action=Action.ENTER,
        quantity=Decimal(10),
        worst_price=Decimal("101") if side is Side.BUY else Decimal("99"),
        position_id=intent,
        reason="entry",
    )
    return msgspec.structs.replace(made, **changes)
