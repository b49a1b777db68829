"""From a file of labelled headlines to an artifact, with every figure that its manifest tells."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from libs.core.agents.sentiment_lexicon import LexiconModel
from libs.core.agents.sentiment_model import CLASSES
from libs.core.types import stable_id
from libs.research.training.sentiment import artifact, fit
from libs.research.training.sentiment.data import DataProblem, Labelled, load_labelled
from libs.research.training.sentiment.embedder import GRAPH, TOKENIZER, Embedder


class Steps(Protocol):
    """Shows how far the work is."""

    def begin(self, what: str, total: int) -> Callable[[int], object]:
        """A step of `total` parts begins; call what is returned with each number of parts done."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What came out: figures of each model on headlines that it did not see, and where the artifact lies."""

    out: Path | None
    model_id: str
    rows: dict[str, int]
    repeats: int
    folds: int
    held_out: dict[str, fit.Score]
    test: dict[str, fit.Score] = field(default_factory=dict)
    test_seen: int = 0
    seconds: float = 0.0


def train_sentiment(
    data: Path,
    out: Path | None,
    steps: Steps,
    *,
    test: Path | None = None,
    labels: tuple[str, ...] = (),
    folds: int = 5,
    seed: int = 7,
    minilm: Path | None = None,
) -> Trained:
    """Judge the stack by cross-validation (and on `test`), fit it on all of `data`, write it to `out` if given.

    `minilm`: folder with MiniLM's weights; without it there are no embeddings.

    Raises:
        DataProblem, ArtifactProblem: one line each.
    """
    begun = time.monotonic()
    known = load_labelled(data, labels)
    fit.check(known, folds)
    held = load_labelled(test, labels) if test else None
    with tempfile.TemporaryDirectory() as scratch:
        graph = _export(minilm, Path(scratch), steps) if minilm else None
        inputs = _inputs(known, graph, steps, "headlines")
        test_inputs = _inputs(held, graph, steps, "test headlines") if held else {}
        held_out = {"majority": _majority(known, known), "lexicon": _lexicon(known)}
        on_test = {"majority": _majority(known, held), "lexicon": _lexicon(held)} if held else {}
        stacks = {}
        for name, part in inputs.items():
            advance = steps.begin(f"cross-validating {name}", folds + 1)
            probabilities = fit.cross_validated(part, known.labels, folds, seed, advance)
            by = fit.temperature(probabilities, known.labels)
            held_out[name] = fit.judge(fit.tempered(probabilities, by), known.labels)
            stacks[name] = fit.fit_stack(part, known.labels) | {"temperature": np.array([by])}
            advance(1)
            if held:
                on_test[name] = fit.judge(fit.predict_stack(stacks[name], test_inputs[name]), held.labels)
        files: dict[str, bytes | Path] = {artifact.PLAIN: artifact.packed(stacks["stack"])}
        if graph:
            files[artifact.FULL] = artifact.packed(stacks["stack + embeddings"])
            files |= {GRAPH: graph / GRAPH, TOKENIZER: graph / TOKENIZER}
        numbers = [content.hex() for content in files.values() if isinstance(content, bytes)]
        result = Trained(
            out=out,
            model_id=f"stack.{artifact.FORMAT}:{stable_id(*numbers)[:12]}",
            rows=known.counts(),
            repeats=known.repeats,
            folds=folds,
            held_out=held_out,
            test=on_test,
            test_seen=len(set(known.texts) & set(held.texts)) if held else 0,
            seconds=time.monotonic() - begun,
        )
        if out is not None:
            artifact.write_folder(out, files, _manifest(result, known, held, seed))
    return result


def _export(minilm: Path, scratch: Path, steps: Steps) -> Path:
    try:
        from libs.research.training.sentiment import bert
    except ImportError as err:
        raise DataProblem(
            f"MiniLM is there, {err.name} is not: install the extra train, or give --no-embeddings"
        ) from None
    advance = steps.begin("writing MiniLM as a graph", 1)
    try:
        bert.export_onnx(bert.load_encoder(minilm), scratch / GRAPH)
    except ValueError as err:
        raise DataProblem(str(err)) from None
    (scratch / TOKENIZER).write_bytes((minilm / TOKENIZER).read_bytes())
    advance(1)
    return scratch


def _inputs(data: Labelled, graph: Path | None, steps: Steps, what: str) -> dict[str, fit.Inputs]:
    advance = steps.begin(f"reading {what}", 1)
    plain = fit.read_inputs(data.texts, None)
    advance(1)
    if graph is None:
        return {"stack": plain}
    advance = steps.begin(f"embedding {what}", len(data.texts))
    embeddings = Embedder(graph / GRAPH, graph / TOKENIZER).batch(data.texts, advance)
    return {"stack": plain, "stack + embeddings": fit.Inputs(plain.grams, plain.rows, embeddings)}


def _majority(known: Labelled, judged: Labelled) -> fit.Score:
    shares = np.bincount(known.labels, minlength=len(CLASSES)) / len(known.labels)
    return fit.judge(np.tile(shares, (len(judged.labels), 1)), judged.labels)


def _lexicon(judged: Labelled) -> fit.Score:
    return fit.judge(fit.lexicon_probabilities(judged.texts), judged.labels)


def _manifest(result: Trained, known: Labelled, held: Labelled | None, seed: int) -> dict[str, Any]:
    return {
        "model_id": result.model_id,
        "classes": list(CLASSES),
        "lexicon": LexiconModel.model_id,
        "data": {"name": known.path.name, "sha256": known.sha256, "rows": result.rows, "repeats": known.repeats},
        "test": {"name": held.path.name, "sha256": held.sha256, "also_in_data": result.test_seen} if held else None,
        "folds": result.folds,
        "seed": seed,
        "cross_validated": {name: asdict(score) for name, score in result.held_out.items()},
        "tested": {name: asdict(score) for name, score in result.test.items()},
    }
