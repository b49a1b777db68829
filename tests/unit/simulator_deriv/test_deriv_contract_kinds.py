"""Equals, digits, accumulators, deal cancellation and changed limit orders end and pay as the venue documents."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.simulator.deriv import pricing
from services.simulator.deriv.accumulators import Accumulator
from services.simulator.deriv.contracts import Contract, Due, LimitChange, Reason
from services.simulator.deriv.errors import ApiError
from services.simulator.deriv.kinds import make_contract
from services.simulator.deriv.ledger_views import duration_type
from services.simulator.deriv.market import Tick
from services.simulator.deriv.terms import Terms, multiplier_expiry

START = 1_747_020_784
STAKE = Decimal("10.00")


def contract(kind: str, **changes: Any) -> Contract:
    terms = Terms(
        contract_type=kind,
        symbol="R_100",
        currency="USD",
        date_start=START,
        date_expiry=START + 60,
        buy_price=Decimal("1.00"),
        payout=Decimal("1.95"),
    )
    return make_contract(1, 2, msgspec.structs.replace(terms, **changes))


def digit(kind: str, bet: int | None, ticks: int = 5) -> Contract:
    return contract(kind, digit=bet, ticks=ticks)


def accumulator(**changes: Any) -> Accumulator:
    defaults: dict[str, Any] = {
        "symbol": "1HZ100V",
        "stake": STAKE,
        "buy_price": STAKE,
        "ticks": 230,
        "growth_rate": Decimal("0.01"),
        "band": Decimal("0.000433139675"),
        "max_payout": Decimal(10_000),
    }
    made = contract("ACCU", **{**defaults, **changes})
    assert isinstance(made, Accumulator)
    return made


def multiplier(**changes: Any) -> Contract:
    defaults: dict[str, Any] = {
        "symbol": "1HZ100V",
        "date_expiry": multiplier_expiry(START),
        "stake": STAKE,
        "buy_price": STAKE,
        "payout": Decimal(0),
        "multiplier": 100,
        "commission": Decimal("0.36"),
    }
    return contract("MULTUP", **{**defaults, **changes})


def step(made: Contract, *ticks: tuple[int, float]) -> None:
    for seconds, quote in ticks:
        made.on_tick(Tick(START + seconds, quote))
        made.on_second(START + seconds)


def outcome(made: Contract, after: int) -> tuple[str, Decimal]:
    due = made.settlement(START + after)
    assert due is not None
    return due.status, due.price


# --- equals and digits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "last", "won"),
    [
        ("CALLE", 1511.37, True),
        ("CALLE", 1511.36, True),
        ("CALLE", 1511.35, False),
        ("PUTE", 1511.35, True),
        ("PUTE", 1511.36, True),
        ("PUTE", 1511.37, False),
    ],
)
def test_a_tie_wins_where_equality_was_bought(kind: str, last: float, won: bool) -> None:
    by_ticks = contract(kind, ticks=1)
    step(by_ticks, (2, 1511.36), (4, last))
    by_time = contract(kind)
    step(by_time, (2, 1511.36), (60, last))
    for made, after in ((by_ticks, 5), (by_time, 61)):
        assert outcome(made, after) == (("won", Decimal("1.95")) if won else ("lost", Decimal("0.00")))


@pytest.mark.parametrize(
    ("kind", "bet", "winning"),
    [
        ("DIGITMATCH", 0, {0}),
        ("DIGITDIFF", 0, set(range(1, 10))),
        ("DIGITEVEN", None, {0, 2, 4, 6, 8}),
        ("DIGITODD", None, {1, 3, 5, 7, 9}),
        ("DIGITOVER", 7, {8, 9}),
        ("DIGITUNDER", 2, {0, 1}),
    ],
)
def test_last_digit_is_the_last_one_printed(kind: str, bet: int | None, winning: set[int]) -> None:
    for last in range(10):
        made = digit(kind, bet, ticks=1)
        step(made, (2, round(5716.50 + last / 100, 2)))  # 5716.5 is printed 5716.50: its last digit is 0
        assert outcome(made, 3)[0] == ("won" if last in winning else "lost"), last


def test_entry_is_the_first_tick_of_a_digit_contract() -> None:
    one = digit("DIGITMATCH", 6, ticks=1)
    step(one, (0, 1511.30), (2, 1511.36))
    assert one.exit == one.entry == Tick(START + 2, 1511.36)
    assert one.settlement(START + 2) is None, "expired is not yet sold"
    assert one.settlement(START + 3) == Due("won", Decimal("1.95"), START + 3, Reason.EXPIRED)
    five = digit("DIGITODD", None)
    step(five, *[(2 * n, 1511.3 + n / 100) for n in range(1, 5)])
    assert not five.is_expired
    step(five, (10, 1511.36))
    assert len(five.stream) == 5


def test_digits_are_not_bought_back() -> None:
    made = digit("DIGITODD", None)
    step(made, (2, 1511.31), (4, 1511.32))
    with pytest.raises(ApiError, match="ResaleNotOffered"):
        made.check_sale()


# --- accumulators ------------------------------------------------------------------------------------------------


def test_recorded_growth_of_an_accumulator_is_reproduced() -> None:
    made = accumulator(stake=Decimal(9))
    step(made, *[(n, 782.35) for n in range(1, 11)])
    assert made.ticks_passed == 9, "counting starts after the entry"
    assert made.bid(Tick(START + 10, 782.35), START + 10) == Decimal("9.84")


def test_accumulator_is_lost_with_the_first_tick_outside_the_band_of_the_one_before() -> None:
    made = accumulator()
    low, high = made.band_around(Tick(0, 782.35))
    assert (str(low), str(high)) == ("782.011", "782.689"), "one decimal more than quotes have"
    step(made, (1, 782.35), (2, 782.68), (3, 783.01))
    assert made.ticks_passed == 2, "the band moves with the spot"
    step(made, (4, 783.36))
    assert made.settlement(START + 4) == Due("lost", Decimal("0.00"), START + 4, Reason.KNOCKED_OUT)
    assert made.bid(Tick(START + 4, 783.36), START + 4) == 0


@pytest.mark.parametrize(
    ("changes", "ticks", "reason", "price"),
    [
        ({"take_profit": Decimal("0.20")}, 2, Reason.TAKE_PROFIT, "10.20"),
        ({"ticks": 5}, 5, Reason.MAX_TICKS, "10.51"),
        ({"max_payout": Decimal("10.30")}, 3, Reason.MAX_PAYOUT, "10.30"),
    ],
)
def test_accumulator_ends_by_itself_with_what_it_has_grown_to(
    changes: dict[str, Any], ticks: int, reason: Reason, price: str
) -> None:
    made = accumulator(**changes)
    step(made, *[(n, 782.35) for n in range(1, 12)])
    assert made.settlement(START + 12) == Due("won", Decimal(price), START + 1 + ticks, reason)


@given(st.lists(st.floats(-0.0008, 0.0008), max_size=60))
def test_an_accumulator_is_worth_its_compounded_stake_or_nothing(moves: list[float]) -> None:
    made, quote, survived = accumulator(), 782.35, 0
    step(made, (1, quote))
    for second, move in enumerate(moves, start=2):
        previous, quote = quote, round(quote * (1 + move), 2)
        if made.is_expired:
            break
        low, high = made.band_around(Tick(0, previous))
        survived += low < Decimal(f"{quote:.2f}") < high
        step(made, (second, quote))
    assert made.ticks_passed == survived
    expected = pricing.cents(STAKE * Decimal("1.01") ** survived)
    assert made.bid(Tick(0, quote), 0) == (0 if made.is_expired else expected)


# --- deal cancellation -------------------------------------------------------------------------------------------


def test_stop_out_within_deal_cancellation_returns_the_stake() -> None:
    made = multiplier(cancellation_secs=300, cancellation_price=Decimal("1.29"), buy_price=Decimal("11.29"))
    step(made, (1, 782.35), (300, 700.0))
    assert made.settlement(START + 300) == Due("cancelled", STAKE, START + 300, Reason.STOP_OUT)
    late = multiplier(cancellation_secs=300)
    step(late, (1, 782.35), (301, 700.0))
    assert late.settlement(START + 301) == Due("lost", Decimal("0.00"), START + 301, Reason.STOP_OUT)


def test_profit_leaves_out_the_fee_of_deal_cancellation() -> None:
    made = multiplier(cancellation_secs=3600, cancellation_price=Decimal("1.29"), buy_price=Decimal("11.29"))
    step(made, (1, 782.35), (2, 807.20))
    assert made.profit(Tick(START + 2, 807.20), START + 2) == Decimal("31.40")


@pytest.mark.parametrize(
    ("secs", "now", "code"),
    [(0, 10, "DealCancellationNotBought"), (300, 301, "DealCancellationExpired"), (300, 300, None)],
)
def test_cancelling_needs_a_living_deal_cancellation(secs: int, now: int, code: str | None) -> None:
    made = multiplier(cancellation_secs=secs)
    step(made, (1, 782.35))
    assert made.cancellable(START + now) is (code is None)
    if code is None:
        made.check_cancel(START + now)
    else:
        with pytest.raises(ApiError, match=code):
            made.check_cancel(START + now)


def test_selling_at_a_loss_is_refused_while_cancelling_gives_more() -> None:
    made = multiplier(cancellation_secs=300)
    step(made, (1, 782.35), (2, 782.00))
    with pytest.raises(ApiError, match="CancelIsBetter"):
        made.check_better_cancelled(Tick(START + 2, 782.00), START + 2)
    made.check_better_cancelled(Tick(START + 2, 790.00), START + 2)
    made.check_better_cancelled(Tick(START + 301, 782.00), START + 301)


# --- limit orders ------------------------------------------------------------------------------------------------


def test_changed_limits_hold_for_later_ticks_only() -> None:
    made = multiplier()
    step(made, (1, 782.35), (2, 786.60))
    assert not made.is_expired
    made.changes.append(LimitChange(START + 2, START + 2, Decimal(5), None))
    assert made.orders(Tick(0, 0.0))["take_profit"].amount == 5
    step(made, (3, 786.61))
    assert made.reason is Reason.TAKE_PROFIT
    again = multiplier()
    again.changes.append(LimitChange(START + 2, START + 2, Decimal(5), None))
    step(again, (1, 782.35), (2, 786.60), (3, 782.40))
    assert not again.is_expired, "a tick that was there before the change does not trigger it"


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"take_profit": Decimal("0.05")}, "LimitOrderAmountTooLow"),
        ({"take_profit": Decimal("4.00")}, "LimitOrderAmountTooLow"),  # the profit is beyond it already
        ({"take_profit": Decimal(1001)}, "LimitOrderAmountTooHigh"),
        ({"stop_loss": Decimal("10.01")}, "LimitOrderAmountTooHigh"),
        ({"stop_loss": Decimal(9), "take_profit": Decimal(50)}, None),
        ({"stop_loss": None}, None),
    ],
)
def test_limits_must_lie_ahead_and_within_the_stake(limits: dict[str, Decimal | None], code: str | None) -> None:
    made = multiplier()
    step(made, (1, 782.35), (2, 786.60))
    if code is None:
        assert made.check_limits(limits, Tick(START + 2, 786.60), START + 2) == limits
    else:
        with pytest.raises(ApiError, match=code):
            made.check_limits(limits, Tick(START + 2, 786.60), START + 2)


def test_limits_wait_for_the_end_of_deal_cancellation() -> None:
    made = multiplier(cancellation_secs=300)
    step(made, (1, 782.35))
    with pytest.raises(ApiError, match="ContractUpdateNotAllowed"):
        made.check_limits({"stop_loss": Decimal(5)}, Tick(START + 1, 782.35), START + 300)
    made.check_limits({"stop_loss": Decimal(5)}, Tick(START + 1, 782.35), START + 301)


def test_accumulator_takes_a_take_profit_but_no_stop_loss() -> None:
    made = accumulator()
    step(made, *[(n, 782.35) for n in range(1, 6)])
    spot = Tick(START + 5, 782.35)
    assert made.check_limits({"take_profit": Decimal(1)}, spot, START + 5) == {"take_profit": Decimal("1.00")}
    for limits, code in (
        ({"stop_loss": Decimal(1)}, "ContractUpdateNotAllowed"),
        ({"take_profit": Decimal("0.20")}, "LimitOrderAmountTooLow"),
        ({"take_profit": Decimal(9_991)}, "LimitOrderAmountTooHigh"),
    ):
        with pytest.raises(ApiError, match=code):
            made.check_limits(limits, spot, START + 5)


# --- spelling ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "shortcode"),
    [
        (digit("DIGITMATCH", 7), f"DIGITMATCH_R_100_1.95_{START}_5T_7_0"),
        (contract("CALLE", fixed_expiry=True), f"CALLE_R_100_1.95_{START}_{START + 60}F_S0P_0"),
        (
            multiplier(
                symbol="R_100",
                multiplier=30,
                date_start=1_718_717_545,
                date_expiry=multiplier_expiry(1_718_717_545),
                cancellation_secs=3600,
            ),
            "MULTUP_R_100_10.00_30_1718717545_4872355199_60m_0.00_N1",
        ),
        (accumulator(), f"ACCU_1HZ100V_10.00_0_0.01_1_0.000433139675_{START}"),
    ],
)
def test_shortcodes_are_spelt_as_documented_or_recorded(made: Contract, shortcode: str) -> None:
    assert made.terms.shortcode() == shortcode


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (digit("DIGITDIFF", 7), "Win payout if the last digit of Volatility 100 Index is not 7 after 5 ticks."),
        (digit("DIGITEVEN", None, 1), "Win payout if the last digit of Volatility 100 Index is even after 1 tick."),
        (
            contract("PUTE", ticks=3),
            "Win payout if Volatility 100 Index after 3 ticks is lower than or equal to entry spot.",
        ),
        (
            contract("CALL", barrier="+0.10", daily=True, date_expiry=1_747_180_799),
            "Win payout if Volatility 100 Index is strictly higher than entry spot plus 0.10 at close on 2025-05-13.",
        ),
        (
            accumulator(),
            "After the entry spot tick, your stake will grow continuously by 1% for every tick that the spot price "
            "remains within the ± 0.04331% from the previous spot price.",
        ),
    ],
)
def test_longcodes_say_what_was_bought(made: Contract, words: str) -> None:
    assert made.terms.longcode() == words


def test_duration_types_are_those_of_recorded_rows() -> None:
    assert duration_type(multiplier().terms) == "days"
    assert duration_type(contract("CALL", date_expiry=START + 6 * 3600).terms) == "hours"
    assert duration_type(contract("CALL", date_expiry=START + 90).terms) == "minutes"
    assert duration_type(contract("CALL", ticks=5).terms) == "ticks"
