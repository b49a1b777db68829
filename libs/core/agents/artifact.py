"""A trained model as it travels: what it is and where it comes from (the manifest), and its parts as bytes."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from libs.core.types import Nanos

FORMAT: Final = "conclave-model-1"


class ArtifactRefused(ValueError):
    """Bytes that are no artifact, or one that does not match what it says of itself; one line for people."""


class Calibrator(msgspec.Struct, frozen=True, kw_only=True):
    """What turns a model's probabilities into ones that come true, apart for whether the price moves and where to.

    The log odds of neutral become log odds / temperature + shift; those of up against down are multiplied by side.

    Attributes:
        id: identity, from the slice that it was fitted on.
        ece: expected calibration error on that slice after calibration; rows: how many bars it had.
    """

    id: str
    temperature: float = 1.0
    shift: float = 0.0
    side: float = 1.0
    ece: float = 0.0
    rows: int = 0


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a model without running it.

    Attributes:
        agent: trend, volatility, pattern, regime, boosting, digits, sentiment or meta; kind: which model of it.
        venue, symbol, interval_s: the series that it was trained on.
        set_hash: identity of the feature set; features: the names that it reads, in its order.
        rows, returns, bars: newest feature vectors, log returns and bars that it looks at.
        memory: bars after which a run that started later says the same.
        trained_from, trained_to: first and last moment of the data used to fit, calibrate or tune, ns UTC; the last is
            the end of the newest bar whose label was known.
        data_hash: SHA-256 of those bars. samples: bars fitted on; sampling: how they were chosen, in words.
        climatology: shares of down, neutral, up in the training part; climatology_2c: share of up among moves.
        center, scale: of each feature, from the fitted rows; clipped to +-clip after scaling.
        folds, metrics: of the walk-forward, plain values. params: of the model and its training.
        conformal: half widths in forecast deviations that held for 50, 80 and 90 % of the calibration slice.
        seed, code, trials, created: seed, version of the code, trials in the ledger so far, machine time (ns).
        parts: name of each part to its SHA-256.
    """

    format: str = FORMAT
    agent: str
    kind: str
    venue: str
    symbol: str
    interval_s: int
    set_hash: str
    features: tuple[str, ...] = ()
    rows: int = 1
    returns: int = 0
    bars: int = 0
    memory: int = 0
    trained_from: Nanos
    trained_to: Nanos
    data_hash: str
    samples: int
    sampling: str = "all"
    climatology: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)
    climatology_2c: float = 0.5
    center: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    clip: float = 10.0
    calibrator: Calibrator | None = None
    conformal: tuple[float, ...] = ()
    folds: tuple[dict[str, Any], ...] = ()
    metrics: dict[str, float] = {}
    params: dict[str, Any] = {}
    seed: int = 0
    code: str = ""
    trials: int = 0
    created: Nanos = 0
    parts: dict[str, str] = {}

    @property
    def model_id(self) -> str:
        """Identity: agent, kind and a hash of everything above."""
        digest = hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()
        return f"{self.agent}.{self.kind}:{digest[:16]}"


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest, its parts, and who vouches for both (Ed25519 over `signing_bytes`)."""

    manifest: Manifest
    parts: dict[str, bytes]
    key_id: str = ""
    signature: bytes = b""

    def signing_bytes(self) -> bytes:
        """What is signed: the manifest, which names the hash of every part."""
        return FORMAT.encode() + b"\0" + msgspec.json.encode(self.manifest, order="sorted")


def make_artifact(manifest: Manifest, parts: dict[str, bytes]) -> Artifact:
    """An unsigned artifact whose manifest names these parts."""
    hashes = {name: hashlib.sha256(part).hexdigest() for name, part in sorted(parts.items())}
    return Artifact(manifest=msgspec.structs.replace(manifest, parts=hashes), parts=parts)


def pack(artifact: Artifact) -> bytes:
    """One blob for a store or a file."""
    return msgspec.msgpack.encode(artifact)


def unpack(blob: bytes) -> Artifact:
    """The artifact of a blob; the signature is for others to judge.

    Raises:
        ArtifactRefused: it is cut short, of another format, or a part is not the one that the manifest names.
    """
    try:
        artifact = msgspec.msgpack.decode(blob, type=Artifact)
    except msgspec.MsgspecError as err:
        raise ArtifactRefused(f"not a model artifact: {err}") from None
    manifest = artifact.manifest
    if manifest.format != FORMAT:
        raise ArtifactRefused(f"a model of format {manifest.format!r}; this version reads {FORMAT}")
    if set(manifest.parts) != set(artifact.parts):
        raise ArtifactRefused(f"model {manifest.agent} lacks parts, or has some that its manifest does not name")
    for name, part in artifact.parts.items():
        if hashlib.sha256(part).hexdigest() != manifest.parts[name]:
            raise ArtifactRefused(f"model {manifest.agent}: part {name} is damaged")
    return artifact
