"""Structured JSON logs to stdout and to a rotated file, with the fields that a search needs."""

from __future__ import annotations

import logging
import logging.handlers
import sys
from pathlib import Path
from typing import Any

import structlog
import structlog.tracebacks

from libs.common.vitals import LineCounter

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure_logs(service: str, level: str, folder: Path | None, max_mb: int = 20, keep: int = 3) -> None:
    """Send every log line of this process as one JSON object to stdout and, with `folder`, to `<folder>/<service>.log`.

    Raises:
        OSError: the folder cannot be written.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        lambda _logger, _name, event: {"service": service, **event},
        # Without local variables: among them are URLs with passwords, tokens and whole messages.
        structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
        foreign_pre_chain=shared,
    )
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{service}.log"
        handlers.append(logging.handlers.RotatingFileHandler(path, maxBytes=max_mb * 1024 * 1024, backupCount=keep))
    root = logging.getLogger()
    root.handlers.clear()
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
    root.addHandler(LineCounter())
    set_level(level)
    # Those that speak with venues log what they send, tokens and one-time passwords included.
    for noisy in ("uvicorn.access", "nats", "asyncio", "websockets", "picows", "aiohttp", "urllib3", "ccxt"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def set_level(level: str) -> None:
    """Change the level of the whole process. Raises KeyError for an unknown name."""
    logging.getLogger().setLevel(LEVELS[level])
