"""Sets of features by name, made of entries such as "sma(n=50)", "macd" or "bollinger(n=20):bb_pct_b_20"."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import pkgutil
import re
import sys
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Final

from libs.core.features import kernels
from libs.core.features.catalogue import Feature, FeatureSet
from libs.core.features.kit import REGISTRY, Definition

_ENTRY: Final = re.compile(r"^(?P<kernel>\w+)(?:\((?P<params>[^)]*)\))?(?::(?P<names>[\w,]+))?$")

_MODULES: Final[tuple[ModuleType, ...]] = tuple(
    importlib.import_module(f"{kernels.__name__}.{found.name}")
    for found in sorted(pkgutil.iter_modules(kernels.__path__), key=lambda found: found.name)
)


def features_of(entry: str) -> tuple[Feature, ...]:
    """The features that an entry stands for: every output of its kernel, or those named after the colon.

    Raises:
        ValueError: it is no entry, or there is no such kernel, parameter or output; the text says what there is.
    """
    match = _ENTRY.match(entry.replace(" ", ""))
    if match is None:
        raise ValueError(f"{entry!r} is no feature; write for example sma(n=50), macd or macd:macd_line")
    definition = REGISTRY.get(match["kernel"])
    if definition is None:
        raise ValueError(f"no feature {match['kernel']!r}; there are {', '.join(sorted(REGISTRY))}")
    params = dict(definition.defaults)
    for part in filter(None, (match["params"] or "").split(",")):
        key, _, value = part.partition("=")
        if key not in params:
            known = ", ".join(params) or "none"
            raise ValueError(f"{entry}: {definition.name} has no parameter {key!r}; it has {known}")
        try:
            params[key] = _number(value)
        except ValueError:
            raise ValueError(f"{entry}: {key}={value} is no number") from None
    wanted = match["names"].split(",") if match["names"] else None
    features = tuple(_feature(definition, params, i) for i in range(len(definition.outputs)))
    if wanted is None:
        return features
    by_name = {feature.name: feature for feature in features}
    if missing := [name for name in wanted if name not in by_name]:
        raise ValueError(f"{entry}: {definition.name} gives {', '.join(by_name)}, not {missing[0]!r}")
    return tuple(by_name[name] for name in wanted)


def make_set(name: str, entries: Sequence[str]) -> FeatureSet:
    """A set of these entries, in their order.

    Raises:
        ValueError: an entry is none, or two of them give a feature of the same name.
    """
    features = tuple(feature for entry in entries for feature in features_of(entry))
    names = [feature.name for feature in features]
    if twice := [each for each in names if names.count(each) > 1]:
        raise ValueError(f"feature set {name}: {twice[0]} is in it twice")
    if not features:
        raise ValueError(f"feature set {name} is empty")
    return FeatureSet(name=name, features=features, entries=tuple(entries))


def define(name: str, entries: Sequence[str]) -> FeatureSet:
    """Make a set known by its name; the same again changes nothing.

    Raises:
        ValueError: as `make_set`, or the name is taken by another list.
    """
    made = make_set(name, entries)
    known = SETS.get(name)
    if known is not None and known.hash != made.hash:
        raise ValueError(f"feature set {name!r} is taken; choose another name")
    SETS[name] = made
    return made


def named(name: str) -> FeatureSet:
    """The set of that name.

    Raises:
        ValueError: there is none; the text lists those there are.
    """
    if name not in SETS:
        raise ValueError(f"no feature set {name!r}; there are {', '.join(SETS)}")
    return SETS[name]


def load(path: str) -> tuple[str, ...]:
    """Load a file of features of one's own; the names of the kernels that it declares. Loading it again is free.

    Raises:
        ValueError: it cannot be read or run, or declares nothing.
    """
    module_name = f"conclave_features_{hashlib.sha256(path.encode()).hexdigest()[:12]}"
    if module_name not in sys.modules:
        spec = importlib.util.spec_from_file_location(module_name, path)
        if spec is None or spec.loader is None:
            raise ValueError(f"{path} is no Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        try:
            spec.loader.exec_module(module)
        except Exception as err:
            del sys.modules[module_name]
            raise ValueError(f"{path} cannot be loaded: {type(err).__name__}: {err}") from err
    declared = tuple(name for name, definition in REGISTRY.items() if definition.file == path)
    if not declared:
        raise ValueError(f"{path} declares no feature; put @feature(...) above its function")
    return declared


def definition_of(feature: Feature) -> Definition:
    """The kernel of a feature. Raises ValueError when it is not loaded."""
    if feature.kernel not in REGISTRY:
        raise ValueError(f"feature {feature.name!r} needs kernel {feature.kernel!r}, whose file is not loaded")
    return REGISTRY[feature.kernel]


def _feature(definition: Definition, params: dict[str, float], position: int) -> Feature:
    output = definition.outputs[position]
    return Feature(
        name=output.name.format(**params),
        version=definition.version,
        kernel=definition.name,
        values=tuple(params.values()),
        output=position,
        params=",".join(f"{key}={value}" for key, value in params.items()),
        warmup=definition.resolve(definition.warmup, params),
        memory=definition.resolve(definition.memory, params),
        unit=output.unit,
        low=output.low,
        high=output.high,
        needs=definition.needs,
    )


def _number(text: str) -> float:
    value = float(text)
    return int(value) if value.is_integer() else value


def _full() -> Iterable[str]:
    for module in _MODULES:
        yield from module.FULL


CORE20: Final = make_set(
    "core20",
    (
        "ema(n=12)",
        "ema(n=26)",
        "rsi(n=14):rsi_14",
        "macd",
        "atr(n=14):atr_14",
        "bollinger(n=20):bb_pct_b_20,bb_width_20",
        "donchian(n=20)",
        "log_return(n=1)",
        "log_return(n=5)",
        "log_return(n=20)",
        "realised_vol(n=10):rv_10",
        "realised_vol(n=60):rv_60",
        "ewma_vol",
        "z_price(n=20)",
        "z_volume(n=60)",
    ),
)
"""The small set: trend, bands, returns and volatility of bars alone."""

FULL: Final = make_set("full", tuple(_full()))
"""Every feature of the catalogue."""

SETS: Final[dict[str, FeatureSet]] = {CORE20.name: CORE20, FULL.name: FULL}
