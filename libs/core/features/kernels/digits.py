"""Last digits of printed prices: they exist to show that a generated index has no edge there."""

from __future__ import annotations

from libs.core.features.inputs import EXTRA
from libs.core.features.kit import Output, feature
from libs.core.features.parts import NAN, ROWS, STRIDE, Pointer

PRINTS = "prints"
PROBABILITY = "probability"
SIZE = "share of prints"

SHARE_100 = EXTRA.index("digit_freq_0_100")
SHARE_1000 = EXTRA.index("digit_freq_0_1000")
CHI2_100 = EXTRA.index("digit_chi2_100")
P_100 = EXTRA.index("digit_p_100")
ENTROPY_100 = EXTRA.index("digit_entropy_100")
STREAK = EXTRA.index("digit_streak")
LONGEST = EXTRA.index("digit_longest_100")
RUNS_RISE = EXTRA.index("digit_runs_rise")
PAIRS = EXTRA.index("digit_pairs")


@feature(
    outputs=[Output(name=f"digit_freq_{digit}_{{n}}", unit=SIZE, low=0.0, high=1.0) for digit in range(10)],
    n=100,
    warmup=0,
    memory=0,
    needs=["digits"],
    oracle="numpy.bincount of strings over the recorded prints",
    source="the digit is the last character of the price printed with the symbol's decimals",
)
def digit_frequencies(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Share of each digit among the last n prints, n = 100 or 1000."""
    n, v = int(p[0]), c[STRIDE]
    for f in range(10):
        for j in range(c[ROWS]):
            if n == 100:
                out[f * v + j] = e[(SHARE_100 + f) * v + j]
            elif n == 1000:
                out[f * v + j] = e[(SHARE_1000 + f) * v + j]
            else:
                out[f * v + j] = NAN


@feature(
    outputs=[
        Output(name="digit_chi2_{n}", unit="chi-square, 9 df", low=0.0),
        Output(name="digit_p_{n}", unit=PROBABILITY, low=0.0, high=1.0),
        Output(name="digit_entropy_{n}", unit="share of ln 10", low=0.0, high=1.0),
    ],
    n=100,
    warmup=0,
    memory=0,
    needs=["digits"],
    oracle="scipy.stats.chisquare and entropy over the recorded prints",
    source="Pearson 1900; p is that of one look: divide its bound by the looks (symbols x windows x days), Bonferroni",
)
def digit_uniformity(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Chi-square of the last n digits against equal frequencies, its p-value, and their entropy; n = 100 or 1000."""
    n, v = int(p[0]), c[STRIDE]
    far = 1 if n == 1000 else 0
    for j in range(c[ROWS]):
        if n != 100 and n != 1000:
            out[j] = out[v + j] = out[2 * v + j] = NAN
            continue
        out[j] = e[(CHI2_100 + far) * v + j]
        out[v + j] = e[(P_100 + far) * v + j]
        out[2 * v + j] = e[(ENTROPY_100 + far) * v + j]


@feature(
    outputs=[
        Output(name="digit_streak", unit=PRINTS, low=0.0),
        Output(name="digit_even_streak", unit="prints, + even, - odd"),
        Output(name="digit_rise_streak", unit="prints, + risen, - fallen"),
        Output(name="digit_longest_100", unit=PRINTS, low=0.0, high=100.0),
    ],
    warmup=0,
    memory=0,
    needs=["digits"],
    oracle="brute force over the recorded prints",
    source="run lengths; digits are told from the first print whose decimals are known",
)
def digit_streaks(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Prints in a row with one digit, of one parity, of one direction (0 after a tie); longest run of 100."""
    v = c[STRIDE]
    for f in range(4):
        for j in range(c[ROWS]):
            out[f * v + j] = e[(STREAK + f) * v + j]


@feature(
    outputs=[
        Output(name="digit_runs_rise", unit="standard deviations"),
        Output(name="digit_runs_even", unit="standard deviations"),
    ],
    warmup=0,
    memory=0,
    needs=["digits"],
    oracle="statsmodels runstest_1samp over the recorded prints",
    source="Wald, Wolfowitz 1940; a tie counts as not risen; 0 when only one kind occurs",
)
def digit_runs(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Runs test on the last 50 moves (risen or not) and on the last 50 parities."""
    v = c[STRIDE]
    for f in range(2):
        for j in range(c[ROWS]):
            out[f * v + j] = e[(RUNS_RISE + f) * v + j]


@feature(
    outputs=[
        Output(name="digit_pairs", unit="chi-square, 81 df", low=0.0),
        Output(name="digit_pairs_p", unit=PROBABILITY, low=0.0, high=1.0),
    ],
    warmup=0,
    memory=0,
    needs=["digits"],
    oracle="scipy.stats.chi2_contingency over the recorded prints",
    source="independence of a digit and the one before, margins as observed",
)
def digit_pairs(s: Pointer, x: Pointer, e: Pointer, p: Pointer, c: Pointer, out: Pointer) -> None:
    """Chi-square of the last 5,000 transitions between digits, and its p-value."""
    v = c[STRIDE]
    for f in range(2):
        for j in range(c[ROWS]):
            out[f * v + j] = e[(PAIRS + f) * v + j]


FULL = (
    "digit_frequencies(n=100)",
    "digit_frequencies(n=1000)",
    "digit_uniformity(n=100)",
    "digit_uniformity(n=1000)",
    "digit_streaks",
    "digit_runs",
    "digit_pairs",
)
