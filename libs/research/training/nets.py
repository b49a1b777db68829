"""Nets for torch: sequences of feature vectors to three logits a step, charts to logits, and their ONNX graphs."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

OPSET: Final = 17


def head_of(width: int, dropout: float) -> nn.Sequential:
    """width-64-32-3."""
    return nn.Sequential(
        nn.Linear(width, 64), nn.ReLU(), nn.Dropout(dropout), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 3)
    )


class SequenceNet(nn.Module):
    """(n, steps, features) to logits (n, steps, 3); a step sees itself and what came before it."""

    head: nn.Sequential

    def states(self, x: Tensor) -> Tensor:
        """What the head reads at each step."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.states(x))
        return logits


class LstmNet(SequenceNet):
    """Recurrent layers with dropout between them and before the head."""

    def __init__(self, width: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, hidden, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        self.drop = nn.Dropout(dropout)
        self.head = head_of(hidden, dropout)

    def states(self, x: Tensor) -> Tensor:
        states: Tensor = self.drop(self.lstm(x)[0])
        return states


class TransformerNet(SequenceNet):
    """Self-attention over what came before, with learned positions. Vaswani et al. 2017, normed first."""

    def __init__(self, width: int, steps: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.enter = nn.Linear(width, hidden)
        self.place = nn.Parameter(torch.zeros(steps, hidden))
        self.blocks = nn.ModuleList(_Attention(hidden, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(hidden)
        self.head = head_of(hidden, dropout)

    def states(self, x: Tensor) -> Tensor:
        y = self.enter(x) + self.place
        for block in self.blocks:
            y = block(y)
        states: Tensor = self.norm(y)
        return states


class _Attention(nn.Module):
    HEADS: Final = 4

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.mix, self.out = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
        self.feed = nn.Sequential(nn.Linear(hidden, 2 * hidden), nn.ReLU(), nn.Linear(2 * hidden, hidden))
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        n, steps, hidden = x.shape
        q, k, v = (
            part.reshape(n, steps, self.HEADS, hidden // self.HEADS).transpose(1, 2)
            for part in self.mix(self.first(x)).chunk(3, dim=-1)
        )
        seen = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.drop(self.out(seen.transpose(1, 2).reshape(n, steps, hidden)))
        y: Tensor = x + self.drop(self.feed(self.second(x)))
        return y


class TcnNet(SequenceNet):
    """Dilated convolutions that look back only; five blocks see 125 steps. Bai, Kolter and Koltun 2018."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.enter = nn.Conv1d(width, hidden, 1)
        self.blocks = nn.ModuleList(_Dilated(hidden, 2**i, dropout) for i in range(5))
        self.head = head_of(hidden, dropout)

    def states(self, x: Tensor) -> Tensor:
        y: Tensor = self.enter(x.transpose(1, 2))
        for block in self.blocks:
            y = block(y)
        return y.transpose(1, 2)


class _Dilated(nn.Module):
    TAPS: Final = 3

    def __init__(self, hidden: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.reach = (self.TAPS - 1) * dilation
        self.one = nn.Conv1d(hidden, hidden, self.TAPS, dilation=dilation, padding=self.reach)
        self.two = nn.Conv1d(hidden, hidden, self.TAPS, dilation=dilation, padding=self.reach)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        y = self.drop(torch.relu(self.one(x)[:, :, : -self.reach]))
        y = self.drop(torch.relu(self.two(y)[:, :, : -self.reach]))
        return torch.relu(x + y)


class LastStep(nn.Module):
    """What a net over sequences says at their last step."""

    def __init__(self, net: SequenceNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net.head(self.net.states(x)[:, -1])
        return logits


def to_onnx(net: nn.Module, shape: Sequence[int], name: str, outputs: Sequence[str]) -> bytes:
    """The graph of a net for inputs (n, *shape) called `name`."""
    net.eval()
    file = io.BytesIO()
    with warnings.catch_warnings():
        # The exporter that is not deprecated needs a library more and writes the same graph.
        warnings.filterwarnings("ignore", message=".*legacy TorchScript-based ONNX export.*")
        warnings.filterwarnings("ignore", message=".*feature will be removed.*")
        # An LSTM's own checks of its shapes are not part of the graph; n is free, which the tests hold to.
        warnings.filterwarnings("ignore", category=torch.jit._trace.TracerWarning)
        warnings.filterwarnings("ignore", message=".*batch_size other than 1.*")
        torch.onnx.export(
            net,
            (torch.zeros(1, *shape),),
            file,  # type: ignore[arg-type]
            input_names=[name],
            output_names=list(outputs),
            dynamic_axes={axis: {0: "n"} for axis in (name, *outputs)},
            opset_version=OPSET,
            dynamo=False,
        )
    return file.getvalue()


class TrainedSession:
    """A graph that was just made, as `libs.core.agents.model.Session`, on one thread as it will be served."""

    def __init__(self, graph: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """The outputs in the graph's order."""
        outputs: list[NDArray[np.float32]] = self._session.run(None, dict(inputs))
        return outputs
