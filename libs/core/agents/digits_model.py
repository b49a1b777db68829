"""Shares of the last digits of printed prices, for generators that are not fair; of a fair one no model can be made."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from libs.core.agents.artifact import Artifact, Manifest
from libs.core.agents.model import LOADERS, Floats, MakeSession, Model, Said, Seen, said

AGENT: Final = "digits"
KIND: Final = "shares"
PART: Final = "shares"
WINDOW: Final = 1000
INPUTS: Final = tuple(f"digit_freq_{digit}_{WINDOW}" for digit in range(10))


class Shares(msgspec.Struct, frozen=True):
    """Learnt shares of the ten digits, and how many prints they are worth beside those of the window."""

    base: tuple[float, ...]
    worth: float


class DigitsModel:
    """Stateless: learnt shares, moved by the shares of the newest prints. Classes are the digits 0 to 9."""

    state_size: int = 0

    def __init__(self, artifact: Artifact) -> None:
        """Raises ValueError or KeyError when the part is not what this model wants."""
        self.manifest: Manifest = artifact.manifest
        if self.manifest.features != INPUTS:
            raise ValueError(f"a model of digits reads {INPUTS[0]} to {INPUTS[-1]}")
        try:
            shares = msgspec.msgpack.decode(artifact.parts[PART], type=Shares)
        except msgspec.MsgspecError as err:
            raise ValueError(f"its shares cannot be read: {err}") from None
        self._base, self._worth = np.asarray(shares.base), shares.worth
        if self._base.shape != (10,) or not (self._base > 0.0).all() or abs(self._base.sum() - 1.0) > 1e-6:
            raise ValueError("ten shares above zero that sum to 1 are wanted")
        if not 0.0 <= self._worth < np.inf:
            raise ValueError("its shares are worth no number of prints")

    def start(self, state: Floats, seen: Seen) -> None:
        """Nothing is carried."""

    def say(self, states: Floats, seen: Seen) -> Said:
        """(n, 10) probabilities of the next print's last digit; NaN without a window of prints."""
        return said(classes=self._say(seen.rows[:, -1]))

    def history(self, rows: Floats, returns: Floats, bars: Floats, time: NDArray[np.int64]) -> Said:
        """The same for every bar of one series."""
        return said(classes=self._say(rows))

    def _say(self, rows: Floats) -> Floats:
        mixed: Floats = (self._worth * self._base + WINDOW * rows) / (self._worth + WINDOW)
        return mixed


def _load(artifact: Artifact, make_session: MakeSession) -> Model:
    return DigitsModel(artifact)


LOADERS[f"{AGENT}.{KIND}"] = _load
