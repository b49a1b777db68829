"""The risk service on a bus: rebuilt after a kill, the kill switch before any signal, permits that verify."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
import structlog
from fastapi import FastAPI

from libs.common.bus import MemoryBroker, MemoryBus
from libs.common.chassis import FatalError
from libs.common.clock import DataClocks
from libs.common.keys import Verifier, make_keys
from libs.common.settings import Settings
from libs.core.types import (
    SECOND,
    SMOKE,
    AccountState,
    Action,
    Applied,
    Control,
    ControlKind,
    Event,
    FeedHealth,
    Inline,
    Instrument,
    InstrumentKind,
    Mode,
    Order,
    OrderState,
    Permit,
    Restored,
    Side,
    Signal,
    Ticks,
    TimePassed,
    Trade,
    VenueClock,
    Verdict,
    decode,
    encode,
)
from services.risk import state
from services.risk.app import RiskApp

NOW = 1_723_161_600 * SECOND
Until = Callable[[Callable[[], object], str], Awaitable[None]]


class StubChassis:
    """The chassis as risk sees it, without HTTP and signals."""

    def __init__(self, var: Path, bus: MemoryBus, permit_ttl_s: float) -> None:
        self.settings = Settings.model_validate(
            {
                "data": {"venues": [{"name": "deriv", "symbols": [{"symbol": "R_100"}, {"symbol": "R_50"}]}]},
                "trading": {
                    "accounts": [{"id": "deriv-paper", "venue": "deriv", "currency": "USD"}],
                    "permit_ttl_s": permit_ttl_s,
                },
                "platform": {"var": str(var)},
            }
        )
        self.bus, self.var = bus, var
        self.log = structlog.get_logger("test")
        self.clocks = DataClocks()
        self.on_pause: list[Callable[[bool], None]] = []
        self.tasks: list[asyncio.Task[Any]] = []

    def spawn(self, coro: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        self.tasks.append(asyncio.get_running_loop().create_task(coro, name=name))
        return self.tasks[-1]


class House:
    """A broker, somebody who publishes market and ledger, and risk services that come and go."""

    def __init__(self, var: Path, until: Until) -> None:
        self.var, self.until = var, until
        self.broker = MemoryBroker()
        self.others = MemoryBus(self.broker)
        self.running: list[tuple[RiskApp, StubChassis]] = []
        self.count = 0
        self.permit_ttl_s = 5.0

    async def say(self, *events: Event) -> None:
        for event in events:
            await self.others.publish(event)

    async def start(self) -> RiskApp:
        chassis = StubChassis(self.var, MemoryBus(self.broker), self.permit_ttl_s)
        risk = RiskApp(chassis)  # type: ignore[arg-type]
        self.running.append((risk, chassis))
        await risk.start()
        return risk

    async def kill(self) -> None:
        """As kill -9: tasks gone, nothing saved on the way."""
        for _, chassis in self.running:
            for task in chassis.tasks:
                task.cancel()
            await asyncio.wait(chassis.tasks)
            await chassis.bus.close()
        self.running.clear()

    def events(self, kind: type[Any]) -> list[Any]:
        decoded = [decode(m[1]) for stream in list(self.broker.messages) for m in self.broker.messages[stream]]
        return [event for event in decoded if isinstance(event, kind)]

    async def market(self, at: int = NOW, symbol: str = "R_100") -> None:
        self.count += 1
        items = (Trade(ts_event=at, price=100.0, size=0.0, side=0, seq=at // SECOND),)
        await self.say(
            VenueClock(id=f"c{self.count}", ts_event=at, venue="deriv", ts_machine=0, extrapolate=False),
            instrument(symbol),
            FeedHealth(id=f"h{self.count}", ts_event=at, venue="deriv", symbol=symbol, score=1.0),
            Ticks(id=f"t{self.count}", ts_event=at, venue="deriv", symbol=symbol, items=items),
        )
        await self.until(lambda: self.seen(symbol, at), "risk knows the price")

    def seen(self, symbol: str, at: int) -> bool:
        stage = self.running[-1][0]._stage
        return stage._symbol("deriv", symbol).price_ts == at and stage._symbol("deriv", symbol).health is not None

    async def ask(self, wish: Signal) -> Verdict:
        await self.say(wish)
        return await self.verdict(wish.id)

    async def verdict(self, signal_id: str) -> Verdict:
        await self.until(lambda: any(v.signal_id == signal_id for v in self.events(Verdict)), "a verdict")
        (verdict,) = [v for v in self.events(Verdict) if v.signal_id == signal_id]
        assert isinstance(verdict, Verdict)
        return verdict

    async def client(self) -> httpx2.AsyncClient:
        api = FastAPI()
        routes = self.running[-1][0].routes()
        assert routes is not None
        api.include_router(routes, prefix="/admin")
        return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=api), base_url="http://risk")


def instrument(symbol: str) -> Instrument:
    return Instrument(
        id=f"i-{symbol}",
        ts_event=0,
        venue="deriv",
        symbol=symbol,
        canonical=symbol,
        name=symbol,
        kind=InstrumentKind.MULTIPLIER,
        base=symbol,
        quote="USD",
        decimals=2,
        price_step=D("0.01"),
        qty_step=D("0.01"),
        min_qty=D(1),
        max_qty=D(2000),
        multiplier=40,
        commission_rate=D("0.00036"),
    )


def account(equity: int = 10_000, revision: int = 1) -> AccountState:
    return AccountState(
        id=f"a{revision}",
        ts_event=NOW,
        account="deriv-paper",
        venue="deriv",
        mode=Mode.PAPER,
        currency="USD",
        balance=D(equity),
        equity=D(equity),
        peak_equity=D(10_000),
        day=NOW // (86_400 * SECOND),
        day_start_equity=D(equity),
        revision=revision,
    )


def wish(name: str, at: int = NOW, **fields: Any) -> Signal:
    base = Signal(
        id=name,
        ts_event=at,
        strategy="ema_trend",
        params_hash="p",
        venue="deriv",
        symbol="R_100",
        interval_s=1,
        bar_time=at - SECOND,
        side=Side.BUY,
        action=Action.ENTER,
        price=100.0,
        atr=0.5,
        reason="up",
    )
    return msgspec.structs.replace(base, **fields)


def command(kind: ControlKind, scope: str = "*") -> Control:
    return Control(id=f"{kind}-{scope}", ts_event=1, ts_init=1, kind=kind, scope=scope, reason="test", actor="cli")


@pytest.fixture
async def house(tmp_path: Path, until: Until) -> AsyncIterator[House]:
    make_keys(tmp_path / "keys")
    made = House(tmp_path, until)
    yield made
    await made.kill()


async def open_house(house: House) -> RiskApp:
    risk = await house.start()
    await house.say(account())
    await house.market()
    await house.until(lambda: not risk.not_ready(), "risk is ready")
    return risk


async def test_a_signal_gets_a_verdict_and_a_permit_that_execute_can_verify(house: House) -> None:
    await open_house(house)
    verdict = await house.ask(wish("s1"))
    assert verdict.approved
    (permit,) = house.events(Permit)
    assert permit.verdict == verdict
    assert Verifier(house.var / "keys" / "public").refusal(permit) is None


async def test_it_is_not_ready_before_clock_and_account_are_known(house: House) -> None:
    risk = await house.start()
    assert risk.not_ready() == ["waiting for the clock of deriv", "waiting for the state of account deriv-paper"]


@pytest.mark.parametrize("saved", [False, True], ids=["without a snapshot", "with a snapshot"])
async def test_after_a_kill_open_permits_and_orders_still_count(house: House, saved: bool) -> None:
    risk = await open_house(house)
    await house.ask(wish("s1"))
    (permit,) = house.events(Permit)
    if saved:
        await risk._save()
    await house.say(
        Order(
            id="o",
            ts_event=NOW,
            intent_id=permit.id,
            revision=1,
            state=OrderState.UNRESOLVED,
            mode=Mode.PAPER,
            venue="deriv",
            account="deriv-paper",
            symbol="R_100",
            strategy="ema_trend",
            side=Side.BUY,
            action=Action.ENTER,
            quantity=permit.quantity,
            worst_price=permit.worst_price,
            stop_price=permit.stop_price,
            position_id=permit.id,
            reason="entry",
        )
    )
    await house.kill()
    again = await house.start()
    assert again._stage.accounts()[0].view("R_100", NOW, (), ()).exposure == permit.quantity * 40
    assert again.not_ready() == ["waiting for the clock of deriv"]
    await house.market(NOW + 20 * SECOND)
    verdict = await house.ask(wish("s2", NOW + 20 * SECOND))
    assert set(verdict.reasons) == {"open_order", "unresolved_order"}
    assert len(house.events(Permit)) == 1


async def test_signals_sent_while_risk_was_dead_are_answered_and_no_other_twice(house: House) -> None:
    await open_house(house)
    first = await house.ask(wish("s1"))
    await house.kill()
    await house.say(wish("s2", symbol="R_50"))
    await house.start()
    await house.until(lambda: {v.signal_id for v in house.events(Verdict)} == {"s1", "s2"}, "both are answered")
    await house.market(NOW + SECOND)
    await house.ask(wish("s3", NOW + SECOND, side=Side.SELL))
    assert [v for v in house.events(Verdict) if v.signal_id == "s1"] == [first]


async def test_a_verdict_lost_in_a_crash_is_published_from_its_permit(house: House) -> None:
    await open_house(house)
    await house.ask(wish("s1"))
    await house.kill()
    decisions = house.broker.messages["DECISIONS"]
    decisions[:] = [message for message in decisions if not message[0].startswith("risk.verdict")]
    house.broker.ids.clear()
    await house.start()
    await house.until(lambda: [v.signal_id for v in house.events(Verdict)] == ["s1"], "said after all")


@pytest.mark.parametrize("lost", ["nothing", "stream", "bucket"])
async def test_a_halt_survives_a_kill_and_is_known_before_the_first_signal(house: House, lost: str) -> None:
    await open_house(house)
    await house.say(command(ControlKind.HALT))
    await house.until(lambda: house.broker.buckets[state.KILL], "the switch is written")
    await house.kill()
    if lost == "stream":
        house.broker.messages["CONTROL"].clear()
    if lost == "bucket":
        house.broker.buckets[state.KILL].clear()
    await house.say(wish("s1"))
    await house.start()
    await house.until(lambda: house.events(Verdict), "an answer")
    (verdict,) = house.events(Verdict)
    assert "halted" in verdict.reasons


async def test_a_rearm_survives_a_kill_too(house: House) -> None:
    await open_house(house)
    await house.say(command(ControlKind.HALT), command(ControlKind.HALT, "R_100"), command(ControlKind.REARM))
    await house.until(
        lambda: {decode(v[0]).kind for v in house.broker.buckets[state.KILL].values()} == {ControlKind.REARM},
        "every key is re-armed",
    )
    await house.kill()
    await house.start()
    await house.market(NOW + SECOND)
    assert (await house.ask(wish("s1", NOW + SECOND))).approved


async def test_the_admin_routes_halt_at_once_and_say_so(house: House) -> None:
    await open_house(house)
    async with await house.client() as http:
        answer = await http.post("/admin/halt", json={"scope": "R_100", "reason": "looks odd", "flatten": True})
        assert answer.status_code == 200
        assert answer.json()["in_force"]
        assert answer.json()["flatten"]["in_force"]
        assert (await house.ask(wish("s1"))).reasons == ("halted",)
        shown = (await http.get("/admin/state")).json()
        assert shown["halted"] == {"R_100": "looks odd"}
        assert shown["accounts"][0]["equity"] == "10000"
        assert (await http.post("/admin/rearm", json={"scope": "R_100", "reason": "fine"})).json()["in_force"]
        assert (await http.post("/admin/reduce-only", json={"reason": "evening"})).json()["in_force"]
        assert (await house.ask(wish("s2"))).reasons == ("reduce_only",)
        limits = (await http.get("/admin/limits")).json()
        assert limits["limits"]["risk_per_trade"] == "0.02"
    kinds = [(c.kind, c.scope, c.reason, c.actor) for c in house.events(Control)]
    assert kinds[:2] == [
        (ControlKind.HALT, "R_100", "looks odd", "admin"),
        (ControlKind.FLATTEN, "R_100", "looks odd", "admin"),
    ]


async def test_a_connectivity_trade_goes_the_way_of_every_signal(house: House) -> None:
    await open_house(house)
    async with await house.client() as http:
        unknown = await http.post("/admin/smoke", json={"venue": "deriv", "symbol": "R_75", "nonce": 1})
        assert unknown.status_code == 503
        assert "no price of R_75" in unknown.text
        asked = {"venue": "deriv", "symbol": "R_100", "nonce": 7}
        answer = await http.post("/admin/smoke", json=asked)
        verdict = await house.verdict(answer.json()["signal_id"])
        again = await http.post("/admin/smoke", json=asked)
        assert again.json() == answer.json()
        other = await http.post("/admin/smoke", json={**asked, "nonce": 8})
        assert not (await house.verdict(other.json()["signal_id"])).approved, "one at a time"
        assert len(house.events(Verdict)) == 2
        assert verdict.approved
        assert verdict.strategy == SMOKE
        assert (await http.post("/admin/flatten", json={"scope": SMOKE, "reason": "seen"})).json()["in_force"]
    assert [(c.kind, c.scope) for c in house.events(Control)] == [(ControlKind.FLATTEN, SMOKE)]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"scope": "R_10", "reason": "x"}, "did you mean 'R_100'"),
        ({"scope": "*"}, "reason"),
        ({"reason": "x", "flaten": True}, "flaten"),
        ({"reason": "x", "actor": "risk"}, "say who asks"),
    ],
)
async def test_a_mistyped_halt_is_refused_with_the_nearest_name(house: House, body: dict[str, Any], said: str) -> None:
    await open_house(house)
    async with await house.client() as http:
        answer = await http.post("/admin/halt", json=body)
    assert answer.status_code == 422
    assert said in answer.text
    assert not house.events(Control)


async def test_a_drawdown_halts_and_flattens_and_holds_after_a_kill(house: House) -> None:
    await open_house(house)
    await house.say(account(8_500, 2))
    await house.until(lambda: len(house.events(Control)) == 2, "halt and flatten")
    assert [(c.kind, c.scope, c.actor) for c in house.events(Control)] == [
        (ControlKind.HALT, "deriv-paper", "risk"),
        (ControlKind.FLATTEN, "deriv-paper", "risk"),
    ]
    await house.until(lambda: state.kill_key("deriv-paper") in house.broker.buckets[state.KILL], "in the switch")
    await house.kill()
    await house.start()
    await house.say(account(8_400, 3))
    await house.market(NOW + SECOND)
    assert "halted" in (await house.ask(wish("s1", NOW + SECOND))).reasons
    assert len(house.events(Control)) == 2, "said once"


async def test_a_drawdown_that_a_crash_kept_from_being_announced_is_announced_after_it(house: House) -> None:
    await open_house(house)
    await house.kill()
    await house.say(account(8_500, 2))
    await house.start()
    assert not house.events(Control)
    await house.say(account(8_490, 3))
    await house.until(lambda: len(house.events(Control)) == 2, "halt and flatten")


async def test_an_unused_permit_expires_on_record_when_its_time_has_passed_on_both_clocks(house: House) -> None:
    house.permit_ttl_s = 0.5
    risk = await open_house(house)
    begun = time.monotonic()
    await house.ask(wish("s1"))
    await house.market(NOW + 30 * SECOND)
    assert risk._stage.accounts()[0].pending, "a leap of the data clock alone frees nothing"
    await house.until(lambda: not risk._stage.accounts()[0].pending, "freed")
    assert time.monotonic() - begun >= 1.0
    await risk._runner.flush()  # type: ignore[union-attr]
    entries = [entry for applied in house.events(Applied) for entry in applied.entries]
    inline = [decode(entry.payload) for entry in entries if isinstance(entry, Inline)]
    assert [event.ts_event for event in inline if isinstance(event, TimePassed)] == [NOW + SECOND]


async def test_the_state_taken_up_is_journalled(house: House) -> None:
    await open_house(house)
    await house.say(command(ControlKind.HALT))
    await house.until(lambda: house.broker.buckets[state.KILL], "in force")
    await house.kill()
    risk = await house.start()
    entries = [entry for applied in house.events(Applied) for entry in applied.entries]
    restored = [decode(entry.payload) for entry in entries if isinstance(entry, Inline)]
    last = [event for event in restored if isinstance(event, Restored)][-1]
    assert last.snapshot == risk._stage.snapshot()


@pytest.mark.parametrize(("damage", "said"), [("missing", "no signing key"), ("open", "chmod 600")])
async def test_without_a_private_key_of_its_own_it_does_not_start(house: House, damage: str, said: str) -> None:
    key = house.var / "keys" / "risk.key"
    key.unlink() if damage == "missing" else key.chmod(0o644)
    with pytest.raises(FatalError, match=said):
        await house.start()
    house.running.clear()


def test_any_scope_has_its_own_key_in_the_bucket() -> None:
    scopes = ["*", "all", "R_100", "BTC/USDT", "BTC=2FUSDT", "ema trend", "Ä", "scope.all"]
    keys = [state.kill_key(scope) for scope in scopes]
    assert len(set(keys)) == len(scopes)
    assert all(set(key) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=.") for key in keys)


async def test_rubbish_in_the_bucket_does_not_stop_a_start(house: House) -> None:
    await house.others.kv_put(state.KILL, "all", b"rubbish")
    await house.others.kv_put(state.KILL, "scope.R_100", encode(wish("no control")))
    await house.others.kv_put(state.SNAPSHOTS, state.KEY, b"rubbish")
    await open_house(house)
    assert (await house.ask(wish("s1"))).approved
