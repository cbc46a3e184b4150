"""In which numbers the encoder computes, and which the processor at hand is quickest in."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from enum import StrEnum

_IN_HARDWARE = ("avx512bf16", "amx-bf16")


class Precision(StrEnum):
    """float32 is the same everywhere; bfloat16 keeps 8 bits of 24 and costs half where the processor knows it."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


def quickest(features: Mapping[str, bool] | None = None) -> Precision:
    """BFLOAT16 where the processor multiplies it by itself and torch is there to ask for it, else FLOAT32.

    `features` are the processor's, by LLVM's names; by default those of the one at hand.
    """
    if importlib.util.find_spec("torch") is None:
        return Precision.FLOAT32
    if features is None:
        from llvmlite.binding import get_host_cpu_features

        features = get_host_cpu_features()
    return Precision.BFLOAT16 if any(features.get(name) for name in _IN_HARDWARE) else Precision.FLOAT32
