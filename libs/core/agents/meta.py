"""The meta-agent: the agents' direction votes weighed into one forecast, with what could go wrong beside it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from libs.core.agents.base import said
from libs.core.agents.tracks import Probabilities
from libs.core.types import Abstention, Features, Forecast, Nanos, Vote, stable_id

NAME: Final = "meta"
VERSION: Final = 2
MEAN_SIZE: Final = math.sqrt(2.0 / math.pi)
"""Mean absolute value of a standard normal variable: the expected size of a move in deviations."""

Combine = Literal["simple", "confidence", "learned"]
Conflict = Literal["abstain", "best"]


@dataclass(frozen=True, slots=True)
class Context:
    """What the meta-agent weighs votes by and speaks of beside them.

    Attributes:
        trust: per agent what its vote is multiplied by, from its rolling calibration; absent = 1.
        learned: probabilities of the stacked model, None without one; learned_id: which.
        sigma: forecast deviation of the next log return (usual: what it has been of late), 0 = unknown.
        width: deviations that should hold the next return four times in five, 0 = unknown.
        extra: further fields of the forecast, such as its calibrator.
    """

    trust: Mapping[str, float] = field(default_factory=dict)
    learned: Probabilities | None = None
    learned_id: str = ""
    sigma: float = 0.0
    usual: float = 0.0
    width: float = 0.0
    extra: Mapping[str, Any] = field(default_factory=dict)


PLAIN: Final = Context()


class MetaAgent:
    """Weighted vote of the agents that have a direction.

    Weights are the voters' confidences times the trust that their rolling calibration earns (equal ones in `simple`),
    summing to 1. The majority is the side (up or down) with more weight; disagreement is the weight outside it.
    Confidence = (1 - disagreement) x the larger of P(up) and P(down), the weighted means (`learned`: the stacked
    model's) renormalised without neutral. It speaks from `min_confidence` on and up to `max_disagreement`; beyond that
    it abstains, or, with conflict `best`, the voter of most weight speaks alone.
    """

    name = NAME

    def __init__(
        self, directional: Sequence[str], min_confidence: float, max_disagreement: float,
        combine: Combine = "confidence", conflict: Conflict = "abstain",
    ) -> None:  # fmt: skip
        """`directional`: names of the agents whose silence leaves it without a vote."""
        self._directional = frozenset(directional)
        self._min_confidence = min_confidence
        self._max_disagreement = max_disagreement
        self._combine, self._conflict = combine, conflict
        settings = (min_confidence, max_disagreement, combine, conflict)
        self.model_id = f"{NAME}.{VERSION}:{stable_id(*settings)[:8]}"

    def combine(
        self, newest: Features, forecasts: Sequence[Forecast], ts_init: Nanos, context: Context = PLAIN
    ) -> Forecast:
        """The joint forecast of one series from all that its agents said about the same bar."""
        return self.joint(newest, forecasts, ts_init, context)[0]

    def joint(
        self, newest: Features, forecasts: Sequence[Forecast], ts_init: Nanos, context: Context = PLAIN
    ) -> tuple[Forecast, Probabilities | None]:
        """The same, and the joint probabilities whether it speaks or not; None without voters."""
        voters = [f for f in forecasts if f.p_up is not None and f.p_down is not None and f.confidence > 0.0]
        cause = (newest.id, *(voter.id for voter in voters))
        p: Probabilities | None = None
        if voters:
            fields, p = self._weigh(voters, context)
        else:
            fields = self._silence(forecasts)
        model_id = f"{self.model_id}:{context.learned_id}" if context.learned_id else self.model_id
        fields = {**fields, **_scale(context, p), **context.extra, "risk": _risk(forecasts, voters, fields, context)}
        heard = tuple(forecast.id for forecast in forecasts)
        return said(NAME, model_id, newest, ts_init, cause=cause, heard=heard, **fields), p

    def _silence(self, forecasts: Sequence[Forecast]) -> dict[str, Any]:
        silent = [f for f in forecasts if f.agent in self._directional and f.abstention is not None]
        if not silent:
            return {"abstention": Abstention.NO_MODEL, "detail": "no agent with a direction is configured"}
        # One reason for all voters, else the commonest; ties go to the agent named first. An agent that nobody has
        # trained yet has nothing to say about those that were asked.
        asked = [f for f in silent if f.abstention is not Abstention.NO_MODEL] or silent
        reason = Counter(f.abstention for f in asked).most_common(1)[0][0]
        detail = "no votes: " + ", ".join(f"{f.agent} {f.abstention}" for f in silent)
        return {"abstention": reason, "detail": detail}

    def _weights(self, voters: Sequence[Forecast], context: Context) -> list[float]:
        if self._combine == "simple":
            return [1.0 / len(voters)] * len(voters)
        raw = [max(voter.confidence * context.trust.get(voter.agent, 1.0), 1e-9) for voter in voters]
        return [weight / sum(raw) for weight in raw]

    def _weigh(self, voters: Sequence[Forecast], context: Context) -> tuple[dict[str, Any], Probabilities]:
        votes = tuple(
            Vote(
                agent=voter.agent,
                forecast_id=voter.id,
                weight=weight,
                p_up=voter.p_up or 0.0,
                p_down=voter.p_down or 0.0,
            )
            for voter, weight in zip(voters, self._weights(voters, context), strict=True)
        )
        for_up = sum(vote.weight for vote in votes if vote.p_up > vote.p_down)
        for_down = sum(vote.weight for vote in votes if vote.p_down > vote.p_up)
        disagreement = max(0.0, 1.0 - max(for_up, for_down))
        up = sum(vote.weight * vote.p_up for vote in votes)
        down = sum(vote.weight * vote.p_down for vote in votes)
        if self._combine == "learned" and context.learned is not None:
            down, _, up = context.learned
        torn = disagreement > self._max_disagreement
        if torn and self._conflict == "best":
            best = max(votes, key=lambda vote: vote.weight)
            down, up = best.p_down, best.p_up
        p = (down, max(0.0, 1.0 - up - down), up)
        certain = max(up, down) / (up + down) if up + down > 0.0 else 0.5
        confidence = (1.0 - disagreement) * certain
        if torn and self._conflict == "best":
            confidence = certain
        said_so = {"votes": votes, "disagreement": disagreement, "confidence": confidence}
        if torn and self._conflict == "abstain":
            detail = f"disagreement {disagreement:.2f} above {self._max_disagreement:.2f}"
            return {"abstention": Abstention.DISAGREEMENT, "detail": detail, **said_so}, p
        if confidence < self._min_confidence:
            detail = f"confidence {confidence:.2f} below {self._min_confidence:.2f}"
            return {"abstention": Abstention.LOW_CONFIDENCE, "detail": detail, **said_so}, p
        return {"p_down": p[0], "p_neutral": p[1], "p_up": p[2], **said_so}, p


def _scale(context: Context, p: Probabilities | None) -> dict[str, Any]:
    """How far the next bar may go, as far as that is known."""
    sigma = context.sigma or context.usual
    fields: dict[str, Any] = {}
    if not (sigma > 0.0 and math.isfinite(sigma)):
        return fields
    fields["sigma"] = sigma
    if p is not None and p[0] != p[2]:
        fields["magnitude"] = math.copysign(MEAN_SIZE * sigma, p[2] - p[0])
    if context.width > 0.0:
        fields |= {"low": -context.width * sigma, "high": context.width * sigma}
    return fields


def _risk(
    forecasts: Sequence[Forecast], voters: Sequence[Forecast], fields: Mapping[str, Any], context: Context
) -> str:
    """One line: regime, volatility against usual, how the votes lie, who is silent for lack of trust."""
    parts = []
    for forecast in forecasts:
        if forecast.state is not None and forecast.p_state:
            parts.append(f"regime {forecast.state} at {forecast.p_state[forecast.state]:.2f}")
            break
    if context.sigma > 0.0 and context.usual > 0.0:
        parts.append(f"volatility {context.sigma / context.usual:.1f} times the usual")
    if voters:
        parts.append(f"{len(voters)} vote{'s' if len(voters) > 1 else ''}, disagreement {fields['disagreement']:.2f}")
    drifting = [f.agent for f in forecasts if f.abstention is Abstention.DRIFT]
    if drifting:
        parts.append("drift: " + ", ".join(drifting))
    strange = [f.agent for f in forecasts if f.abstention is Abstention.OUT_OF_DISTRIBUTION]
    if strange:
        parts.append("never seen the like: " + ", ".join(strange))
    return "; ".join(parts)
