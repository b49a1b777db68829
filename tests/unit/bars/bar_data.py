"""Real bars and recorded sessions for the tests of bars."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from libs.core.bars.columns import Columns

DATA = Path(__file__).parents[3].parent / "shared" / "data"


def real(name: str) -> Path:
    """A file of real data; the test is skipped where it is not."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"no real data here: {name}")
    return path


@cache
def bars_of(name: str) -> Columns:
    """Bars of Binance, as `BTCUSDT_1h`."""
    import polars as pl

    table = pl.read_parquet(real(f"bars/binance_{name}.parquet"))
    times = table["ts"].to_numpy().astype(np.int64) * 1_000_000
    return Columns(times, *(table[column].to_numpy().copy() for column in ("open", "high", "low", "close", "volume")))


class _Envelope(msgspec.Struct):
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw()


_envelope = msgspec.json.Decoder(_Envelope)


def recorded(symbol: str, kind: str = "spot") -> Iterator[tuple[int, str, Any]]:
    """(receive ns, stream, payload) of every message of a recorded session; the snapshot has no stream."""
    with gzip.open(real(f"binance-ws/binance_{kind}_{symbol}_20240808.jsonl.gz"), "rb") as lines:
        for line in lines:
            at, _, body = line.partition(b" ")
            frame = _envelope.decode(body)
            yield int(at), frame.stream, frame.data if frame.stream else msgspec.Raw(body)
