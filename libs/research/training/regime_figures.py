"""How sure two regimes of daily stock returns were in known bear and bull markets, with and without hindsight.

    python -m libs.research.training.regime_figures PRICES [--until 2007-10-01]

reads a CSV of `Date` and `Adj Close` (the S&P 500 that comes with arch, for example), fits two Gaussian states to log
returns in percent, on all days or on those before `--until`, and prints the mean probability of the wild one.
"""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from libs.research.training.dataset import Floats, Mask
from libs.research.training.hmm import fit_hmm

PERIODS = (
    ("bear market after the dotcom peak", date(2000, 3, 24), date(2002, 10, 9)),
    ("calm years", date(2003, 4, 1), date(2007, 6, 30)),
    ("bear market of 2007 to 2009", date(2007, 10, 9), date(2009, 3, 9)),
    ("Lehman to the low", date(2008, 9, 15), date(2009, 3, 9)),
    ("calm years", date(2012, 6, 1), date(2015, 7, 31)),
)


def read_prices(path: Path) -> tuple[Floats, list[date]]:
    """Log returns in percent and the day of each."""
    import polars as pl

    frame = pl.read_csv(path).drop_nulls("Adj Close")
    column = frame["Date"]
    days = column.str.to_date("%m/%d/%Y" if "/" in str(column[0]) else "%Y-%m-%d").to_list()
    prices = frame["Adj Close"].cast(pl.Float64).to_numpy()
    return 100.0 * np.diff(np.log(prices)), days[1:]


def main() -> None:
    """Fit, filter, smooth, print."""
    parser = argparse.ArgumentParser(prog="regime_figures", description="two regimes in known markets")
    parser.add_argument("prices", type=Path, help="CSV with Date and Adj Close")
    parser.add_argument("--until", type=date.fromisoformat, default=date.max, help="fit on days before this one")
    options = parser.parse_args()
    returns, days = read_prices(options.prices)
    known: Mask = np.array([day < options.until for day in days])
    hmm = fit_hmm(returns[known], 2)
    deviations = " and ".join(f"{each:.3f}" for each in np.sqrt(hmm.variance))
    title = f"{int(known.sum()):,} returns fitted: deviations {deviations} %, log likelihood {hmm.log_likelihood:,.2f}"
    table = Table(title=title)
    for name in ("period", "from", "to", "filtered", "smoothed"):
        table.add_column(name, justify="left" if name == "period" else "right")
    both = hmm.filter(returns)[:, 1], hmm.smooth(returns)[:, 1]
    for name, first, last in PERIODS:
        within = np.array([first <= day <= last for day in days])
        if within.any():
            table.add_row(name, str(first), str(last), *(f"{p[within].mean():.3f}" for p in both))
    Console().print(table)


if __name__ == "__main__":
    main()
