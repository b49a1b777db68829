"""The common part of agents whose knowledge of a series is one packed float64 array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from libs.core.agents.base import Floats, History, Hold, Needs, Series, Windows, said
from libs.core.features import FeatureSet
from libs.core.types import Abstention, Features, Forecast, stable_id


@dataclass(slots=True)
class _Model:
    state: Floats
    fitted: bool
    model_id: str


class _Saved(msgspec.Struct, frozen=True, array_like=True):
    kind: str
    fitted: bool
    model_id: str
    state: bytes


class PackedAgent:
    """Keeps one array per series and turns what a subclass reads from it into forecasts.

    A subclass names itself (`name`, `version` +1 whenever the same bars would give another forecast), says what it
    needs, and gives `_fit`, `_step` and `_say`.
    """

    name: str
    version: int
    directional = False
    _unfitted = "there was nothing to fit on"

    def __init__(self, features: FeatureSet, needs: Needs, size: int, settings: tuple[object, ...]) -> None:
        """`size`: length of the state; `settings`: what tells two configurations of this agent apart.

        Raises KeyError when the feature set lacks what the agent needs.
        """
        self.needs = needs
        self._size = size
        self._kind = f"{self.name}.{self.version}:{stable_id(features.hash, *settings)[:8]}"
        self._columns = np.array([features.index(name) for name in needs.features], dtype=np.intp)
        self._models: dict[Series, _Model] = {}

    def fit(self, series: Series, history: History) -> bool:
        """Forget the series and fit on this history; False when there is nothing to be learnt from it yet."""
        state = np.zeros(self._size)
        fitted = self._fit(state, history)
        self._models[series] = _Model(state, fitted, f"{self._kind}:{history.end}")
        return fitted

    def learn(self, windows: Windows) -> None:
        """Take the newest bar of each series that has been fitted."""
        for i, series in enumerate(windows.series):
            model = self._models.get(series)
            if model is not None and model.fitted:
                self._step(model.state, float(windows.returns[i, -1]), windows.rows[i, -1])

    def predict(self, windows: Windows) -> list[Forecast]:
        """One forecast or abstention per series, in their order."""
        forecasts = []
        for i, series in enumerate(windows.series):
            newest = windows.newest[i]
            model = self._models.get(series)
            fields = self._fields(model, newest, windows.rows[i, -1], windows.holds[i])
            forecasts.append(
                said(self.name, model.model_id if model else self._kind, newest, windows.ts_init, **fields)
            )
        return forecasts

    def snapshot(self, series: Series) -> bytes:
        """All it knows of a series, b"" when it was never fitted."""
        model = self._models.get(series)
        if model is None:
            return b""
        return msgspec.msgpack.encode(
            _Saved(self._kind, model.fitted, model.model_id, model.state.astype("<f8").tobytes())
        )

    def restore(self, series: Series, snapshot: bytes) -> None:
        """Take up a snapshot and continue bit for bit.

        Raises:
            ValueError: it is of another version, feature set or configuration of this agent.
        """
        self._models.pop(series, None)
        if not snapshot:
            return
        saved = msgspec.msgpack.decode(snapshot, type=_Saved)
        if saved.kind != self._kind or len(saved.state) != 8 * self._size:
            raise ValueError(f"snapshot of {saved.kind}, not of {self._kind}")
        state = np.frombuffer(saved.state, dtype="<f8").astype(np.float64)
        self._models[series] = _Model(state, saved.fitted, saved.model_id)

    def _fields(self, model: _Model | None, newest: Features, row: Floats, hold: Hold | None) -> dict[str, Any]:
        if hold is not None:
            return abstention(hold.reason, hold.detail)
        absent = np.isnan(row[self._columns])
        if absent.any():
            reason = Abstention.MISSING_INPUT if newest.warm else Abstention.WARMING_UP
            return abstention(reason, f"{self.needs.features[int(absent.argmax())]} has no value")
        if model is None or not model.fitted:
            return abstention(Abstention.NO_MODEL, self._unfitted)
        return self._say(model.state)

    def _fit(self, state: Floats, history: History) -> bool:
        raise NotImplementedError

    def _step(self, state: Floats, log_return: float, row: Floats) -> None:
        raise NotImplementedError

    def _say(self, state: Floats) -> dict[str, Any]:
        raise NotImplementedError


def abstention(reason: Abstention, detail: str) -> dict[str, Any]:
    """The fields of a forecast that says nothing, and why."""
    return {"abstention": reason, "detail": detail}
