"""Deriv's own Python client against the simulator: its whole call list, its subscriptions, and not one complaint."""

from __future__ import annotations

import asyncio
import json
import math
import sys
from pathlib import Path
from typing import Any

from deriv_api import DerivAPI

DEADLINE_SECS = 60.0
DIGIT = {"contract_type": "DIGITODD", "currency": "USD", "symbol": "1HZ100V", "amount": 1, "basis": "stake"}
RISE = {"contract_type": "CALL", "currency": "USD", "symbol": "1HZ100V", "amount": 1, "basis": "stake"}
UP = {"contract_type": "MULTUP", "currency": "USD", "symbol": "1HZ100V", "amount": 10, "basis": "stake"}


class Collected:
    """What a subscription delivered; `until` waits for a message."""

    def __init__(self, source: Any) -> None:
        self.messages: list[dict[str, Any]] = []
        self._news = asyncio.Event()
        self.errors: list[Exception] = []
        source.subscribe(self._take, self._fail)

    def _take(self, message: dict[str, Any]) -> None:
        self.messages.append(message)
        self._news.set()

    def _fail(self, error: Exception) -> None:
        self.errors.append(error)
        self._news.set()

    async def until(self, condition: Any) -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE_SECS):
            while True:
                found = [message for message in self.messages if condition(message)]
                if found or self.errors:
                    assert not self.errors, self.errors
                    return found[-1]
                self._news.clear()
                await self._news.wait()


class Caller:
    """Calls methods of the client by name and keeps the list of those that passed."""

    def __init__(self, api: DerivAPI) -> None:
        self.api = api
        self.passed: list[str] = []

    async def __call__(self, name: str, value: Any = 1, **arguments: Any) -> Any:
        async with asyncio.timeout(DEADLINE_SECS):
            answer = await getattr(self.api, name)({name: value, **arguments})
        assert "error" not in answer, answer
        assert answer["msg_type"] in answer, answer
        self.passed.append(name)
        return answer[answer["msg_type"]]


async def public(call: Caller) -> None:
    """Everything that needs no login."""
    assert await call("ping") == "pong"
    assert await call("time") > 1_700_000_000
    assert (await call("website_status"))["site_status"] == "up"
    symbols = await call("active_symbols", "brief", product_type="basic")
    assert {"R_100", "1HZ100V"} <= {row["symbol"] for row in symbols}
    assert (await call("contracts_for", "R_100", currency="USD"))["available"]
    assert (await call("trading_times", "today"))["markets"]
    assert (await call("ticks", "R_50"))["quote"] > 0
    assert len((await call("ticks_history", "R_100", end="latest", count=20))["times"]) == 20
    candles = await call("ticks_history", "R_100", end="latest", count=3, style="candles", granularity=60)
    assert len(candles) == 3
    assert (await call("proposal", **DIGIT, duration=1, duration_unit="t"))["ask_price"] == 1


async def trade(call: Caller) -> None:
    """A contract of three kinds: one settled, one changed and sold, one cancelled."""
    assert (await call("authorize", call.api.token))["is_virtual"] == 1
    before = (await call("balance"))["balance"]
    priced = await call("proposal", **RISE, duration=1, duration_unit="t")
    bought = await call("buy", priced["id"], price=1)
    assert bought["balance_after"] == round(before - 1, 2)
    watched = Collected(
        await call.api.subscribe({"proposal_open_contract": 1, "contract_id": bought["contract_id"], "subscribe": 1})
    )
    priced = await call("proposal", **UP, multiplier=100, limit_order={"take_profit": 500})
    held = (await call("buy", priced["id"], price=10))["contract_id"]
    assert held in {row["contract_id"] for row in (await call("portfolio"))["contracts"]}
    assert (await call("proposal_open_contract", contract_id=held))["status"] == "open"
    await _until_it_may_be(call, "is_valid_to_sell", held)
    changed = await call("contract_update", contract_id=held, limit_order={"stop_loss": 5, "take_profit": None})
    assert changed["stop_loss"]["order_amount"] == -5
    assert await call("contract_update_history", contract_id=held)
    priced = await call("proposal", **UP, multiplier=100, cancellation="60m")
    most = math.ceil(priced["ask_price"])  # this client cuts the decimals off a price
    insured = (await call("buy", priced["id"], price=most))["contract_id"]
    final = await watched.until(lambda message: message["proposal_open_contract"].get("is_sold"))
    assert final["proposal_open_contract"]["status"] in ("won", "lost")
    assert (await call("sell", held, price=0))["contract_id"] == held
    await _until_it_may_be(call, "is_valid_to_cancel", insured)
    assert (await call("cancel", insured))["sold_for"] == 10
    table = (await call("profit_table", description=1))["transactions"]
    assert {row["contract_id"] for row in table} == {bought["contract_id"], held, insured}
    statement = (await call("statement", description=1))["transactions"]
    change = (await call("balance"))["balance"] - before
    assert math.isclose(sum(row["amount"] for row in statement), change, abs_tol=0.005)
    assert change < 0, "the deal cancellation alone costs more than the other contracts can bring"
    assert math.isclose((await call("topup_virtual"))["amount"], -change, abs_tol=0.005)


