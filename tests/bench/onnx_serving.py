"""Nets as they are served against torch: one window of the trend LSTM, one chart of the pattern net, on one thread."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from tests.bench.harness import Line, absolute, compared, interleaved, percentile

WINDOW = (100, 50)
CHART = (3, 64, 64)
CLASSES = 20
CALLS = 100
MOST_MS = 1.0


async def run(repeats: int) -> list[Line]:
    """ONNX Runtime against torch eager on the same weights, and a whole answer of the served LSTM."""
    import torch

    from libs.core.agents.trend_model import INPUT
    from libs.research.training.loop import seeded, threads
    from libs.research.training.nets import LastStep, LstmNet, TrainedSession, to_onnx
    from libs.research.training.nets_charts import ChartNet

    lstm = LastStep(seeded(lambda: LstmNet(WINDOW[1], 128, 2, 0.2), 1))
    chart = seeded(lambda: ChartNet(CLASSES, 12, 0.3, residual=False), 1)
    lines = []
    rng = np.random.default_rng(1)
    for name, net, shape, outputs in (
        ("lstm", lstm, WINDOW, ("logits",)),
        ("chart_net", chart, CHART, ("logits", "classes")),
    ):
        session = TrainedSession(to_onnx(net, shape, INPUT, outputs))
        given = rng.normal(0.0, 1.0, (1, *shape)).astype(np.float32)
        tensor = torch.from_numpy(given)

        def served(session: TrainedSession = session, given: np.ndarray = given) -> None:  # type: ignore[type-arg]
            session.run({INPUT: given})

        def eager(net: torch.nn.Module = net, tensor: torch.Tensor = tensor) -> None:
            with torch.no_grad():
                net(tensor)

        async def ours(served: Callable[[], None] = served) -> float:
            return _ms(served)

        async def theirs(eager: Callable[[], None] = eager) -> float:
            with threads(1):
                return _ms(eager)

        served()
        eager()
        pairs = await interleaved(ours, theirs, repeats)
        what = f"{name}, one row, one thread: ONNX Runtime against torch eager, median of {CALLS} calls"
        lines.append(compared(f"onnx_{name}", pairs, unit="ms", what=what, at_most=1.0))
        if name == "lstm":
            what = "the trend LSTM (100 bars x 50 features, 2 layers of 128), one row, one thread"
            lines.append(absolute("onnx_lstm_row", [a for a, _ in pairs], unit="ms", what=what, at_most=MOST_MS))
    return lines


def _ms(call: Callable[[], None]) -> float:
    """Median of CALLS calls."""
    taken = []
    for _ in range(CALLS):
        begun = time.perf_counter()
        call()
        taken.append((time.perf_counter() - begun) * 1e3)
    return percentile(taken, 0.5)
