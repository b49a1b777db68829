"""Contracts enter on the next tick, end where their terms say, and settle after they have expired."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.simulator.deriv.contracts import Contract, Due, LimitOrder, Reason
from services.simulator.deriv.errors import ApiError
from services.simulator.deriv.kinds import make_contract
from services.simulator.deriv.market import Tick
from services.simulator.deriv.terms import Terms, multiplier_expiry

START = 1_747_020_784


def rise_fall(kind: str = "CALL", *, ticks: int | None = None, secs: int = 20, barrier: str = "S0P") -> Contract:
    terms = Terms(
        contract_type=kind,
        symbol="R_100",
        currency="USD",
        date_start=START,
        date_expiry=START + secs,
        buy_price=Decimal("1.00"),
        payout=Decimal("1.95"),
        ticks=ticks,
        barrier=barrier,
    )
    return make_contract(1, 2, terms)


def multiplier(
    kind: str = "MULTUP", *, take_profit: Decimal | None = None, stop_loss: Decimal | None = None, start: int = START
) -> Contract:
    terms = Terms(
        contract_type=kind,
        symbol="1HZ100V",
        currency="USD",
        date_start=start,
        date_expiry=multiplier_expiry(start),
        buy_price=Decimal("10.00"),
        stake=Decimal("10.00"),
        multiplier=100,
        commission=Decimal("0.36"),
        take_profit=take_profit,
        stop_loss=stop_loss,
    )
    return make_contract(1, 2, terms)


def step(contract: Contract, *ticks: tuple[int, float]) -> None:
    for seconds, quote in ticks:
        contract.on_tick(Tick(START + seconds, quote))
        contract.on_second(START + seconds)


def test_recorded_one_tick_contract_is_lived_through() -> None:
    contract = rise_fall(ticks=1)
    step(contract, (0, 1511.51))
    assert not contract.stream, "the tick of the purchase second is not the entry"
    step(contract, (2, 1511.36))
    assert contract.entry == Tick(START + 2, 1511.36)
    step(contract, (4, 1511.81))
    assert contract.is_expired
    assert contract.exit == Tick(START + 4, 1511.81)
    assert contract.bid(Tick(START + 4, 1511.81), START + 4) == Decimal("1.95")
    assert contract.settlement(START + 4) is None, "expired is not yet sold"
    assert contract.settlement(START + 5) == Due("won", Decimal("1.95"), START + 5, Reason.EXPIRED)


@pytest.mark.parametrize(
    ("kind", "last", "outcome"),
    [
        ("CALL", 1511.37, "won"),
        ("CALL", 1511.36, "lost"),
        ("CALL", 1511.35, "lost"),
        ("PUT", 1511.35, "won"),
        ("PUT", 1511.36, "lost"),
        ("PUT", 1511.37, "lost"),
    ],
)
def test_a_tie_loses_on_both_sides(kind: str, last: float, outcome: str) -> None:
    contract = rise_fall(kind, ticks=5)
    step(contract, *[(2 * n, 1511.36) for n in range(1, 6)], (12, last))
    due = contract.settlement(START + 13)
    assert due is not None
    assert due[0] == outcome
    assert len(contract.stream) == 6, "entry is tick 0"


@pytest.mark.parametrize(("barrier", "outcome"), [("S0P", "won"), ("+0.10", "lost"), ("-0.10", "won"), ("1500", "won")])
def test_time_contract_ends_with_the_last_tick_not_after_its_expiry(barrier: str, outcome: str) -> None:
    contract = rise_fall(secs=15, barrier=barrier)
    step(contract, (2, 1511.00), (14, 1511.10))
    assert not contract.is_expired
    step(contract, (16, 1400.00))
    assert contract.exit == Tick(START + 14, 1511.10)
    due = contract.settlement(START + 16)
    assert due is not None
    assert due[0] == outcome


def test_recorded_multiplier_shows_the_recorded_figures() -> None:
    contract = multiplier(start=1_716_877_413)
    contract.on_tick(Tick(1_716_877_414, 782.35))
    spot = Tick(1_716_882_618, 807.20)
    contract.on_tick(spot)
    assert contract.profit(spot, spot.epoch) == Decimal("31.40")
    assert contract.bid(spot, spot.epoch) == Decimal("41.40")
    assert contract.orders(spot)["stop_out"] == LimitOrder(Decimal("-10.00"), Decimal("774.81"), 1_716_877_413)
    assert contract.terms.shortcode() == "MULTUP_1HZ100V_10.00_100_1716877413_4870540799_0_0.00_N1"
    assert contract.terms.longcode() == (
        "If you select 'Up', your total profit/loss will be the percentage increase in Volatility 100 (1s) Index, "
        "multiplied by 1000, minus commissions."
    )


@pytest.mark.parametrize(
    ("kind", "limits", "quote", "outcome"),
    [
        ("MULTUP", {}, 774.81, "lost"),
        ("MULTDOWN", {}, 789.90, "lost"),
        ("MULTUP", {"stop_loss": Decimal(4)}, 779.50, "lost"),
        ("MULTUP", {"take_profit": Decimal(5)}, 786.60, "won"),
        ("MULTDOWN", {"take_profit": Decimal(5)}, 778.10, "won"),
        ("MULTDOWN", {"stop_loss": Decimal(4)}, 785.20, "lost"),
        ("MULTUP", {"stop_loss": Decimal(4), "take_profit": Decimal(5)}, 782.40, None),
    ],
)
def test_limit_orders_close_a_multiplier_on_the_tick_that_reaches_them(
    kind: str, limits: dict[str, Decimal], quote: float, outcome: str | None
) -> None:
    contract = multiplier(kind, take_profit=limits.get("take_profit"), stop_loss=limits.get("stop_loss"))
    step(contract, (1, 782.35), (2, quote))
    due = contract.settlement(START + 2)
    assert (due[0] if due else None) == outcome
    if due is not None and not limits:
        assert due[1] == Decimal("0.00")


def test_a_gap_through_the_stop_loss_costs_more_than_the_stop_but_never_more_than_the_stake() -> None:
    gapped = multiplier(stop_loss=Decimal(4))
    step(gapped, (1, 782.35), (2, 777.00))
    crashed = multiplier(stop_loss=Decimal(4))
    step(crashed, (1, 782.35), (2, 700.00))
    assert gapped.settlement(START + 2) == Due("lost", Decimal("2.80"), START + 2, Reason.STOP_LOSS)
    assert crashed.settlement(START + 2) == Due("lost", Decimal("0.00"), START + 2, Reason.STOP_OUT)


def test_selling_waits_for_the_tick_after_entry() -> None:
    contract = multiplier()
    for tick, refused in (((0, 780.0), "EntryTickMissing"), ((1, 782.35), "SellAtEntryTick")):
        step(contract, tick)
        with pytest.raises(ApiError) as error:
            contract.check_sale()
        assert error.value.code == refused
    step(contract, (2, 783.0))
    contract.check_sale()


def test_tick_contracts_are_not_bought_back() -> None:
    contract = rise_fall(ticks=5)
    step(contract, (2, 1511.0), (4, 1511.2))
    with pytest.raises(ApiError, match="ResaleNotOffered"):
        contract.check_sale()


@pytest.mark.parametrize(
    ("contract", "shortcode"),
    [
        (rise_fall(ticks=1), f"CALL_R_100_1.95_{START}_1T_S0P_0"),
        (rise_fall(secs=60), f"CALL_R_100_1.95_{START}_{START + 60}_S0P_0"),
        (rise_fall(secs=60, barrier="+0.10"), f"CALL_R_100_1.95_{START}_{START + 60}_S10P_0"),
        (
            multiplier("MULTDOWN", take_profit=Decimal(5), stop_loss=Decimal(4), start=1_716_877_413),
            "MULTDOWN_1HZ100V_10.00_100_1716877413_4870540799_0_5.00_4.00_N1",
        ),
    ],
)
def test_shortcodes_are_spelt_as_recorded(contract: Contract, shortcode: str) -> None:
    assert contract.terms.shortcode() == shortcode


@pytest.mark.parametrize(
    ("contract", "words"),
    [
        (rise_fall(ticks=1), "Win payout if Volatility 100 Index after 1 tick is strictly higher than entry spot."),
        (
            rise_fall("PUT", secs=60),
            "Win payout if Volatility 100 Index is strictly lower than entry spot at 1 minute after contract start "
            "time.",
        ),
    ],
)
def test_longcodes_are_worded_as_recorded(contract: Contract, words: str) -> None:
    assert contract.terms.longcode() == words


@given(moves=st.lists(st.floats(-0.004, 0.004), min_size=2, max_size=60), up=st.booleans())
def test_an_open_multiplier_is_worth_stake_plus_profit_and_a_closed_one_reached_a_limit(
    moves: list[float], up: bool
) -> None:
    contract = multiplier("MULTUP" if up else "MULTDOWN", take_profit=Decimal(5), stop_loss=Decimal(4))
    quote = 782.35
    for second, move in enumerate(moves, start=1):
        quote = round(quote * (1 + move), 2)
        step(contract, (second, quote))
    last = contract.exit or contract.last
    assert last is not None
    profit = contract.profit(last, last.epoch)
    assert contract.bid(last, last.epoch) == Decimal(10) + profit >= 0
    one_pip = Decimal(1000) * Decimal("0.01") / Decimal("782.35") + Decimal("0.02")
    if contract.is_expired:
        assert profit >= 5 - one_pip or profit <= -4 + one_pip
    else:
        assert -4 - one_pip < profit < 5 + one_pip
