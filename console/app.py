"""The commands of `conclave`: arguments, help, and which room does the work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from console.context import fail, run, run_now, settings_or_fail
from console.data_app import data as data_commands
from console.features_app import features as feature_commands
from console.features_app import leakcheck
from console.models_app import models as model_commands
from console.train_app import exam
from console.train_app import train as train_commands

app = typer.Typer(
    name="conclave",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""A trading system in which backtest, paper and live are the same code.

Start with **conclave demo**: it runs everything on this machine, on simulated markets, with simulated money.

While a stack runs: **status**, **positions**, **orders**, **trades**, **tap**, **explain**.
To stop trading: **halt**, **reduce-only**, **rearm**, **stop**. Afterwards: **replay last**.

Settings are in config.yaml (or CONFIG_PATH); config.example.yaml documents every one of them.
""",
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept for ever.")]
Config = Annotated[
    Path | None, typer.Option("--config", help="Configuration file (default: CONFIG_PATH, config.yaml).")
]


@app.command()
def demo(
    minutes: Annotated[float | None, typer.Option(min=0.05, help="End by itself after this many minutes.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Recorded session (folder or .jsonl.gz) or bars (.parquet).")
    ] = None,
    speed: Annotated[float, typer.Option(min=1.0, help="Data seconds per second, for --data.")] = 1.0,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the simulated markets.")] = None,
    orders: Annotated[
        str | None,
        typer.Option(
            help="venue: the simulated venues fill them, over their own protocols; paper: our model does "
            "(default: venue, with --data paper)."
        ),
    ] = None,
    config: Config = None,
) -> None:
    """Run the whole house on this machine, with simulated money, and say at the end what happened.

    Exit code 0 only if every service became and stayed ready, every signal got a recorded verdict and (without --data)
    an order on each planted symbol went the whole way. Example: conclave demo --minutes 2
    """
    from console.demo import DemoOptions, run_demo

    if orders not in (None, "venue", "paper"):
        fail(f"--orders must be venue or paper, not {orders}", 2)
    filled_by: Literal["venue", "paper"] = "paper" if orders == "paper" or (data and not orders) else "venue"
    code = run(run_demo(DemoOptions(minutes, data, speed, seed, config, filled_by)))
    raise typer.Exit(code)


@app.command()
def up(
    config: Config = None,
    mode: Annotated[str | None, typer.Option(help="paper or live; overrides trading.mode.")] = None,
    confirm: Annotated[bool, typer.Option("--confirm", help="Needed for live trading.")] = False,
) -> None:
    """Run the embedded stack on a configuration until Ctrl-C; its state stays for the next start."""
    from console.demo import run_up

    if mode not in (None, "paper", "live"):
        fail(f"--mode must be paper or live, not {mode}", 2)
    raise typer.Exit(run(run_up(config, mode, confirm)))


@app.command()
def paper(config: Config = None) -> None:
    """The same as `up --mode paper`."""
    up(config=config, mode="paper", confirm=False)


