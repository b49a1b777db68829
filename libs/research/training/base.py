"""What every trainer does: from a data set and a fold to a model, with the random numbers it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from libs.core.agents.artifact import Artifact
from libs.research.training.dataset import Dataset
from libs.research.training.folds import Fold

Progress = Callable[[str, float, str], None]
"""Called with (what is being done, share done from 0 to 1, a short line such as the live loss)."""


def silent(what: str, share: float, line: str) -> None:
    """A progress that says nothing."""


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """How much effort training may make.

    Attributes:
        preset: quick (seconds, beside a running stack), default (minutes), full.
        seed: of everything random. threads: processor threads it may use.
        params: settings of the model that differ from its own defaults.
        resume: folder for checkpoints; "" keeps none.
    """

    preset: str = "default"
    seed: int = 17
    threads: int = 2
    params: Mapping[str, Any] = field(default_factory=dict)
    resume: str = ""


class Trainer(Protocol):
    """Fits one agent's model. Torch, boosters and scikit-learn live behind it, never in core."""

    agent: str

    def fit(self, data: Dataset, fold: Fold, options: TrainOptions, progress: Progress = silent) -> Artifact:
        """Fit on `fold.train`, calibrate on `fold.calibrate`, never look at `fold.test`; the artifact is unsigned.

        Raises:
            DataProblem: there is nothing to be learnt from these rows.
        """
