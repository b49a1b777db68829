"""mean_revert: against a close that is far from its mean, until it is back there or has taken too long."""

from __future__ import annotations

import msgspec
from pydantic import Field

from libs.core.features import FeatureSet
from libs.core.strategies.base import Book, RuleParams, RuleStrategy, Stance, basis_points
from libs.core.types import Features


class MeanRevertParams(RuleParams):
    """Settings of mean_revert. Distances are in deviations of the last 20 closes (Bollinger's window)."""

    entry_z: float = Field(2.0, ge=0.5, le=4, description="enter when the close is this far from its mean")
    exit_z: float = Field(0.0, ge=-1, le=2, description="leave when it is this near; below 0 = beyond the mean")
    max_hold_bars: int = Field(60, ge=1, le=10_000, description="leave after this many bars whatever happened")
    cost_multiple: float = Field(
        1.5, ge=0, le=50, description="the way back to the mean must be this many round-trip costs"
    )


class _Armed(msgspec.Struct, array_like=True):
    """Whether the close has been within the entry distance since the last entry: each excursion is traded once."""

    armed: bool = True


class MeanRevert(RuleStrategy[MeanRevertParams]):
    """Sells a close far above its 20-bar mean, buys one far below, leaves at the mean."""

    name = "mean_revert"
    Params = MeanRevertParams
    warmup = 20

    def __init__(self, params: MeanRevertParams, features: FeatureSet, cost: float) -> None:
        super().__init__(params, features, cost)
        self._z = features.index("z_price_20")
        self._width = features.index("bb_width_20")
        self._state = _Armed()

    def _stance(self, f: Features, row: tuple[float, ...], book: Book) -> Stance:
        z = row[self._z]
        beyond = abs(z) >= self.params.entry_z
        if not beyond:
            self._state.armed = True
        if book.stance:
            if book.stance * z >= -self.params.exit_z:
                return Stance(0, f"back at its mean, z {z:.2f}")
            if book.bars >= self.params.max_hold_bars:
                return Stance(0, f"not back after {book.bars} bars, z {z:.2f}")
            return Stance(book.stance)
        # Bollinger's width is four deviations over the mean, so this is the way back in fractions of the price.
        way_back = abs(z) * row[self._width] / 4.0
        if not (self._state.armed and beyond and way_back > self.params.cost_multiple * self.cost):
            return Stance(0)
        self._state.armed = False
        reason = (
            f"close {abs(z):.2f} deviations {'above' if z > 0 else 'below'} its mean, "
            f"{basis_points(way_back)} away, round trip {basis_points(self.cost)}"
        )
        return Stance(-1 if z > 0 else 1, reason, min(1.0, abs(z) / (2.0 * self.params.entry_z)))

    def _restart(self) -> None:
        self._state = _Armed()

    def _rule_state(self) -> bytes:
        return msgspec.msgpack.encode(self._state)

    def _restore_rule(self, state: bytes) -> None:
        self._state = msgspec.msgpack.decode(state, type=_Armed)
