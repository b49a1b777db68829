"""The store: PostgreSQL or TimescaleDB through asyncpg; migrations, batched writes, how far it has got, retention."""

from libs.common.store.captured import Captured
from libs.common.store.database import Store
from libs.common.store.errors import (
    RowRefused,
    StoreError,
    StoreFull,
    StoreMismatch,
    StoreRefused,
    StoreUnreachable,
)
from libs.common.store.levels import Level
from libs.common.store.retention import Keep
from libs.common.store.rows import Batch

__all__ = [
    "Batch",
    "Captured",
    "Keep",
    "Level",
    "RowRefused",
    "Store",
    "StoreError",
    "StoreFull",
    "StoreMismatch",
    "StoreRefused",
    "StoreUnreachable",
]
