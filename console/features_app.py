"""The commands of `conclave features` and `conclave leakcheck`: arguments, help, and which room does the work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.context import run_now

features = typer.Typer(no_args_is_help=True, help="Features: what there is, computed over bars, drawn with candles.")

Set = Annotated[str, typer.Option("--set", help="Name of a feature set.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@features.command(name="list")
def features_list(name: Set = "full", as_json: Json = False) -> None:
    """Every feature of a set with its unit, range, memory, warm-up, inputs and source."""
    from console.features import run_list

    run_now(lambda: run_list(name, as_json))


@features.command()
def compute(
    data: Annotated[str, typer.Option(help="Bars: FILE.parquet, FILE.csv or sqlite:FILE#TABLE, any column names.")],
    out: Annotated[Path, typer.Option(help="FILE.parquet: open time, prices and a column per feature.")],
    name: Set = "full",
    calendar: Annotated[str, typer.Option(help="always, forex or us_stocks (default: as the days suggest).")] = "",
) -> None:
    """Compute a set over bars, the same kernels as live, into a Parquet file. Symbol and interval are detected."""
    from console.features import run_compute

    run_now(lambda: run_compute(data, name, out, calendar))


@features.command()
def plot(
    symbol: Annotated[str | None, typer.Argument(help="A symbol in the store of the running or last stack.")] = None,
    data: Annotated[str | None, typer.Option(help="A table of bars instead.")] = None,
    chosen: Annotated[str, typer.Option("--features", help="Names, separated by commas.")] = "",
    name: Set = "full",
    bars: Annotated[int, typer.Option(min=2, help="How many of the newest bars.")] = 300,
    venue: Annotated[str, typer.Option(help="Where the store has the symbol of several venues.")] = "",
    interval: Annotated[str, typer.Option(help="Where the store has several: 1s, 5s, 1m, 1h.")] = "",
    out: Annotated[Path | None, typer.Option(help="File name; .png and .html are put behind it.")] = None,
) -> None:
    """Draw candles with chosen features: a PNG and an interactive HTML page. Default place: <var>/plots.

    Example: conclave features plot --data bars.parquet --features sma_50,rsi_14,rv_60
    """
    from console.features import read_given, run_plot

    names = [part.strip() for part in chosen.split(",") if part.strip()]
    run_now(lambda: run_plot(read_given(symbol, data, venue, interval, bars), names, name, bars, out))


def leakcheck(
    data: Annotated[str | None, typer.Option(help="A table of bars (default: a seeded series).")] = None,
    name: Set = "full",
    file: Annotated[Path | None, typer.Option(help="A file of features of your own, instead of a set.")] = None,
    moments: Annotated[int, typer.Option(min=1, help="Random moments of each kind of attack.")] = 50,
) -> None:
    """Attack features: does a value know the future, how much of the past does it need, does a restart change it?

    Exit code 0 when all are clean, 1 when not. Prints each feature's memory, or the first offending bar.
    """
    from console.leakcheck import run_leakcheck

    raise typer.Exit(run_now(lambda: run_leakcheck(data, name, file, moments)))
