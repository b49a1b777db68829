"""A small world for the council: bars with a planted echo, tiny models that know it, and a shelf of them."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import msgspec
import numpy as np

from libs.core.agents.artifact import Artifact, ArtifactRefused, Calibrator, Manifest, make_artifact, pack, unpack
from libs.core.agents.council_config import CouncilConfig
from libs.core.agents.model import LOADERS, Floats, MakeSession, Model, Said, Seen, load_model, said
from libs.core.features import feature_set
from libs.core.features.engine import FeatureEngine
from libs.core.stages.predict import PredictConfig, PredictStage, SeriesConfig
from libs.core.types import (
    SECOND,
    Bar,
    Event,
    Features,
    FeedHealth,
    Forecast,
    ModelNote,
    ModelSwap,
    Role,
    Warmup,
    stable_id,
)

START = 1_790_000_040
STEP = 60
SET = feature_set("core20")
SERIES = SeriesConfig(venue="binance", symbol="ECHO", interval_s=STEP)
CONFIG = PredictConfig(series=(SERIES,), agents=("volatility", "direction", "trend"))


class EchoModel:
    """Says that the newest return comes back `echo` times, with a momentum of its own as carried state.

    `carry`: share of the state that stays, 0 = none; `novel`: novelty above which a return in deviations is strange.
    """

    def __init__(self, artifact: Artifact) -> None:
        self.manifest: Manifest = artifact.manifest
        params = self.manifest.params
        self._echo, self._carry, self._novel = params["echo"], params.get("carry", 0.0), params.get("novel", 1e9)
        self._raises = params.get("raises", False)
        self.state_size = 1

    def start(self, state: Floats, seen: Seen) -> None:
        for r in seen.returns[0]:
            state[0] = self._carry * state[0] + (0.0 if math.isnan(r) else r)

    def say(self, states: Floats, seen: Seen) -> Said:
        if self._raises:
            raise RuntimeError("the graph is broken")
        newest = np.nan_to_num(seen.returns[:, -1])
        states[:, 0] = self._carry * states[:, 0] + newest
        sigma = seen.rows[:, -1, 0]
        with np.errstate(all="ignore"):
            z = self._echo * states[:, 0] / sigma
            novelty = np.abs(newest / sigma) / self._novel
        up = 0.5 * (1.0 + np.vectorize(math.erf)(z / math.sqrt(2.0)))
        neutral = np.where(np.isnan(up), np.nan, 0.34)
        p = np.column_stack([(1.0 - neutral) * (1.0 - up), neutral, (1.0 - neutral) * up])
        return said(p=p, novelty=novelty)

    def history(self, rows: Floats, returns: Floats, bars: Floats, time: Any) -> Said:
        raise NotImplementedError


def _load(artifact: Artifact, make_session: MakeSession) -> Model:
    return EchoModel(artifact)


LOADERS["trend.test"] = _load


class Shelf:
    """Artifacts by the SHA-256 of their blobs."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    def __call__(self, sha256: str) -> Model:
        if sha256 not in self.blobs:
            raise ArtifactRefused(f"model {sha256[:12]} is not here")

        def no_session(graph: bytes) -> Any:
            raise ArtifactRefused("no graphs here")

        return load_model(unpack(self.blobs[sha256]), no_session)

    def put(self, echo: float = 0.3, *, params: dict[str, Any] | None = None, **fields: Any) -> ModelSwap:
        """Keep a model; the swap that makes it champion of the trend agent."""
        plain: dict[str, Any] = {
            "agent": "trend",
            "kind": "test",
            "venue": "binance",
            "symbol": "ECHO",
            "interval_s": STEP,
            "set_hash": SET.hash,
            "features": ("ewma_vol",),
            "returns": 5,
            "trained_from": 0,
            "trained_to": START * SECOND,
            "data_hash": "",
            "samples": 1000,
            "climatology": (0.33, 0.34, 0.33),
            "calibrator": Calibrator(id="none", rows=1000),
            "conformal": (0.7, 1.3, 1.7),
            "metrics": {
                "calibration_side_gain": 0.01,
                "calibration_side_gain_sd": 0.1,
                "calibration_moves": 4000.0,
            },
        }
        manifest = Manifest(**{**plain, "params": {"echo": echo, **(params or {})}, **fields})
        artifact = make_artifact(manifest, {"part": b"x"})
        blob = pack(artifact)
        sha256 = hashlib.sha256(blob).hexdigest()
        self.blobs[sha256] = blob
        return ModelSwap(
            id=stable_id("swap", sha256),
            ts_event=START * SECOND,
            agent=manifest.agent,
            venue="binance",
            symbol="ECHO",
            interval_s=STEP,
            role=Role.CHAMPION,
            model_id=artifact.manifest.model_id,
            sha256=sha256,
            reason="trained",
        )


def asked(swap: ModelSwap, role: Role, again: int = 0) -> ModelSwap:
    """The same model in another role."""
    return msgspec.structs.replace(swap, role=role, id=stable_id(swap.id, role, again))


def echo_bars(count: int, echo: float = 0.3, seed: int = 1, turn: int = 1 << 60) -> list[Bar]:
    """Bars whose return is `echo` times the last one and noise; from bar `turn` on the echo has the other sign."""
    rng = np.random.Generator(np.random.PCG64(seed))
    close, last, made = 1000.0, 0.0, []
    for i in range(count):
        last = (echo if i < turn else -echo) * last + 1e-3 * float(rng.standard_normal())
        new = close * math.exp(last)
        made.append(
            Bar(
                id=f"echo-{i}",
                ts_event=(START + (i + 1) * STEP) * SECOND,
                venue="binance",
                symbol="ECHO",
                interval_s=STEP,
                open_time=(START + i * STEP) * SECOND,
                open=close,
                high=max(close, new),
                low=min(close, new),
                close=new,
                volume=1.0,
            )
        )
        close = new
    return made


def vectors(bars: list[Bar]) -> list[Features]:
    engine = FeatureEngine("binance", "ECHO", STEP, SET)
    return [vector for bar in bars if (vector := engine.update(bar)) is not None]


def warmup(bars: list[Bar]) -> Warmup:
    return Warmup(
        id="warmup",
        ts_event=bars[-1].ts_event,
        venue="binance",
        symbol="ECHO",
        interval_s=STEP,
        bars=tuple(bars),
    )


def healthy(stage: PredictStage, at: int = START * SECOND) -> None:
    stage.apply(FeedHealth(id="healthy", ts_event=at, venue="binance", symbol="ECHO", score=1.0), 0)


def council(shelf: Shelf, warm: list[Bar], config: PredictConfig = CONFIG, **judged: Any) -> PredictStage:
    """A stage with this history and a healthy feed."""
    if judged:
        config = msgspec.structs.replace(config, council=CouncilConfig(**judged))
    stage = PredictStage(config, shelf)
    if warm:
        stage.apply(warmup(warm), 0)
    healthy(stage)
    return stage


def forecasts(outputs: Any, shadow: bool = False) -> dict[str, Forecast]:
    """By agent."""
    return {o.agent: o for o in outputs if isinstance(o, Forecast) and o.shadow is shadow}


def notes(outputs: Any) -> list[ModelNote]:
    return [o for o in outputs if isinstance(o, ModelNote)]


def run(stage: PredictStage, inputs: list[Event]) -> list[Event]:
    return [output for event in inputs for output in stage.apply(event, 7)]
