"""The meta-agent: the agents' direction votes weighed by their confidence into one forecast."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from libs.core.agents.base import said
from libs.core.types import Abstention, Features, Forecast, Nanos, Vote, stable_id

NAME: Final = "meta"
VERSION: Final = 1


class MetaAgent:
    """Confidence-weighted vote of the agents that have a direction.

    Weights are the voters' confidences, summing to 1. The majority is the side (up or down) with more weight;
    disagreement is the weight outside it. Confidence = (1 - disagreement) x the larger of P(up) and P(down), the
    weighted means renormalised without neutral. It speaks from `min_confidence` on and up to `max_disagreement`.
    """

    name = NAME

    def __init__(self, directional: Sequence[str], min_confidence: float, max_disagreement: float) -> None:
        """`directional`: names of the agents whose silence leaves it without a vote."""
        self._directional = frozenset(directional)
        self._min_confidence = min_confidence
        self._max_disagreement = max_disagreement
        self.model_id = f"{NAME}.{VERSION}:{stable_id(min_confidence, max_disagreement)[:8]}"

    def combine(self, newest: Features, forecasts: Sequence[Forecast], ts_init: Nanos) -> Forecast:
        """The joint forecast of one series from all that its agents said about the same bar."""
        voters = [f for f in forecasts if f.p_up is not None and f.p_down is not None and f.confidence > 0.0]
        cause = (newest.id, *(voter.id for voter in voters))
        fields = self._weigh(voters) if voters else self._silence(forecasts)
        return said(NAME, self.model_id, newest, ts_init, cause=cause, **fields)

    def _silence(self, forecasts: Sequence[Forecast]) -> dict[str, Any]:
        silent = [f for f in forecasts if f.agent in self._directional and f.abstention is not None]
        if not silent:
            return {"abstention": Abstention.NO_MODEL, "detail": "no agent with a direction is configured"}
        # One reason for all voters, else the commonest; ties go to the agent named first.
        reason = Counter(f.abstention for f in silent).most_common(1)[0][0]
        detail = "no votes: " + ", ".join(f"{f.agent} {f.abstention}" for f in silent)
        return {"abstention": reason, "detail": detail}

    def _weigh(self, voters: Sequence[Forecast]) -> dict[str, Any]:
        total = sum(voter.confidence for voter in voters)
        votes = tuple(
            Vote(
                agent=voter.agent,
                forecast_id=voter.id,
                weight=voter.confidence / total,
                p_up=voter.p_up or 0.0,
                p_down=voter.p_down or 0.0,
            )
            for voter in voters
        )
        for_up = sum(vote.weight for vote in votes if vote.p_up > vote.p_down)
        for_down = sum(vote.weight for vote in votes if vote.p_down > vote.p_up)
        disagreement = max(0.0, 1.0 - max(for_up, for_down))
        up = sum(vote.weight * vote.p_up for vote in votes)
        down = sum(vote.weight * vote.p_down for vote in votes)
        certain = max(up, down) / (up + down) if up + down > 0.0 else 0.5
        confidence = (1.0 - disagreement) * certain
        said_so = {"votes": votes, "disagreement": disagreement, "confidence": confidence}
        if disagreement > self._max_disagreement:
            detail = f"disagreement {disagreement:.2f} above {self._max_disagreement:.2f}"
            return {"abstention": Abstention.DISAGREEMENT, "detail": detail, **said_so}
        if confidence < self._min_confidence:
            detail = f"confidence {confidence:.2f} below {self._min_confidence:.2f}"
            return {"abstention": Abstention.LOW_CONFIDENCE, "detail": detail, **said_so}
        return {"p_down": down, "p_neutral": max(0.0, 1.0 - up - down), "p_up": up, **said_so}
