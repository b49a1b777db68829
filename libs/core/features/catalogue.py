"""Names, parameters and warm-up of every feature, and the sets that travel; imports no numba, so anyone may read it."""

from __future__ import annotations

from typing import Final

import msgspec

from libs.core.types import stable_id


class Feature(msgspec.Struct, frozen=True, kw_only=True):
    """One feature.

    Attributes:
        name: how it is known everywhere.
        version: +1 whenever its kernel gives other values for the same bars.
        params: the numbers in its definition, in a canonical text.
        warmup: leading bars without a value, so that `warmup` is the index of the first value.
        unit: what a value measures.
    """

    name: str
    version: int = 1
    params: str
    warmup: int
    unit: str


class FeatureSet(msgspec.Struct, frozen=True, kw_only=True):
    """A named list of features in the order in which their values travel."""

    name: str
    features: tuple[Feature, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features)

    @property
    def hash(self) -> str:
        """Identity of the list: names, versions and parameters in order."""
        return stable_id("feature-set", *(f"{f.name}|{f.version}|{f.params}" for f in self.features))

    @property
    def warmup(self) -> int:
        """Index of the first bar at which every feature has a value."""
        return max(feature.warmup for feature in self.features)

    def __len__(self) -> int:
        return len(self.features)

    def index(self, name: str) -> int:
        """Position of a feature's value.

        Raises:
            KeyError: the set has no such feature; the text lists those it has.
        """
        try:
            return self.names.index(name)
        except ValueError:
            raise KeyError(f"feature set {self.name} has no {name!r}; it has {', '.join(self.names)}") from None


QUOTE: Final = "quote currency"
RATIO: Final = "ratio"
LOG: Final = "log return"

CORE20: Final = FeatureSet(
    name="core20",
    features=(
        Feature(name="ema_12", params="close,12", warmup=11, unit=QUOTE),
        Feature(name="ema_26", params="close,26", warmup=25, unit=QUOTE),
        Feature(name="rsi_14", params="wilder,14", warmup=14, unit="0 to 100"),
        Feature(name="macd_line", params="12,26,9", warmup=33, unit=QUOTE),
        Feature(name="macd_signal", params="12,26,9", warmup=33, unit=QUOTE),
        Feature(name="macd_hist", params="12,26,9", warmup=33, unit=QUOTE),
        Feature(name="atr_14", params="wilder,14", warmup=14, unit=QUOTE),
        Feature(name="bb_pct_b_20", params="20,2,ddof0", warmup=19, unit=RATIO),
        Feature(name="bb_width_20", params="20,2,ddof0", warmup=19, unit=RATIO),
        Feature(name="donchian_high_20", params="20", warmup=19, unit=QUOTE),
        Feature(name="donchian_low_20", params="20", warmup=19, unit=QUOTE),
        Feature(name="donchian_pos_20", params="20", warmup=19, unit=RATIO),
        Feature(name="ret_1", params="1", warmup=1, unit=LOG),
        Feature(name="ret_5", params="5", warmup=5, unit=LOG),
        Feature(name="ret_20", params="20", warmup=20, unit=LOG),
        Feature(name="rv_10", params="10", warmup=10, unit=LOG),
        Feature(name="rv_60", params="60", warmup=60, unit=LOG),
        Feature(name="ewma_vol", params="0.94,30", warmup=31, unit=LOG),
        Feature(name="z_price_20", params="close,20,ddof1", warmup=19, unit="standard deviations"),
        Feature(name="z_volume_60", params="log1p volume,60,ddof1", warmup=59, unit="standard deviations"),
    ),
)
"""The first set. rv_10 and rv_60 are the root of the summed squared log returns of the window, not annualised."""

SETS: Final = {CORE20.name: CORE20}


def feature_set(name: str) -> FeatureSet:
    """The set of that name.

    Raises:
        ValueError: there is none; the text lists those there are.
    """
    if name not in SETS:
        raise ValueError(f"no feature set {name!r}; there are {', '.join(SETS)}")
    return SETS[name]
