"""Fitting the regression of the volatility agent: log-HAR with GARCH, clock and smearing, then nets on its errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from libs.core.agents import har_kernels as har
from libs.core.agents.garch_family import Garch
from libs.core.agents.volatility_model import CLIP, DAYS, HOURS, Formula, Line, Regression, calendar, with_implied
from libs.research.training.dataset import DataProblem, Floats, Ints
from libs.research.training.garch import KINDS, fit_garch
from libs.research.training.net_fit import fit_net

DEFAULTS: Final[dict[str, Any]] = {
    "garch": "gjr-t",
    "implied": "",
    "ridge": 30.0,
    "clock_ridge": 3.0,
    "window_rows": 8.0,
    "width": 8,
    "net_l2": 20.0,
    "net_steps": 60,
    "nets": 3,
}
"""garch: kind of `garch.KINDS`. implied: a feature that holds an implied volatility, "" = none. ridge: on scaled
columns, in rows; clock_ridge: on hours and days. window_rows: a window is left out when the rows are fewer than so many
times its length. net_l2: weight decay of the nets, over the rows. Chosen on the first 40 % of hourly BTC bars with
variance realised from 5 minutes."""

FEWEST: Final = 300
Tell = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Past:
    """What the regression is fitted on, one row a bar; targets at row t are of the bar after t, NaN where unknown.

    Attributes:
        bars: (T, 5); returns: (T,) log returns; time: (T,) open times, ns UTC.
        measured: (T,) realised variance of each bar, NaN to take it from the bar's range.
        implied: (T, k) implied volatility of up to one series.
        next_variance, next_return, next_span: (T,) targets.
    """

    bars: Floats
    returns: Floats
    time: Ints
    interval_s: int
    measured: Floats
    implied: Floats
    next_variance: Floats
    next_return: Floats
    next_span: Floats

    def columns(self, regression: Regression) -> Floats:
        """(T, columns) of a regression's settings at every bar."""
        settings = np.array(regression.settings)
        return with_implied(har.design(self.bars, self.returns, self.measured, settings), self.implied)


def past_of(
    bars: Floats,
    returns: Floats,
    time: Ints,
    interval_s: int,
    *,
    measured: Floats | None = None,
    implied: Floats | None = None,
) -> Past:
    """`measured`: realised variances, of finer bars for example; they are the target then, else ranges are."""
    bars = np.ascontiguousarray(bars)
    n = len(bars)
    known = np.full(n, math.nan) if measured is None else measured
    variance = har.bar_variances(bars) if measured is None else measured
    following = np.full((3, n), math.nan)
    following[0, :-1], following[1, :-1] = variance[1:], returns[1:]
    following[2, :-1] = np.log(bars[1:, 1] / bars[1:, 2])
    following[:, ~np.isfinite(following[1])] = math.nan
    return Past(
        bars=bars,
        returns=np.ascontiguousarray(returns),
        time=time,
        interval_s=interval_s,
        measured=known,
        implied=np.empty((n, 0)) if implied is None else implied,
        next_variance=following[0],
        next_return=following[1],
        next_span=following[2],
    )


def fit_regression(
    past: Past,
    rows: Ints,
    params: dict[str, Any],
    *,
    seed: int,
    of_returns: bool = True,
    tell: Tell = lambda share, line: None,
) -> Regression:
    """Fit on these rows. `of_returns`: bring the level to that of squared returns; else it stays that of the target.

    Raises:
        DataProblem: too few rows, an unknown kind of GARCH, or a price that does not move.
    """
    if params["garch"] not in KINDS:
        raise DataProblem(f"no GARCH of kind {params['garch']!r}; there are {', '.join(KINDS)}")
    left_out = [k for k, w in enumerate(har.WINDOWS) if w * params["window_rows"] > len(rows)]
    settings = _settings(past, rows, params)
    settings[har.NEED] = max(2 * har.SHORT, *(w for k, w in enumerate(har.WINDOWS) if k not in left_out))
    blank = Line(0.0, (), (), ())
    draft = Regression(settings=tuple(map(float, settings)), center=(), scale=(), variance=blank, span=blank)
    columns = past.columns(draft)
    taken = rows[np.isfinite(columns[rows, : har.COLUMNS]).all(axis=1) & (past.next_variance[rows] > 0.0)]
    if len(taken) < FEWEST:
        raise DataProblem(
            f"{len(taken)} bars are too few to fit a volatility on; {FEWEST} after the warm-up are needed"
        )
    with np.errstate(invalid="ignore"):
        center, scale = np.nanmean(columns[taken], axis=0), np.nanstd(columns[taken], axis=0)
    center, scale = np.nan_to_num(center), np.where(scale > 1e-9, scale, 1.0)
    scale[left_out] = math.inf
    flat = np.nan_to_num((columns[taken] - center) / scale)
    novel = 2.0 * float(np.quantile(np.sqrt((flat * flat).mean(axis=1)), 0.999))
    x = np.clip(flat, -CLIP, CLIP)
    hour, day = calendar(past.time[taken], past.interval_s)
    floor = settings[har.FLOOR]
    target = np.log(past.next_variance[taken] + floor)
    line, fitted = _line(x, target, hour, day, params)
    line = msgspec.structs.replace(line, bias=line.bias + _log_mean(past.next_variance[taken], fitted))
    spans, fitted_span = _line(x, np.log(past.next_span[taken] + math.sqrt(floor)), hour, day, params)
    spans = msgspec.structs.replace(spans, bias=spans.bias + _log_mean(past.next_span[taken], fitted_span))
    made = msgspec.structs.replace(
        draft,
        center=tuple(map(float, center)),
        scale=tuple(map(float, scale)),
        variance=line,
        span=spans,
        novel=novel,
    )
    tell(0.2, "log-HAR")
    made = msgspec.structs.replace(made, nets=_nets(past, columns, taken, made, params, seed, tell))
    return _levelled(past, columns, taken, made) if of_returns else made


