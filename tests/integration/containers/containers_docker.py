"""Whether there is a Docker here, and what it holds; what is missing skips a test with its reason."""

from __future__ import annotations

import os
import subprocess
from functools import lru_cache

import pytest

# Its watcher is one more image to fetch; every container of ours ends with its own context.
os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")


@lru_cache
def docker_problem() -> str:
    """Why containers cannot run here; "" when they can."""
    try:
        asked = subprocess.run(["docker", "info"], capture_output=True, text=True, timeout=20)
    except FileNotFoundError:
        return "Docker is not installed"
    except subprocess.TimeoutExpired:
        return "Docker does not answer"
    return "" if asked.returncode == 0 else "Docker does not run here"


@lru_cache
def has_image(name: str) -> bool:
    """Whether the image is here; it is not fetched for a test."""
    return subprocess.run(["docker", "image", "inspect", name], capture_output=True, timeout=20).returncode == 0


def needs_image(name: str) -> None:
    """Skip where there is no Docker or the image is not here."""
    if problem := docker_problem():
        pytest.skip(problem)
    if not has_image(name):
        pytest.skip(f"the image {name} is not here; docker pull {name}")
