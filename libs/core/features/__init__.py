"""Features: what they are (`catalogue`, light), sets by name (`sets`) and the engine that computes them (`engine`)."""

from libs.core.features.catalogue import CUMULATIVE, Feature, FeatureSet, feature_set

__all__ = ["CUMULATIVE", "Feature", "FeatureSet", "feature_set", "warm_kernels"]


def warm_kernels() -> None:
    """Compile every kernel into numba's cache, or load it from there; `make setup` calls it."""
    import numpy as np

    from libs.core.features.engine import Bars, FeatureEngine
    from libs.core.features.flow import FlowTape
    from libs.core.features.sets import SETS
    from libs.core.types import SECOND, Bar, Ticks, Trade

    one = np.ones(1)
    bar = Bar(
        id="",
        ts_event=0,
        venue="",
        symbol="",
        interval_s=60,
        open_time=60 * SECOND,
        open=1.0,
        high=1.0,
        low=1.0,
        close=1.0,
    )
    tape = FlowTape((60,))
    tape.decimals = 0
    tape.take(Ticks(id="", ts_event=0, venue="", symbol="", items=(Trade(1, 1.0, 1.0, 1, 0),)))
    for features in list(SETS.values()):
        engine = FeatureEngine("", "", 60, features)
        tape.fill(bar, engine.extras)
        engine.take(bar)
        engine.batch(Bars(open_time=np.array([60 * SECOND]), open=one, high=one, low=one, close=one, volume=one))
