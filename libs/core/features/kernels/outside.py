"""Outside series as of their publication."""

from __future__ import annotations

from libs.core.features.inputs import EXTRA
from libs.core.features.kit import Output, feature
from libs.core.features.parts import ROWS, STRIDE, Pointer

OUTSIDE = EXTRA.index("outside_0")


@feature(
    outputs=[
        *(Output(name=f"outside_{place}", unit="the series' own") for place in range(4)),
        Output(name="funding_rate", unit="the series' own"),
        Output(name="basis", unit="the series' own"),
    ],
    warmup=0,
    memory=0,
    needs=["outside"],
    oracle="definition",
    source="newest value published at or before the bar's end, never joined by the period that it is about",
)
def outside(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Configured outside series, and the symbol's funding rate and basis."""
    v = c[STRIDE]
    for f in range(6):
        for j in range(c[ROWS]):
            out[f * v + j] = e[(OUTSIDE + f) * v + j]


FULL = ("outside",)
