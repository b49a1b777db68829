"""What the fitting process is given, as JSON in its folder, and what it says, one JSON object a line."""

from __future__ import annotations

from typing import Any

import msgspec

JOB = "job.json"


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One series. `bars`: .npz with the columns of its bars and `flags`; `out`: folder for its models."""

    venue: str
    symbol: str
    interval_s: int
    agents: tuple[str, ...]
    bars: str
    out: str


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A run. `var`: where keys and the ledger lie; the feature set as in `libs.core.features.feature_set`;
    `params`: agent to settings of its model."""

    var: str
    feature_set: str
    feature_entries: tuple[str, ...] = ()
    feature_files: tuple[str, ...] = ()
    preset: str
    seed: int
    threads: int
    params: dict[str, dict[str, Any]] = {}
    tasks: tuple[Task, ...]


class Working(msgspec.Struct, frozen=True, tag="working"):
    """An agent is being fitted; `share` of it is done, from 0 to 1."""

    task: int
    agent: str
    share: float
    line: str


class Made(msgspec.Struct, frozen=True, tag="made"):
    """A signed model lies in `path`."""

    task: int
    agent: str
    path: str


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """There is no model of this agent, and why."""

    task: int
    agent: str
    problem: str


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """All tasks were tried."""


Said = Working | Made | Failed | Finished
