"""What predict does with what it hears: clocks for the shell, features and feed health for the stage."""

from __future__ import annotations

from libs.common.bus import Received
from libs.common.clock import DataClocks
from libs.common.stage_runner import StageRunner
from libs.core.types import Features, Nanos


class Handlers:
    """Message handlers. `reached_ns`: capture time of the newest feature vector applied, 0 before the first."""

    def __init__(self, runner: StageRunner, clocks: DataClocks) -> None:
        self._runner, self._clocks = runner, clocks
        self.reached_ns: Nanos = 0

    async def on_clock(self, received: Received) -> None:
        """Follow a venue's clock."""
        self._clocks.observe(received.event)

    async def on_input(self, received: Received) -> None:
        """Hand a feature vector, a health report, a headline or its score to the stage."""
        self._clocks.observe(received.event)
        await self._runner.take(received)
        if isinstance(received.event, Features):
            self.reached_ns = received.stream_ns
