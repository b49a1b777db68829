"""Where a running stack is found: var/run holds its URLs, its services and its tokens, readable by the owner only."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from libs.common.secrets import read_secret, write_private

SERVICES = ("ingest", "features", "predict", "risk", "execute", "train")
"""The services of the house, in the order in which a price passes them; the last one trains beside its way."""

LATER = ("train",)
"""Started once the others are ready, and nobody waits for it: trading does not need it."""

STACK_FILE = "stack.json"
TOKEN_NAME = "CONCLAVE_ADMIN_TOKEN"  # the name of a variable, not a secret


SIMULATOR_PORTS = {"http": 8080, "deriv": 8081, "binance": 8082}
"""Where the simulator's image listens."""


def run_dir(var: Path) -> Path:
    """Folder with what the running stack says of itself."""
    return var / "run"


def read_stack(var: Path) -> dict[str, Any]:
    """What the supervisor wrote, {} when no stack has been started here."""
    return _read(run_dir(var) / STACK_FILE)


def write_stack(var: Path, facts: dict[str, Any]) -> None:
    """Say how this stack is reached."""
    write_private(run_dir(var) / STACK_FILE, json.dumps(facts, indent=1))


def write_service(var: Path, name: str, url: str) -> None:
    """Say where a service answers."""
    write_private(run_dir(var) / f"{name}.json", json.dumps({"pid": os.getpid(), "http": url}))
    write_target(var, name, url)


def write_target(var: Path, name: str, url: str) -> None:
    """Tell a Prometheus on this machine where the metrics of `name` are, in the form of its file_sd_configs."""
    target = {"targets": [urlsplit(url).netloc], "labels": {"service": name}}
    write_private(_target(var, name), json.dumps([target]))


def forget_target(var: Path, name: str) -> None:
    """It ended as it was told to: from now on its silence is no fault."""
    _target(var, name).unlink(missing_ok=True)


def _target(var: Path, name: str) -> Path:
    return run_dir(var) / "targets" / f"{name}.json"


def is_elsewhere() -> bool:
    """Whether the stack runs in containers of its own: its services answer where the pattern SERVICES_URL says."""
    return bool(os.environ.get("SERVICES_URL"))


def read_services(var: Path) -> dict[str, dict[str, Any]]:
    """Every service that said where it answers; with SERVICES_URL=http://{name}:8080 all of them, there."""
    if pattern := os.environ.get("SERVICES_URL"):
        return {name: {"http": pattern.replace("{name}", name)} for name in SERVICES}
    folder = run_dir(var)
    if not folder.is_dir():
        return {}
    found = {path.stem: _read(path) for path in sorted(folder.glob("*.json")) if path.name != STACK_FILE}
    return {name: facts for name, facts in found.items() if "http" in facts}


def admin_token(var: Path) -> str | None:
    """The bearer token of the admin routes, None when there is none."""
    return read_secret(TOKEN_NAME, var)


def nats_url(var: Path, configured: str) -> str:
    """NATS_URL, else the configured one, else the running stack's, else the default port.

    One without a login gets user NATS_USER with the secret NATS_PASSWORD, where there is one.
    """
    url = os.environ.get("NATS_URL") or configured or read_stack(var).get("nats_url", "nats://127.0.0.1:4222")
    return _with_login(str(url), os.environ.get("NATS_USER", "conclave"), read_secret("NATS_PASSWORD", var))


def database_url(var: Path, configured: str) -> str:
    """DATABASE_URL, else the configured one, else the running stack's; "" when there is none.

    One without a password gets the secret DATABASE_PASSWORD, where there is one.
    """
    url = os.environ.get("DATABASE_URL") or configured or str(read_stack(var).get("database_url", ""))
    return _with_login(url, "conclave", read_secret("DATABASE_PASSWORD", var)) if url else ""


def _with_login(url: str, user: str, password: str | None) -> str:
    parts = urlsplit(url)
    if password is None or parts.password is not None or not parts.hostname:
        return url
    place = parts.netloc.rpartition("@")[2]
    login = f"{parts.username or user}:{quote(password, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{login}@{place}"))


def venue_urls(var: Path, venue: str, endpoint: str, configured: dict[str, str], api: str = "") -> dict[str, str]:
    """URLs of a venue that its own do not tell: the configured ones; at a simulator those of the running one too.

    {} = the venue's own, or no simulator runs.
    """
    if endpoint != "simulator":
        return dict(configured)
    return simulator_urls(read_simulator(var), venue, api) | configured


def read_simulator(var: Path) -> dict[str, Any]:
    """What the running simulator says of itself, {} when none has been started here.

    In containers it is at SIMULATOR_HOST, on the ports of its image.
    """
    if host := os.environ.get("SIMULATOR_HOST"):
        binance = f"{host}:{SIMULATOR_PORTS['binance']}"
        return {
            "deriv_url": f"ws://{host}:{SIMULATOR_PORTS['deriv']}/websockets/v3",
            "binance_rest_url": f"http://{binance}",
            "binance_ws_url": f"ws://{binance}",
        } | {name: read_secret(f"SIMULATOR_{name.upper()}", var) or "" for name in ("token", "key", "secret")}
    return _read(run_dir(var) / "simulator" / "simulator.json")


def simulator_credentials(var: Path) -> dict[str, str]:
    """What opens the accounts of the running simulator; {} when none has been started here."""
    facts = read_simulator(var)
    return {name: str(facts[name]) for name in ("token", "key", "secret") if facts.get(name)}


def simulator_urls(facts: dict[str, Any], venue: str, api: str) -> dict[str, str]:
    """URLs of a venue at the simulator that says `facts` of itself; {} when it does not play that venue."""
    if venue == "deriv" and "deriv_url" in facts:
        v3 = str(facts["deriv_url"])
        if api != "options":
            return {"ws": v3}
        # Both of Deriv's APIs are served on one port.
        options = v3.split("/websockets/", 1)[0] + "/trading/v1/options"
        return {"ws": f"{options}/ws", "rest": options.replace("ws", "http", 1)}
    if venue in ("binance", "ccxt:binance") and "binance_rest_url" in facts:
        rest = str(facts["binance_rest_url"])
        ws_api = rest.replace("http", "ws", 1) + "/ws-api/v3"
        return {"rest": rest, "ws": facts["binance_ws_url"], "ws_api": facts.get("binance_ws_api_url", ws_api)}
    return {}


def _read(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}
