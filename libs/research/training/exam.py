"""The exam: what signed models say about bars after their training range, bar by bar, beside what happened."""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from libs.core import agents as rooms
from libs.core.agents.artifact import Artifact, ArtifactRefused, Manifest, unpack
from libs.core.agents.model import MakeSession, Model, calibrated, load_model
from libs.core.types.subjects import interval_token
from libs.research.training.dataset import NO_LABEL, DataProblem, Dataset, Floats, Ints, Mask
from libs.research.training.meta import joint
from libs.research.training.read import moment
from libs.research.training.run import SUFFIX

Verify = Callable[[Artifact], None]

COUNCIL: Final = "council"
META: Final = "meta"
MIN_ROWS: Final = 50


@dataclass(frozen=True, slots=True)
class Voice:
    """What one forecaster says about n bars.

    Attributes:
        p: (n, 3) calibrated probabilities of down, neutral, up; NaN where it has no opinion; empty if it never has one.
        speaks: (n,) it has an opinion that it stands by.
        sigma: (n,) deviation of the next log return; empty if it forecasts none.
    """

    p: Floats
    speaks: Mask
    sigma: Floats = field(default_factory=lambda: np.empty(0))

    @property
    def has_direction(self) -> bool:
        return len(self.p) > 0

    def at(self, rows: Mask | Ints) -> Voice:
        """The same about some of the bars."""
        return Voice(
            self.p[rows] if len(self.p) else self.p,
            self.speaks[rows],
            self.sigma[rows] if len(self.sigma) else self.sigma,
        )


@dataclass(frozen=True, slots=True)
class Judged:
    """n bars with what followed each, what was to be expected of it before the exam, and what was said.

    Attributes:
        row: (n,) rows of the data set; time: (n,) open times, ns UTC.
        y3, y2, next_return: as in the data set. sigma: (n,) EWMA deviation known at the bar.
        variance: (n,) of the next bar, from its range, in squared log return; NaN where it is not known.
        climatology: (n, 3) class shares of the training range; up: (n,) share of up among its moves.
        block: (n,) number of the block of time.
        voices: agents by name.
    """

    symbol: str
    interval_s: int
    row: Ints
    time: Ints
    y3: Ints
    y2: Ints
    next_return: Floats
    sigma: Floats
    variance: Floats
    climatology: Floats
    up: Floats
    block: Ints
    voices: Mapping[str, Voice]

    def __len__(self) -> int:
        return len(self.y3)


@dataclass(frozen=True, slots=True)
class Seated:
    """A model with the artifact that it was made of."""

    artifact: Artifact
    model: Model

    @property
    def manifest(self) -> Manifest:
        return self.artifact.manifest


def load_models(folder: Path, verify: Verify, make_session: MakeSession) -> dict[str, Seated]:
    """The models of a folder by agent.

    Raises:
        ArtifactRefused: one is damaged, unsigned or foreign, or the folder has none.
    """
    bring_loaders()
    seats = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            artifact = unpack(path.read_bytes())
            verify(artifact)
            seats[artifact.manifest.agent] = Seated(artifact, load_model(artifact, make_session))
        except ArtifactRefused as err:
            raise ArtifactRefused(f"{path}: {err}") from None
    if not seats:
        raise ArtifactRefused(f"{folder} holds no models ({SUFFIX} files); conclave train writes them")
    return seats


def bring_loaders() -> None:
    """Import the code of every kind of model."""
    for found in pkgutil.iter_modules(rooms.__path__):
        if found.name.endswith("_model"):
            importlib.import_module(f"{rooms.__name__}.{found.name}")


def refuse_others(seats: Mapping[str, Seated], data: Dataset) -> None:
    """Raises ArtifactRefused for a model of another feature set, or of bars of another length or symbol."""
    first = next(iter(seats.values())).manifest
    for agent, seat in seats.items():
        manifest = seat.manifest
        if manifest.set_hash != data.set_hash:
            raise ArtifactRefused(
                f"model {agent} reads the feature set {manifest.set_hash[:12]}, this version makes "
                f"{data.set_hash[:12]}; train it again"
            )
        if manifest.interval_s != data.interval_s:
            theirs, ours = interval_token(manifest.interval_s), interval_token(data.interval_s)
            raise ArtifactRefused(f"model {agent} was trained on bars of {theirs}, these are of {ours}")
        if (manifest.venue, manifest.symbol) != (first.venue, first.symbol):
            raise ArtifactRefused(
                f"model {agent} is one of {manifest.symbol}, the others are of {first.symbol}; examine them apart"
            )


