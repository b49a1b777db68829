"""Models of this machine: fetched once, verified, kept under their SHA-256 for the stage and for every replay."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import pkgutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from libs.common.models.store import SHA256, ArtifactStore, ArtifactStoreError, digest, write_whole
from libs.common.onnx import make_session
from libs.core import agents as rooms
from libs.core.agents.artifact import Artifact, ArtifactRefused, unpack
from libs.core.agents.model import Model, Seen, load_model

FOLDER: Final = "models"
AGENTS: Final = ("trend", "volatility", "pattern", "regime", "boosting", "digits", "meta")
"""Agents whose models travel as artifacts; the modules `libs.core.agents.<agent>_*` know the kinds of each."""

Verify = Callable[[Artifact], None]


def models_folder(var: Path) -> Path:
    """Where a stack keeps the models that it took up."""
    return var / FOLDER


def loaded(artifact: Artifact) -> Model:
    """The model of an artifact, its code imported first.

    Raises:
        ArtifactRefused: no such agent or kind, or the parts are not what it wants.
    """
    agent = artifact.manifest.agent
    if agent not in AGENTS:
        raise ArtifactRefused(f"no agent {agent[:40]!r}; there are {', '.join(AGENTS)}")
    for found in pkgutil.iter_modules(rooms.__path__):
        if found.name.startswith(f"{agent}_"):  # its kinds put themselves into the table of loaders
            importlib.import_module(f"{rooms.__name__}.{found.name}")
    return load_model(artifact, make_session)


def _tried(artifact: Artifact) -> Model:
    """The model, after it has answered once: code is imported and kernels are compiled by then."""
    model, manifest = loaded(artifact), artifact.manifest
    seen = Seen(
        rows=np.zeros((1, manifest.rows, len(manifest.features))),
        returns=np.zeros((1, manifest.returns)),
        bars=np.ones((1, manifest.bars, 5)),
        time=np.zeros(1, dtype=np.int64),
    )
    with contextlib.suppress(ValueError, RuntimeError, ArithmeticError, IndexError):  # made-up input may be refused
        model.say(np.zeros((1, model.state_size)), seen)
    return model


class ModelCache:
    """A folder of verified artifacts.

    Args:
        folder: where they are kept. also: folders that are looked into as well (for replays).
        verify: raises ArtifactRefused for an artifact that nobody vouches for; None where it was verified before.
    """

    def __init__(self, folder: Path, verify: Verify | None = None, also: Sequence[Path] = ()) -> None:
        self._folders = (folder, *also)
        self._verify = verify
        self._prepared: dict[str, Model] = {}

    def __call__(self, sha256: str) -> Model:
        """See `model`."""
        return self.model(sha256)

    def model(self, sha256: str) -> Model:
        """The model of a kept artifact.

        Raises:
            ArtifactRefused: it is not kept, damaged, not vouched for, or was refused when it was fetched.
        """
        prepared = self._prepared.pop(sha256, None)
        return prepared if prepared is not None else loaded(self.artifact(sha256))

    async def prepare(self, store: ArtifactStore, sha256: str) -> None:
        """Fetch a model and do in a thread what takes time the first time, so that no bar waits for it.

        Raises:
            ArtifactRefused, ArtifactStoreError: as `fetch`.
        """
        artifact = await self.fetch(store, sha256)
        self._prepared[sha256] = await asyncio.to_thread(_tried, artifact)

    def artifact(self, sha256: str) -> Artifact:
        """A kept artifact. Raises ArtifactRefused."""
        if not SHA256.fullmatch(sha256):
            raise ArtifactRefused("a model is named by the SHA-256 of its bytes")
        for folder in self._folders:
            try:
                return self._checked(sha256, (folder / sha256).read_bytes())
            except OSError:
                continue
        for folder in self._folders:
            try:
                raise ArtifactRefused((folder / f"{sha256}.refused").read_text(encoding="utf-8"))
            except OSError:
                continue
        raise ArtifactRefused(f"model {sha256[:16]} is not on this machine")

    async def fetch(self, store: ArtifactStore, sha256: str) -> Artifact:
        """Make sure that the model is kept here, and return its artifact.

        A refusal is kept as well: a replay refuses in the same words.

        Raises:
            ArtifactRefused: the store has none such, or it is damaged, foreign, or of a kind that is not known.
            ArtifactStoreError: the store cannot be asked now, or the disk is full; try again.
        """
        path = self._folders[0] / sha256
        if path.exists():
            try:
                return self._checked(sha256, path.read_bytes())
            except (ArtifactRefused, OSError):
                path.unlink(missing_ok=True)
        try:
            if not SHA256.fullmatch(sha256):
                raise ArtifactRefused("a model is named by the SHA-256 of its bytes")
            blob = await store.get(sha256)
            if blob is None:
                raise ArtifactRefused(f"model {sha256[:16]} is not in the store")
            artifact = self._checked(sha256, blob)
        except ArtifactRefused as err:
            self._write(f"{sha256[:64]}.refused" if SHA256.fullmatch(sha256) else "", str(err).encode())
            raise
        self._write(sha256, blob)
        return artifact

    def _checked(self, sha256: str, blob: bytes) -> Artifact:
        if digest(blob) != sha256:
            raise ArtifactRefused(f"model {sha256[:16]} is damaged")
        artifact = unpack(blob)
        if self._verify is not None:
            self._verify(artifact)
        return artifact

    def _write(self, name: str, data: bytes) -> None:
        if not name:
            return
        try:
            write_whole(self._folders[0] / name, data)
        except OSError as err:
            raise ArtifactStoreError(f"model not kept: {self._folders[0]}: {err.strerror or err}") from None
