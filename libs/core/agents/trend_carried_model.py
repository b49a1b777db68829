"""The trend agent's recurrent net that takes one bar a step and carries its state, with a memory that is bounded."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from libs.core.agents.artifact import Artifact, Manifest
from libs.core.agents.model import LOADERS, Floats, MakeSession, Said, Seen, said, scaled
from libs.core.agents.trend_model import AGENT, novel_of, novelty, softmax
from libs.core.types import SECOND

KIND: Final = "lstm_carried"
PART: Final = "weights"
LANES: Final = 2

MOST_MISSING: Final = 0.5
"""With a larger share of the newest vector missing it says nothing; the net takes what there is as the mean."""


class Matrix(msgspec.Struct, frozen=True):
    """float32, row by row."""

    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def of(cls, values: NDArray[np.float32]) -> Matrix:
        return cls(values.shape, np.ascontiguousarray(values, dtype="<f4").tobytes())

    @property
    def values(self) -> Floats:
        return np.frombuffer(self.data, dtype="<f4").reshape(self.shape).astype(np.float64)


class Recurrent(msgspec.Struct, frozen=True):
    """An LSTM layer and the layers behind it.

    Attributes:
        cell: weights (features + hidden, 4 hidden) of input, forget, cell and output gates, and their biases.
        head: weights (in, out) and biases of each layer; rectified but for the last, which gives three logits.
        half: bars of half a lane.
    """

    cell: tuple[Matrix, Matrix]
    head: tuple[tuple[Matrix, Matrix], ...]
    half: int


class CarriedTrendModel:
    """An LSTM in two lanes, each begun anew every 2 `half` bars of the clock, `half` bars apart.

    A lane speaks in the second half of its run, so that whoever speaks has seen `half` to 2 `half` bars. What is said
    depends on the newest 2 `half` bars alone: exactly, not by what a gate was taught to forget. Where the clock's
    beginning of a lane was not seen it says nothing.
    """

    def __init__(self, artifact: Artifact) -> None:
        """Raises ValueError or KeyError when the part is not what this model wants."""
        self.manifest: Manifest = artifact.manifest
        self._novel = novel_of(self.manifest)
        try:
            part = msgspec.msgpack.decode(artifact.parts[PART], type=Recurrent)
        except msgspec.MsgspecError as err:
            raise ValueError(f"its weights cannot be read: {err}") from None
        self._weights, self._bias = part.cell[0].values, part.cell[1].values
        self._head = [(weights.values, bias.values) for weights, bias in part.head]
        self._hidden = len(self._bias) // 4
        self._half = part.half
        wide = (len(self.manifest.features) + self._hidden, 4 * self._hidden)
        if self._weights.shape != wide or not self._head or self._head[-1][0].shape[1] != 3 or part.half < 1:
            raise ValueError("its weights do not fit together")
        self.state_size: int = 1 + LANES * (1 + 2 * self._hidden)

    def start(self, state: Floats, seen: Seen) -> None:
        """Run through the newest 2 `half` bars; a hole in them is not known here and gone after as many more."""
        rows = scaled(seen.rows[0, -2 * self._half :], self.manifest)
        state[:] = 0.0
        slot = self._slots(seen.time)
        for i, row in enumerate(rows):
            self._step(state[np.newaxis], row[np.newaxis], slot - (len(rows) - 1 - i))

    def say(self, states: Floats, seen: Seen) -> Said:
        """Probabilities of the bar after each of n."""
        rows = scaled(seen.rows[:, -1], self.manifest)
        return self._said(rows, self._step(states, rows, self._slots(seen.time)))

    def history(self, rows: Floats, returns: Floats, bars: Floats, time: NDArray[np.int64]) -> Said:
        """The same for every bar of one series, all runs of a lane side by side."""
        flat = scaled(rows, self.manifest)
        slots = self._slots(time)
        logits = np.full((len(rows), 3), np.nan)
        for lane in range(LANES):
            self._lane(lane, np.nan_to_num(flat), slots, logits)
        return self._said(flat, logits)

    def _slots(self, time: NDArray[np.int64]) -> NDArray[np.int64]:
        """Bars since 1970."""
        return time // (self.manifest.interval_s * SECOND)

    def _said(self, rows: Floats, logits: Floats) -> Said:
        p = softmax(logits)
        p[np.isnan(rows).mean(axis=1) > MOST_MISSING] = np.nan
        return said(p=p, novelty=novelty(rows, self._novel))

    def _step(self, states: Floats, rows: Floats, slots: NDArray[np.int64]) -> Floats:
        """Take one bar of n series into their states; logits of the lane whose turn it is, NaN where it is not whole.

        A state holds the slot of the bar before plus one (0 = none), then per lane whether it is whole, h and c.
        """
        filled = np.nan_to_num(rows)
        before = states[:, 0] - 1.0
        logits = np.full((len(rows), 3), np.nan)
        for lane in range(LANES):
            at = 1 + lane * (1 + 2 * self._hidden)
            part = states[:, at : at + 1 + 2 * self._hidden]
            run, place = np.divmod(slots + lane * self._half, 2 * self._half)
            fresh = (before < 0.0) | (run != (before + lane * self._half) // (2 * self._half))
            part[fresh] = 0.0
            part[fresh, 0] = (before[fresh] >= 0.0) | (place[fresh] == 0)
            h, c = part[:, 1 : 1 + self._hidden], part[:, 1 + self._hidden :]
            h[:], c[:] = self._cell(filled, h, c)
            speaks = (place >= self._half) & (part[:, 0] > 0.0)
            logits[speaks] = self._read(h[speaks])
        states[:, 0] = slots + 1.0
        return logits

    def _lane(self, lane: int, flat: Floats, slots: NDArray[np.int64], logits: Floats) -> None:
        run, place = np.divmod(slots + lane * self._half, 2 * self._half)
        first = np.flatnonzero(np.diff(run, prepend=run[:1] - 1))
        number = np.cumsum(np.diff(run, prepend=run[:1]) != 0)
        whole = np.ones(len(first), dtype=bool)
        whole[:1] = place[:1] == 0
        table = np.full((len(first), 2 * self._half), -1)
        table[number, place] = np.arange(len(slots))
        h = np.zeros((len(first), self._hidden))
        c = np.zeros_like(h)
        for i in range(2 * self._half):
            there = table[:, i] >= 0
            at = table[there, i]
            h[there], c[there] = self._cell(flat[at], h[there], c[there])
            if i >= self._half:
                heard = there & whole
                logits[table[heard, i]] = self._read(h[heard])

    def _cell(self, x: Floats, h: Floats, c: Floats) -> tuple[Floats, Floats]:
        """One step of an LSTM. Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000."""
        gates = np.concatenate([x, h], axis=1) @ self._weights + self._bias
        take, keep, new, give = np.split(gates, 4, axis=1)
        cell = _sigmoid(keep) * c + _sigmoid(take) * np.tanh(new)
        return _sigmoid(give) * np.tanh(cell), cell

    def _read(self, h: Floats) -> Floats:
        for weights, bias in self._head[:-1]:
            h = np.maximum(h @ weights + bias, 0.0)
        weights, bias = self._head[-1]
        logits: Floats = h @ weights + bias
        return logits


def _sigmoid(z: Floats) -> Floats:
    return 0.5 * (1.0 + np.tanh(0.5 * z))


def _load(artifact: Artifact, make_session: MakeSession) -> CarriedTrendModel:
    return CarriedTrendModel(artifact)


LOADERS[f"{AGENT}.{KIND}"] = _load
