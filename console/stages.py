"""Build any decision stage from the configuration that its run recorded."""

from __future__ import annotations

from collections.abc import Callable

from libs.core.agents.council_bench import Artifacts, no_artifacts
from libs.core.stages import execute, features, predict, risk
from libs.core.stages.base import Stage
from libs.research.replay import ReplayError

_BUILDERS: dict[str, Callable[[bytes], Stage]] = {
    "features": features.build,
    "risk": risk.build,
    "execute": execute.build,
}


def make_stage(name: str, config: bytes, artifacts: Artifacts = no_artifacts) -> Stage:
    """A fresh stage; `artifacts`: where the models are that predict took up.

    Raises:
        ReplayError: no such stage, or a configuration that this version cannot read.
    """
    if name != "predict" and name not in _BUILDERS:
        raise ReplayError(f"there is no stage {name}")
    try:
        return predict.build(config, artifacts) if name == "predict" else _BUILDERS[name](config)
    except ValueError as err:
        raise ReplayError(f"{name}: the recorded configuration cannot be used: {err}") from err
