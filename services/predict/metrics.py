"""What predict measures of itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from prometheus_client import Counter, Histogram

from libs.core.types import Event, Features, Forecast, ModelNote, Signal

_BUCKETS: Final = (20e-6, 50e-6, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 5e-2, 0.1, 0.5, 1.0, 5.0)

APPLY = Histogram(
    "conclave_predict_apply_seconds",
    "From a feature vector to its forecasts and signals, in the stage",
    buckets=_BUCKETS,
)
ARRIVAL = Histogram(
    "conclave_predict_arrival_to_forecast_seconds",
    "From the arrival of the message that closed the bar to the forecasts",
    buckets=_BUCKETS,
)
FORECASTS = Counter("conclave_predict_forecasts_total", "Forecasts in which an agent spoke", ["agent"])
ABSTENTIONS = Counter("conclave_predict_abstentions_total", "Forecasts in which it did not", ["agent", "reason"])
MODEL = Histogram(
    "conclave_predict_model_seconds",
    "Time for an agent's trained models to answer for one bar",
    ["agent"],
    buckets=_BUCKETS,
)
NOTES = Counter("conclave_predict_model_notes_total", "What happened to trained models, by kind", ["agent", "kind"])
SIGNALS = Counter("conclave_predict_signals_total", "Signals", ["strategy", "action"])
HEADLINE = Histogram(
    "conclave_predict_headline_seconds",
    "From the arrival of a headline to its score",
    buckets=_BUCKETS,
)
HEADLINES = Counter("conclave_predict_headlines_total", "Headlines by what became of them", ["result"])
HEADLINES_LATE = Counter("conclave_predict_headlines_late_total", "Headlines that took longer than their budget")
WARMUP_BARS = Counter("conclave_predict_warmup_bars_total", "Bars of history taken at start", ["venue"])


def observe(event: Event, outputs: Sequence[Event], seconds: float) -> None:
    """Count what one input led to."""
    for output in outputs:
        if isinstance(output, ModelNote):
            NOTES.labels(output.agent, output.kind.value).inc()
    if not isinstance(event, Features):
        return
    APPLY.observe(seconds)
    if event.ts_recv:
        ARRIVAL.observe(max(0.0, (time.time_ns() - event.ts_recv) / 1e9))
    for output in outputs:
        if isinstance(output, Forecast):
            if output.latency_us:
                MODEL.labels(output.agent).observe(output.latency_us / 1e6)
            if output.shadow:
                continue
            if output.abstention is None:
                FORECASTS.labels(output.agent).inc()
            else:
                ABSTENTIONS.labels(output.agent, output.abstention.value).inc()
        elif isinstance(output, Signal):
            SIGNALS.labels(output.strategy, output.action.value).inc()
