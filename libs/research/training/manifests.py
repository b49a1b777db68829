"""What every trainer writes into a manifest: data, scaling, climatology, calibration and the figures of its slices."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from libs.core.agents.artifact import Artifact, Manifest, make_artifact
from libs.core.agents.drift import reference_bins
from libs.core.agents.model import calibrated
from libs.research.training.base import TrainOptions
from libs.research.training.calibrate import conformal_widths, fit_calibrator
from libs.research.training.dataset import DataProblem, Dataset, Floats, Ints
from libs.research.training.folds import Fold
from libs.research.training.scores import ece, log_loss, skill, two_class

CODE = "1"
"""Version of the training code; +1 whenever the same data, seed and settings would give another model."""

MIN_SCALE = 1e-9

UNSEEN = "unseen"
"""Part of a direction model: what it said of its calibration slice before it was fitted on it, for the stack."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """Centre and scale of features on the fitted rows."""

    center: Floats
    scale: Floats

    @classmethod
    def of(cls, rows: Floats) -> Scaling:
        """Means and deviations of (n, features), NaN left out; a feature that never varies gets scale 1."""
        with np.errstate(invalid="ignore"):
            known = np.isfinite(rows)
            count = np.maximum(known.sum(axis=0), 1)
            center = np.where(known, rows, 0.0).sum(axis=0) / count
            scale = np.sqrt((np.where(known, rows - center, 0.0) ** 2).sum(axis=0) / count)
        return cls(center, np.where(scale > MIN_SCALE * np.maximum(np.abs(center), 1e-6), scale, 1.0))

    def apply(self, rows: Floats, clip: float = 10.0) -> Floats:
        """Scaled and clipped, NaN as the mean."""
        flat: Floats = np.nan_to_num(np.clip((rows - self.center) / self.scale, -clip, clip), nan=0.0)
        return flat


def climatology(data: Dataset, fold: Fold) -> tuple[tuple[float, float, float], float]:
    """Class shares of down, neutral, up and the share of up among moves, over the training rows.

    Raises:
        DataProblem: fewer than two classes occur.
    """
    y3 = data.y3[fold.train]
    y2 = data.y2[fold.train]
    counts = np.bincount(y3, minlength=3).astype(float)
    moves = y2[y2 >= 0]
    if np.count_nonzero(counts) < 2 or len(np.unique(moves)) < 2:
        raise DataProblem(f"{data.symbol}: every bar of the training part went the same way; there is nothing to learn")
    shares = counts / counts.sum()
    return (float(shares[0]), float(shares[1]), float(shares[2])), float(moves.mean())


def described(
    data: Dataset,
    fold: Fold,
    options: TrainOptions,
    *,
    agent: str,
    kind: str,
    features: Sequence[str] = (),
    scaling: Scaling | None = None,
    samples: int,
    sampling: str = "all",
    params: dict[str, Any],
    **fields: Any,
) -> Manifest:
    """A manifest without calibration and parts."""
    used = np.concatenate([fold.train, fold.calibrate])
    first, last = int(used.min()), int(data.span_end[used].max())
    shares, up = climatology(data, fold)
    return Manifest(
        agent=agent,
        kind=kind,
        venue=data.venue,
        symbol=data.symbol,
        interval_s=data.interval_s,
        set_hash=data.set_hash,
        features=tuple(features),
        trained_from=int(data.bars.open_time[first]),
        trained_to=data.end_of(last),
        data_hash=data.hash_of(slice(first, last + 1)),
        samples=samples,
        sampling=sampling,
        climatology=shares,
        climatology_2c=up,
        center=tuple(map(float, scaling.center)) if scaling else (),
        scale=tuple(map(float, scaling.scale)) if scaling else (),
        params={
            "preset": options.preset,
            "psi": reference_bins(data.columns(features)[fold.train], features),
            **params,
        },
        seed=options.seed,
        code=CODE,
        created=time.time_ns(),
        **fields,
    )


def finished(manifest: Manifest, parts: dict[str, bytes], data: Dataset, fold: Fold, p: Floats) -> Artifact:
    """The artifact of a direction model after calibration on `fold.calibrate`.

    `p`: (T, 3) its probabilities of every bar before calibration, NaN where it says nothing.
    """
    import msgspec

    rows = fold.calibrate[np.isfinite(p[fold.calibrate]).all(axis=1)]
    y = data.y3[rows]
    calibrator = fit_calibrator(p[rows], y, f"{manifest.agent}.{manifest.kind}|{manifest.data_hash}|{manifest.seed}")
    named = msgspec.structs.replace(manifest, calibrator=calibrator)
    metrics: dict[str, float] = {}
    if len(rows):
        q = calibrated(p[rows], named)
        sides = two_class(q)
        moved = data.y2[rows] >= 0
        up = manifest.climatology_2c
        metrics = {
            "calibration_log_loss": float(log_loss(q, y).mean()),
            "calibration_log_loss_sd": float(log_loss(q, y).std()),
            **side_gain(sides[moved], data.y2[rows][moved], up),
            "calibration_ece": ece(q, y),
            "calibration_brier_skill": skill(q, y, np.asarray(manifest.climatology)),
            "calibration_brier_skill_2c": skill(sides[moved], data.y2[rows][moved], np.array([1.0 - up, up])),
            "calibration_rows": float(len(rows)),
        }
        spread = data.sigma[rows]
        scores = np.abs(data.next_return[rows]) / np.where(spread > 0.0, spread, math.nan)
        named = msgspec.structs.replace(named, conformal=conformal_widths(scores))
    whole = {**parts, UNSEEN: _packed(data, rows, p)}
    return make_artifact(msgspec.structs.replace(named, metrics={**manifest.metrics, **metrics}), whole)


def _packed(data: Dataset, rows: Ints, p: Floats) -> bytes:
    import msgspec

    times, said = data.bars.open_time[rows].astype("<i8"), p[rows].astype("<f4")
    return msgspec.msgpack.encode((times.tobytes(), said.tobytes()))


def unseen(data: Dataset, artifact: Artifact) -> tuple[Ints, Floats] | None:
    """Rows of the calibration slice and (n, 3) what it said of them, not calibrated; None without a direction."""
    import msgspec

    if UNSEEN not in artifact.parts:
        return None
    times, said = msgspec.msgpack.decode(artifact.parts[UNSEEN], type=tuple[bytes, bytes])
    at = np.frombuffer(times, dtype="<i8")
    rows = np.searchsorted(data.bars.open_time, at)
    there = rows < len(data)
    there[there] = data.bars.open_time[rows[there]] == at[there]
    return rows[there], np.frombuffer(said, dtype="<f4").astype(np.float64).reshape(-1, 3)[there]


def side_gain(sides: Floats, y: Ints, up: float) -> dict[str, float]:
    """The evidence that a direction begins to serve with: mean and deviation of its gain over climatology.

    `sides`: (n, 2) down and up of bars that moved, `y` which came, `up` the training part's share of up. Nats.
    """
    if len(y) < 2:
        return {}
    base = np.tile([1.0 - up, up], (len(y), 1))
    gain = log_loss(base, y) - log_loss(sides, y)
    return {
        "calibration_side_gain": float(gain.mean()),
        "calibration_side_gain_sd": float(gain.std()),
        "calibration_moves": float(len(y)),
    }
