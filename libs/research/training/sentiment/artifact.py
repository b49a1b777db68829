"""The folder of a fitted stack: numbers, graph, tokenizer and a manifest with every file's hash, or nothing at all."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from libs.core.agents.sentiment_lexicon import LexiconModel
from libs.core.agents.sentiment_stack import StackModel
from libs.research.training.sentiment.embedder import GRAPH, TOKENIZER, Embedder

KIND: Final = "sentiment"
FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
PLAIN: Final = "stack.npz"
FULL: Final = "stack_embedding.npz"


class ArtifactProblem(Exception):
    """A model folder cannot be used; the text is one line."""


def packed(arrays: dict[str, NDArray[Any]]) -> bytes:
    """The arrays as .npz bytes, the same for the same numbers."""
    out = io.BytesIO()
    np.savez_compressed(out, allow_pickle=False, **arrays)
    return out.getvalue()


def write_folder(out: Path, files: dict[str, bytes | Path], manifest: dict[str, Any]) -> None:
    """Write an artifact so that `out` holds all of it or what was there before.

    Raises:
        ArtifactProblem: `out` is there and is no artifact of this kind.
        OSError: it cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())) and not (out / MANIFEST).is_file():
        raise ArtifactProblem(f"{out} is there and holds something else; choose another --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".{out.name}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir()
        hashes = {}
        for name, content in files.items():
            data = content if isinstance(content, bytes) else content.read_bytes()
            _write(draft / name, data)
            hashes[name] = hashlib.sha256(data).hexdigest()
        told = {"kind": KIND, "format": FORMAT, **manifest, "files": hashes}
        _write(draft / MANIFEST, json.dumps(told, indent=2).encode() + b"\n")
        if out.exists():
            old = out.with_name(f".{out.name}.{os.getpid()}.old")
            out.rename(old)
            draft.rename(out)
            shutil.rmtree(old, ignore_errors=True)
        else:
            draft.rename(out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest, after every file that it names was found unharmed.

    Raises:
        ArtifactProblem: none, of another kind or format, or a file is missing or not the one that was written.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if (manifest["kind"], manifest["format"]) != (KIND, FORMAT):
            raise ArtifactProblem(
                f"{folder}: a model of kind {manifest['kind']} {manifest['format']}, not {KIND} {FORMAT}"
            )
        for name, wanted in manifest["files"].items():
            if Path(name).name != name:
                raise ArtifactProblem(f"{folder}: the manifest names a file outside it")
            with (folder / name).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != wanted:
                    raise ArtifactProblem(f"{folder}: {name} is not the file that was written; train it anew")
        str(manifest["model_id"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        why = f"{err.strerror}: {err.filename}" if isinstance(err, OSError) else f"{type(err).__name__} {err}"
        raise ArtifactProblem(f"{folder}: no model can be read from it ({why})") from None
    return dict(manifest)


def load_stack(folder: Path, *, embeddings: bool) -> StackModel:
    """The fitted stack, with sentence embeddings or without.

    Raises:
        ArtifactProblem: the folder cannot be used, or holds no stack with embeddings.
        ImportError: onnxruntime or tokenizers is not installed.
    """
    manifest = read_manifest(folder)
    if manifest.get("lexicon") != LexiconModel.model_id:
        raise ArtifactProblem(f"{folder}: was fitted on other word lists than this version has; train it anew")
    name = FULL if embeddings else PLAIN
    if name not in manifest["files"]:
        raise ArtifactProblem(f"{folder}: was trained without sentence embeddings")
    try:
        with np.load(folder / name, allow_pickle=False) as loaded:
            arrays = {key: loaded[key] for key in loaded.files}
        embed = Embedder(folder / GRAPH, folder / TOKENIZER) if embeddings else None
        return StackModel(f"{manifest['model_id']}{'+embedding' if embeddings else ''}", arrays, embed)
    except ImportError:
        raise
    except Exception as err:  # numpy, onnxruntime and tokenizers each have errors of their own for a file that is none
        raise ArtifactProblem(f"{folder}: {name} cannot be used: {str(err).splitlines()[0][:200]}") from None
