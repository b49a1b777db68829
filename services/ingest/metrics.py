"""Ingest's numbers for Prometheus; counts are kept as plain integers on the fast path and carried over each second."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

MESSAGES: Final = Counter("conclave_ingest_messages_total", "Market messages taken from a venue", ["venue"])
TICKS: Final = Counter("conclave_ingest_ticks_total", "Prints and quotes published", ["venue", "symbol"])
BARS: Final = Counter("conclave_ingest_bars_total", "Bars published", ["venue", "symbol"])
LATE: Final = Counter("conclave_ingest_late_total", "Prints that came after their bar had closed", ["venue", "symbol"])
DUPLICATES: Final = Counter("conclave_ingest_duplicates_total", "Messages seen before", ["venue", "symbol"])
REJECTED: Final = Counter("conclave_ingest_rejected_total", "Messages that could not be used", ["venue", "symbol"])
GAPS: Final = Counter("conclave_ingest_gaps_total", "Holes that history could not fill", ["venue", "symbol"])
REFILLED: Final = Counter("conclave_ingest_refilled_total", "Prints taken from history", ["venue", "symbol"])
RECONNECTS: Final = Counter("conclave_ingest_reconnects_total", "Times a venue's stream came back", ["venue"])
DEAD_LETTERS_DROPPED: Final = Counter(
    "conclave_ingest_dead_letters_dropped_total", "Unusable messages beyond the number kept per second", ["venue"]
)
STALENESS: Final = Gauge("conclave_ingest_staleness_seconds", "Data time since the last message", ["venue", "symbol"])
HEALTH: Final = Gauge("conclave_ingest_feed_health_ratio", "Feed health, 0 to 1", ["venue", "symbol"])
STALE: Final = Gauge("conclave_ingest_feed_stale", "1 when a feed should deliver and does not", ["venue", "symbol"])
CLOCK_OFFSET: Final = Gauge("conclave_ingest_clock_offset_seconds", "Venue clock minus machine clock", ["venue"])
CLOCK_DRIFT: Final = Gauge(
    "conclave_ingest_clock_drift_ratio",
    "How fast the venue's clock gains on the machine's, seconds a second",
    ["venue"],
)
CHECKS_FAILED: Final = Counter(
    "conclave_ingest_checks_failed_total", "Checks of a feed that failed, by check", ["venue", "symbol", "check"]
)
BAR_LATENCY: Final = Histogram(
    "conclave_ingest_publish_latency_seconds",
    "From the arrival of the message that closed a bar to the bar's hand-over to the bus",
    buckets=(0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0),
)
HEADLINES: Final = Counter("conclave_ingest_headlines_total", "Headlines published", ["source"])
HEADLINES_REFUSED: Final = Counter(
    "conclave_ingest_headlines_refused_total", "Feeds and headlines that could not be used", ["source"]
)
