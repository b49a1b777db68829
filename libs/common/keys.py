"""Key pairs: risk's for permits, the trainer's for models. Made once; a private file, a folder of public ones."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from libs.core.types import Permit

PRIVATE_NAME = "risk.key"
PUBLIC_FOLDER = "public"


class KeyProblem(Exception):
    """A key is missing, damaged or readable by others; the text is one line that says what to do."""


def keys_folder(var: Path) -> Path:
    """Where the keys of a stack lie."""
    return var / "keys"


def key_id_of(public: Ed25519PublicKey) -> str:
    """Identity of a public key: the first 16 hex digits of the SHA-256 of its 32 bytes."""
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()[:16]


def make_keys(folder: Path, private_name: str = PRIVATE_NAME) -> str:
    """Make the pair if there is none yet and return its key id; safe to call again and from two processes at once.

    Writes `<folder>/<private_name>` (mode 0600) and `<folder>/public/<key_id>.pub` (mode 0644), both PEM.

    Raises:
        KeyProblem: the private file exists and cannot be used.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    private = folder / private_name
    if not private.exists():
        pem = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        draft = _write_new(folder, private_name, pem, 0o600)
        try:
            # A link never replaces: of two processes that set up at once, one pair wins and both use it.
            os.link(draft, private)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    signer = Signer.load(private)
    public = folder / PUBLIC_FOLDER / f"{signer.key_id}.pub"
    if not public.exists():
        public.parent.mkdir(exist_ok=True)
        _write_new(public.parent, public.name, signer.public_pem(), 0o644).replace(public)
    return signer.key_id


def _write_new(folder: Path, name: str, data: bytes, mode: int) -> Path:
    draft = folder / f".{name}.{os.getpid()}"
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    return draft


class Signer:
    """Signs with a private key; only the risk service makes one for permits."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.key_id = key_id_of(private.public_key())

    @classmethod
    def load(cls, path: Path) -> Signer:
        """Read the private key.

        Raises:
            KeyProblem: it is missing, unreadable, no Ed25519 key, or readable by others than its owner.
        """
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            pem = path.read_bytes()
        except FileNotFoundError:
            raise KeyProblem(f"{path}: no signing key; run the set-up step (conclave up makes it once)") from None
        except OSError as err:
            raise KeyProblem(f"{path}: the signing key cannot be read: {err.strerror}") from None
        if mode & 0o077:
            raise KeyProblem(f"{path}: others can read the signing key (mode {mode:04o}); run chmod 600 {path}")
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyProblem(f"{path}: not an Ed25519 private key in PEM; remove it and run the set-up step again")
        return cls(key)

    def public_pem(self) -> bytes:
        """The public half, PEM."""
        return self._private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, permit: Permit) -> Permit:
        """The permit with key id and signature."""
        named = msgspec.structs.replace(permit, key_id=self.key_id, signature=b"")
        return msgspec.structs.replace(named, signature=self.signature(named.signing_bytes()))

    def signature(self, data: bytes) -> bytes:
        """Ed25519 over `data`, 64 bytes."""
        return self._private.sign(data)


class Verifier:
    """Checks signatures against a folder of public keys; a key id not seen yet makes it read the folder again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._keys: dict[str, Ed25519PublicKey] = {}
        self._listing: frozenset[str] = frozenset()
        self.reload()

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Ids of the known keys."""
        return tuple(sorted(self._keys))

    def reload(self) -> None:
        """Read every `*.pub`; a file that is no key, or not the one that its name says, is left out."""
        found: dict[str, Ed25519PublicKey] = {}
        names = self._names()
        for name in names:
            try:
                key = serialization.load_pem_public_key((self._folder / name).read_bytes())
            except (OSError, ValueError, UnsupportedAlgorithm):
                continue
            if isinstance(key, Ed25519PublicKey) and name == f"{key_id_of(key)}.pub":
                found[name.removesuffix(".pub")] = key
        self._keys, self._listing = found, names

    def _names(self) -> frozenset[str]:
        return frozenset(path.name for path in self._folder.glob("*.pub")) if self._folder.is_dir() else frozenset()

    def refusal(self, permit: Permit) -> str | None:
        """Why the signature of a permit is not accepted; None when it is good."""
        return self.fault(permit.key_id, permit.signature, permit.signing_bytes())

    def fault(self, key_id: str, signature: bytes, data: bytes) -> str | None:
        """Why `data` is not vouched for: unsigned, foreign (no such key) or altered; None when it is."""
        if not signature or not key_id:
            return "unsigned"
        if key_id not in self._keys and self._names() != self._listing:
            self.reload()
        key = self._keys.get(key_id)
        if key is None:
            return "foreign"
        try:
            key.verify(signature, data)
        except InvalidSignature:
            return "altered"
        return None
