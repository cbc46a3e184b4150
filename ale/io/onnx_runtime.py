"""ONNX Runtime as we want it: silent, on as many cores as we say, and asleep between two runs.

Whoever needs ONNX Runtime takes it from here. From 1.29 on its import starts a thread that reports to its
maker and writes an identifier into the home folder, unless the environment forbids it beforehand: texts are
private here, and a worker that forks must have no such thread.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

if TYPE_CHECKING:
    from ale.io.minilm import Compute

_ERRORS_ONLY = 3


def make_onnx(graph: bytes, weights: Path, threads: int) -> Compute:
    """The graph's rows from its ids and mask, by a session whose weights are mapped from the file, not copied. Make it after a fork: it owns threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = _ERRORS_ONLY
    # Waiting threads would else spin on a core that the web process and Label Studio need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(weights.parent)
    )
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def compute(inputs: dict[str, Any]) -> Any:
        (rows,) = session.run(["rows"], inputs)
        return rows

    return compute
