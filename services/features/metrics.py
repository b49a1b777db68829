"""What the service measures of itself."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

VECTORS: Final = Counter("conclave_features_vectors_total", "Feature vectors published", ["interval", "warm"])
COMPUTE: Final = Histogram(
    "conclave_features_compute_seconds",
    "Time to turn a bar into a vector",
    buckets=(1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 5e-3),
)
LATENCY: Final = Histogram(
    "conclave_features_latency_seconds",
    "From arrival of the message that closed the bar to the published vector",
    buckets=(2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.5),
)
ROWS: Final = Counter("conclave_features_store_rows_total", "Rows written to the store", ["table"])
WRITE: Final = Histogram(
    "conclave_features_store_write_seconds",
    "Time to write one batch",
    buckets=(1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1, 5),
)
LOCKED: Final = Gauge(
    "conclave_features_locked_bars", "Bars since start whose newest quotes were locked or crossed", ["venue", "symbol"]
)
REFUSED: Final = Counter("conclave_features_store_refused_total", "Messages put aside because no column holds them")
LAG_MESSAGES: Final = Gauge("conclave_features_store_lag_messages", "Messages captured by the bus and not yet stored")
LAG_SECONDS: Final = Gauge("conclave_features_store_lag_seconds", "Age of the oldest message that waits for the store")
UP: Final = Gauge("conclave_features_store_up", "1 while the store takes batches")
