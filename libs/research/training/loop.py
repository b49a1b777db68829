"""The loop that fits a net: epochs, early stopping, and checkpoints from which a killed run ends the same."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from libs.research.training.base import TrainOptions
from libs.research.training.dataset import DataProblem

CHECKPOINT: Final = "net.checkpoint"

Net = TypeVar("Net", bound=nn.Module)
Loss = Callable[[Any], tuple[Tensor, float]]
"""From a batch to the sum of its weighted losses and the sum of the weights."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a net is fitted. `patience`: epochs without a better validation loss until it stops; `clip`: largest norm
    of a step's gradient; `folder`: of its checkpoint, "" keeps none."""

    epochs: int
    patience: int
    learning_rate: float
    weight_decay: float
    clip: float
    seed: int
    threads: int
    folder: str = ""


def settings_of(params: Mapping[str, Any], options: TrainOptions) -> Settings:
    """What the parameters of every net have in common."""
    return Settings(
        epochs=int(params["epochs"]),
        patience=int(params["patience"]),
        learning_rate=float(params["learning_rate"]),
        weight_decay=float(params["weight_decay"]),
        clip=float(params["clip"]),
        seed=options.seed,
        threads=options.threads,
        folder=options.resume,
    )


@dataclass(frozen=True, slots=True)
class Fitted:
    """`epoch`: the one whose weights were kept, from 1; `loss`: on the validation rows then; `epochs`: how many ran."""

    epoch: int
    loss: float
    epochs: int


def device() -> torch.device:
    """A GPU when there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch use so many, and as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, count))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def seeded(make: Callable[[], Net], seed: int) -> Net:
    """A net with weights from this seed; the caller's random numbers stay where they were."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()


def fit(
    net: nn.Module,
    batches: Callable[[np.random.Generator], Iterable[Any]],
    loss: Loss,
    validation: Callable[[], Iterable[Any]],
    judge: Loss,
    settings: Settings,
    identity: dict[str, Any],
    tell: Callable[[float, str], None],
) -> Fitted:
    """Fit `net` by AdamW; it ends with the weights of the epoch that `judge` liked best on validation, in `eval`.

    Random numbers of an epoch come from the seed and its number alone, so that a run that takes up a checkpoint of the
    same `identity` ends with the same weights as one that was never stopped.

    Raises:
        DataProblem: the loss is no number, there is nothing to validate on, or a checkpoint cannot be written.
    """
    optimiser = torch.optim.AdamW(
        net.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, foreach=False
    )
    run = _Run(net, optimiser, _digest(identity, settings), settings.folder)
    run.take_up()
    with threads(settings.threads), torch.random.fork_rng():
        while run.epoch < settings.epochs and run.epoch - run.best_epoch < settings.patience:
            torch.manual_seed(settings.seed * 100_003 + run.epoch)
            rng = np.random.default_rng([settings.seed, run.epoch])
            fitted = _pass(net, optimiser, batches(rng), loss, settings.clip)
            judged = _judge(net, validation(), judge)
            run.note(judged)
            tell(run.epoch / settings.epochs, f"epoch {run.epoch}: loss {fitted:.4f}, validation {judged:.4f}")
    run.restore_best()
    net.eval()
    return Fitted(run.best_epoch, run.best_loss, run.epoch)


def _pass(net: nn.Module, optimiser: torch.optim.Optimizer, batches: Iterable[Any], loss: Loss, clip: float) -> float:
    net.train()
    total = weights = 0.0
    for batch in batches:
        value, weight = loss(batch)
        if not weight > 0.0:
            continue
        optimiser.zero_grad(set_to_none=True)
        (value / weight).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), clip)
        optimiser.step()
        total, weights = total + float(value.detach()), weights + weight
    return _mean(total, weights, "training")


def _judge(net: nn.Module, batches: Iterable[Any], loss: Loss) -> float:
    net.eval()
    total = weights = 0.0
    with torch.no_grad():
        for batch in batches:
            value, weight = loss(batch)
            total, weights = total + float(value), weights + weight
    return _mean(total, weights, "validation")


def _mean(total: float, weights: float, rows: str) -> float:
    if not weights > 0.0:
        raise DataProblem(f"no unbroken run of bars among the {rows} rows is as long as the net looks back")
    if not math.isfinite(total):
        raise DataProblem(f"the loss on the {rows} rows is no number; a smaller learning_rate, or cleaner data, helps")
    return total / weights


def _digest(identity: dict[str, Any], settings: Settings) -> str:
    facts = {**identity, "epochs": settings.epochs, "patience": settings.patience, "rate": settings.learning_rate}
    facts |= {"decay": settings.weight_decay, "clip": settings.clip, "seed": settings.seed}
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


class _Run:
    """Where a fit is, in memory and in its folder."""

    def __init__(self, net: nn.Module, optimiser: torch.optim.Optimizer, identity: str, folder: str) -> None:
        self._net, self._optimiser, self._identity = net, optimiser, identity
        self._path = Path(folder) / CHECKPOINT if folder else None
        self._best: dict[str, Tensor] = {}
        self.epoch = self.best_epoch = 0
        self.best_loss = math.inf

    def note(self, judged: float) -> None:
        """An epoch is done."""
        self.epoch += 1
        if judged < self.best_loss:
            self.best_epoch, self.best_loss = self.epoch, judged
            self._best = {name: value.detach().cpu().clone() for name, value in self._net.state_dict().items()}
        if self._path is not None:
            self._save(self._path)

    def restore_best(self) -> None:
        if self._best:
            self._net.load_state_dict(self._best)

    def take_up(self) -> None:
        """Go on where a run of the same identity was; one that cannot be read is as good as none."""
        if self._path is None or not self._path.exists():
            return
        try:
            saved = torch.load(self._path, map_location="cpu", weights_only=True)
            if saved["identity"] != self._identity:
                return
            self._net.load_state_dict(saved["net"])
            self._optimiser.load_state_dict(saved["optimiser"])
            self._best = saved["best"]
            self.epoch, self.best_epoch, self.best_loss = saved["epoch"], saved["best_epoch"], saved["best_loss"]
        except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, KeyError, ValueError, TypeError):
            return

    def _save(self, path: Path) -> None:
        buffer = io.BytesIO()
        torch.save(
            {
                "identity": self._identity,
                "net": self._net.state_dict(),
                "optimiser": self._optimiser.state_dict(),
                "best": self._best,
                "epoch": self.epoch,
                "best_epoch": self.best_epoch,
                "best_loss": self.best_loss,
            },
            buffer,
        )
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                file.write(buffer.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError as err:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise DataProblem(
                f"the checkpoint {path} cannot be written: {err.strerror}; free some space and start again"
            ) from None