def _settings(past: Past, rows: Ints, params: dict[str, Any]) -> Floats:
    """Floors from the typical bar, and a GARCH fitted on the returns of the rows."""
    known = past.next_variance[rows]
    volume = past.bars[rows, 4]
    if not (known > 0.0).any():
        raise DataProblem("the price does not move; there is no volatility to learn")
    settings = np.zeros(har.SETTINGS)
    settings[har.FLOOR] = 1e-3 * float(np.median(known[known > 0.0]))
    settings[har.VOLUME_FLOOR] = 1e-2 * float(np.median(volume[volume > 0.0])) if (volume > 0.0).any() else 1.0
    garch: Garch = fit_garch(past.returns[rows], params["garch"]).garch
    usual = float(np.nanvar(past.returns[rows]))
    settings[har.FIRST] = min(garch.variance, usual)
    settings[har.THETA : har.THETA + 5] = garch[:5]
    return settings


def _line(x: Floats, target: Floats, hour: Ints, day: Ints, params: dict[str, Any]) -> tuple[Line, Floats]:
    """Ridge regression with centred dummies of the clock, and what it says of its own rows."""
    clock = np.column_stack([np.eye(HOURS)[hour], np.eye(DAYS)[day]])
    mean = clock.mean(axis=0)
    a = np.column_stack([np.ones(len(x)), x, clock - mean])
    pull = np.concatenate([[0.0], np.full(x.shape[1], params["ridge"]), np.full(HOURS + DAYS, params["clock_ridge"])])
    b = np.linalg.solve(a.T @ a + np.diag(pull), a.T @ target)
    weights, clock_weights = b[1 : 1 + x.shape[1]], b[1 + x.shape[1] :]
    line = Line(
        bias=float(b[0] - mean @ clock_weights),
        weights=tuple(map(float, weights)),
        hours=tuple(map(float, clock_weights[:HOURS])),
        days=tuple(map(float, clock_weights[HOURS:])),
    )
    return line, a @ b


def _log_mean(actual: Floats, log_fitted: Floats) -> float:
    """Smearing (Duan 1983), as QLIKE wants it: ln of the mean of actual / fitted."""
    return math.log(float(np.mean(actual * np.exp(-log_fitted))))


def _nets(
    past: Past, columns: Floats, taken: Ints, made: Regression, params: dict[str, Any], seed: int, tell: Tell
) -> tuple[Any, ...]:
    """Nets that move sigma by up to half either way, so that QLIKE falls."""
    formula = Formula(made, columns.shape[1])
    hour, day = calendar(past.time[taken], past.interval_s)
    flat = formula.scaled(columns[taken])
    ratio = past.next_variance[taken] * np.exp(-formula.base(flat, hour, day)[0])
    x, n, count = formula.inputs(flat, hour, day), len(taken), int(params["nets"])

    def loss(out: Floats) -> tuple[float, Floats]:
        bent = np.tanh(out[:, 0])
        factor = 1.0 + 0.5 * bent
        left = ratio / factor**2
        slope = (1.0 - left) / factor * (1.0 - bent * bent) / n
        return float((left + 2.0 * np.log(factor)).mean()), slope[:, np.newaxis]

    nets = []
    for k in range(count):

        def told(step: int, value: float, k: int = k) -> None:
            tell(0.2 + 0.8 * (k + step / params["net_steps"]) / count, f"net {k + 1} of {count}, loss {value:.4f}")

        nets.append(
            fit_net(
                x,
                loss,
                1,
                width=int(params["width"]),
                l2=params["net_l2"] / n,
                seed=seed + k,
                steps=int(params["net_steps"]),
                tell=told,
            )
        )
    return tuple(nets)


def _levelled(past: Past, columns: Floats, taken: Ints, made: Regression) -> Regression:
    """With sigma at the level of squared returns and span at that of ranges, nets included."""
    heard = Formula(made, columns.shape[1])(columns[taken], *calendar(past.time[taken], past.interval_s))
    squared = float(np.mean((past.next_return[taken] / heard.sigma) ** 2))
    spans = float(np.mean(past.next_span[taken] / heard.span))
    if not (squared > 0.0 and spans > 0.0):
        raise DataProblem("the price does not move; there is no volatility to learn")
    variance = msgspec.structs.replace(made.variance, bias=made.variance.bias + math.log(squared))
    span = msgspec.structs.replace(made.span, bias=made.span.bias + math.log(spans))
    return msgspec.structs.replace(made, variance=variance, span=span)
