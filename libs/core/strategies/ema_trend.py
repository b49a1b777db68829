"""ema_trend: go with the trend when the fast average has left the slow one far enough, until they cross back."""

from __future__ import annotations

import math

import msgspec
from pydantic import Field, model_validator

from libs.core.features import FeatureSet
from libs.core.strategies.base import Book, RuleParams, RuleStrategy, Stance, basis_points
from libs.core.types import Features


class EmaTrendParams(RuleParams):
    """Settings of ema_trend. The averages are in bars."""

    fast: int = Field(4, ge=2, le=200, description="bars of the fast EMA")
    slow: int = Field(10, ge=3, le=500, description="bars of the slow EMA")
    entry_atr: float = Field(0.5, ge=0, le=20, description="the averages must stand this many ATR apart to enter")
    cost_multiple: float = Field(
        0.8, ge=0, le=50, description="and this many round-trip costs; a trend runs several times the gap it opens with"
    )

    @model_validator(mode="after")
    def _ordered(self) -> EmaTrendParams:
        if self.slow <= self.fast:
            raise ValueError(f"slow ({self.slow}) must be above fast ({self.fast})")
        return self


class _Averages(msgspec.Struct, array_like=True):
    """Two EMAs seeded with the mean of their first bars; sums until then. `bars` counts the closes taken."""

    bars: int = 0
    fast: float = 0.0
    slow: float = 0.0


class EmaTrend(RuleStrategy[EmaTrendParams]):
    """Enters with the trend, leaves on the opposite cross; flat, it waits for the gap to be worth its cost."""

    name = "ema_trend"
    Params = EmaTrendParams

    def __init__(self, params: EmaTrendParams, features: FeatureSet, cost: float) -> None:
        super().__init__(params, features, cost)
        # Three spans after the seed 99.7 % of it are forgotten.
        self.warmup = 4 * params.slow
        self._averages = _Averages()

    def _stance(self, f: Features, row: tuple[float, ...], book: Book) -> Stance:
        averages = self._averages
        averages.fast = _ema(averages.fast, averages.bars, self.params.fast, f.close)
        averages.slow = _ema(averages.slow, averages.bars, self.params.slow, f.close)
        averages.bars += 1
        atr = row[self._atr]
        gap = averages.fast - averages.slow
        if book.stance and gap * book.stance < 0.0:
            return Stance(0, f"EMA {self.params.fast} crossed back through EMA {self.params.slow}")
        needed = max(self.params.entry_atr * atr, self.params.cost_multiple * self.cost * f.close)
        if math.isnan(atr) or abs(gap) <= needed:
            return Stance(book.stance)
        side = 1 if gap > 0.0 else -1
        return Stance(side, self._why(gap, atr, f.close), 1.0 - 0.5 * needed / abs(gap), enters=True)

    def _why(self, gap: float, atr: float, close: float) -> str:
        return (
            f"EMA {self.params.fast} is {'above' if gap > 0.0 else 'below'} EMA {self.params.slow} "
            f"by {basis_points(abs(gap) / close)}, ATR {basis_points(atr / close)}, "
            f"round trip {basis_points(self.cost)}"
        )

    def _restart(self) -> None:
        self._averages = _Averages()

    def _rule_state(self) -> bytes:
        return msgspec.msgpack.encode(self._averages)

    def _restore_rule(self, state: bytes) -> None:
        self._averages = msgspec.msgpack.decode(state, type=_Averages)


def _ema(value: float, bars: int, span: int, close: float) -> float:
    """One step of features.md's EMA: the sum of the first span - 1 closes, their mean with the next, then the EMA."""
    if bars < span - 1:
        return value + close
    if bars == span - 1:
        return (value + close) / span
    return value + 2.0 / (span + 1) * (close - value)
