"""Numbers in PostgreSQL's binary COPY format: what goes in comes out, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.store.binary import packed, unpacked

FIELDS = (("t", "i8"), ("n", "i4"), ("side", "i2"), ("x", "f8"))
rows = st.lists(
    st.tuples(
        st.integers(-(2**63), 2**63 - 1),
        st.integers(-(2**31), 2**31 - 1),
        st.integers(-(2**15), 2**15 - 1),
        st.floats(),
    ),
    max_size=20,
)


@given(rows)
def test_columns_come_back_bit_for_bit(found: list[tuple[int, int, int, float]]) -> None:
    columns = {name: np.array([row[i] for row in found], dtype) for i, (name, dtype) in enumerate(FIELDS)}
    again = unpacked(FIELDS, packed(FIELDS, columns))
    for name, dtype in FIELDS:
        assert again[name].dtype == np.dtype(dtype)
        assert again[name].tobytes() == columns[name].tobytes()


def test_a_value_that_its_column_cannot_hold_is_said_not_cut() -> None:
    columns = {"side": np.array([2**15], "i8")}
    with pytest.raises(OverflowError, match="side holds a value that fits no 16 bits"):
        packed((("side", "i2"),), columns)


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="different lengths"):
        packed((("a", "i8"), ("b", "i8")), {"a": np.zeros(2, "i8"), "b": np.zeros(3, "i8")})


@pytest.mark.parametrize("stream", [b"", b"PGCOPY\n\xff\r\n\0" + bytes(8) + b"abc\xff\xff", b"x" * 21])
def test_what_is_no_such_stream_is_refused(stream: bytes) -> None:
    with pytest.raises(ValueError, match="not a binary COPY"):
        unpacked(FIELDS, stream)
