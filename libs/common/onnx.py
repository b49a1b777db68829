"""ONNX graphs through ONNX Runtime, one thread each; only a process that meets a graph loads the runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from libs.core.agents.artifact import ArtifactRefused

ERRORS_ONLY: Final = 3
"""Log severity of the runtime: its warnings speak of graphs, not to people."""


class OnnxSession:
    """See `libs.core.agents.model.Session`."""

    def __init__(self, graph: bytes) -> None:
        """Raises ArtifactRefused when the runtime is missing or the bytes are no graph that it can run."""
        try:
            import onnxruntime
        except ImportError:
            raise ArtifactRefused("a model with an ONNX graph needs onnxruntime, which is not installed") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = ERRORS_ONLY
        try:
            self._session: Any = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as err:  # the runtime raises classes of its own for every kind of bad graph
            words = " ".join(str(err).split())[:200] or type(err).__name__
            raise ArtifactRefused(f"the runtime cannot use this graph: {words}") from None

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """The outputs in the graph's order."""
        outputs: list[NDArray[np.float32]] = self._session.run(None, dict(inputs))
        return outputs


def make_session(graph: bytes) -> OnnxSession:
    """A `libs.core.agents.model.MakeSession`."""
    return OnnxSession(graph)
