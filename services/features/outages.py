"""What a call to the bus may raise while its server is away or comes back."""

from __future__ import annotations

from typing import Final

from nats.errors import Error as NatsError

from libs.common.bus import BusError

BUS_FAILURES: Final = (BusError, NatsError, OSError, TimeoutError)
