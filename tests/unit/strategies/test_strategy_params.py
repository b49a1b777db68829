"""Settings of strategies: what is wrong is said in one line, and a form can be drawn from the schema."""

from __future__ import annotations

import subprocess
import sys

import pytest

from libs.core.strategies import STRATEGIES, ParamsError, check_params, params_schema


@pytest.mark.parametrize(
    ("name", "params", "said"),
    [
        ("ema_tend", {}, ["no strategy 'ema_tend'", "did you mean 'ema_trend'", "mean_revert"]),
        ("ema_trend", {"fats": 3}, ["ema_trend.fats: unknown setting", "did you mean 'fast'", "allowed here: "]),
        ("ema_trend", {"fast": 1}, ["ema_trend.fast", "greater than or equal to 2", "not 1"]),
        ("ema_trend", {"fast": "x"}, ["ema_trend.fast", "integer", "'x'"]),
        ("ema_trend", {"fast": 30, "slow": 20}, ["ema_trend: slow (20) must be above fast (30)"]),
        ("mean_revert", {"entry_z": 9}, ["mean_revert.entry_z", "less than or equal to 4", "not 9"]),
    ],
)
def test_a_wrong_setting_is_one_clear_line(name: str, params: dict[str, object], said: list[str]) -> None:
    with pytest.raises(ParamsError) as caught:
        check_params(name, params)
    text = str(caught.value)
    assert "\n" not in text
    for part in said:
        assert part in text


def test_every_problem_has_its_line() -> None:
    with pytest.raises(ParamsError) as caught:
        check_params("ema_trend", {"fast": 1, "slow": "many", "nothing": 0})
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_the_schema_gives_a_form_its_ranges_defaults_and_words(name: str) -> None:
    properties = params_schema(name)["properties"]
    assert set(properties) == set(STRATEGIES[name].Params.model_fields)
    for field in properties.values():
        assert field["description"]
        assert "default" in field
        assert "minimum" in field
        assert "maximum" in field


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_defaults_are_valid(name: str) -> None:
    assert check_params(name, {}) == STRATEGIES[name].Params()


def test_strategies_and_agents_front_doors_load_no_numba() -> None:
    modules = "libs.core.strategies, libs.core.agents, libs.core.stages.predict_config"
    code = f"import sys, {modules}; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
