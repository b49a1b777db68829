"""Features: names and sets (`catalogue`, light) and the engine that computes them (`engine`, needs numba)."""

from libs.core.features.catalogue import CORE20, SETS, Feature, FeatureSet, feature_set

__all__ = ["CORE20", "SETS", "Feature", "FeatureSet", "feature_set", "warm_kernels"]


def warm_kernels() -> None:
    """Compile every kernel into numba's cache, or load it from there; `make setup` calls it."""
    from libs.core.features import kernels

    kernels.warm()
