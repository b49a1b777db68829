"""Sentence embeddings by an ONNX graph and its tokenizer: what training reads and the worker serves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

GRAPH: Final = "minilm.onnx"
TOKENIZER: Final = "tokenizer.json"
MOST_TOKENS: Final = 128
BATCH: Final = 32


def open_session(graph: Path) -> Any:
    """An ONNX session on one thread.

    Raises:
        ImportError: onnxruntime is not installed.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def open_tokenizer(path: Path) -> Any:
    """A tokenizer that cuts after MOST_TOKENS and pads nothing.

    Raises:
        ImportError: tokenizers is not installed.
    """
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(MOST_TOKENS)
    tokenizer.no_padding()
    return tokenizer


class Embedder:
    """Texts to embeddings of length 1."""

    def __init__(self, graph: Path, tokenizer: Path) -> None:
        """Raises ImportError without onnxruntime and tokenizers; whatever they raise for files that are not theirs."""
        self._session = open_session(graph)
        self._tokenizer = open_tokenizer(tokenizer)

    def __call__(self, text: str) -> NDArray[np.float64]:
        """The embedding of one text, (width,)."""
        embedding: NDArray[np.float64] = self._run([self._tokenizer.encode(text).ids])[0].astype(np.float64)
        return embedding

    def batch(self, texts: Sequence[str], advance: Callable[[int], object] = lambda done: None) -> NDArray[np.float64]:
        """The embeddings of many, (n, width); `advance` is told after each batch how many were done in it."""
        ids = [self._tokenizer.encode(text).ids for text in texts]
        order = np.argsort([len(row) for row in ids], kind="stable")
        out: NDArray[np.float64] | None = None
        for begin in range(0, len(order), BATCH):
            chunk = order[begin : begin + BATCH]
            part = self._run([ids[i] for i in chunk])
            out = np.zeros((len(texts), part.shape[1])) if out is None else out
            out[chunk] = part
            advance(len(chunk))
        return np.zeros((0, 0)) if out is None else out

    def _run(self, rows: list[list[int]]) -> NDArray[np.float32]:
        ids = np.zeros((len(rows), max(len(row) for row in rows)), dtype=np.int64)
        mask = np.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
            mask[i, : len(row)] = 1
        embedding: NDArray[np.float32] = self._session.run(["embedding"], {"ids": ids, "mask": mask})[0]
        return embedding
