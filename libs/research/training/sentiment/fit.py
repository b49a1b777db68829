"""Fits the logistic stack and judges it on headlines that it did not see, fold by fold."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from libs.core.agents.sentiment_lexicon import LexiconModel, read, row
from libs.core.agents.sentiment_model import CLASSES
from libs.core.agents.sentiment_stack import Grams
from libs.core.agents.sentiment_text import SIZE, hashed
from libs.research.training.sentiment.data import DataProblem, Labelled

Arrays = dict[str, NDArray[Any]]
Probabilities = NDArray[np.float64]
Progress = Callable[[int], object]

WORDS: Final = (1, 3)
CHARACTERS: Final = (2, 5)
RAREST: Final = 2
"""An n-gram that occurs in fewer headlines of the training part is left out."""
STRENGTH: Final = 10.0
"""Inverse of the ridge."""
ROW_SCALE: Final = 0.5
ROUNDS: Final = 500


@dataclass(frozen=True, slots=True)
class Score:
    """How good forecasts were: fractions, log loss in nats, expected calibration error over ten bins."""

    n: int
    accuracy: float
    macro_f1: float
    log_loss: float
    ece: float


@dataclass(frozen=True, slots=True)
class Inputs:
    """All that is read of n headlines: n-gram counts (sparse), lexicon rows (n, ROW), embeddings (n, width or 0)."""

    grams: Any
    rows: Probabilities
    embeddings: Probabilities

    def part(self, index: NDArray[np.int64]) -> Inputs:
        """Some of them."""
        return Inputs(self.grams[index], self.rows[index], self.embeddings[index])


def read_inputs(texts: tuple[str, ...], embeddings: Probabilities | None) -> Inputs:
    """What the stack reads of these headlines; without `embeddings` it does without."""
    from scipy.sparse import csr_matrix

    found = [hashed(text, WORDS, CHARACTERS) for text in texts]
    ends = np.cumsum([0, *(len(places) for places, _ in found)])
    grams = csr_matrix(
        (np.concatenate([counts for _, counts in found]), np.concatenate([places for places, _ in found]), ends),
        shape=(len(texts), 2 * SIZE),
    )
    rows = np.array([row(read(text)) for text in texts])
    return Inputs(grams, rows, np.zeros((len(texts), 0)) if embeddings is None else embeddings)


def fit_stack(inputs: Inputs, labels: NDArray[np.int64]) -> Arrays:
    """The arrays of a `StackModel`, temperature 1. Every class must be there."""
    from sklearn.linear_model import LogisticRegression

    grams = _known_grams(inputs.grams)
    matrix = _matrix(inputs, grams)
    model = LogisticRegression(C=STRENGTH, max_iter=ROUNDS).fit(matrix, labels)
    weights = model.coef_.T.astype(np.float64)
    n, width = len(grams.places), inputs.embeddings.shape[1]
    return {
        "words": np.array(WORDS),
        "characters": np.array(CHARACTERS),
        "places": grams.places.astype(np.int32),
        "idf": grams.idf.astype(np.float32),
        "gram_weights": weights[:n].astype(np.float32),
        "embedding_weights": weights[n : n + width].astype(np.float32),
        "row_weights": (weights[n + width :] * ROW_SCALE).astype(np.float32),
        "bias": model.intercept_.astype(np.float64),
        "temperature": np.ones(1),
    }


def predict_stack(arrays: Arrays, inputs: Inputs) -> Probabilities:
    """Class probabilities (n, 3) of many headlines; what `StackModel` says of each of them."""
    grams = Grams(WORDS, CHARACTERS, arrays["places"].astype(np.int64), arrays["idf"].astype(np.float64))
    logits = _tfidf(inputs.grams, grams) @ arrays["gram_weights"].astype(np.float64)
    logits = logits + inputs.rows @ arrays["row_weights"].astype(np.float64) + arrays["bias"]
    if inputs.embeddings.shape[1]:
        logits = logits + inputs.embeddings @ arrays["embedding_weights"].astype(np.float64)
    return _softmax(logits / arrays["temperature"][0])


def cross_validated(
    inputs: Inputs, labels: NDArray[np.int64], folds: int, seed: int, advance: Progress = lambda done: None
) -> Probabilities:
    """Class probabilities of every headline by a stack fitted without its fold; classes are spread evenly.

    Raises:
        DataProblem: a class has fewer headlines than there are folds.
    """
    from sklearn.model_selection import StratifiedKFold

    counts = np.bincount(labels, minlength=len(CLASSES))
    if counts.min() < folds:
        rare = CLASSES[int(counts.argmin())]
        raise DataProblem(
            f"{int(counts.min())} headlines are {rare}; {folds} folds need at least {folds} of each class"
        )
    out = np.zeros((len(labels), len(CLASSES)))
    for known, held in StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels):
        out[held] = predict_stack(fit_stack(inputs.part(known), labels[known]), inputs.part(held))
        advance(1)
    return out


def temperature(probabilities: Probabilities, labels: NDArray[np.int64]) -> float:
    """The number by which to divide logits so that held-out log loss is least (Guo et al. 2017), 0.2 to 5."""
    logits = np.log(np.maximum(probabilities, 1e-12))
    low, high = math.log(0.2), math.log(5.0)
    golden = (math.sqrt(5.0) - 1.0) / 2.0
    for _ in range(40):
        left, right = high - golden * (high - low), low + golden * (high - low)
        if _loss(_softmax(logits / math.exp(left)), labels) < _loss(_softmax(logits / math.exp(right)), labels):
            high = right
        else:
            low = left
    return math.exp((low + high) / 2.0)


def tempered(probabilities: Probabilities, by: float) -> Probabilities:
    """The same forecasts at another temperature."""
    return _softmax(np.log(np.maximum(probabilities, 1e-12)) / by)


def lexicon_probabilities(texts: tuple[str, ...]) -> Probabilities:
    """What the shipped lexicon says of these headlines."""
    model = LexiconModel()
    return np.array([model.score(text)[1:] for text in texts])


def judge(probabilities: Probabilities, labels: NDArray[np.int64]) -> Score:
    """How good these forecasts were."""
    said = probabilities.argmax(1)
    f1 = []
    for i in range(len(CLASSES)):
        hits = int(((said == i) & (labels == i)).sum())
        total = int((said == i).sum() + (labels == i).sum())
        f1.append(2.0 * hits / total if total else 0.0)
    return Score(
        len(labels), float((said == labels).mean()), float(np.mean(f1)), _loss(probabilities, labels),
        _calibration_error(probabilities, labels),
    )  # fmt: skip


def _calibration_error(probabilities: Probabilities, labels: NDArray[np.int64]) -> float:
    sure, right = probabilities.max(1), probabilities.argmax(1) == labels
    bins = np.minimum((sure * 10).astype(int), 9)
    gaps = [abs(float(sure[bins == b].sum() - right[bins == b].sum())) for b in range(10)]
    return sum(gaps) / len(labels)


def _known_grams(counts: Any) -> Grams:
    documents = np.bincount(counts.indices, minlength=counts.shape[1])
    places = np.flatnonzero(documents >= RAREST)
    idf = np.log((1.0 + counts.shape[0]) / (1.0 + documents[places])) + 1.0
    # The artifact keeps them in single precision; what is judged is what is served.
    return Grams(WORDS, CHARACTERS, places.astype(np.int64), idf.astype(np.float32).astype(np.float64))


def _tfidf(counts: Any, grams: Grams) -> Any:
    from scipy.sparse import hstack
    from sklearn.preprocessing import normalize

    weighted = counts[:, grams.places].multiply(grams.idf).tocsr()
    words = int(np.searchsorted(grams.places, SIZE))
    return hstack([normalize(weighted[:, :words]), normalize(weighted[:, words:])]).tocsr()


def _matrix(inputs: Inputs, grams: Grams) -> Any:
    from scipy.sparse import csr_matrix, hstack

    parts = [_tfidf(inputs.grams, grams), csr_matrix(inputs.embeddings), csr_matrix(inputs.rows * ROW_SCALE)]
    return hstack(parts).tocsr()


def _softmax(logits: Probabilities) -> Probabilities:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    out: Probabilities = powers / powers.sum(1, keepdims=True)
    return out


def _loss(probabilities: Probabilities, labels: NDArray[np.int64]) -> float:
    return float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-12)).mean())


def check(data: Labelled, folds: int) -> None:
    """Raises DataProblem when there is too little to fit on."""
    counts = data.counts()
    for name, count in counts.items():
        if count < folds:
            raise DataProblem(f"{data.path}: {count} headlines are {name}; {folds} folds need at least {folds} of each")
