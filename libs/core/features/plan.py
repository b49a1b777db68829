"""From a named set of features to what the driver runs: addresses, offsets, parameters, sizes."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from libs.core.features import driver
from libs.core.features.catalogue import FeatureSet
from libs.core.features.kit import Definition, address
from libs.core.features.sets import definition_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Plan(NamedTuple):
    """What the driver needs to run a set.

    Attributes:
        table: a row per kernel (driver.PLAN). params: their parameters. derived: columns of bars to derive.
        slots: float64 slots of state; keep: bars of history in front of a new one; outputs: values that kernels write.
        columns: index of each feature of the set among the outputs.
        whole: the outputs are the features, in their order.
    """

    table: Ints
    params: Floats
    derived: int
    slots: int
    keep: int
    outputs: int
    columns: Ints
    whole: bool


@lru_cache(maxsize=64)
def plan_of(features: FeatureSet) -> Plan:
    """The plan of a set; kernels that it shares with another set are compiled once.

    Raises:
        ValueError: a feature has no kernel, or one that does not compile.
    """
    starts: dict[tuple[str, tuple[float, ...]], int] = {}
    columns = []
    outputs = slots = 0
    table: list[tuple[int, int, int, int]] = []
    params: list[float] = []
    derived = keep = 0
    for wanted in features.features:
        definition, values = definition_of(wanted), wanted.values
        key = (definition.name, values)
        if key not in starts:
            starts[key] = outputs
            named: dict[str, Any] = dict(zip(definition.defaults, values, strict=True))
            table.append((address(definition), slots, len(params), outputs))
            params += values
            outputs += len(definition.outputs)
            slots += definition.resolve(definition.state, named)
            keep = max(keep, definition.resolve(definition.lookback, named))
            derived |= _derived(definition)
        columns.append(starts[key] + wanted.output)
    return Plan(
        table=np.array(table, dtype=np.int64),
        params=np.array(params or [0.0], dtype=np.float64),
        derived=derived,
        slots=slots,
        keep=keep + 1,
        outputs=outputs,
        columns=np.array(columns, dtype=np.intp),
        whole=columns == list(range(outputs)),
    )


def _derived(definition: Definition) -> int:
    wants = {"RET": driver.WANTS_RET, "LOGVOL": driver.WANTS_LOGVOL, "RANGE": driver.WANTS_RANGE}
    return sum(flag for name, flag in wants.items() if name in definition.reads)
