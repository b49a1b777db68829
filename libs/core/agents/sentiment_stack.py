"""The fitted stack: n-grams, word lists and a sentence embedding under one logistic regression."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from libs.core.agents.base import Floats
from libs.core.agents.sentiment_lexicon import ROW, read, row
from libs.core.agents.sentiment_model import CLASSES, Opinion, opinion
from libs.core.agents.sentiment_text import SIZE, hashed

Embed = Callable[[str], Floats]
"""A sentence embedding of a text, (width,), length 1."""


@dataclass(frozen=True, slots=True)
class Grams:
    """Which hashed n-grams a stack knows.

    Attributes:
        words, characters: shortest and longest n-gram of either kind.
        places: (n,) sorted places of `sentiment_text.hashed`; idf: (n,) their inverse document frequency,
            ln((1 + documents) / (1 + documents with it)) + 1.
    """

    words: tuple[int, int]
    characters: tuple[int, int]
    places: NDArray[np.int64]
    idf: Floats


class StackModel:
    """A logistic regression on TF-IDF n-grams (words and characters, each of length 1), lexicon row and embedding.

    Logits = (sum of weights x inputs + bias) / temperature.
    """

    def __init__(self, model_id: str, arrays: Mapping[str, NDArray[Any]], embed: Embed | None = None) -> None:
        """`arrays`: as `stack_arrays` lists them; `embed` where the stack was fitted with embeddings.

        Raises:
            ValueError: an array is missing or of another shape, or the embedding's weights are without an embedding.
        """
        self.model_id = model_id
        parts = _checked(arrays)
        self.grams = Grams(
            tuple(parts["words"].tolist()), tuple(parts["characters"].tolist()),
            parts["places"].astype(np.int64), parts["idf"].astype(np.float64),
        )  # fmt: skip
        self._gram_weights = parts["gram_weights"].astype(np.float64)
        self._row_weights = parts["row_weights"].astype(np.float64)
        self._embedding_weights = parts["embedding_weights"].astype(np.float64)
        self._bias = parts["bias"].astype(np.float64)
        self._temperature = float(parts["temperature"][0])
        self._embed = embed if len(self._embedding_weights) else None
        if len(self._embedding_weights) and embed is None:
            raise ValueError("the stack was fitted with embeddings and there is nothing to make them")

    def score(self, text: str) -> Opinion:
        """What it thinks of a headline."""
        columns, values = tfidf(text, self.grams)
        logits = values @ self._gram_weights[columns] + row(read(text)) @ self._row_weights + self._bias
        if self._embed is not None:
            logits = logits + self._embed(text).astype(np.float64) @ self._embedding_weights
        return opinion(logits / self._temperature)


def tfidf(text: str, grams: Grams) -> tuple[NDArray[np.intp], Floats]:
    """Columns (into `grams.places`) and TF-IDF of a text's known n-grams; words and characters each of length 1."""
    places, counts = hashed(text, grams.words, grams.characters)
    at = np.searchsorted(grams.places, places)
    at[at == len(grams.places)] = 0
    known = grams.places[at] == places if len(grams.places) else np.zeros(len(places), dtype=bool)
    columns, values = at[known], counts[known] * grams.idf[at[known]]
    is_word = grams.places[columns] < SIZE
    for part in (is_word, ~is_word):
        length = float(np.sqrt(np.square(values[part]).sum()))
        if length:
            values[part] /= length
    return columns, values


def _checked(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    names = (
        "words", "characters", "places", "idf", "gram_weights", "row_weights", "embedding_weights", "bias",
        "temperature",
    )  # fmt: skip
    if missing := [name for name in names if name not in arrays]:
        raise ValueError(f"not a sentiment stack: {missing[0]} is missing")
    n, width, k = len(arrays["places"]), len(arrays["embedding_weights"]), len(CLASSES)
    shapes = {
        "words": (2,), "characters": (2,), "places": (n,), "idf": (n,), "gram_weights": (n, k),
        "row_weights": (ROW, k), "embedding_weights": (width, k), "bias": (k,), "temperature": (1,),
    }  # fmt: skip
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f"not a sentiment stack: {name} is {arrays[name].shape}, not {shape}")
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"not a sentiment stack: {name} has a number that is none")
    if arrays["temperature"][0] <= 0 or (n and (np.diff(arrays["places"].astype(np.int64)) <= 0).any()):
        raise ValueError("not a sentiment stack: temperature or places are out of order")
    return {name: arrays[name] for name in names}
