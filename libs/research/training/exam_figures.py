"""An exam as numbers: the council and every agent, each against the climatology of its training range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from libs.research.training.exam import COUNCIL, Judged
from libs.research.training.exam_council import pooled
from libs.research.training.exam_scores import figures, volatility_figures


def figures_of(council: Judged, own: Mapping[str, Judged]) -> dict[str, Any]:
    """{"council": figures, "agents": {name: figures}}: fractions, NaN where undefined.

    `council`: what all agents say after the latest training range. `own`: each alone after its own.
    """
    agents: dict[str, dict[str, float]] = {}
    for name, exam in own.items():
        voice = exam.voices[name]
        agents[name] = figures(voice, exam) if voice.has_direction else {}
        if len(voice.sigma):
            agents[name] |= volatility_figures(voice, exam)
    return {COUNCIL: figures(pooled(council.voices, len(council)), council), "agents": agents}
