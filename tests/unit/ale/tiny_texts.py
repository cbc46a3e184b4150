"""Texts of numbered words that a mean of words hardly tells apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WORDS = 40

Texts = list[list[int]]


def needles(rows: int, seed: int = 0) -> tuple[Texts, NDArray[np.int64]]:
    """Thirty words of noise, and one word that is the label: attention finds it, a mean of words drowns it."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, rows)
    texts = [rng.permutation([1 + int(label), *rng.integers(3, WORDS, 30)]).tolist() for label in truth]
    return texts, truth.astype(np.int64)
