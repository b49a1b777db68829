"""Runs other people's clients against the simulator: python -m tests.conformance [--only NAME]"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
VENVS: Final = ROOT / ".venv-conformance"
START_SECS: Final = 60.0
RUN_SECS: Final = 300.0


class Failed(Exception):
    """A client could not be set up or did not pass; the text says which step."""


def main(arguments: Sequence[str]) -> int:
    """Set each client up in a place of its own, run it unchanged against a simulator; 1 when one does not pass."""
    clients = {folder.name: folder for folder in sorted(HERE.iterdir()) if (folder / "requirements.txt").exists()}
    clients |= {folder.name: folder for folder in sorted(HERE.iterdir()) if (folder / "package.json").exists()}
    parser = argparse.ArgumentParser(prog="conformance", description="see tests/conformance/README.md")
    parser.add_argument("--only", metavar="NAME", choices=clients, help=f"one of {', '.join(clients)}")
    only = parser.parse_args(arguments).only
    failed = 0
    for name, folder in clients.items():
        if only in (None, name):
            try:
                command = _node(name, folder) if (folder / "package.json").exists() else _python(name, folder)
                with _simulator() as facts:
                    _run(name, [*command, str(facts)], "its calls", ROOT, RUN_SECS)
            except Failed as error:
                failed += 1
                print(f"{name}: {error}")
    return 1 if failed else 0


def _python(name: str, folder: Path) -> list[str]:
    python = VENVS / name / "bin" / "python"
    wanted = (folder / "requirements.txt").read_text()
    stamp = VENVS / name / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"{name}: making {VENVS.name}/{name}", flush=True)
        _run(name, [sys.executable, "-m", "venv", "--clear", str(VENVS / name)], "venv", ROOT)
        install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        overrides = folder / "overrides.txt"
        if overrides.exists():  # pip knows no such thing
            install = [sys.executable, "-m", "uv", "pip", "install", "-q", "--python", str(python)]
            install += ["--override", str(overrides)]
        _run(name, [*install, "-r", str(folder / "requirements.txt")], "install", ROOT)
        stamp.write_text(wanted)
    return [str(python), "-X", "dev", "-W", "error", str(folder / "client.py")]


def _node(name: str, folder: Path) -> list[str]:
    place = VENVS / name
    wanted = (folder / "package.json").read_text()
    stamp = place / "package.json"
    if not (place / "installed").exists() or not stamp.exists() or stamp.read_text() != wanted:
        print(f"{name}: making {VENVS.name}/{name}", flush=True)
        place.mkdir(parents=True, exist_ok=True)
        stamp.write_text(wanted)
        _run(name, ["npm", "install", "--silent", "--no-audit", "--no-fund"], "npm install", place)
        (place / "installed").touch()
    client = place / "client.mjs"  # beside node_modules, where node looks for packages
    client.write_text((folder / "client.mjs").read_text())
    return ["node", "--throw-deprecation", str(client)]


def _run(name: str, command: list[str], step: str, folder: Path, seconds: float | None = None) -> None:
    try:
        done = subprocess.run(command, cwd=folder, timeout=seconds, check=False)
    except FileNotFoundError:
        raise Failed(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise Failed(f"{step} took longer than {seconds:.0f} s") from None
    if done.returncode:
        raise Failed(f"{step} failed, exit {done.returncode}")


@contextmanager
def _simulator() -> Iterator[Path]:
    """A simulator of its own; yields the file that says where it is and with which credentials."""
    with tempfile.TemporaryDirectory() as folder:
        facts = Path(folder) / "simulator.json"
        environment = {**os.environ, "CV_SIM_STATE_DIR": folder, "CV_SIM_DERIV_REAL": "true"}
        with subprocess.Popen(
            [sys.executable, "-m", "services.simulator"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
        ) as child:
            try:
                _await(facts, child)
                yield facts
            finally:
                child.terminate()


def _await(facts: Path, child: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECS
    while not facts.exists():  # it is put there whole
        if child.poll() is not None or time.monotonic() > end:
            raise Failed("the simulator did not start")
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
