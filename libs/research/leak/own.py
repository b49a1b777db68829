"""A file of features of one's own under attack: what its kernels touch, what they know, what they should give."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from libs.core.features.engine import FeatureEngine
from libs.core.features.kit import REGISTRY
from libs.core.features.sets import load, make_set
from libs.research.leak import bounds
from libs.research.leak.agree import compare
from libs.research.leak.attack import MOMENTS, Report, attack, length_for
from libs.research.leak.features import SYMBOL, VENUE, FeatureSubject
from libs.research.leak.series import History, seeded

ROOT = Path(__file__).resolve().parents[3]
ORACLE = "oracle_"
"""oracle_<kernel>(columns, **params) in the same file says what its values should be, by name of the feature."""


def subjects_in(path: Path) -> list[FeatureSubject]:
    """One subject per kernel of a file, at its defaults.

    Raises:
        ValueError: the file cannot be loaded, declares nothing, or touches what it may not; one line a fault.
    """
    if not path.is_file():
        raise ValueError(f"{path} does not exist")
    if problem := touches(path):
        raise ValueError(problem)
    return [FeatureSubject(make_set(kernel, (kernel,))) for kernel in load(str(path.resolve()))]


def touches(path: Path) -> str:
    """Lines about indexes out of bounds and divisions by zero: a compiled kernel would end the process, or lie."""
    done = subprocess.run(
        [sys.executable, "-m", bounds.__name__, str(path.resolve())],
        cwd=ROOT,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return ""
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1].removeprefix("ValueError: ")


def disagreements(kernel: str, history: History) -> Iterator[str]:
    """A line per feature that is not what the file's own oracle says; none where there is no oracle."""
    definition = REGISTRY[kernel]
    function = definition.kernel.__globals__.get(ORACLE + kernel)
    if function is None:
        return
    features = make_set(kernel, (kernel,))
    values = FeatureEngine(VENUE, SYMBOL, history.interval_s, features).batch(history.bars, history.extras).values
    said = function(history.columns, **definition.defaults)
    for column, feature in enumerate(features.features):
        if feature.name not in said:
            yield f"{feature.name}: {ORACLE}{kernel} does not say what it should be"
            continue
        gap = compare(values[:, column], np.asarray(said[feature.name], dtype=np.float64), feature.warmup)
        if gap.problem:
            yield f"{feature.name}: its oracle disagrees at bar {gap.row}: {gap.problem}"


def assert_clean(path: str | Path, seed: int = 1, moments: int = MOMENTS) -> None:
    """Attack a file of features; the whole of a test for it.

    Raises:
        AssertionError: a line per fault.
    """
    subjects = subjects_in(Path(path))
    lines = []
    for subject in subjects:
        history = seeded(seed, length_for(subject))
        lines += [_line(report) for report in attack(subject, history, seed, moments) if report.finding]
        lines += disagreements(subject.name, seeded(seed, length_for(subject), clean=True))
    assert not lines, "\n".join(lines)


def _line(report: Report) -> str:
    return f"{report.value.name}: {report.finding}"
