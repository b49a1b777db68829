"""What the simulator measures of itself."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector

from services.simulator.deriv.venue import Venue
from services.simulator.record import Record


def make_registry(venue: Venue, record: Record, is_well: Callable[[], bool]) -> CollectorRegistry:
    """The gauges of one simulator, read when somebody asks."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    ready = Gauge("conclave_service_ready", "1 when /readyz answers 200", ["service"], registry=registry)
    ready.labels("simulator").set_function(is_well)
    connections = Gauge("conclave_simulator_deriv_connections", "Open Deriv connections", registry=registry)
    connections.set_function(lambda: len(venue.sessions))
    contracts = Gauge(
        "conclave_simulator_deriv_open_contracts", "Deriv contracts neither sold nor settled", registry=registry
    )
    contracts.set_function(lambda: len(venue.account.open))
    present = Gauge(
        "conclave_simulator_deriv_present_seconds", "Epoch second the Deriv market has reached", registry=registry
    )
    present.set_function(lambda: venue.market.present)
    lines = Gauge(
        "conclave_simulator_record_lines", "Lines of the truth record written by this process", registry=registry
    )
    lines.set_function(lambda: record.lines)
    return registry
