"""What train measures of itself."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

MODELS: Final = Counter("conclave_train_models_total", "Models made, by agent and the role they got", ["agent", "role"])
FAILED: Final = Counter("conclave_train_failed_total", "Models that could not be made", ["agent"])
RUNNING: Final = Gauge("conclave_train_running", "1 while a run is under way")
LEFT: Final = Gauge("conclave_train_left_seconds", "Estimate of what is left of the run; 0 when none is under way")
SECONDS: Final = Histogram(
    "conclave_train_run_seconds",
    "Time of a whole run",
    buckets=(1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 7200.0),
)
CHAMPIONS: Final = Counter("conclave_train_role_changes_total", "Changes of roles on notes of predict", ["kind"])
