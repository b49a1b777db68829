"""Compile every numba kernel into its cache, so that no service compiles while it trades: run with `-m`."""

from __future__ import annotations

from libs.core.agents import warm_kernels as warm_agents
from libs.core.features import warm_kernels as warm_features

if __name__ == "__main__":
    warm_features()
    warm_agents()