def examine(seats: Mapping[str, Seated], data: Dataset, *, blocks: int = 6) -> tuple[Judged, dict[str, Judged]]:
    """What the models say after the latest of their training ranges, and what each says after its own.

    Nothing is fitted. Every bar with a known next bar counts, also those at which nobody speaks.

    Raises:
        ArtifactRefused: a model is not one of these bars.
        DataProblem: too few bars lie after the training ranges.
    """
    refuse_others(seats, data)
    latest = max(seats.values(), key=lambda seat: seat.manifest.trained_to).manifest
    rows = rows_after(data, latest.trained_to)
    if len(rows) < MIN_ROWS:
        raise DataProblem(
            f"{len(rows)} bars lie after the training range, which ends {moment(latest.trained_to)} UTC; "
            f"the exam needs at least {MIN_ROWS}: give newer bars"
        )
    everywhere = {agent: voice_of(seat, data) for agent, seat in seats.items() if agent != META}
    own = {}
    for agent, voice in everywhere.items():
        manifest = seats[agent].manifest
        mine = rows_after(data, manifest.trained_to)
        own[agent] = judged(data, mine, manifest, {agent: voice.at(mine)}, blocks)
    if META in seats:
        p = joint(seats[META].artifact, seats[META].model, {a: voice.p for a, voice in everywhere.items()}, len(data))
        everywhere[META] = Voice(p, np.asarray(np.isfinite(p).all(axis=1)))
    return judged(data, rows, latest, {agent: voice.at(rows) for agent, voice in everywhere.items()}, blocks), own


def rows_after(data: Dataset, moment_ns: int) -> Ints:
    """Rows whose bar opens at or after a moment and whose next bar is known."""
    return np.flatnonzero((data.bars.open_time >= moment_ns) & (data.y3 != NO_LABEL))


def voice_of(seat: Seated, data: Dataset) -> Voice:
    """What a model says at every bar, in one go: the same as bar by bar."""
    manifest = seat.manifest
    heard = seat.model.history(data.columns(manifest.features), data.returns, data.ohlcv, data.bars.open_time)
    speaks = data.usable
    if len(heard.novelty):
        speaks = speaks & ~(heard.novelty >= 1.0)
    p = np.empty((0, 3))
    if len(heard.p):
        p = np.full((len(data), 3), np.nan)
        known = np.isfinite(heard.p).all(axis=1)
        p[known] = calibrated(heard.p[known], manifest)
        speaks = speaks & known
    elif len(heard.sigma):
        speaks = speaks & np.isfinite(heard.sigma)
    return Voice(p, speaks, np.asarray(heard.sigma))


def judged(data: Dataset, rows: Ints, manifest: Manifest, voices: Mapping[str, Voice], blocks: int) -> Judged:
    """These rows against the climatology of a manifest, in `blocks` parts of equal length."""
    n = len(rows)
    return Judged(
        symbol=manifest.symbol,
        interval_s=data.interval_s,
        row=rows,
        time=data.bars.open_time[rows],
        y3=data.y3[rows],
        y2=data.y2[rows],
        next_return=data.next_return[rows],
        sigma=data.sigma[rows],
        variance=range_variance(data)[rows],
        climatology=np.broadcast_to(np.asarray(manifest.climatology), (n, 3)),
        up=np.full(n, manifest.climatology_2c),
        block=np.minimum(np.arange(n) * blocks // max(n, 1), blocks - 1),
        voices=voices,
    )


def range_variance(data: Dataset) -> Floats:
    """(T,) variance of the bar after each, from its range: ln(high / low)² / (4 ln 2), Parkinson 1980.

    NaN where the next bar is not known or did not move.
    """
    spans = np.log(data.bars.high / data.bars.low) ** 2 / (4.0 * math.log(2.0))
    following = np.full(len(data), np.nan)
    following[:-1] = spans[1:]
    following[~np.isfinite(data.next_return) | ~(following > 0.0)] = np.nan
    return following
