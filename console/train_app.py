"""The commands of `conclave train` and `conclave exam`: arguments, help, and which room does the work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.context import fail, run_now

train = typer.Typer()

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Bars = Annotated[str, typer.Option(help="Bars: FILE.parquet, FILE.csv or sqlite:FILE#TABLE, any column names.")]


@train.callback(invoke_without_command=True)
def agents(
    ctx: typer.Context,
    symbol: Annotated[str, typer.Option(help="The symbol that the models are for, for example BTCUSDT.")] = "",
    data: Bars = "",
    out: Annotated[Path | None, typer.Option(help="Folder of the models; made if it is not there.")] = None,
    interval: Annotated[str, typer.Option(help="Length of the bars: 1m, 1h, ... (default: as they are).")] = "",
    venue: Annotated[str, typer.Option(help="Where the symbol is traded.")] = "binance",
    names: Annotated[str, typer.Option("--agents", help="Names, separated by commas (default: all).")] = "",
    preset: Annotated[str, typer.Option(help="quick (seconds), default (minutes) or full.")] = "default",
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 17,
    params: Annotated[
        Path | None, typer.Option(help="YAML or JSON of settings by agent: boosting: {model: mlp}.")
    ] = None,
    trials: Annotated[int, typer.Option(min=0, help="Search settings with so many tries first; 0 = none.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes that search side by side.")] = 1,
    study: Annotated[
        str, typer.Option(help="Data base of the search: postgresql://... (default: SQLite in --out).")
    ] = "",
    track: Annotated[str, typer.Option(help="Also record the run with MLflow: sqlite:///FILE.")] = "",
    walk_forward: Annotated[bool, typer.Option("--walk-forward", help="First the full exam over six blocks.")] = False,
    threads: Annotated[int, typer.Option(min=0, help="Processor threads; 0 = all that there are.")] = 0,
    as_json: Json = False,
) -> None:
    """Fit the agents of one symbol on bars and write signed models; the newest fifth of the bars is held out.

    A run that was killed goes on where it was when it is started again. Every run is a line in the ledger of --out.

    Example: conclave train --symbol BTCUSDT --interval 1h --data bars.parquet --out models/btc
    """
    if ctx.invoked_subcommand is not None:
        return
    if not symbol or not data or out is None:
        fail("conclave train needs --symbol, --data and --out; conclave train --help explains them", 2)
    from console.train import TrainWish, cores, run_train

    chosen = tuple(part.strip() for part in names.split(",") if part.strip())
    wish = TrainWish(
        data=data,
        symbol=symbol,
        venue=venue,
        interval=interval,
        out=out,
        agents=chosen,
        preset=preset,
        seed=seed,
        params=params,
        trials=trials,
        workers=workers,
        study=study,
        track=track,
        walk_forward=walk_forward,
        threads=threads or cores(),
        as_json=as_json,
    )
    raise typer.Exit(run_now(lambda: run_train(wish)))


@train.command()
def sentiment(
    data: Annotated[Path, typer.Option(help="Labelled headlines: CSV, Parquet, JSON or text@label.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the model (default: <var>/models/sentiment).")] = None,
    test: Annotated[Path | None, typer.Option(help="Labelled headlines that are only judged.")] = None,
    labels: Annotated[str, typer.Option(help="Meaning of the labels 0, 1, 2: bearish,bullish,neutral.")] = "",
    folds: Annotated[int, typer.Option(min=2, help="Parts for the held-out figures.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 7,
    embeddings: Annotated[bool, typer.Option(help="Use sentence embeddings where the package is there.")] = True,
    evaluate_only: Annotated[bool, typer.Option("--evaluate-only", help="Judge, write nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Fit the headline stack on headlines that you may use, and say how good it is."""
    from console.train_sentiment import run_train_sentiment

    run_now(
        lambda: run_train_sentiment(
            data,
            out,
            test=test,
            labels=labels,
            folds=folds,
            seed=seed,
            embeddings=embeddings,
            evaluate_only=evaluate_only,
            as_json=as_json,
        )
    )


def exam(
    models: Annotated[Path, typer.Option(help="Folder of signed models.")],
    data: Bars,
    report: Annotated[Path | None, typer.Option(help="Folder of the report (default: <var>/reports/<time>).")] = None,
    keys: Annotated[Path | None, typer.Option(help="Folder of public keys to believe instead of this house's.")] = None,
    as_json: Json = False,
) -> None:
    """Examine models on the bars after their training range; nothing is fitted. Prints figures, writes a report.

    With --json only the figures are made, as fractions: skill against the climatology of the training range.
    """
    from console.exam import run_exam

    run_now(lambda: run_exam(models, data, report=report, keys=keys, as_json=as_json))
