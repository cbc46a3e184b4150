"""Which rows are held out: drawn at random, by label where labels are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ale.errors import ConfigurationError


def hold_out(
    labels: Sequence[str], share: float, seed: int = 0, *, stratified: bool = True
) -> NDArray[np.bool_]:
    """True for the rows to hold out: `share` of them, rounded. Equal input and seed, equal draw.

    Stratified: as nearly that share of every label as whole rows allow; what the rounding leaves goes to the labels
    that it took most from.
    """
    if not 0.0 <= share < 1.0:
        raise ConfigurationError(f"the share to hold out lies between 0 and 1, not at {share}")
    random = np.random.default_rng(seed)
    held = np.zeros(len(labels), np.bool_)
    names, codes = np.unique(
        np.array(labels if stratified else [""] * len(labels), object), return_inverse=True
    )
    sizes = np.bincount(codes, minlength=len(names))
    counts = np.floor(share * sizes + 1e-9).astype(np.int64)
    missing = round(share * len(labels)) - int(counts.sum())
    for label in np.argsort(counts - share * sizes, kind="stable")[: max(0, missing)]:
        counts[label] += 1
    for label, count in enumerate(counts):
        held[random.permutation(np.flatnonzero(codes == label))[:count]] = True
    return held
