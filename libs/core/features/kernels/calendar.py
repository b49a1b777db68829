"""The clock at the moment a bar is known: time of day, day of the week, how long until funding is paid."""

from __future__ import annotations

import math
from typing import Final

from libs.core.features.inputs import TIME
from libs.core.features.kit import Output, feature
from libs.core.features.parts import ROWS, STRIDE, WIDTH, Pointer

DAY: Final = 86_400
FUNDING: Final = 8 * 3_600  # perpetual futures pay at 00:00, 08:00 and 16:00 UTC
THURSDAY: Final = 3  # 1970-01-01, Monday being 0


@feature(
    outputs=[
        Output(name="hour_sin", unit="none", low=-1.0, high=1.0),
        Output(name="hour_cos", unit="none", low=-1.0, high=1.0),
        Output(name="weekday_sin", unit="none", low=-1.0, high=1.0),
        Output(name="weekday_cos", unit="none", low=-1.0, high=1.0),
        Output(name="weekend", unit="0 or 1", low=0.0, high=1.0),
        Output(name="funding_minutes", unit="minutes", low=0.0, high=480.0),
    ],
    warmup=0,
    memory=0,
    oracle="pandas.Timestamp",
    source="UTC, of the close of the bar",
)
def calendar(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Time of day and weekday as points on a circle, Saturday or Sunday, and minutes to the next 00, 08 or 16 o'clock
    (0 at that moment)."""
    v = c[STRIDE]
    base = TIME * c[WIDTH]
    for j in range(c[ROWS]):
        close = int(x[base + j])
        hour = 2.0 * math.pi * (close % DAY) / DAY
        day = (close // DAY + THURSDAY) % 7
        out[j], out[v + j] = math.sin(hour), math.cos(hour)
        out[2 * v + j], out[3 * v + j] = math.sin(2.0 * math.pi * day / 7.0), math.cos(2.0 * math.pi * day / 7.0)
        out[4 * v + j] = 1.0 if day >= 5 else 0.0
        out[5 * v + j] = (-close % FUNDING) / 60.0


FULL = ("calendar",)
