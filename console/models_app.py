"""The commands of `conclave models`: arguments, help, and which room does the work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.context import run

models = typer.Typer(
    no_args_is_help=True, help="Models of the running stack: who speaks, who is measured against whom, and changes."
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Model = Annotated[str, typer.Argument(help="A model's id or SHA-256, or how one of them begins.")]
Agent = Annotated[str, typer.Argument(help="For example boosting.")]
Symbol = Annotated[str, typer.Argument(help="For example BTCUSDT.")]
Interval = Annotated[str, typer.Option(help="Where the agent has models on several bar lengths: 1s, 1h, ...")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept with the role.")]


@models.command(name="list")
def models_list(as_json: Json = False) -> None:
    """Every agent and series: champion, challengers with their running statistic, and the previous model."""
    from console.models import run_list

    run(run_list(as_json))


@models.command()
def show(model: Model, as_json: Json = False) -> None:
    """All that is known of one model: data, features, metrics, calibration, settings, signature."""
    from console.models import run_show

    run(run_show(model, as_json))


@models.command()
def compare(agent: Agent, symbol: Symbol, interval: Interval = "", as_json: Json = False) -> None:
    """The models of one agent on one series side by side."""
    from console.models import run_compare

    run(run_compare(agent, symbol, interval, as_json))


@models.command()
def promote(model: Model, reason: Reason) -> None:
    """Make a challenger champion from the next bar on; the champion becomes the previous model."""
    from console.models import run_promote

    run(run_promote(model, reason))


@models.command()
def rollback(agent: Agent, symbol: Symbol, reason: Reason, interval: Interval = "") -> None:
    """Return to the previous champion from the next bar on."""
    from console.models import run_rollback

    run(run_rollback(agent, symbol, interval, reason))


@models.command(name="import")
def import_model(
    file: Annotated[Path, typer.Argument(help="A signed model, as conclave train writes it.")], as_json: Json = False
) -> None:
    """Put a model into the store; it becomes champion where there is none, else a challenger."""
    from console.models import run_import

    run(run_import(file, as_json))


@models.command(name="train")
def ask_training(
    agent: Annotated[str, typer.Option(help="Only this agent.")] = "",
    symbol: Annotated[str, typer.Option(help="Only this symbol.")] = "",
    interval: Annotated[str, typer.Option(help="Only this bar length.")] = "",
    reason: Reason = "asked",
) -> None:
    """Have the train service fit what is configured, now; the new models become challengers."""
    from console.models import run_train

    run(run_train(agent, symbol, interval, reason))
