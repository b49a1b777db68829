"""The models of one agent on one series: the champion who speaks, its predecessor, and challengers in shadow."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from libs.core.agents.artifact import ArtifactRefused
from libs.core.agents.base import Hold, Series, said
from libs.core.agents.council_config import CouncilConfig
from libs.core.agents.council_seat import META, Opinion, SavedSeat, Seat, Tapes
from libs.core.agents.drift_ladder import Step
from libs.core.agents.model import Model
from libs.core.agents.tracks import Outcome
from libs.core.features import FeatureSet
from libs.core.types import Features, Forecast, ModelNote, ModelSwap, Nanos, NoteKind, Role, stable_id

Artifacts = Callable[[str], Model]
"""SHA-256 of an artifact to its model; raises ArtifactRefused when there is none, or it cannot be used."""


def no_artifacts(sha256: str) -> Model:
    """Where no models are kept."""
    raise ArtifactRefused(f"model {sha256[:12]} cannot be found: no models are kept here")


class SavedBench(msgspec.Struct, frozen=True, array_like=True):
    """A bench as bytes hold it."""

    champion: SavedSeat | None
    previous: SavedSeat | None
    challengers: tuple[SavedSeat, ...]


class Bench:
    """Who of an agent's models does what on one series."""

    def __init__(
        self, agent: str, series: Series, features: FeatureSet, config: CouncilConfig, artifacts: Artifacts
    ) -> None:
        self._agent, self._series, self._features = agent, series, features
        self._config, self._artifacts = config, artifacts
        self.champion: Seat | None = None
        self.previous: Seat | None = None
        self.challengers: list[Seat] = []

    def swap(self, swap: ModelSwap, tapes: Tapes, at: Nanos) -> list[ModelNote]:
        """Give a model its role from the next bar on; a repeat changes nothing and is told in the same words.

        What is told depends on the swap alone, not on the bar: after a kill the swap comes again, perhaps later.
        """
        try:
            match swap.role:
                case Role.CHAMPION:
                    return self._crown(swap, tapes, at)
                case Role.CHALLENGER:
                    return self._challenge(swap, tapes, at)
                case Role.RETIRED:
                    return self._retire(swap, at)
        except ArtifactRefused as err:
            return self.refuse(swap, at, str(err))

    def refuse(self, swap: ModelSwap, at: Nanos, why: str) -> list[ModelNote]:
        """Tell that a model is not taken up."""
        return [self._note(NoteKind.REFUSED, swap.model_id, swap.ts_event, swap.id, detail=why)]

    def hear(self, tapes: Tapes) -> None:
        """Let every model in service take the newest bar."""
        for seat in self._serving():
            seat.hear(tapes)

    def hear_votes(self, tapes: Tapes, votes: Mapping[str, Opinion]) -> None:
        """The same for stacked models, which read what the others think."""
        for seat in self._serving():
            seat.hear(tapes, votes)

    def settle(self, outcome: Outcome, tapes: Tapes, at: Nanos) -> list[ModelNote]:
        """Judge what was said of the bar that closed: records, drift, and whether a challenger won."""
        notes: list[ModelNote] = []
        champion = self.champion
        loss = math.nan
        if champion is not None:
            loss = champion.settle(outcome)
            step = champion.watch(loss, tapes)
            if step is not None:
                notes.append(self._stepped(champion, step, at))
        for challenger in self.challengers:
            other = challenger.settle(outcome)
            if math.isfinite(loss) and math.isfinite(other):
                challenger.duel.take(loss, other)
        return [*notes, *self._judge(at)]

    def restart(self, tapes: Tapes) -> None:
        """Begin anew from these bars, with the records kept."""
        for seat in self._serving():
            seat.start(tapes)

    def shadows(self, newest: Features, hold: Hold | None, usual: float, ts_init: Nanos) -> list[Forecast]:
        """What the challengers say, marked as such."""
        forecasts = []
        for seat in self.challengers:
            fields = seat.fields(hold, newest.warm, usual)
            if not fields.get("detail"):
                fields["detail"] = f"wealth {seat.duel.wealth:.2f} after {seat.duel.bars} bars"
            forecasts.append(said(self._agent, seat.model_id, newest, ts_init, shadow=True, **fields))
        return forecasts

    def info(self) -> dict[str, Any]:
        """Who serves, for people."""
        return {
            "champion": self.champion.model_id if self.champion else None,
            "previous": self.previous.model_id if self.previous else None,
            "challengers": {seat.model_id: seat.duel.wealth for seat in self.challengers},
        }

    def snapshot(self) -> SavedBench | None:
        """None when nobody sits here."""
        if self.champion is None and self.previous is None and not self.challengers:
            return None
        return SavedBench(
            self.champion.snapshot() if self.champion else None,
            self.previous.snapshot() if self.previous else None,
            tuple(seat.snapshot() for seat in self.challengers),
        )

    def restore(self, saved: SavedBench) -> None:
        """Take up a snapshot. Raises ValueError (ArtifactRefused) when a model of it cannot be had."""
        self.champion = self._restored(saved.champion) if saved.champion else None
        self.previous = self._restored(saved.previous) if saved.previous else None
        self.challengers = [self._restored(seat) for seat in saved.challengers]

    def _restored(self, saved: SavedSeat) -> Seat:
        seat = Seat(self._artifacts(saved.sha256), saved.sha256, self._features, self._config)
        seat.restore(saved)
        return seat

    def _serving(self) -> list[Seat]:
        return [*([self.champion] if self.champion else []), *self.challengers]

    def _crown(self, swap: ModelSwap, tapes: Tapes, at: Nanos) -> list[ModelNote]:
        told = self._note(NoteKind.SWAPPED, swap.model_id, swap.ts_event, swap.id, detail=swap.reason)
        if self.champion is not None and self.champion.sha256 == swap.sha256:
            return [told]
        seat = next((seat for seat in self.challengers if seat.sha256 == swap.sha256), None)
        if seat is None:
            if self.previous is not None and self.previous.sha256 == swap.sha256:
                seat = self.previous
                seat.start(tapes)
            else:
                seat = self._seated(swap, tapes)
        self._enthrone(seat)
        return [told]

    def _challenge(self, swap: ModelSwap, tapes: Tapes, at: Nanos) -> list[ModelNote]:
        told = self._note(NoteKind.SWAPPED, swap.model_id, swap.ts_event, swap.id, detail=f"challenger: {swap.reason}")
        if any(seat.sha256 == swap.sha256 for seat in self._serving()):
            return [told]
        if len(self.challengers) >= self._config.challengers:
            raise ArtifactRefused(f"{len(self.challengers)} challengers sit there already; retire one first")
        seat = self._seated(swap, tapes)
        self.challengers.append(seat)
        return [told]

    def _retire(self, swap: ModelSwap, at: Nanos) -> list[ModelNote]:
        found = [seat for seat in (*self._serving(), self.previous) if seat and seat.sha256 == swap.sha256]
        for seat in found:
            self._leave(seat)
        return [
            self._note(NoteKind.RETIRED, seat.model_id, swap.ts_event, swap.id, detail=swap.reason)
            for seat in found[:1]
        ]

    def _leave(self, seat: Seat) -> None:
        self.challengers = [other for other in self.challengers if other is not seat]
        if self.champion is seat:
            self.champion = None
            self._new_duels()
        if self.previous is seat:
            self.previous = None

    def _enthrone(self, seat: Seat) -> None:
        self.challengers = [other for other in self.challengers if other is not seat]
        self.previous, self.champion = self.champion, seat
        self._new_duels()

    def _new_duels(self) -> None:
        """What was bet was bet on another champion."""
        for seat in self._serving():
            seat.duel = type(seat.duel)()

    def _seated(self, swap: ModelSwap, tapes: Tapes) -> Seat:
        model = self._artifacts(swap.sha256)
        manifest, series = model.manifest, self._series
        if manifest.agent != self._agent:
            raise ArtifactRefused(f"it is a model of agent {manifest.agent}, not of {self._agent}")
        trained, here = (manifest.symbol, manifest.interval_s), (series.symbol, series.interval_s)
        if trained != here and not self._config.foreign_models:
            raise ArtifactRefused(f"it was trained on {trained[0]} {trained[1]} s, not on {here[0]} {here[1]} s")
        if self._agent != META and manifest.features and manifest.set_hash != self._features.hash:
            raise ArtifactRefused(f"it reads feature set {manifest.set_hash[:12]}, here is {self._features.hash[:12]}")
        if swap.model_id and manifest.model_id != swap.model_id:
            raise ArtifactRefused(f"the artifact holds {manifest.model_id}, not {swap.model_id}")
        seat = Seat(model, swap.sha256, self._features, self._config)
        seat.try_out(tapes)
        seat.start(tapes)
        return seat

    def _judge(self, at: Nanos) -> list[ModelNote]:
        if not self.challengers:
            return []
        # Each of k tests may err with alpha / k, so that all of them together err with alpha at most.
        alpha = self._config.false_promotion / self._config.challengers
        best = max(self.challengers, key=lambda seat: seat.duel.log_wealth)
        if self.champion is None or not best.duel.won(alpha):
            return []
        beaten, wealth, bars = self.champion.model_id, best.duel.wealth, best.duel.bars
        self._enthrone(best)
        detail = f"it took the place of {beaten} after {bars} bars"
        return [self._note(NoteKind.PROMOTED, best.model_id, at, beaten, wealth, 1.0 / alpha, detail)]

    def _stepped(self, seat: Seat, step: Step, at: Nanos) -> ModelNote:
        if step.kind is NoteKind.RETIRED:
            self._leave(seat)
        return self._note(step.kind, seat.model_id, at, "", step.statistic, step.threshold, step.detail)

    def _note(
        self, kind: NoteKind, model_id: str, at: Nanos, cause: str, statistic: float = 0.0, threshold: float = 0.0,
        detail: str = "",
    ) -> ModelNote:  # fmt: skip
        series = self._series
        return ModelNote(
            id=stable_id("note", kind, self._agent, *series, model_id, at, cause),
            cause=(cause,) if cause else (),
            ts_event=at,
            kind=kind,
            agent=self._agent,
            venue=series.venue,
            symbol=series.symbol,
            interval_s=series.interval_s,
            model_id=model_id,
            statistic=statistic,
            threshold=threshold,
            detail=detail,
        )
