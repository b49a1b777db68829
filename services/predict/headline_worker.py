"""The process that reads headlines: one JSON line in, one out; python -m services.predict.headline_worker FOLDER DIR"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import IO, Any


def answer(model: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """What the model says of one headline; `us` is how long it took, microseconds."""
    begun = time.perf_counter_ns()
    said = model.score(str(asked["text"]))
    return {"n": asked["n"], **said._asdict(), "us": (time.perf_counter_ns() - begun) / 1e3}


def serve(folder: str, classifier: str, out: IO[str]) -> None:
    """Say which model serves, then answer until the input ends."""
    from services.predict.headline_models import open_model

    model, notes = open_model(Path(folder) if folder else None, Path(classifier) if classifier else None)
    model.score("Shares rise after profit beats estimates")
    _say(out, {"model_id": model.model_id, "notes": notes})
    for line in sys.stdin:
        _say(out, answer(model, json.loads(line)))


def _say(out: IO[str], message: dict[str, Any]) -> None:
    out.write(json.dumps(message) + "\n")
    out.flush()


if __name__ == "__main__":
    # What libraries print must not get among the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    os.environ.update(OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1")
    with contextlib.suppress(OSError, AttributeError):
        os.nice(5)  # bars come first
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: even one that hangs does not outlive predict
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        serve(sys.argv[1], sys.argv[2], answers)
