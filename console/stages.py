"""Build any decision stage from the configuration that its run recorded."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from libs.common.keys import Verifier
from libs.core.stages import execute, features, predict, risk
from libs.core.stages.base import Stage
from libs.research.replay import ReplayError, StageFactory


def stage_factory(public_keys: Mapping[str, bytes]) -> StageFactory:
    """A factory whose execute stage checks permits against `public_keys`, PEM by key id."""
    with tempfile.TemporaryDirectory() as folder:
        for key_id, pem in public_keys.items():
            (Path(folder) / f"{key_id}.pub").write_bytes(pem)
        verifier = Verifier(Path(folder))

    def make(name: str, config: bytes) -> Stage:
        match name:
            case "features":
                return features.build(config)
            case "predict":
                return predict.build(config)
            case "risk":
                return risk.build(config)
            case "execute":
                return execute.build(config, verifier.refusal)
        raise ReplayError(f"there is no stage {name}")

    return make
