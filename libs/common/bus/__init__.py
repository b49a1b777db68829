"""The message bus: NATS JetStream in production, an in-memory twin for unit tests, one behaviour for both."""

from libs.common.bus.base import Bus, BusError, Received, Subscription
from libs.common.bus.large import get_large, put_large
from libs.common.bus.memory import MemoryBroker, MemoryBus
from libs.common.bus.nats_bus import NatsBus

__all__ = [
    "Bus",
    "BusError",
    "MemoryBroker",
    "MemoryBus",
    "NatsBus",
    "Received",
    "Subscription",
    "get_large",
    "put_large",
]
