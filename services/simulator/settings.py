"""What one simulator process is asked to do, from arguments or from the environment."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

ENVIRONMENT_PREFIX = "CV_SIM_"
DEFAULT_SEED = 20_260_401
SECRETS = ("token", "key", "secret")
"""Options that may also be named by a file: `CV_SIM_<FIELD>_FILE`."""


class SimulatorOptions(BaseModel):
    """Options of `conclave simulate`; every field has a twin `CV_SIM_<FIELD>` in the environment.

    Ports of 0 mean a free port chosen at start. `speed` is data seconds per machine second and only drives
    recorded data; the synthetic indices always tick in machine time. `state_dir` keeps the anchor of the price
    paths, the Deriv account and the truth record, so that a killed simulator comes back as the same market;
    without it nothing outlives the process. `token`, `key` and `secret` are made when not given; a kept state
    keeps the ones it made. `faults` is a plan of what shall go wrong (services/simulator/faults/plan.py).
    `public_key` is a PEM file of an Ed25519 or RSA key of yours that the Binance account shall accept beside its own;
    the API key that it gets is told at the start.
    `deriv_migrated` makes Deriv's v3 say that accounts have left it, `deriv_real` opens a real account beside the demo
    one, in the Options API.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    deriv_port: int = Field(default=0, ge=0, le=65_535)
    binance_port: int = Field(default=0, ge=0, le=65_535)
    http_port: int = Field(default=0, ge=0, le=65_535)
    data: Path | None = None
    speed: float = Field(default=1.0, ge=1.0, le=100_000.0)
    seed: int = Field(default=DEFAULT_SEED, ge=0, lt=2**63)
    token: str | None = Field(default=None, pattern=r"^[\w-]{1,128}$")
    key: str | None = Field(default=None, min_length=1)
    secret: str | None = Field(default=None, min_length=1)
    state_dir: Path | None = None
    faults: Path | None = None
    deriv_migrated: bool = False
    deriv_real: bool = False
    public_key: Path | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Read the `CV_SIM_*` variables; an empty one counts as unset.

        Raises:
            pydantic.ValidationError: a value that is not allowed. OSError: a named file cannot be read.
        """
        variables = {name: ENVIRONMENT_PREFIX + name.upper() for name in cls.model_fields}
        given = {name: environ[variable] for name, variable in variables.items() if environ.get(variable)}
        for name in SECRETS:
            if name not in given and (file := environ.get(f"{variables[name]}_FILE")):
                given[name] = Path(file).read_text(encoding="utf-8").strip()
        return cls.model_validate(given)


def new_secret(prefix: str = "") -> str:
    """Make a random credential of letters and digits, alike in shape to what the venues hand out."""
    return prefix + secrets.token_hex(16)
