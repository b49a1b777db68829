"""A headline worker that does what the headline says: crash, hang, talk nonsense; `once` in it only the first time."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def misbehave(text: str, marks: Path) -> bool:
    """Whether to answer after all."""
    mark = marks / text.replace(" ", "_")
    if "once" in text and mark.exists():
        return True
    mark.touch()
    if "crash" in text:
        sys.exit(3)
    if "hang" in text:
        time.sleep(3600)
    if "nonsense" in text:
        sys.stdout.write("Segmentation fault\n")
        sys.stdout.flush()
        return False
    return True


def main() -> None:
    marks = Path(sys.argv[1])
    starts = marks / "starts"
    draft = marks / "starts.new"
    draft.write_text(str(int(starts.read_text()) + 1 if starts.exists() else 1))
    draft.replace(starts)
    if (marks / "no_start").exists():
        sys.exit(1)
    sys.stdout.write(json.dumps({"model_id": "fake.1", "notes": []}) + "\n")
    sys.stdout.flush()
    for line in sys.stdin:
        asked = json.loads(line)
        if misbehave(asked["text"], marks):
            score = float("nan") if "nan" in asked["text"].split() else 0.5
            said = {"n": asked["n"], "score": score, "p_down": 0.1, "p_neutral": 0.3, "p_up": 0.6, "us": 100.0}
            sys.stdout.write(json.dumps(said) + "\n")
            sys.stdout.flush()


main()
