"""How far volatility forecasts are from what was realised: ours beside a random walk, EWMA, GARCH and HAR.

    python -m libs.research.training.volatility_figures BARS [--minutes 60] [--share 1.0]

reads bars shorter than `--minutes`, takes realised variance as the sum of their squared returns, and walks forward over
six blocks after the first 40 %, each forecaster fitted anew on what lies 60 bars before a block. Nothing is tuned.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from libs.core.agents import har_kernels as har
from libs.core.agents.garch_family import variances
from libs.core.agents.volatility_model import Formula, calendar
from libs.core.features.engine import Bars
from libs.core.types import SECOND
from libs.research.training.dataset import Floats, Ints
from libs.research.training.garch import Kind, fit_garch
from libs.research.training.read import read_series
from libs.research.training.scores import diebold_mariano, qlike
from libs.research.training.volatility_fit import DEFAULTS, Past, fit_regression, past_of

BLOCKS, FIRST, EMBARGO, WARM = 6, 0.4, 60, 48
DECAY = 0.94
DAY, WEEK = 24, 168
OURS = "ours"
RIVAL = "GARCH-t"


@dataclass(frozen=True, slots=True)
class Scored:
    """Loss of each forecaster at every test bar, (n,), by name."""

    losses: dict[str, Floats]

    def table(self) -> list[tuple[str, float, float]]:
        """(name, mean QLIKE, Diebold-Mariano t against GARCH-t; positive is better)."""
        rival = self.losses[RIVAL]
        return [
            (name, float(loss.mean()), 0.0 if name == RIVAL else diebold_mariano(loss, rival)[0])
            for name, loss in self.losses.items()
        ]


def realised(fine: Bars, step_s: int, coarse_s: int) -> Past:
    """Bars of `coarse_s` seconds from those of `step_s`, whole ones only, with the sum of squared returns inside."""
    step, length = step_s * SECOND, coarse_s * SECOND
    returns = np.zeros(len(fine))
    returns[1:] = np.diff(np.log(fine.close))
    returns[1:][np.diff(fine.open_time) != step] = 0.0
    key = fine.open_time // length
    _, first, count = np.unique(key, return_index=True, return_counts=True)
    last = first + count - 1
    bars = np.column_stack(
        [
            fine.open[first],
            np.maximum.reduceat(fine.high, first),
            np.minimum.reduceat(fine.low, first),
            fine.close[last],
            np.add.reduceat(fine.volume, first),
        ]
    )
    whole = count == coarse_s // step_s
    bars, measured = bars[whole], np.add.reduceat(returns**2, first)[whole]
    time = key[first][whole] * length
    moved = np.full(len(bars), math.nan)
    moved[1:] = np.diff(np.log(bars[:, 3]))
    moved[1:][np.diff(time) != length] = math.nan
    return past_of(bars, moved, time, coarse_s, measured=measured)


def walk(past: Past, *, seed: int = 17, share: float = 1.0, show: bool = False) -> Scored:
    """Every forecaster over the test blocks of the first `share` of the bars."""
    n = int(len(past.time) * share)
    edges = np.linspace(int(n * FIRST), n, BLOCKS + 1).astype(int)
    known = past.next_variance > 0.0
    losses: dict[str, list[Floats]] = {}
    for begin, end in track(
        list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)), "blocks", transient=True, disable=not show
    ):
        train = np.arange(WARM, begin - EMBARGO)
        train, test = train[known[train]], np.arange(begin, end)[known[begin:end]]
        for name, forecast in forecasts(past, train, seed).items():
            losses.setdefault(name, []).append(qlike(past.next_variance[test], forecast[test]))
    return Scored({name: np.concatenate(parts) for name, parts in losses.items()})


def forecasts(past: Past, train: Ints, seed: int) -> dict[str, Floats]:
    """(T,) variance of the bar after each, by forecaster; those with a level of their own are smeared on `train`."""
    v = past.measured
    floor = 1e-3 * float(np.median(v[v > 0.0]))
    day, week = _trailing(v, DAY), _trailing(v, WEEK)
    hour, weekday = calendar(past.time, past.interval_s)
    clock = np.column_stack([np.eye(24)[hour], np.eye(7)[weekday][:, :6]])[:, 1:]
    ones = np.ones((len(v), 1))
    logs = np.column_stack([np.log(each + floor) for each in (v, day, week)])
    levels = np.column_stack([v, day, week])
    target = past.next_variance
    found = {
        "random walk": v + floor,
        "EWMA": _ewma(v),
        "GARCH": _garch(past, train, "normal"),
        RIVAL: _garch(past, train, "t"),
        "HAR": np.maximum(_least_squares(np.column_stack([ones, levels]), target, train), floor),
        "log-HAR": np.exp(_least_squares(np.column_stack([ones, logs]), np.log(target + 1e-300), train)),
        "log-HAR, clock": np.exp(_least_squares(np.column_stack([ones, logs, clock]), np.log(target + 1e-300), train)),
    }
    for name in ("EWMA", "GARCH", RIVAL, "log-HAR", "log-HAR, clock"):
        found[name] = found[name] * float(np.mean(target[train] / found[name][train]))
    made = fit_regression(past, train, DEFAULTS, seed=seed, of_returns=False)
    found[OURS] = np.asarray(Formula(made, har.COLUMNS)(past.columns(made), hour, weekday).sigma) ** 2
    return found


def _trailing(v: Floats, window: int) -> Floats:
    total = np.concatenate([[0.0], np.cumsum(v)])
    end = np.arange(1, len(v) + 1)
    begin = np.maximum(end - window, 0)
    mean: Floats = (total[end] - total[begin]) / (end - begin)
    return mean


def _ewma(v: Floats) -> Floats:
    out, value = np.empty(len(v)), float(v[:DAY].mean())
    for t, each in enumerate(v.tolist()):
        value = DECAY * value + (1.0 - DECAY) * each
        out[t] = value
    return out


def _garch(past: Past, train: Ints, kind: Kind) -> Floats:
    garch = fit_garch(past.returns[train], kind).garch
    usual = float(np.nanvar(past.returns[train]))
    h: Floats = variances(past.returns, np.asarray(garch), usual)[1:]
    return h


def _least_squares(x: Floats, y: Floats, rows: Ints) -> Floats:
    fitted: Floats = x @ np.linalg.lstsq(x[rows], y[rows], rcond=None)[0]
    return fitted


def main() -> None:
    """Read, walk, print."""
    parser = argparse.ArgumentParser(prog="volatility_figures", description="QLIKE of volatility forecasts")
    parser.add_argument("bars", help="table of bars shorter than the forecast ones")
    parser.add_argument("--minutes", type=int, default=60, help="length of the forecast bars")
    parser.add_argument("--share", type=float, default=1.0, help="look at the first share of the bars only")
    options = parser.parse_args()
    series = read_series(options.bars, "series", venue="file")
    past = realised(series.bars, series.interval_s, 60 * options.minutes)
    scored = walk(past, share=options.share, show=True)
    count = len(scored.losses[OURS])
    table = Table(title=f"{count:,} bars of {options.minutes} minutes, realised from {series.interval_s // 60} minutes")
    for name in ("forecaster", "QLIKE", f"t against {RIVAL}"):
        table.add_column(name, justify="left" if name == "forecaster" else "right")
    for name, value, t in scored.table():
        table.add_row(name, f"{value:.4f}", "" if name == RIVAL else f"{t:+.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
