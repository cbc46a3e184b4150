"""How honest confidences are on labels that they have not learnt from, and how much of their error is luck."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 10
_DRAWS = 200  # the mean of these is steady in the third decimal, also for a test split of 500


@dataclass(frozen=True, slots=True)
class Reliability:
    """Bins of equal size, the least confident first: mean confidence, share that is right, rows."""

    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]
    rows: tuple[int, ...]


def reliability(probs: NDArray[np.floating], truth: NDArray[np.integer], bins: int = BINS) -> Reliability:
    """The bins of which `ale.metrics.ece` is the weighted mean gap."""
    confidence = np.asarray(probs.max(axis=1), np.float64)
    right = probs.argmax(axis=1) == truth
    order = np.argsort(confidence, kind="stable")
    parts = np.array_split(order, min(bins, len(order))) if len(order) else []
    return Reliability(
        tuple(float(confidence[part].mean()) for part in parts),
        tuple(float(right[part].mean()) for part in parts),
        tuple(len(part) for part in parts),
    )


def ece_by_luck(probs: NDArray[np.floating], rng: np.random.Generator, bins: int = BINS) -> float:
    """The ECE that a student with these confidences would show if they were exactly right: its sampling bias.

    The mean over answers drawn from the confidences themselves. A measured ECE of this size is no sign of
    a bad calibration; the bias shrinks with the root of the test split's size. NaN without rows.
    """
    confidence = np.sort(np.asarray(probs.max(axis=1), np.float64))
    if not len(confidence):
        return float("nan")
    gaps = 0.0
    for part in np.array_split(confidence, min(bins, len(confidence))):
        right = rng.random((_DRAWS, len(part))) < part
        gaps += len(part) * float(np.abs(right.mean(axis=1) - part.mean()).mean())
    return gaps / len(confidence)
