"""Options of the simulator come from the environment, and its kept state decides which market it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from services.simulator.settings import SimulatorOptions
from services.simulator.state import STATE_FILE, SimulatorStateError, load_state


def test_environment_fills_the_options_and_empty_means_unset(tmp_path: Path) -> None:
    options = SimulatorOptions.from_environment(
        {"CV_SIM_DERIV_PORT": "8001", "CV_SIM_SPEED": "60", "CV_SIM_DATA": "", "CV_SIM_STATE_DIR": str(tmp_path)}
    )
    assert (options.deriv_port, options.speed, options.data, options.state_dir) == (8001, 60.0, None, tmp_path)


@pytest.mark.parametrize(
    ("name", "value"), [("SPEED", "0.5"), ("DERIV_PORT", "70000"), ("SEED", "-1"), ("TOKEN", "a b")]
)
def test_wrong_option_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValidationError):
        SimulatorOptions.from_environment({f"CV_SIM_{name}": value})


def test_state_is_kept_and_given_credentials_win(tmp_path: Path) -> None:
    first = load_state(SimulatorOptions(state_dir=tmp_path), now=100)
    again = load_state(SimulatorOptions(state_dir=tmp_path), now=200)
    assert again == first
    other = load_state(SimulatorOptions(state_dir=tmp_path, token="mine"), now=200)
    assert (other.token, other.anchor_epoch, other.key) == ("mine", 100, first.key)
    assert (tmp_path / STATE_FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [STATE_FILE]


def test_state_of_another_seed_or_a_damaged_one_is_refused_with_what_to_do(tmp_path: Path) -> None:
    load_state(SimulatorOptions(state_dir=tmp_path, seed=1), now=100)
    with pytest.raises(SimulatorStateError, match="seed 1, not 2"):
        load_state(SimulatorOptions(state_dir=tmp_path, seed=2), now=100)
    (tmp_path / STATE_FILE).write_text("{")
    with pytest.raises(SimulatorStateError, match="damaged"):
        load_state(SimulatorOptions(state_dir=tmp_path, seed=1), now=100)
