"""The predict stage: when it abstains and why, what it ignores, and what it trades on the planted market."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import msgspec
import numpy as np
import pytest

from libs.core.features.engine import FeatureEngine
from libs.core.stages.predict import PredictConfig, PredictStage, SeriesConfig, StrategyConfig, build
from libs.core.types import (
    SECOND,
    Abstention,
    Action,
    Bar,
    BarFlag,
    Event,
    Features,
    FeedHealth,
    FeedState,
    Forecast,
    Signal,
    Warmup,
)
from services.simulator.deriv.processes import price_path
from services.simulator.deriv.symbols import SYMBOLS

START = 1_790_000_000
COST_BPS = 5.6


def config(symbol: str, interval_s: int = 1, **changes: object) -> PredictConfig:
    plain = PredictConfig(
        series=(SeriesConfig(venue="deriv", symbol=symbol, interval_s=interval_s),),
        strategies=(StrategyConfig(name="ema_trend"), StrategyConfig(name="mean_revert")),
        cost_bps={"deriv": COST_BPS},
    )
    return msgspec.structs.replace(plain, **changes)


def ticks(symbol: str, seconds: int, seed: int = 1) -> list[float]:
    """One price per second of a simulated index."""
    listed = SYMBOLS[symbol]
    period = listed.period_secs
    prices = price_path(seed, listed, START).prices(START // period, (START + seconds) // period)
    return np.repeat(prices, period)[: seconds + 1].tolist()


def bars(symbol: str, prices: list[float], interval_s: int = 1) -> list[Bar]:
    made = []
    for i in range((len(prices) - 1) // interval_s):
        inside = prices[i * interval_s : (i + 1) * interval_s]
        made.append(
            Bar(
                id=f"{symbol}-{interval_s}-{i}",
                ts_event=(START + (i + 1) * interval_s) * SECOND,
                venue="deriv",
                symbol=symbol,
                interval_s=interval_s,
                open_time=(START + i * interval_s) * SECOND,
                open=inside[0],
                high=max(inside),
                low=min(inside),
                close=inside[-1],
            )
        )
    return made


def vectors(made: list[Bar]) -> list[Features]:
    engine = FeatureEngine("deriv", made[0].symbol, made[0].interval_s)
    return [vector for bar in made if (vector := engine.update(bar)) is not None]


def warmup(made: list[Bar]) -> Warmup:
    return Warmup(
        id="warmup",
        ts_event=made[-1].ts_event,
        venue="deriv",
        symbol=made[0].symbol,
        interval_s=made[0].interval_s,
        bars=tuple(made),
    )


def health(ts_event: int, symbol: str = "PLANTED", **fields: object) -> FeedHealth:
    plain = FeedHealth(id=f"health-{ts_event}", ts_event=ts_event, venue="deriv", symbol=symbol, score=1.0)
    return msgspec.structs.replace(plain, **fields)


def reasons(outputs: list[Event] | tuple[Event, ...]) -> dict[str, Abstention | None]:
    return {o.agent: o.abstention for o in outputs if isinstance(o, Forecast)}


@pytest.fixture
def planted() -> tuple[PredictStage, list[Features]]:
    """A stage warmed on 600 bars of the planted symbol with a healthy feed, and the vectors that follow."""
    made = bars("PLANTED", ticks("PLANTED", 800))
    stage = PredictStage(config("PLANTED"))
    stage.apply(warmup(made[:600]), 0)
    stage.apply(health(made[599].ts_event), 0)
    return stage, vectors(made)[600:]


def test_warmed_and_healthy_every_agent_speaks_on_the_planted_symbol(
    planted: tuple[PredictStage, list[Features]],
) -> None:
    stage, later = planted
    said = {f.agent: f for f in stage.apply(later[0], 3) if isinstance(f, Forecast)}
    assert [f.abstention for f in said.values()][:3] == [None] * 3
    assert said["volatility"].sigma is not None
    assert 1e-5 < said["volatility"].sigma < 1e-2
    assert said["regime"].p_state is not None
    assert sum(said["regime"].p_state) == pytest.approx(1.0)
    assert said["meta"].votes[0].forecast_id == said["direction"].id


def test_the_joint_forecast_of_the_planted_symbol_is_right_more_often_than_not() -> None:
    made = bars("PLANTED", ticks("PLANTED", 1200))
    stage = PredictStage(config("PLANTED"))
    stage.apply(warmup(made[:600]), 0)
    right, spoke = 0, 0
    live = vectors(made)[600:]
    for newest, following in itertools.pairwise(live):
        stage.apply(health(newest.ts_event), 0)
        meta = next(f for f in stage.apply(newest, 0) if isinstance(f, Forecast) and f.agent == "meta")
        if meta.abstention is None:
            spoke += 1
            assert meta.p_up is not None
            assert meta.p_down is not None
            right += (meta.p_up > meta.p_down) == (following.close > newest.close)
    assert spoke > 300
    assert right / spoke > 0.8


def test_without_history_all_are_warming_up_until_min_bars_then_speak() -> None:
    stage = PredictStage(config("PLANTED", min_bars=200))
    made = vectors(bars("PLANTED", ticks("PLANTED", 300)))
    stage.apply(health(made[0].ts_event), 0)
    for i, newest in enumerate(made):
        stage.apply(health(newest.ts_event), 0)
        said = reasons(list(stage.apply(newest, 0)))
        if i < 199:
            assert set(said.values()) == {Abstention.WARMING_UP}
        else:
            assert said["volatility"] is None
            assert Abstention.WARMING_UP not in said.values()


def test_too_little_history_counts_towards_min_bars() -> None:
    made = bars("PLANTED", ticks("PLANTED", 300))
    stage = PredictStage(config("PLANTED", min_bars=200))
    stage.apply(warmup(made[:150]), 0)
    for i, newest in enumerate(vectors(made)[150:], start=150):
        stage.apply(health(newest.ts_event), 0)
        warming = reasons(list(stage.apply(newest, 0)))["volatility"] is Abstention.WARMING_UP
        assert warming is (i < 199)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"score": 0.69}, Abstention.UNHEALTHY_FEED),
        ({"score": 0.7}, None),
        ({"state": FeedState.DOWN}, Abstention.UNHEALTHY_FEED),
        ({"staleness_s": 10.5}, Abstention.STALE),
    ],
)
def test_feed_health_decides_whether_agents_may_speak(
    planted: tuple[PredictStage, list[Features]], fields: dict[str, object], reason: Abstention | None
) -> None:
    stage, later = planted
    stage.apply(health(later[0].ts_event, **fields), 0)
    said = reasons(list(stage.apply(later[0], 0)))
    assert said["volatility"] is reason
    if reason is not None:
        assert set(said.values()) == {reason}


def test_unknown_feed_health_is_unhealthy() -> None:
    made = bars("PLANTED", ticks("PLANTED", 601))
    stage = PredictStage(config("PLANTED"))
    stage.apply(warmup(made[:600]), 0)
    said = reasons(list(stage.apply(vectors(made)[600], 0)))
    assert set(said.values()) == {Abstention.UNHEALTHY_FEED}


def test_an_older_health_report_does_not_replace_a_newer_one(planted: tuple[PredictStage, list[Features]]) -> None:
    stage, later = planted
    stage.apply(health(later[0].ts_event, score=0.1), 0)
    stage.apply(health(later[0].ts_event - 5 * SECOND, score=1.0), 0)
    assert set(reasons(list(stage.apply(later[0], 0))).values()) == {Abstention.UNHEALTHY_FEED}


def test_a_bar_far_behind_its_venues_clock_is_stale(planted: tuple[PredictStage, list[Features]]) -> None:
    stage, later = planted
    stage.apply(health(later[0].ts_event + 11 * SECOND), 0)
    assert set(reasons(list(stage.apply(later[0], 0))).values()) == {Abstention.STALE}


def test_another_feature_set_is_missing_input_and_no_strategy_runs(
    planted: tuple[PredictStage, list[Features]],
) -> None:
    stage, later = planted
    for newest in later:
        outputs = stage.apply(msgspec.structs.replace(newest, set_hash="other", values=b""), 0)
        assert set(reasons(list(outputs)).values()) == {Abstention.MISSING_INPUT}
        assert len(outputs) == 4


def test_a_nan_feature_silences_only_who_reads_it(planted: tuple[PredictStage, list[Features]]) -> None:
    stage, later = planted
    row = list(later[0].unpack())
    row[2] = math.nan
    values = np.array(row, dtype="<f8").tobytes()
    said = reasons(list(stage.apply(msgspec.structs.replace(later[0], values=values), 0)))
    assert said == {
        "volatility": None,
        "direction": Abstention.MISSING_INPUT,
        "regime": None,
        "meta": Abstention.MISSING_INPUT,
    }


def test_a_price_that_never_moved_has_no_model_until_it_does() -> None:
    prices = [1000.0] * 400 + ticks("PLANTED", 400)
    made = bars("PLANTED", prices)
    stage = PredictStage(config("PLANTED"))
    stage.apply(warmup(made[:300]), 0)
    said = []
    for newest in vectors(made)[300:]:
        stage.apply(health(newest.ts_event), 0)
        said.append(reasons(list(stage.apply(newest, 0)))["volatility"])
    assert said[0] is Abstention.NO_MODEL
    assert said[-1] is None


def test_on_a_driftless_index_direction_has_no_edge_and_one_regime() -> None:
    made = bars("1HZ100V", ticks("1HZ100V", 1000))
    stage = PredictStage(config("1HZ100V"))
    stage.apply(warmup(made[:600]), 0)
    counts: Counter[tuple[str, Abstention | None]] = Counter()
    for newest in vectors(made)[600:]:
        stage.apply(health(newest.ts_event, "1HZ100V"), 0)
        counts.update(reasons(list(stage.apply(newest, 0))).items())
    assert counts["volatility", None] == 400
    assert counts["direction", Abstention.NO_EDGE] > 300
    assert counts["regime", Abstention.NO_EDGE] == 400


def test_series_that_are_not_configured_and_other_events_cause_nothing(
    planted: tuple[PredictStage, list[Features]],
) -> None:
    stage, later = planted
    before = stage.snapshot()
    assert not stage.apply(msgspec.structs.replace(later[0], symbol="OTHER"), 0)
    assert not stage.apply(bars("PLANTED", [1.0, 2.0])[0], 0)
    assert not stage.apply(warmup(bars("PLANTED", ticks("PLANTED", 300))), 0)
    assert stage.snapshot() == before
    assert stage.next_deadline("deriv") is None


def test_a_hole_and_a_bar_with_missing_data_teach_no_return(planted: tuple[PredictStage, list[Features]]) -> None:
    stage, later = planted
    sigma = next(f.sigma for f in stage.apply(later[0], 0) if isinstance(f, Forecast))
    jumped = msgspec.structs.replace(later[10], close=later[10].close * 2)
    after_hole = next(f.sigma for f in stage.apply(jumped, 0) if isinstance(f, Forecast))
    assert after_hole == sigma
    flagged = msgspec.structs.replace(later[11], flags=BarFlag.GAP.value)
    assert next(f.sigma for f in stage.apply(flagged, 0) if isinstance(f, Forecast)) == sigma


@pytest.mark.parametrize("config_bytes", [b"{", b'{"series": 3}', b"{}"])
def test_what_is_no_configuration_is_refused(config_bytes: bytes) -> None:
    with pytest.raises(ValueError, match="not a predict configuration"):
        build(config_bytes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"agents": ("oracle",)}, "no agent 'oracle'"),
        ({"feature_set": "core99"}, "core99"),
        ({"strategies": (StrategyConfig(name="ema_trend", params={"fast": 0}),)}, "ema_trend.fast"),
    ],
)
def test_a_configuration_that_names_what_there_is_not_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        PredictStage(config("PLANTED", **changes))


@pytest.mark.parametrize("snapshot", [b"", b"nonsense", msgspec.msgpack.encode({"version": 1})])
def test_what_is_no_snapshot_is_refused_and_the_state_stays(
    planted: tuple[PredictStage, list[Features]], snapshot: bytes
) -> None:
    stage, _ = planted
    before = stage.snapshot()
    with pytest.raises(ValueError, match="snapshot"):
        stage.restore(snapshot)
    assert stage.snapshot() == before


def test_a_snapshot_of_another_configuration_is_refused(planted: tuple[PredictStage, list[Features]]) -> None:
    stage, _ = planted
    with pytest.raises(ValueError, match="another version or configuration"):
        PredictStage(config("PLANTED", min_bars=201)).restore(stage.snapshot())


def traded(symbol: str, interval_s: int, warm: int, seconds: int, seed: int) -> dict[str, list[tuple[int, float]]]:
    """Per strategy the (second of entry, P&L in basis points after costs) of each round trip over `seconds`.

    A signal at a bar's end is executed 150 ms later, at the price that then stands; a round trip costs COST_BPS.
    """
    prices = ticks(symbol, warm * interval_s + seconds, seed)
    made = bars(symbol, prices, interval_s)
    stage = PredictStage(config(symbol, interval_s))
    stage.apply(warmup(made[:warm]), 0)
    open_at: dict[str, tuple[int, int, float]] = {}
    done: dict[str, list[tuple[int, float]]] = {"ema_trend": [], "mean_revert": []}
    for i, newest in enumerate(vectors(made)[warm:]):
        for signal in stage.apply(newest, 0):
            if not isinstance(signal, Signal):
                continue
            price = prices[(warm + i + 1) * interval_s]
            if signal.action is Action.ENTER:
                open_at[signal.strategy] = (i * interval_s, signal.side.sign, price)
            else:
                second, sign, entry = open_at.pop(signal.strategy)
                made_bps = sign * math.log(price / entry) * 1e4 - COST_BPS
                done[signal.strategy].append((second, made_bps))
    for strategy, (second, _, _) in open_at.items():
        done[strategy].append((second, 0.0))
    return done


@pytest.mark.parametrize("seed", [1, 20260401])
def test_the_planted_symbol_pays_ema_trend_within_every_minute(seed: int) -> None:
    done = traded("PLANTED", 1, 600, 1200, seed)["ema_trend"]
    entries = [0, *(second for second, _ in done), 1200]
    assert max(later - earlier for earlier, later in itertools.pairwise(entries)) < 60
    assert np.mean([made for _, made in done]) > 30.0
    assert np.mean([made > 0 for _, made in done]) > 0.8


@pytest.mark.parametrize("phase", range(0, 72, 6))
def test_the_planted_symbol_is_entered_within_fifteen_seconds_of_the_first_live_bar(phase: int) -> None:
    assert traded("PLANTED", 1, 528 + phase, 60, 1)["ema_trend"][0][0] <= 15


def test_the_planted_symbol_pays_ema_trend_on_five_second_bars() -> None:
    done = traded("PLANTED", 5, 600, 3000, 1)["ema_trend"]
    assert len(done) >= 10
    assert np.mean([made for _, made in done]) > 30.0


@pytest.mark.parametrize(("symbol", "interval_s"), [("1HZ100V", 1), ("1HZ100V", 5), ("R_100", 5)])
def test_noise_is_seldom_traded(symbol: str, interval_s: int) -> None:
    for done in traded(symbol, interval_s, 600, 3600, 3).values():
        assert len(done) <= 12


def test_scheduled_fits_hang_on_bar_time_and_survive_a_restore() -> None:
    made = bars("PLANTED", ticks("PLANTED", 2000))
    live = vectors(made)
    started_early, started_late = PredictStage(config("PLANTED")), PredictStage(config("PLANTED"))
    started_early.apply(warmup(made[:300]), 0)
    started_late.apply(warmup(made[:411]), 0)
    models: dict[str, list[tuple[int, str]]] = {}
    for i, newest in enumerate(live[300:], start=300):
        if i == 1000:
            snapshot = started_early.snapshot()
            started_early = PredictStage(config("PLANTED"))
            started_early.restore(snapshot)
        outputs = [o for o in started_early.apply(newest, 0) if isinstance(o, Forecast)]
        for forecast in outputs:
            known = models.setdefault(forecast.agent, [])
            if not known or known[-1][1] != forecast.model_id:
                known.append((i, forecast.model_id))
        late = {o.agent: o.model_id for o in started_late.apply(newest, 0) if isinstance(o, Forecast)}
        if i > 411 + 600:
            assert late["volatility"] == next(o.model_id for o in outputs if o.agent == "volatility")
    refits = [i for i, _ in models["volatility"]][1:]
    assert len(refits) in (2, 3)
    assert all(later - earlier == 600 for earlier, later in itertools.pairwise(refits))
    assert [i for i, _ in models["regime"]][1:] == refits
    assert len(models["direction"]) == 1


def test_a_return_that_neither_regime_explains_is_out_of_distribution(
    planted: tuple[PredictStage, list[Features]],
) -> None:
    stage, later = planted
    jumped = msgspec.structs.replace(later[0], close=later[0].close * 1.05)
    said = {f.agent: f for f in stage.apply(jumped, 0) if isinstance(f, Forecast)}
    assert said["regime"].abstention is Abstention.OUT_OF_DISTRIBUTION
    assert "deviations" in said["regime"].detail
