"""`conclave doctor`: Python, binaries, ports, disk, memory, Docker, network, credentials; what lacks and what to do."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from dataclasses import asdict, dataclass

from console.context import ROOT, base_var, default_config
from console.dashboard import make_console
from console.views import table
from libs.common.embedded.nats import nats_binary
from libs.common.embedded.ports import is_free
from libs.common.embedded.postgres import postgres_home
from libs.common.embedded.process import StackError
from libs.common.secrets import SecretError, read_secret
from libs.common.settings import ConfigError, load_settings

MIN_DISK_MB = 1000
MIN_MEMORY_MB = 2000
CREDENTIALS = ("DERIV_TOKEN", "BINANCE_API_KEY", "BINANCE_SECRET_KEY", "ALPACA_API_KEY", "ALPACA_SECRET_KEY")


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `level`: ok, note (works without it), bad (must be mended)."""

    what: str
    level: str
    found: str
    advice: str = ""


def findings() -> list[Finding]:
    """Look at everything."""
    return [_python(), _config(), *_binaries(), _ports(), _disk(), _memory(), _docker(), _network(), *_credentials()]


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] != (3, 11):
        return Finding("Python", "bad", version, "install Python 3.11 and run `make setup`")
    return Finding("Python", "ok", version)


def _config() -> Finding:
    path = default_config()
    try:
        load_settings(path)
    except ConfigError as err:
        return Finding("configuration", "bad", str(path), err.problems[0])
    return Finding("configuration", "ok", str(path))


def _binaries() -> list[Finding]:
    made = []
    for what, find in (("nats-server", nats_binary), ("PostgreSQL", postgres_home)):
        try:
            made.append(Finding(what, "ok", str(find().relative_to(ROOT)) if find().is_relative_to(ROOT) else "found"))
        except StackError as err:
            made.append(Finding(what, "bad", "missing", str(err)))
    return made


def _ports() -> Finding:
    try:
        configured = load_settings(default_config()).platform.http_ports
    except ConfigError:
        configured = {}
    taken = [f"{port} ({name})" for name, port in configured.items() if port and not is_free(port)]
    if taken:
        return Finding("ports", "bad", f"taken: {', '.join(taken)}", "free them or change platform.http_ports")
    return Finding("ports", "ok", f"{len(configured)} configured, the rest are chosen free")


def _disk() -> Finding:
    var = base_var()
    at = next(path for path in (var, *var.parents) if path.exists())
    free = shutil.disk_usage(at).free // 1024**2
    if not os.access(at, os.W_OK):
        return Finding("disk", "bad", f"{at} cannot be written", "set platform.var or CONCLAVE_VAR")
    if free < MIN_DISK_MB:
        return Finding("disk", "bad", f"{free} MB free", f"{MIN_DISK_MB} MB are wanted; free some or move platform.var")
    return Finding("disk", "ok", f"{free:,} MB free")


def _memory() -> Finding:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024**2
    if total < MIN_MEMORY_MB:
        return Finding("memory", "bad", f"{total:,} MB", f"the embedded stack wants {MIN_MEMORY_MB} MB")
    return Finding("memory", "ok", f"{total:,} MB, {os.cpu_count()} cores")


def _docker() -> Finding:
    if shutil.which("docker") is None:
        return Finding("Docker", "note", "not installed", "only `docker compose up` needs it")
    if not os.path.exists("/var/run/docker.sock"):
        return Finding("Docker", "note", "client only, no engine", "start Docker if you want `docker compose up`")
    return Finding("Docker", "ok", "found")


def _network() -> Finding:
    for host in ("api.binance.com", "ws.derivws.com"):
        try:
            socket.getaddrinfo(host, 443)
        except OSError:
            return Finding("network", "note", f"{host} cannot be found", "only live market data needs it")
    return Finding("network", "ok", "venues can be found")


def _credentials() -> list[Finding]:
    made = []
    for name in CREDENTIALS:
        try:
            found = read_secret(name, base_var())
        except SecretError as err:
            made.append(Finding(name, "bad", "unreadable", str(err)))
            continue
        advice = (
            ""
            if found
            else "only live trading needs it; set it in the environment, in var/secrets or with conclave secrets"
        )
        made.append(Finding(name, "ok" if found else "note", "set" if found else "not set", advice))
    return made


def run_doctor(as_json: bool) -> int:
    """Print the findings; 1 when something must be mended."""
    found = findings()
    if as_json:
        sys.stdout.write(json.dumps([asdict(finding) for finding in found]) + "\n")
    else:
        out = table("doctor", "what", "", "found", "reason")
        marks = {"ok": "[green]ok[/green]", "note": "[yellow]note[/yellow]", "bad": "[red]mend[/red]"}
        for finding in found:
            out.add_row(finding.what, marks[finding.level], finding.found, finding.advice)
        make_console().print(out)
    return 1 if any(finding.level == "bad" for finding in found) else 0
