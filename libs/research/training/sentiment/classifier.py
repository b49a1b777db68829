"""A text classifier from a local folder, such as FinBERT: an ONNX graph, or weights that `transformers` reads."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from libs.core.agents.sentiment_model import CLASSES, Opinion, opinion
from libs.research.training.sentiment.embedder import TOKENIZER, open_session, open_tokenizer

GRAPHS: Final = ("model.onnx", "onnx/model.onnx")
_MEANING: Final = {"negative": 0, "bearish": 0, "neutral": 1, "positive": 2, "bullish": 2}


class ClassifierProblem(Exception):
    """The folder cannot be used; the text is one line."""


class LocalClassifier:
    """Classes by their names in the folder's config.json (`id2label`), never by their order; nothing is downloaded."""

    def __init__(self, folder: Path) -> None:
        """Raises ClassifierProblem; ImportError when what would read the folder is not installed."""
        try:
            config = (folder / "config.json").read_bytes()
            names = json.loads(config)["id2label"]
            self._order = [int(index) for index in _order(names)]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
            why = err.strerror if isinstance(err, OSError) else f"{type(err).__name__} {err}"
            raise ClassifierProblem(f"{folder}/config.json cannot be used ({why})") from None
        graph = next((folder / name for name in GRAPHS if (folder / name).is_file()), None)
        try:
            self._logits = _by_graph(folder, graph) if graph else _by_transformers(folder)
            self._logits("a headline")
        except ImportError:
            raise
        except Exception as err:  # each runtime has errors of its own for files that are not what they should be
            raise ClassifierProblem(f"{folder} cannot be used: {str(err).splitlines()[0][:200]}") from None
        self.model_id = f"{folder.name}:{hashlib.sha256(config).hexdigest()[:8]}"

    def score(self, text: str) -> Opinion:
        """What it thinks of a headline."""
        return opinion(self._logits(text)[self._order].astype(np.float64))


def _order(names: dict[str, str]) -> list[str]:
    """The indices of down, neutral and up. Raises ValueError when one of them has no name that is known."""
    found = {_MEANING.get(name.strip().lower()): index for index, name in names.items()}
    if None in found or len(found) != len(CLASSES):
        raise ValueError(f"labels {', '.join(names.values())}; negative, neutral and positive are needed")
    return [found[i] for i in range(len(CLASSES))]


def _by_graph(folder: Path, graph: Path) -> Callable[[str], NDArray[Any]]:
    session, tokenizer = open_session(graph), open_tokenizer(folder / TOKENIZER)
    wanted = [entry.name for entry in session.get_inputs()]

    def logits(text: str) -> NDArray[Any]:
        ids = np.array([tokenizer.encode(text).ids], dtype=np.int64)
        known = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        answer: NDArray[Any] = session.run(None, {name: known[name] for name in wanted})[0][0]
        return answer

    return logits


def _by_transformers(folder: Path) -> Callable[[str], NDArray[Any]]:
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch, transformers = (importlib.import_module(name) for name in ("torch", "transformers"))
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(str(folder), local_files_only=True).eval()
    torch.set_num_threads(1)

    def logits(text: str) -> NDArray[Any]:
        with torch.inference_mode():
            answer: NDArray[Any] = model(**tokenizer(text, return_tensors="pt", truncation=True)).logits[0].numpy()
        return answer

    return logits
