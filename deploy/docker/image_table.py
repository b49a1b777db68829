"""Sizes and start times of the images, as a table in Markdown: `python deploy/docker/image_table.py [--write FILE]`.

A start time is measured on a compose stack that is up: the service's container alone is made anew while everything it
depends on is ready, and the time runs from the start of the container to the first 200 of /readyz.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

LIMITS_MB = {"risk": 330, "execute": 330, "ingest": 350, "simulator": 530, "features": 530, "predict": 600}
READY_S = 5.0
GIVE_UP_S = 120.0
BEGIN, END = "<!-- image-table: begin -->", "<!-- image-table: end -->"


class Failed(Exception):
    """A docker command failed; the text is what it said."""


def docker(*arguments: str) -> str:
    """What a docker command prints. Raises Failed."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"docker {' '.join(arguments)}: {(done.stderr or done.stdout).strip().splitlines()[-1]}")
    return done.stdout


def size_mb(image: str) -> float:
    """Megabytes (10^6 bytes) as `docker images` counts them: every layer unpacked, the base included."""
    return float(json.loads(docker("image", "inspect", image))[0]["Size"]) / 1e6


def start_s(project: str, service: str) -> float:
    """Seconds from the start of a new container to the first 200 of /readyz, beside a stack that is up."""
    compose("-p", project, "rm", "--stop", "--force", service)
    compose("-p", project, "create", "--no-build", service)
    container = f"{project}-{service}-1"
    begun = time.monotonic()
    docker("start", container)
    while not is_ready(address(container)):
        if time.monotonic() - begun > GIVE_UP_S:
            raise Failed(f"{service} is not ready after {GIVE_UP_S:g} s")
        time.sleep(0.02)
    return time.monotonic() - begun


def compose(*arguments: str) -> None:
    """Run docker compose. Raises Failed."""
    docker("compose", *arguments)


def address(container: str) -> str:
    """The container's own address; "" while it has none."""
    networks = json.loads(docker("inspect", container))[0]["NetworkSettings"]["Networks"]
    return str(next(iter(networks.values()))["IPAddress"])


def is_ready(host: str) -> bool:
    """Whether the service there answers /readyz with 200."""
    try:
        return bool(host) and urllib.request.urlopen(f"http://{host}:8080/readyz", timeout=1).status == 200
    except (OSError, urllib.error.HTTPError):
        return False


def table(project: str, tag: str) -> tuple[str, bool]:
    """The table, and whether every limit is kept."""
    lines = [
        "| image | size, MB | limit | ready after, s | limit |",
        "|---|---:|---:|---:|---:|",
    ]
    kept = True
    for service, limit in LIMITS_MB.items():
        size = size_mb(f"conclave/{service}:{tag}")
        took = min(start_s(project, service) for _ in range(3))
        kept = kept and size < limit and took < READY_S
        lines.append(f"| {service} | {size:.0f} | {limit} | {took:.1f} | {READY_S:g} |")
    lines.append(f"| conclave (everything embedded, command line) | {size_mb(f'conclave/conclave:{tag}'):.0f} | | | |")
    return "\n".join(lines), kept


def main() -> None:
    """Print the table; exit 1 when a limit is exceeded or something cannot be measured."""
    parser = argparse.ArgumentParser(description="Sizes and start times of the images.")
    parser.add_argument("--project", default="conclave", help="the compose stack that is up (default: conclave)")
    parser.add_argument("--tag", default=os.environ.get("CONCLAVE_TAG", "dev"))
    parser.add_argument("--write", type=Path, help="put the table between its marks in this file")
    options = parser.parse_args()
    try:
        text, kept = table(options.project, options.tag)
    except Failed as err:
        sys.exit(f"image-table: {err}")
    sys.stdout.write(text + "\n")
    if options.write:
        before, _, rest = options.write.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        measured = f"Measured on {dt.date.today()}, {os.cpu_count()} cores, best of three starts.\n"
        options.write.write_text(f"{before}{BEGIN}\n{text}\n\n{measured}{END}{after}", encoding="utf-8")
    if not kept:
        sys.exit("image-table: a limit is exceeded")


if __name__ == "__main__":
    main()
