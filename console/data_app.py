"""The commands of `conclave data`: arguments, help, and which room does the work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.context import run, run_now

data = typer.Typer(no_args_is_help=True, help="History: get it, check it, keep it up to date.")

Config = Annotated[
    Path | None, typer.Option("--config", help="Configuration file (default: CONFIG_PATH, config.yaml).")
]
Columns = Annotated[
    str, typer.Option("--columns", help="Names in the table where they are not the usual ones: time=ts,open=o,...")
]


@data.command(name="download")
def download(
    source: Annotated[str, typer.Option(help="binance, deriv, ccxt:kraken, yahoo, ...: see conclave data list.")],
    symbol: Annotated[str, typer.Option(help="In the source's spelling; of source file a path.")],
    interval: Annotated[str, typer.Option(help="1m, 1h, 1d, ..., trades, aggtrades, ticks or readings.")],
    start: Annotated[str, typer.Option(help="2024-08-05, 2024-08-05T12:00 (UTC), or 30d: so long before now.")],
    end: Annotated[str, typer.Option(help="Likewise; rows before it. Without it: all there is now.")] = "",
    out: Annotated[
        str, typer.Option(help="FILE.parquet, FILE.csv, FILE.csv.gz or sqlite:FILE#TABLE (default: under <var>/data).")
    ] = "",
    columns: Columns = "",
    endpoint: Annotated[
        str, typer.Option(help="live, or simulator: the one that runs here, else one of its own.")
    ] = "live",
    url: Annotated[list[str] | None, typer.Option(help="Another address of the source: rest=http://...")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Get history into a file. What is there already is not asked for again; a killed download goes on where it was.

    --columns gives the names that the file shall have; of source file those that the read table has.
    Example: conclave data download --source binance --symbol BTCUSDT --interval 1h --start 2024-01-01
    """
    from console.data import Wanted, run_download

    wanted = Wanted(source, symbol, interval, start, end, out, columns, endpoint, tuple(url or ()), as_json)
    run(run_download(wanted))


@data.command(name="check")
def check(
    table: Annotated[str, typer.Argument(help="A file, sqlite:FILE#TABLE, or store:VENUE/SYMBOL/INTERVAL.")],
    interval: Annotated[str, typer.Option(help="Length of its bars (default: the distance of most of them).")] = "",
    plot: Annotated[Path | None, typer.Option(help="Draw price, gaps and volume into this PNG, PDF or SVG.")] = None,
    calendar: Annotated[
        str, typer.Option(help="always, forex or us_stocks: hours in which bars are due (default: told by the rows).")
    ] = "",
    columns: Columns = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Say what a table of history is worth: holes, repeats, impossible and unconfirmed prices.

    Exit code 0 when it is clean, 1 when something was found that matters.
    """
    from console.data_check import run_check

    raise typer.Exit(run(run_check(table, interval, plot, calendar, columns, as_json)))


@data.command(name="update")
def update(
    config: Config = None, as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False
) -> None:
    """Bring everything in data.history of the configuration up to date, in files and in the store.

    Exit code 1 when an entry could not be.
    """
    from console.data import run_update

    raise typer.Exit(run(run_update(config, as_json)))


@data.command(name="list")
def list_sources(as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False) -> None:
    """The sources: what they have, how late, what they want, and whether a key is set."""
    from console.data import run_list

    run_now(lambda: run_list(as_json))
