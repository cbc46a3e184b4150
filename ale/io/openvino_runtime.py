"""OpenVINO as we want it: in bfloat16, and silent.

Its import tells its maker that it was imported, and writes an identifier into the home folder. It does neither where
the package for that cannot be imported, so here it cannot.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ale.errors import MissingExtra

if TYPE_CHECKING:
    from ale.io.minilm import Compute


def make_openvino(graph: bytes, weights: Path, threads: int) -> Compute:
    """The graph's rows, shape (texts, dimensions), from its ids and mask."""
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # imports of it fail
    try:
        import openvino
    except ImportError as error:
        raise MissingExtra("the encoder by OpenVINO", "openvino") from error
    import onnx
    from onnx.external_data_helper import load_external_data_for_model

    # It looks for the weights beside a graph's file, and ours has none: they go into the graph.
    model = onnx.load_model_from_string(graph)
    load_external_data_for_model(model, str(weights.parent))
    core = openvino.Core()
    wanted = {
        "INFERENCE_PRECISION_HINT": "bf16",
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = core.compile_model(
        core.read_model(model.SerializeToString()), "CPU", wanted
    ).create_infer_request()

    def compute(inputs: dict[str, Any]) -> Any:
        # A copy: the next request writes over what this one gave.
        return np.array(request.infer(inputs)["rows"])

    return compute
