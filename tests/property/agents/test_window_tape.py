"""The tape of newest rows against a plain list."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from libs.core.agents.window import SLACK, Tape


@given(
    capacity=st.integers(1, 12),
    filled=st.integers(0, 20),
    pushed=st.integers(0, 3 * SLACK),
    data=st.data(),
)
def test_the_newest_rows_are_those_of_a_list(capacity: int, filled: int, pushed: int, data: st.DataObject) -> None:
    tape, rows = Tape(capacity, 2), [[float(i), -float(i)] for i in range(filled + pushed)]
    tape.fill(np.array(rows[:filled]).reshape(-1, 2))
    for row in rows[filled:]:
        tape.push(np.array(row))
    count = data.draw(st.integers(1, capacity))
    kept = min(capacity, filled) + pushed
    expected = rows[-min(count, kept) :] if min(count, kept) else []
    newest = tape.newest(count)
    assert newest[count - len(expected) :].tolist() == expected
    assert np.isnan(newest[: count - len(expected)]).all()
