"""Which model reads headlines: the best that is there; one that is missing is a note, never an error or a download."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from libs.core.agents.sentiment_lexicon import LexiconModel
from libs.core.agents.sentiment_model import SentimentModel
from libs.research.training.sentiment.artifact import ArtifactProblem, load_stack
from libs.research.training.sentiment.classifier import ClassifierProblem, LocalClassifier


def open_model(folder: Path | None, classifier: Path | None) -> tuple[SentimentModel, list[str]]:
    """The first that opens, and why those before it did not.

    Order: a local classifier (FinBERT) in the folder `classifier`; the trained stack in `folder` with sentence
    embeddings; the same without; the lexicon.
    """
    tries: list[Callable[[], SentimentModel]] = []
    if classifier is not None:
        tries.append(lambda: LocalClassifier(classifier))
    if folder is not None:
        tries.append(lambda: load_stack(folder, embeddings=True))
        tries.append(lambda: load_stack(folder, embeddings=False))
    notes: list[str] = []
    for attempt in tries:
        try:
            return attempt(), notes
        except (ArtifactProblem, ClassifierProblem) as err:
            note = str(err)
        except ImportError as err:
            note = f"{err.name or err} is not installed (extra sentiment)"
        if note not in notes:
            notes.append(note)
    return LexiconModel(), notes
