"""The attack finds what it is for: features that peek, forget too late, drift, break at a snapshot or overstep."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from libs.core.features.kit import PLAIN
from libs.core.features.sets import load, make_set
from libs.research.leak.attack import Report, Value, attack, length_for
from libs.research.leak.features import FeatureSubject
from libs.research.leak.own import assert_clean, subjects_in
from libs.research.leak.series import Floats, History, seeded

pytestmark = pytest.mark.skipif(PLAIN, reason="a fault of compiled kernels cannot be shown in plain Python")

HEAD = """
from libs.core.features.inputs import CLOSE
from libs.core.features.kit import Output, feature
from libs.core.features.parts import FIRST, NAN, NUMBER, ROWS, WIDTH, Pointer


@feature(
    outputs=[Output(name="{name}_{{n}}", unit="ratio"{bounds})], n=10, state=2, lookback=lambda n: n,
    warmup=lambda n: n, memory=lambda n: {memory}, oracle="none", source="a test",
)
def {name}(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    n, first, base = int(p[0]), c[FIRST], CLOSE * c[WIDTH]
    for j in range(c[ROWS]):
        i = first + j
        out[j] = {value} if i >= n else NAN
"""
names = (f"spoilt{number}" for number in itertools.count())


def written(folder: Path, value: str, memory: str = "n", bounds: str = "", more: str = "") -> Path:
    """A file with one feature of that value at each row."""
    name = next(names)
    path = folder / f"{name}.py"
    path.write_text(HEAD.format(name=name, value=value, memory=memory, bounds=bounds) + more.format(name=name))
    return path


def attacked(path: Path) -> Report:
    (kernel,) = load(str(path))
    subject = FeatureSubject(make_set(kernel, (kernel,)))
    (report,) = attack(subject, seeded(5, length_for(subject)), 5, 8)
    return report


MOMENTUM = "x[base + j] / x[base + j - n] - 1.0"


def test_an_honest_feature_is_clean_and_its_memory_was_checked(tmp_path: Path) -> None:
    report = attacked(written(tmp_path, MOMENTUM))
    assert report.finding is None
    assert report.reached


@pytest.mark.parametrize(
    ("value", "memory", "bounds", "said"),
    [
        ("x[base + j + (1 if j + 1 < c[ROWS] else 0)]", "n", "", "sees the future"),
        ("x[base + c[ROWS] - 1] / x[base + j]", "n", "", "sees the future"),
        ("x[base + j] + c[ROWS]", "n", "", "knows where the series ends"),
        (MOMENTUM, "n - 5", "", "beyond its memory of 5"),
        (f"{MOMENTUM} + 1e-6 / i", "n", "", "after a later start"),
        ("x[base + j] + (first + j) % 7", "n", "", "after a later start"),
        (MOMENTUM, "n", ", low=0.0", "out of bounds"),
        ("1.0 / (x[base + j] - x[base + j - n])", "n", "", "out of bounds"),
        (f"{MOMENTUM} if i > n + 3 else NAN", "n", "", "no value"),
    ],
    ids=[
        "reads the next close",
        "reads the last close of the call",
        "depends on the length of the call",
        "declares too short a memory",
        "counts since its start",
        "does something on a count since its start",
        "leaves its bounds",
        "is infinite in a flat window",
        "begins later than it says",
    ],
)
def test_a_fault_is_found_and_named(tmp_path: Path, value: str, memory: str, bounds: str, said: str) -> None:
    report = attacked(written(tmp_path, value, memory, bounds))
    assert report.finding is not None
    assert said in str(report.finding)


def test_a_value_before_the_warm_up_is_found(tmp_path: Path) -> None:
    path = written(tmp_path, MOMENTUM)
    path.write_text(path.read_text().replace("else NAN", "else 0.0"))
    assert "before its warm-up" in str(attacked(path).finding)


def test_what_lives_outside_the_state_is_lost_at_a_snapshot() -> None:
    """A subject whose restarts forget something."""

    class Forgetful:
        name = "forgetful"
        values = (Value(name="close", memory=0, warmup=0),)

        def rows(self, history: History) -> Floats:
            rows = np.full((len(history), 1), np.nan)
            fresh = np.diff(history.numbers, prepend=-1) > 0
            fresh &= history.numbers >= np.maximum.accumulate(history.numbers)
            rows[fresh, 0] = history.bars.close[fresh]
            return rows

        def steps(self, history: History, restarts: object) -> Floats:
            rows = self.rows(history)
            if restarts:
                rows[rows.shape[0] // 2 :] += 1.0
            return rows

    history = seeded(3, 800, clean=True)
    (report,) = attack(Forgetful(), history, 3, 4)
    assert report.finding is not None
    assert "after a snapshot" in report.finding.attack


def test_a_memory_that_the_history_is_too_short_for_is_not_called_checked(tmp_path: Path) -> None:
    (kernel,) = load(str(written(tmp_path, MOMENTUM, memory="5_000")))
    subject = FeatureSubject(make_set(kernel, (kernel,)))
    (report,) = attack(subject, seeded(5, 900), 5, 2)
    assert report.finding is None
    assert not report.reached


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("x[base + j - n - 1]", "lookback is 10"),
        ("x[base + j + 1]", "beyond the last bar"),
        ("s[2]", "outside what the kernel may touch"),
        ("1.0 / (x[base + j] - x[base + j])", "division by zero"),
        ("x[base + j] +", "invalid syntax"),
    ],
)
def test_a_file_that_touches_what_it_may_not_is_refused_before_it_is_compiled(
    tmp_path: Path, value: str, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        subjects_in(written(tmp_path, value))


def test_no_kernel_of_the_catalogue_touches_what_it_may_not() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "libs.research.leak.bounds"],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_file_of_ones_own_is_tested_in_one_line(tmp_path: Path) -> None:
    oracle = """

def oracle_{name}(columns, n):
    import numpy as np
    close = columns["close"]
    return {{f"{name}_{{n}}": np.concatenate([np.full(n, np.nan), close[n:] / close[:-n] - 1.0])}}
"""
    assert_clean(written(tmp_path, MOMENTUM, more=oracle), moments=4)
    with pytest.raises(AssertionError, match="its oracle disagrees"):
        assert_clean(written(tmp_path, f"{MOMENTUM} + 1e-6", more=oracle), moments=4)
    with pytest.raises(AssertionError, match="beyond its memory of 5"):
        assert_clean(written(tmp_path, MOMENTUM, memory="n - 5"), moments=4)