async def _until_it_may_be(call: Caller, allowed: str, contract_id: int) -> None:
    async with asyncio.timeout(DEADLINE_SECS):
        while not (await call("proposal_open_contract", contract_id=contract_id))[allowed]:  # noqa: ASYNC110
            await asyncio.sleep(0.5)


async def follow(call: Caller) -> None:
    """Its subscriptions: two messages of each, then they are forgotten."""
    api = call.api
    wanted = {
        "ticks": {"ticks": "1HZ100V"},
        "history": {"ticks_history": "1HZ75V", "end": "latest", "count": 5},
        "candles": {"ticks_history": "1HZ50V", "end": "latest", "count": 5, "style": "candles", "granularity": 60},
        "proposal": {"proposal": 1, **UP, "multiplier": 40},
    }
    followed = {name: Collected(await api.subscribe(request)) for name, request in wanted.items()}
    for name, source in followed.items():
        await source.until(lambda message, source=source: len(source.messages) >= 3 and "subscription" in message)
        assert not source.errors, (name, source.errors)
    balance = Collected(await api.subscribe({"balance": 1}))
    transactions = Collected(await api.subscribe({"transaction": 1}))
    everything = Collected(await api.subscribe({"proposal_open_contract": 1}))
    one_tick = {**DIGIT, "duration": 1, "duration_unit": "t"}
    await call("buy", "1", price=1, parameters=one_tick)
    await everything.until(lambda message: message["proposal_open_contract"].get("is_sold"))
    await transactions.until(lambda message: message["transaction"].get("action") == "sell")
    await balance.until(lambda message: len(balance.messages) >= 3)
    bought = Collected(await api.subscribe({"buy": "1", "price": 1, "parameters": one_tick}))
    await bought.until(lambda message: message.get("proposal_open_contract", {}).get("is_sold"))
    # Each kind is forgotten one way only: the client fails on its own books when forget_all follows forget.
    assert (await api.forget(followed["proposal"].messages[0]["subscription"]["id"]))["forget"] == 1
    forgotten = await api.forget_all("candles", "ticks", "balance", "transaction", "proposal_open_contract")
    assert len(forgotten["forget_all"]) >= 5, forgotten
    call.passed += ["transaction", "forget", "forget_all", "subscribe"]


async def main(facts: dict[str, Any]) -> None:
    """Run all of it; whatever the client finds wrong with the venue ends the run."""
    host = facts["deriv_url"].removesuffix("/websockets/v3")
    complaints: list[Exception] = []
    api = DerivAPI(endpoint=host, app_id=1089)
    api.token = facts["token"]
    api.sanity_errors.subscribe(complaints.append)
    call = Caller(api)
    await public(call)
    await trade(call)
    await follow(call)
    assert await call("logout") == 1
    complaints_while_open = list(complaints)
    await api.disconnect()
    await api.clear()
    assert not complaints_while_open, complaints_while_open
    print(f"deriv: {len(call.passed)} calls of {len(set(call.passed))} kinds passed")


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
