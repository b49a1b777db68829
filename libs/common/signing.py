"""Who vouches for a model: the trainer's key signs its manifest, and with that every part of it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from libs.common.keys import PUBLIC_FOLDER, Signer, Verifier, keys_folder, make_keys
from libs.core.agents.artifact import Artifact, ArtifactRefused

PRIVATE_NAME: Final = "train.key"
FOLDER: Final = "train"
"""Apart from the keys of permits: who may sign a model may not sign an order."""


def signing_folder(var: Path) -> Path:
    """Where the trainer's private key of a stack lies, and beside it the folder of the public ones."""
    return keys_folder(var) / FOLDER


def make_signer(var: Path) -> ModelSigner:
    """The trainer's signer; makes the pair if there is none yet.

    Raises:
        KeyProblem: the private file exists and cannot be used.
        OSError: the folder cannot be written.
    """
    folder = signing_folder(var)
    make_keys(folder, PRIVATE_NAME)
    return ModelSigner(Signer.load(folder / PRIVATE_NAME))


class ModelSigner:
    """Signs artifacts."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self.key_id = signer.key_id

    def __call__(self, artifact: Artifact) -> Artifact:
        """The artifact with key id and signature."""
        named = msgspec.structs.replace(artifact, key_id=self.key_id, signature=b"")
        return msgspec.structs.replace(named, signature=self._signer.signature(named.signing_bytes()))


class ModelVerifier:
    """Refuses artifacts that no key of a folder of public ones vouches for."""

    def __init__(self, public: Path) -> None:
        self._verifier = Verifier(public)
        self._public = public

    @classmethod
    def of(cls, var: Path) -> ModelVerifier:
        """With the public keys of the stack whose state lies in `var`."""
        return cls(signing_folder(var) / PUBLIC_FOLDER)

    def __call__(self, artifact: Artifact) -> None:
        """Raises ArtifactRefused when the signature is lacking, of a key that is not known, or of other content."""
        fault = self._verifier.fault(artifact.key_id, artifact.signature, artifact.signing_bytes())
        if fault is None:
            return
        agent = artifact.manifest.agent
        if fault == "unsigned":
            raise ArtifactRefused(f"model {agent} is not signed; conclave train signs what it writes")
        if fault == "foreign":
            known = f"its key {artifact.key_id} is not in {self._public}"
            raise ArtifactRefused(f"model {agent} is foreign: {known}; put its public key there if you trust it")
        raise ArtifactRefused(f"model {agent} was altered after it was signed")
