"""What computes the encoder, and in which numbers: float32 is the same everywhere, bfloat16 costs about half.

bfloat16 keeps 8 of 24 bits. It pays only where the processor multiplies it by itself.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from enum import StrEnum

_TILES, _VECTORS = "amx-bf16", "avx512bf16"


class Runtime(StrEnum):
    """ONNX Runtime in float32, or one of two in bfloat16. A Hugging Face model is always computed by torch."""

    FLOAT32 = "float32"
    OPENVINO = "openvino-bfloat16"
    TORCH = "torch-bfloat16"


def quickest(features: Mapping[str, bool] | None = None) -> Runtime:
    """The quickest of those installed, by measurement (docs/index-documents.md), for this processor.

    `features` are the processor's by LLVM's names; by default those of the one at hand.
    """
    if features is None:
        try:
            from llvmlite.binding import get_host_cpu_features
        except ImportError:  # comes with [index]; without it nobody computes in bulk
            return Runtime.FLOAT32
        features = get_host_cpu_features()
    if features.get(_TILES):
        order = {"torch": Runtime.TORCH, "openvino": Runtime.OPENVINO}
    elif features.get(_VECTORS):
        order = {"openvino": Runtime.OPENVINO, "torch": Runtime.TORCH}
    else:
        order = {}
    return next((order[name] for name in order if importlib.util.find_spec(name)), Runtime.FLOAT32)