@app.command()
def discover(
    venue: Annotated[list[str] | None, typer.Option(help="Only this venue (may be repeated).")] = None,
    symbol: Annotated[list[str] | None, typer.Option(help="Only this symbol (may be repeated).")] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """What the configured venues offer: symbols, spot, multipliers, commission, size limits, stop-out.

    Each is verified with the venue itself. Where the configuration says simulator and none runs, one is started.
    """
    from console.discover import run_discover

    run(run_discover(config, venue or [], symbol or [], as_json))


@app.command()
def live(
    config: Config = None,
    confirm: Annotated[bool, typer.Option("--confirm", help="Needed: orders will be real.")] = False,
    accept_risk: Annotated[bool, typer.Option("--accept-risk", help="Accept the disclaimer, once.")] = False,
) -> None:
    """Trade live: first a connectivity trade at each account, then only arms with a passing evidence verdict.

    Exit code 0 also when there is no such arm; 1 when the connectivity trade did not go the whole way.
    """
    from console.live import run_live

    raise typer.Exit(run(run_live(config, confirm=confirm, accept_risk=accept_risk)))


@app.command()
def simulate(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    deriv_port: Annotated[int, typer.Option(min=0, max=65535, help="0 = a free port.")] = 0,
    binance_port: Annotated[int, typer.Option(min=0, max=65535, help="0 = a free port.")] = 0,
    http_port: Annotated[int, typer.Option(min=0, max=65535, help="Health, metrics, faults; 0 = a free port.")] = 0,
    data: Annotated[Path | None, typer.Option(help="Recorded session or bars to play at Binance.")] = None,
    speed: Annotated[float, typer.Option(min=1.0, help="Data seconds per second.")] = 1.0,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the simulated markets.")] = None,
    token: Annotated[str | None, typer.Option(help="Deriv token to accept (default: a new one).")] = None,
    key: Annotated[str | None, typer.Option(help="Binance API key to accept.")] = None,
    secret: Annotated[str | None, typer.Option(help="Its secret.")] = None,
    public_key: Annotated[Path | None, typer.Option(help="PEM of a key of yours that Binance shall accept.")] = None,
    deriv_real: Annotated[bool, typer.Option("--deriv-real", help="Also a real account (Options API).")] = False,
    deriv_migrated: Annotated[bool, typer.Option("--deriv-migrated", help="v3 says that it is left behind.")] = False,
    state: Annotated[Path | None, typer.Option(help="Folder that keeps the market across restarts.")] = None,
    faults: Annotated[Path | None, typer.Option(help="YAML plan of what shall go wrong; docs/simulator.md.")] = None,
) -> None:
    """Run the exchange simulator alone: Deriv (v3, Options API) and Binance Spot on localhost.

    Prints URLs, tokens and keys. docs/simulator.md tells how to point a bot of yours at it.
    """
    from console.simulate import run_simulator

    given = {
        "host": host,
        "deriv_port": deriv_port,
        "binance_port": binance_port,
        "http_port": http_port,
        "data": data,
        "speed": speed,
        "seed": seed,
        "token": token,
        "key": key,
        "secret": secret,
        "public_key": public_key,
        "deriv_real": deriv_real,
        "deriv_migrated": deriv_migrated,
        "state_dir": state,
        "faults": faults,
    }
    run(run_simulator(given))


@app.command()
def tap(
    subject: Annotated[str, typer.Argument(help="A subject or pattern, for example 'signal.>' or 'md.bar.1m.>'.")],
    last: Annotated[bool, typer.Option("--last", help="Also what the streams already hold.")] = False,
    count: Annotated[int, typer.Option(min=0, help="End after this many (0 = never).")] = 0,
) -> None:
    """Print the decoded messages of the running stack, one JSON object a line."""
    from console.tap import run_tap

    run(run_tap(subject, last, count))


@app.command()
def explain(
    identity: Annotated[str, typer.Argument(help="Id (or 6+ first digits) of an order, intent, signal or verdict.")],
    session: Annotated[Path | None, typer.Option(help="A recorded session instead of the running stack.")] = None,
    as_json: Json = False,
) -> None:
    """Print the decision passport: the chain from ticks to fills, with every reason and the time in each stage."""
    from console.explain import run_explain

    run(run_explain(identity, session, as_json))


@app.command()
def replay(
    session: Annotated[str, typer.Argument(help="A session file, 'last', or 'running'.")] = "last",
    as_json: Json = False,
) -> None:
    """Feed a recorded session to the same core objects; exit 0 when all is equal, 1 with the first difference."""
    from console.replaying import run_replay

    raise typer.Exit(run(run_replay(session, as_json)))


@app.command()
def status(as_json: Json = False) -> None:
    """Services, feeds, accounts, rate limits and what is halted."""
    from console.status import run_status

    run(run_status(as_json))


@app.command()
def positions(as_json: Json = False) -> None:
    """Open positions."""
    from console.views import run_positions

    run(run_positions(as_json))


@app.command()
def orders(as_json: Json = False) -> None:
    """Orders, newest first, with their states and reasons."""
    from console.views import run_orders

    run(run_orders(as_json))


@app.command()
def trades(
    since: Annotated[str | None, typer.Option(help="ISO date or time in UTC, for example 2026-11-20.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write a CSV file instead of a table.")] = None,
    as_json: Json = False,
) -> None:
    """Fills with their costs and realised P&L."""
    from console.views import run_trades

    run(run_trades(since, csv, as_json))


@app.command()
def halt(
    reason: Reason,
    scope: Annotated[str, typer.Option(help="A symbol, strategy or account; * for everything.")] = "*",
    flatten: Annotated[bool, typer.Option("--flatten", help="Also close the open positions.")] = False,
    yes: Yes = False,
) -> None:
    """No new positions in the scope until somebody re-arms; survives restarts."""
    from console.control import run_control

    run(run_control("halt", scope, reason, yes, flatten=flatten))


@app.command(name="reduce-only")
def reduce_only(
    reason: Reason,
    scope: Annotated[str, typer.Option(help="A symbol, strategy or account; * for everything.")] = "*",
    yes: Yes = False,
) -> None:
    """Only orders that reduce positions, until somebody re-arms."""
    from console.control import run_control

    run(run_control("reduce_only", scope, reason, yes))


@app.command()
def rearm(
    reason: Reason,
    scope: Annotated[str, typer.Option(help="A symbol, strategy or account; * for everything.")] = "*",
    yes: Yes = False,
) -> None:
    """Lift halts and reduce-only in the scope."""
    from console.control import run_control

    run(run_control("rearm", scope, reason, yes))


@app.command()
def stop(
    flatten: Annotated[bool, typer.Option("--flatten", help="Close every position first.")] = False,
    reason: Reason = "stop",
    yes: Yes = False,
) -> None:
    """Drain and end the running stack."""
    from console.control import run_stop

    run(run_stop(flatten, reason, yes))


app.add_typer(data_commands, name="data")
app.add_typer(feature_commands, name="features")
app.command()(leakcheck)
app.add_typer(train_commands, name="train")
app.add_typer(model_commands, name="models")
app.command()(exam)

secrets = typer.Typer(no_args_is_help=True, help="Credentials at rest: an encrypted store, opened by a key of yours.")
app.add_typer(secrets, name="secrets")


@secrets.command(name="new-key")
def secrets_new_key(
    out: Annotated[Path | None, typer.Option(help="Write it to this new file instead of the screen.")] = None,
) -> None:
    """Make a key for the encrypted store; set CONCLAVE_SECRETS_KEY to it, or CONCLAVE_SECRETS_KEY_FILE to the file."""
    from console.vault import run_new_key

    run_now(lambda: run_new_key(out))


@secrets.command(name="set")
def secrets_set(name: Annotated[str, typer.Argument(help="For example DERIV_TOKEN.")]) -> None:
    """Keep a secret, encrypted; asks for it without showing it, or reads one line from a pipe."""
    from console.vault import run_set

    run_now(lambda: run_set(name))


@secrets.command(name="list")
def secrets_list() -> None:
    """Names of what is kept; never values."""
    from console.vault import run_list

    run_now(run_list)


@secrets.command(name="remove")
def secrets_remove(name: Annotated[str, typer.Argument()]) -> None:
    """Forget one secret."""
    from console.vault import run_remove

    run_now(lambda: run_remove(name))


@app.command()
def doctor(as_json: Json = False) -> None:
    """What this machine lacks, and what to do about it."""
    from console.doctor import run_doctor

    raise typer.Exit(run_doctor(as_json))


@app.command(name="validate-config")
def validate_config(
    file: Annotated[Path | None, typer.Argument(help="Default: CONFIG_PATH, config.yaml, config.example.yaml.")] = None,
) -> None:
    """Check a configuration; exit 2 with one line per problem."""
    from console.validate import check_strategies

    settings = settings_or_fail(file)
    problems = check_strategies(settings, file)
    if problems:
        fail("\n".join(problems), 2)
    typer.echo("the configuration is valid")
