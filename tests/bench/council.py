"""One bar of one symbol through every agent and the meta-agent, with models that were just trained."""

from __future__ import annotations

import hashlib
import time
from typing import Final

import msgspec
import numpy as np

from libs.common.models.cache import loaded
from libs.core.agents import warm_kernels as warm_agents
from libs.core.agents.artifact import Artifact, pack
from libs.core.agents.meta_model import AGENT as META
from libs.core.agents.model import Model
from libs.core.features import warm_kernels
from libs.core.features.engine import Bars, FeatureEngine
from libs.core.features.sets import FULL
from libs.core.stages.predict import PredictConfig, PredictStage, SeriesConfig
from libs.core.types import SECOND, Bar, FeedHealth, Forecast, ModelSwap, NoteKind, Role, Warmup
from libs.research.training.base import TrainOptions
from libs.research.training.dataset import make_dataset
from libs.research.training.folds import final_split
from libs.research.training.meta import said_unseen, stack
from libs.research.training.run import available, trainer_of
from tests.bench.harness import REPEATS, Line, absolute

TRAINED: Final = 4_000
LIVE: Final = 1_000
START: Final = 1_790_000_040
STEP: Final = 60
P50_MS: Final = 2.0
P99_MS: Final = 4.0


def bars(count: int) -> list[Bar]:
    """Seeded bars whose returns follow each other a little: a voice that found nothing would be silent."""
    rng = np.random.Generator(np.random.PCG64(7))
    close, last, made = 1000.0, 0.0, []
    for i in range(count):
        last = 0.2 * last + 1e-3 * float(rng.standard_normal())
        first, close = close, close * float(np.exp(last))
        made.append(
            Bar(
                id=f"bar-{i}",
                ts_event=(START + (i + 1) * STEP) * SECOND,
                venue="binance",
                symbol="ECHO",
                interval_s=STEP,
                open_time=(START + i * STEP) * SECOND,
                open=first,
                high=max(first, close) * 1.0001,
                low=min(first, close) * 0.9999,
                close=close,
                volume=float(rng.uniform(1.0, 5.0)),
            )
        )
    return made


def council(history: list[Bar]) -> dict[str, Artifact]:
    """Every agent that can be trained here, by the quick preset, and the stack of those with a direction."""
    data = make_dataset("binance", "ECHO", STEP, Bars.of(history), FULL)
    fold = final_split(data)
    options = TrainOptions(preset="quick", threads=1)
    made = {agent: trainer_of(agent).fit(data, fold, options) for agent in available() if agent != META}
    heard = {agent: said_unseen(data, artifact) for agent, artifact in made.items()}
    return {**made, META: stack(data, fold, heard, options)}


def seated(artifacts: dict[str, Artifact], made: list[Bar]) -> PredictStage:
    """A stage warmed on these bars with every model as champion. Raises RuntimeError when one is refused."""
    models: dict[str, Model] = {hashlib.sha256(pack(each)).hexdigest(): loaded(each) for each in artifacts.values()}
    config = PredictConfig(
        series=(SeriesConfig(venue="binance", symbol="ECHO", interval_s=STEP),),
        feature_set=FULL.name,
        agents=("volatility", "direction", "regime", "trend", "pattern", "boosting"),
    )
    stage = PredictStage(config, models.__getitem__)
    stage.apply(
        Warmup(id="w", ts_event=made[-1].ts_event, venue="binance", symbol="ECHO", interval_s=STEP, bars=tuple(made)), 0
    )
    stage.apply(FeedHealth(id="h", ts_event=made[-1].ts_event, venue="binance", symbol="ECHO", score=1.0), 0)
    for sha256, model in models.items():
        swap = ModelSwap(
            id=sha256, ts_event=0, agent=model.manifest.agent, venue="binance", symbol="ECHO", interval_s=STEP,
            role=Role.CHAMPION, model_id="", sha256=sha256,
        )  # fmt: skip
        (note,) = stage.apply(swap, 0)
        if getattr(note, "kind", None) is not NoteKind.SWAPPED:
            raise RuntimeError(msgspec.json.encode(note).decode())
    return stage


async def run(repeats: int = REPEATS) -> list[Line]:
    """The lines `council_bar_p50` and `council_bar_p99`, processor time of the thread."""
    warm_kernels()
    warm_agents()
    made = bars(TRAINED + LIVE)
    artifacts = council(made[:TRAINED])
    engine = FeatureEngine("binance", "ECHO", STEP, FULL)
    vectors = [vector for bar in made if (vector := engine.update(bar)) is not None][TRAINED:]
    names: set[str] = set()

    def measured() -> tuple[float, float]:
        stage = seated(artifacts, made[:TRAINED])
        took = []
        for vector in vectors:
            begun = time.thread_time_ns()
            outputs = stage.apply(vector, 0)
            took.append((time.thread_time_ns() - begun) / 1e6)
            names.update(o.model_id.split(":")[0] for o in outputs if isinstance(o, Forecast) and o.model_id)
        p50, p99 = np.percentile(took, (50, 99)).tolist()
        return p50, p99

    measured()
    pairs = [measured() for _ in range(repeats)]
    what = f"one bar of one symbol through {', '.join(sorted(names))}"
    return [
        absolute("council_bar_p50", [p50 for p50, _ in pairs], unit="ms", what=what, at_most=P50_MS),
        absolute("council_bar_p99", [p99 for _, p99 in pairs], unit="ms", what=what, at_most=P99_MS),
    ]
