"""From a headline on the bus to its score, through the worker process: the lexicon, and a stack with embeddings."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np

from libs.common.bus.memory import MemoryBus
from libs.common.settings.learning import SentimentSettings
from libs.core.agents.sentiment_lexicon import LexiconModel
from libs.core.types import Headline, stable_id
from libs.research.training.sentiment import artifact, bert, fit
from libs.research.training.sentiment.embedder import GRAPH, TOKENIZER
from services.predict.headlines import HeadlineDesk
from tests.bench.harness import REPEATS, Line, absolute

HEADLINES: Final = 100
BUDGET_MS: Final = 500.0
WORDS: Final = (
    "shares profit rises falls 5% after bank beats estimates quarter loss Acme outlook raises cuts record demand "
    "chairman says central rates oil bitcoin market today deal"
)


def titles(seed: int) -> list[str]:
    """Seeded headlines of 6 to 18 words."""
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS.split(), k=rng.randint(6, 18))) for _ in range(HEADLINES)]


async def slowest_ms(model: Path | None, seed: int) -> float:
    """The 99th percentile of the way of one headline at a time, ms."""
    bus = MemoryBus()
    desk = HeadlineDesk(bus, SentimentSettings(model=model))
    answered = asyncio.Event()

    async def on_score(_received: object) -> None:
        answered.set()

    await bus.subscribe(["news.score.>"], on_score, 0)
    await desk.start(0)
    took = []
    for number, title in enumerate(["the first waits for the worker", *titles(seed)]):
        answered.clear()
        begun = time.perf_counter()
        await bus.publish(
            Headline(id=stable_id(title, number), ts_event=number, source="bench", source_id=str(number), title=title)
        )
        await asyncio.wait_for(answered.wait(), 60)
        took.append(time.perf_counter() - begun)
    await desk.close()
    await bus.close()
    return float(np.quantile(took[1:], 0.99)) * 1e3


def write_stack(folder: Path, minilm: Path) -> None:
    """A stack with embeddings; what it says does not matter, how long it takes does."""
    texts = tuple(titles(1)[:60])
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as scratch:
        graph = Path(scratch) / GRAPH
        bert.export_onnx(bert.load_encoder(minilm), graph)
        stack = fit.fit_stack(fit.read_inputs(texts, rng.normal(size=(60, 384))), np.arange(60) % 3)
        files: dict[str, bytes | Path] = {
            artifact.FULL: artifact.packed(stack), GRAPH: graph, TOKENIZER: minilm / TOKENIZER
        }  # fmt: skip
        artifact.write_folder(folder, files, {"model_id": "bench", "lexicon": LexiconModel.model_id})


async def run(repeats: int = REPEATS) -> list[Line]:
    """One line for the shipped model and, where the optional package is, one with MiniLM."""
    lines = [await _line("headline, lexicon", None, repeats)]
    minilm = bert.minilm_folder()
    if minilm is not None:
        with tempfile.TemporaryDirectory() as scratch:
            write_stack(Path(scratch) / "model", minilm)
            lines.append(await _line("headline, stack with MiniLM", Path(scratch) / "model", repeats))
    return lines


async def _line(name: str, model: Path | None, repeats: int) -> Line:
    values = [await slowest_ms(model, seed) for seed in range(repeats)]
    what = "p99 from headline to score through the worker process"
    return absolute(name, values, unit="ms", what=what, at_most=BUDGET_MS)
