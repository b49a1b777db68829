"""What every process of the house measures of itself: readiness, pauses, its log, the disk under its state."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from prometheus_client import Counter, Gauge

READY: Final = Gauge("conclave_service_ready", "1 when /readyz answers 200", ["service"])
PAUSED: Final = Gauge("conclave_service_paused", "1 while an operator has paused the service", ["service"])
LOG_LINES: Final = Counter("conclave_log_lines_total", "Lines logged, by level", ["level"])
DISK_FREE: Final = Gauge("conclave_disk_free_bytes", "What is free on the disk that holds the service's state")
DISK_SIZE: Final = Gauge("conclave_disk_size_bytes", "Size of the disk that holds the service's state")


class LineCounter(logging.Handler):
    """Counts what passes the log, so that errors show where nobody reads."""

    def __init__(self) -> None:
        super().__init__()
        for level in ("info", "warning", "error"):
            LOG_LINES.labels(level)

    def emit(self, record: logging.LogRecord) -> None:
        LOG_LINES.labels(record.levelname.lower()).inc()


def watch_disk(folder: Path) -> None:
    """Tell of the disk under `folder` whenever somebody asks; not a number while it cannot be asked."""
    DISK_FREE.set_function(lambda: _disk(folder, lambda stats: stats.f_bavail))
    DISK_SIZE.set_function(lambda: _disk(folder, lambda stats: stats.f_blocks))


def _disk(folder: Path, blocks: Callable[[os.statvfs_result], int]) -> float:
    try:
        stats = os.statvfs(folder)
    except OSError:
        return float("nan")
    return float(blocks(stats) * stats.f_frsize)
